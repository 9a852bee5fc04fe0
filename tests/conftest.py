"""Options of the whole suite."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """The mark of tests/cluster."""
    config.addinivalue_line(
        "markers", "embedded(why): what only the embedded cluster can be asked, and why"
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """--kubeconfig and --python-image: run tests/cluster/test_run_* on a real cluster."""
    group = parser.getgroup("model-rollout")
    group.addoption(
        "--kubeconfig",
        default="",
        help="run the portable cluster tests on the cluster of this kubeconfig",
    )
    group.addoption(
        "--python-image",
        default="python:3.11-slim",
        help="the image that those tests run there",
    )
