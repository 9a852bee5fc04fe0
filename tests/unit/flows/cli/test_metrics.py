"""One rollout that cannot be read is told, and takes the metrics of no other one away."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from flows.cli.metrics import overseen
from tasks.release.state import Release, State, to_configmap
from tasks.report.gauges import Overseen, Unread

RELEASE = Release("r", "m-r", "o/m", "master", "c", "sha256:1", "i:1", "m")


def test_one_that_cannot_be_read_is_named(caplog: pytest.LogCaptureFixture) -> None:
    bad = to_configmap(State("bad", stable=RELEASE), "models")
    bad["data"]["state"] = bad["data"]["state"].replace('"i:1"', "null")
    made = {"metadata": {"namespace": "models", "name": "m-r"}}
    rows = {
        "ConfigMap": [bad, to_configmap(State("m", stable=RELEASE), "models")],
        "Deployment": [made],
    }
    cluster: Any = SimpleNamespace(list=lambda kind, *_, **__: rows[kind])
    first, second = overseen(cluster, "models")
    assert first == Unread("models", "bad")
    assert second == Overseen("models", State("m", stable=RELEASE), made)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "rollout-bad" in said and "stable.image is None" in said
    assert caplog.records[0].levelno == logging.ERROR
