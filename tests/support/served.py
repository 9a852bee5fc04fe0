"""What `rollout up` deploys on the tests' Prefect server, and a worker that runs what it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import yaml

from deployments.local import daemons, stack
from tests.flows.house import House, spec_data
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))
POOL = "pool"
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
# what Prefect logs of a flow run when nothing else comes
_LAST = "Finished in state"


@dataclass
class Served:
    """A house whose deployments are on the server; `folder` is where the worker reads specs: the
    one of `smollm2` is for the exact engine.
    """

    home: House
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.home.environment,
            "MODEL_ROLLOUT_WORK_POOL": POOL,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "COLUMNS": "200",
        }

    def prefect(self, *arguments: str) -> str:
        """A prefect command in the folder; gives what it printed."""
        return self._ran(PREFECT, "--no-prompt", *arguments)

    def up(self, *arguments: str, specs: str = "deployments/models") -> str:
        """`rollout up --apply` in the folder; gives what it printed."""
        command = ["up", "--apply", "--specs", specs, "--pool", POOL, *arguments]
        return self._ran(sys.executable, "-m", "flows.cli", *command)

    def _ran(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server's API."""

        busy = False
        if path.endswith("/create_flow_run"):  # answered 503 it may have been made all the same
            body = {"idempotency_key": str(uuid4()), **body}

        def ask() -> httpx.Response | None:
            nonlocal busy
            url = f"{self.home.prefect_api}{path}"
            answer = httpx.request(method, url, json=body, timeout=90)
            # SQLite is locked; Prefect's own client tries again, too
            busy = busy or answer.status_code == 503
            return None if answer.status_code == 503 else answer

        answer = until(ask)
        assert answer is not None
        if not (busy and answer.status_code == 409):  # the try before made it after all
            answer.raise_for_status()
        return answer.json() if answer.content else None

    def deployment(self, name: str) -> dict[str, Any]:
        """A deployment as the server has it."""
        body = {"deployments": {"name": {"any_": [name]}}}
        found: list[dict[str, Any]] = self.call("POST", "/deployments/filter", body)
        return found[0]

    def wipe(self) -> None:
        """Make the server's automations and deployments go, as if it were new."""
        for kind in ("automations", "deployments"):
            for item in self.call("POST", f"/{kind}/filter", {}):
                self.call("DELETE", f"/{kind}/{item['id']}")

    def runs(self, deployment: str, *states: str) -> list[dict[str, Any]]:
        """Flow runs of a deployment in one of the states, the newest first."""
        body: dict[str, Any] = {
            "deployments": {"name": {"any_": [deployment]}},
            "sort": "EXPECTED_START_TIME_DESC",
        }
        if states:
            body["flow_runs"] = {"state": {"type": {"any_": list(states)}}}
        found: list[dict[str, Any]] = self.call("POST", "/flow_runs/filter", body)
        return found

    def ended(self, run_id: str) -> dict[str, Any]:
        """A flow run once it has ended."""

        def look() -> dict[str, Any] | None:
            run: dict[str, Any] = self.call("GET", f"/flow_runs/{run_id}")
            return run if run["state_type"] in FINAL else None

        run = until(look)
        assert run is not None
        return run

    def run(self, deployment: str, **parameters: Any) -> dict[str, Any]:
        """Start a deployment as a person does, and wait for its end."""
        found = self.deployment(deployment)["id"]
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        started = self.call("POST", f"/deployments/{found}/create_flow_run", body)
        return self.ended(started["id"])

    def road(self, run: dict[str, Any]) -> list[str]:
        """The names of a run's task runs, each led to by nothing but the one before it; that is
        the graph on the run's page."""
        found = {item["id"]: item for item in self.ended_tasks(run)}
        after = {}
        for ident, item in found.items():
            inputs = [source for sources in item["task_inputs"].values() for source in sources]
            before = [item["id"] for item in inputs if item["input_type"] == "task_run"]
            after[before[0] if before else ""] = ident
            assert len(before) <= 1, item
        road, at = [], ""
        while at in after:
            at = after[at]
            road.append(found[at]["name"])
        assert len(road) == len(found), (road, found)
        return road

    def ended_tasks(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """Task runs of a flow run that has ended, which come apart from it and step by step: their
        names, and what led to them, are those of their ends."""
        body = {"flow_runs": {"id": {"any_": [run["id"]]}}}

        def look() -> tuple[list[dict[str, Any]]] | None:
            found: list[dict[str, Any]] = self.call("POST", "/task_runs/filter", body)
            return (found,) if all(item["state_type"] in FINAL for item in found) else None

        ended = until(look)
        assert ended is not None
        return ended[0]

    def log(self, run: dict[str, Any]) -> list[tuple[str, str]]:
        """A run's whole log as the UI shows it: (name of the task run or '', message).

        A state is final before its last lines and its tasks' names arrive; lines come in the order
        they were written.
        """
        body = {"logs": {"flow_run_id": {"any_": [run["id"]]}}, "sort": "TIMESTAMP_ASC"}

        def look() -> list[tuple[str, str]]:
            lines = self.call("POST", "/logs/filter", {**body, "limit": 200})
            names = {None: "", **{item["id"]: item["name"] for item in self.ended_tasks(run)}}
            said = [(line["task_run_id"], line["message"]) for line in lines]
            if not any(task is None and text.startswith(_LAST) for task, text in said):
                return []
            if any(task not in names for task, _ in said):
                return []
            return [(names[task], text) for task, text in said]

        return until(look)

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of the pool, while a `with` block runs; it ends by itself when asked to."""
        with (self.home.folder / "worker.log").open("ab") as out:
            process = subprocess.Popen(
                [PREFECT, "worker", "start", "--pool", POOL, "--type", "process"],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def prefect_server(folder: Path) -> Iterator[str]:
    """A real server of one's own, with its files in this folder; gives its API's address."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    started: list[daemons.Daemon] = []
    url = stack.start_prefect(folder, env, started)
    try:
        yield f"{url}/api"
    finally:
        for item in started:
            daemons.stop(item)


def serve(home: House) -> Served:
    """Deploy everything for the spec of `smollm2`, by `rollout up --apply`.

    The watcher is off then: what these tests start, they start themselves.
    """
    folder = home.folder / "project"
    models = folder / "deployments" / "models"
    models.mkdir(parents=True)
    (folder / "prefect.yaml").symlink_to(ROOT / "prefect.yaml")
    spec = spec_data(name="smollm2")
    (models / "smollm2-135m-cpu.yaml").write_text(yaml.safe_dump(spec))
    served = Served(home, folder)
    served.wipe()  # what ran for other tests, and died with their worker, has a place of theirs
    served.up()
    watch = served.deployment("watch-models")
    for schedule in watch["schedules"]:
        place = f"/deployments/{watch['id']}/schedules/{schedule['id']}"
        served.call("PATCH", place, {"active": False})
    # a new one looks at once, which is whenever the worker comes to it
    for run in served.runs("watch-models", "SCHEDULED"):
        served.call("DELETE", f"/flow_runs/{run['id']}")
    return served
