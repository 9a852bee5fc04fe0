"""prefect.yaml on a real Prefect server: deployed, started by an event, run by a worker."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.watch_models import EVENT, event_id
from tests.flows.house import House

pytestmark = pytest.mark.timeout(900)
ROOT = Path(__file__).parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))
WAIT_S = 300


def prefect(home: House, *arguments: str) -> str:
    """A prefect command in the project's folder."""
    done = subprocess.run(
        [PREFECT, "--no-prompt", *arguments],
        cwd=ROOT,
        env={**home.environment, "MODEL_ROLLOUT_WORK_POOL": "pool", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ask(home: House, path: str, body: Any) -> Any:
    """POST to the server's API."""
    answer = httpx.post(f"{home.prefect_api}{path}", json=body, timeout=30)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def until(check: Any) -> Any:
    """Wait for something truthy."""
    deadline = time.monotonic() + WAIT_S
    while not (found := check()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(1)
    return found


def runs(home: House, deployment: str) -> list[dict[str, Any]]:
    """Flow runs of a deployment."""
    body = {"deployments": {"name": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_DESC"}
    found: list[dict[str, Any]] = ask(home, "/flow_runs/filter", body)
    return found


def test_deployed_started_by_an_event_and_run_by_a_worker(home: House) -> None:
    home.publish(1)
    prefect(home, "work-pool", "create", "pool", "--type", "process")
    prefect(home, "deploy", "--all")
    found = ask(home, "/deployments/filter", {})
    names = {item["name"] for item in found}
    assert {"smollm2", "watch-models", "janitor", "rollback"} <= names
    rollout = next(item for item in found if item["name"] == "smollm2")
    assert rollout["schedules"] and not rollout["schedules"][0]["active"]
    # the UI draws its form from this: the spec's fields with their help
    assert "spec" in rollout["parameter_openapi_schema"]["properties"]

    event = {
        "occurred": "2026-01-01T00:00:00Z",
        "event": EVENT,
        "resource": {"prefect.resource.id": "model-rollout.rollout.models.smollm2"},
        "payload": {},
        "id": str(event_id("models", "smollm2", "c" * 40)),
    }
    event["occurred"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    answer = httpx.post(f"{home.prefect_api}/events", json=[event], timeout=30)
    assert answer.status_code == 204
    started = until(lambda: runs(home, "smollm2"))
    assert started[0]["parameters"]["why"] == "event: new version"
    httpx.delete(f"{home.prefect_api}/flow_runs/{started[0]['id']}", timeout=30)
    assert uuid.UUID(str(event["id"]))

    worker = subprocess.Popen(
        [PREFECT, "worker", "start", "--pool", "pool", "--type", "process"],
        cwd=ROOT,
        env=home.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        parameters = json.dumps({"spec_file": str(home.spec()), "why": "test"})
        prefect(home, "deployment", "run", "rollout/smollm2", "--params", parameters)

        def ended() -> dict[str, Any] | None:
            last = runs(home, "smollm2")
            done = last and last[0]["state_type"] in ("COMPLETED", "FAILED", "CRASHED")
            return last[0] if done else None

        run = until(ended)
        assert run["state_name"] == "Promoted", run["state"]
    finally:
        worker.terminate()
        worker.wait(60)
    tasks = ask(home, "/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    steps = {item["name"].split(" ")[0].rsplit("-", 1)[0] for item in tasks}
    wanted = {"resolve_model", "validate_nodes", "fetch_weights", "deploy", "smoke", "benchmark"}
    assert wanted | {"judge", "promote"} <= steps
    artifacts = ask(home, "/artifacts/filter", {"limit": 100})
    assert {"nodes", "plan", "smoke", "verdict", "rollout"} <= {a["key"] for a in artifacts}
    state = home.state()
    assert state.stable is not None and home.address()
