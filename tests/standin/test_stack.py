"""The embedded cluster as the demo starts it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployments.local import daemons, stack
from tasks.base.errors import OutsideError
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.rest import unfenced


def test_it_has_the_account_that_we_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "engine_python", lambda: Path("/nowhere/bin/python"))
    started: list[daemons.Daemon] = []
    try:
        said = stack.start_cluster(tmp_path, dict(os.environ), started)
        with Cluster.connect(said["account"]) as cluster:
            assert cluster.get("ConfigMap", "rollout-smollm2", "models") is None
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
            with pytest.raises(OutsideError, match="cannot"):
                cluster.writer(unfenced).apply(space)
    finally:
        for item in started:
            daemons.stop(item)
    up = dict.fromkeys(stack.Stack.__dataclass_fields__, "")
    found = stack.Stack(**{**up, "account": "a"}).environment()
    assert found["KUBECONFIG"] == "a" and "PREFECT_API_URL" not in found
    found = stack.Stack(**{**up, "prefect_url": "http://h"}).environment()
    assert found["PREFECT_API_URL"] == "http://h/api"
