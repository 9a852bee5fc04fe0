"""Every pin within a major version has its reason, and a test that fails without it."""

from __future__ import annotations

import inspect
import re
import tomllib

import pytest
from kubernetes.stream import ws_client
from modelscope_hub._download_control import _DownloadControl
from modelscope_hub._legacy_api import LegacyClient

from tests.support.places import ROOT

# package -> the file of its test, which is called test_pin_<package>_<reason>
TESTS = {
    "prefect": "tests/flows/server/test_server.py",
    "fastapi": "tests/flows/server/test_server.py",
    "sqlalchemy": "tests/flows/server/test_server.py",
    "evalscope": "tests/unit/outside/evalscope/test_calibration.py",
    "modelscope-hub": "tests/unit/project/test_pins.py",
    "kubernetes": "tests/unit/project/test_pins.py",  # for what is imported of its private side
}


def pinned() -> list[str]:
    """Packages of pyproject.toml with '==', or with an upper bound within a major version."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    tight = [text for text in asked if re.search(r"==|<\d+\.0*[1-9]", text)]
    return [re.split(r"[\[<>=]", text)[0] for text in tight]


def test_every_pin_is_listed() -> None:
    assert set(pinned()) <= set(TESTS)


@pytest.mark.parametrize("package", sorted(TESTS))
def test_every_pin_has_its_test(package: str) -> None:
    name = f"def test_pin_{package.replace('-', '_')}_"
    assert name in (ROOT / TESTS[package]).read_text()


def takes(function: object, *names: str) -> None:
    """It is there, and has these parameters."""
    known = inspect.signature(function).parameters  # type: ignore[arg-type]
    assert set(names) <= set(known), (function, list(known))


def test_pin_modelscope_hub_has_the_private_calls_we_use() -> None:
    """What bounds our reads is private; 0.6 may call it something else."""
    takes(_DownloadControl, "total_timeout", "cancel_event", "min_rate", "speed_window")
    takes(_DownloadControl.chunks, "response")
    takes(LegacyClient, "token", "endpoint", "user_agent")
    takes(LegacyClient._request, "method", "path", "params", "headers", "timeout", "stream")
    takes(LegacyClient.read_context, "control")
    takes(LegacyClient._request_repo_tree, "path", "params")  # every listing comes by it
    takes(LegacyClient._build_url, "path")
    takes(LegacyClient.list_repo_files, "repo_id", "repo_type", "revision")
    # read with a default: a listing that was cut would pass for a whole one
    assert "listing_incomplete" in inspect.getsource(inspect.getmodule(LegacyClient))  # type: ignore[arg-type]


def test_pin_kubernetes_has_the_port_forward_we_use() -> None:
    """Its module is not public; `kubernetes.stream.portforward` wraps generated methods only."""
    assert callable(ws_client.portforward_call)
