"""Our deployments on a real Prefect server of the pinned set: schedules, events, logs, a worker."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flows.watch_models import EVENT
from tasks.service.notices import BLOCK
from tests.flows.house import NAMESPACE, house, record_of
from tests.support.heard.webhooks import Webhooks, webhooks
from tests.support.served import Served, serve
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Iterator[Served]:
    """One house, deployed once, one worker."""
    with house(tmp_path_factory.mktemp("served"), prefect_api) as home:
        found = serve(home)
        with found.worker():
            yield found


def event(served: Served, commit: str) -> None:
    """POST what watch_models, or a site's own webhook, tells of a commit."""
    body = {
        "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "event": EVENT,
        "resource": {"prefect.resource.id": f"model-rollout.rollout.{NAMESPACE}.smollm2"},
        "payload": {"commit": commit},
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, commit)),
    }
    served.call("POST", "/events", [body])


def test_pin_fastapi_the_server_starts(served: Served) -> None:
    """With fastapi 0.151 Prefect 3.8's server ends while it starts."""
    assert served.call("GET", "/health") is True


def test_pin_sqlalchemy_a_schedule_starts_runs(served: Served) -> None:
    """With sqlalchemy 2.1 the server's scheduler fails in every loop, and nothing is red."""
    deployment = served.deployment("guard")
    schedule = f"/deployments/{deployment['id']}/schedules/{deployment['schedules'][0]['id']}"
    # switched on as a person does, the next time being soon
    soon = (datetime.now(UTC) + timedelta(seconds=15)).isoformat()
    served.call(
        "PATCH", schedule, {"active": True, "schedule": {"interval": 120, "anchor_date": soon}}
    )
    run = until(lambda: served.runs("guard", "RUNNING", "COMPLETED"))[0]
    served.call("PATCH", schedule, {"active": False})
    assert run["auto_scheduled"]
    ended = served.ended(run["id"])
    assert ended["state_name"] == "Completed", ended["state"]


def test_an_event_rolls_out_its_commit_though_the_branch_has_moved(served: Served) -> None:
    home = served.home
    first = home.publish(1)
    second = home.publish(2)
    event(served, first)
    started = until(lambda: served.runs("rollout-smollm2"))[0]
    run = served.ended(started["id"])
    assert run["state_name"] == "Promoted", served.log(run)
    stable = home.state("smollm2").stable
    assert stable is not None and stable.commit == first != second
    record = record_of(home, "smollm2")
    assert record["why"] == "event: new version"
    assert (record["resolve_model"]["revision"], record["resolve_model"]["commit"]) == (
        "master",
        first,
    )

    every_task_says_what_it_found(served, run)
    deployed = stable.deployment
    assert served.road(run) == [
        "resolve_model smollm2",
        "validate_nodes node-a",
        f"plan {deployed}",
        "fetch_weights on node-a",
        *(f"{step} {deployed}" for step in ("deploy", "smoke", "benchmark", "judge", "promote")),
    ]
    artifacts = served.call("POST", "/artifacts/filter", {"limit": 100})
    assert run["name"] == f"rollout {deployed}"
    what = ("nodes", "plan", "smoke", "verdict", "rollout", "report")
    keys = {"weights-smollm2-models-node-a", *(f"{each}-smollm2-models" for each in what)}
    assert keys <= {a["key"] for a in artifacts}


def every_task_says_what_it_found(served: Served, run: dict[str, Any]) -> None:
    """The last word of each, besides Prefect's own, which only say that something ended. What
    stands before it is what the step was doing; how much of that depends on how long it took."""
    said: dict[str, list[str]] = {}
    for task, message in plain(served, run):
        if not message.startswith(("Finished in state", "Beginning")):
            said.setdefault(task.split(" ")[0], []).append(message)
    of_flow = said.pop("")
    assert of_flow[-1].startswith("promoted: smollm2-")
    words = {
        "resolve_model": "test/tiny @ master is ",
        "validate_nodes": "node-a: ",
        "plan": "parallel: test smollm2-",
        "fetch_weights": "verified there",
        "deploy": " is ready: ",
        "smoke": "checks, ",
        "benchmark": " requests",
        "judge": "pass: ",
        "promote": "done after a soak",
    }
    assert said.keys() == words.keys()
    for step, found in words.items():
        assert found in said[step][-1]
    assert any(": " in line for line in said["deploy"][:-1])  # at least the first state of its pod
    assert all(any(step in line for line in of_flow) for step in ("deploy", "judge"))


def test_an_event_that_names_no_commit_is_an_error_with_words(served: Served) -> None:
    before = {run["id"] for run in served.runs("rollout-smollm2")}
    event(served, "")
    new = until(lambda: [run for run in served.runs("rollout-smollm2") if run["id"] not in before])[
        0
    ]
    run = served.ended(new["id"])
    assert run["state_name"] == "Error"
    assert "parameters.commit: '' is no commit" in run["state"]["message"]
    plain(served, run)


def spec(served: Served, **changes: Any) -> str:
    """A spec file of the served house with other fields, where its worker may read it."""
    path = served.home.spec(**{"name": "smollm2", **changes})
    return str(shutil.copy(path, served.folder))


def plain(served: Served, run: dict[str, Any]) -> list[tuple[str, str]]:
    """The log of a run; no line of it is a traceback, or holds the record."""
    log = served.log(run)
    for _, message in log:
        assert "Traceback" not in message and "trust_remote_code" not in message, message
        assert len(message) < 1000, message
    return log


@pytest.fixture
def heard(served: Served) -> Iterator[Webhooks]:
    """Whom the server tells by `rollout up --notify-file`; and an alert of a person's own, on every
    flow run that fails. Nobody is left to be told afterwards."""
    with webhooks() as found:
        file = served.folder / "notify"
        file.write_text(f"{found.url}/ours?key=open-sesame\n")
        file.chmod(0o600)
        said = served.up("--notify-file", str(file))
        assert f"block {BLOCK}" in said and "sesame" not in said
        assert "as they should be" in served.up()
        wanted = {"block_documents": {"name": {"any_": [BLOCK]}}}
        (block,) = served.call("POST", "/block_documents/filter", wanted)
        made = [served.call("POST", "/automations/", alert(name, block["id"])) for name in ALERTS]
        try:
            yield found
        finally:
            served.call("DELETE", f"/block_documents/{block['id']}")
            for item in served.call("POST", "/automations/filter", {}):
                if item["name"].startswith("notice: ") or item in made:
                    served.call("DELETE", f"/automations/{item['id']}")


# as docs/notifications.md has them: by the name that Prefect's own states have, by type, by name
ALERTS: dict[str, tuple[str, dict[str, str]]] = {
    "named Failed": ("prefect.flow-run.Failed", {}),
    "of type FAILED": ("prefect.flow-run.*", {"prefect.state-type": "FAILED"}),
    "named RolledBack": ("prefect.flow-run.RolledBack", {}),
}


def alert(name: str, block: str) -> dict[str, Any]:
    event, match = ALERTS[name]
    return {
        "name": name,
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "expect": [event],
            "match": {"prefect.resource.id": "prefect.flow-run.*", **match},
            "threshold": 1,
            "within": 0,
        },
        "actions": [
            {
                "type": "send-notification",
                "block_document_id": block,
                "subject": name,
                "body": "{{ flow_run.name }}",
            }
        ],
    }


def test_pin_prefect_a_rejected_rollout_is_no_crash_in_its_log_and_is_told(
    served: Served, heard: Webhooks
) -> None:
    assert "everybody was told" in served.home.rollout("notify", expect=0)
    served.home.publish(4)
    wanted = spec(served, smoke=[{"prompt": "Where?", "contains": ["Atlantis"]}])
    run = served.run("rollout-smollm2", spec_file=wanted, why="test")
    assert (run["state_type"], run["state_name"]) == ("FAILED", "RolledBack")
    log = plain(served, run)
    of_flow = [message for task, message in log if not task]
    assert any(m.startswith("failed: ") and "Atlantis" in m for m in of_flow)
    assert any("Atlantis" in message for task, message in log if task.startswith("smoke"))

    def told() -> dict[str, str]:
        found = {item["title"]: item["text"] for item in heard.bodies("/ours")}
        alerts = {"of type FAILED", "named RolledBack"}
        # ours and theirs come in any order
        return found if {*alerts, f"{title}started", f"{title}rejected"} <= set(found) else {}

    title = f"rollout {NAMESPACE}/smollm2: "
    texts = until(told)
    assert "named Failed" not in texts  # the event has the state's own name
    ours = {key.removeprefix(title) for key in texts if key.startswith(title)}
    assert ours == {"started", "rejected"}
    lines = texts[f"{title}rejected"].splitlines()
    (report,) = [line for line in lines if line.startswith("report: ")]
    assert "Atlantis" in lines[0] and report.startswith("report: http")
    shown = served.call("GET", f"/artifacts/{report.rpartition('/')[2]}")
    assert shown["key"] == "report-smollm2-models" and "Atlantis" in shown["data"]
    assert lines[-1].startswith("run: http") and lines[-1].endswith(f"/{run['id']}")
    assert {path for path, _ in heard.came} == {"/ours?key=open-sesame"}

    # who is not told any more is named
    heard.answers["/ours"] = (403, "no such key")
    said = served.home.rollout("notify", expect=1)
    assert "webhook at 127.0.0.1 was not told: status 403: no such key" in said


def test_an_error_and_a_refusal_are_told_once_in_words(served: Served) -> None:
    wrong = spec(served, serving__image="nowhere/engine:9")
    run = served.run("rollout-smollm2", spec_file=wrong, why="test")
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Error")
    assert "nowhere/engine:9" in run["state"]["message"]
    log = plain(served, run)
    said = [m for task, m in log if task.startswith("deploy") and not m.startswith("Finished")]
    # after what its pod went through
    assert [m for m in said if "nowhere/engine:9" in m] == said[-1:]

    no_node = spec(served, nodes__selector={"disk": "fast"})
    run = served.run("rollout-smollm2", spec_file=no_node, why="test")
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Refused")
    assert "0 of 0 node(s) usable" in run["state"]["message"]
    plain(served, run)


def test_a_run_from_the_terminal_has_its_log_in_the_ui_and_not_on_the_terminal(
    served: Served,
) -> None:
    served.home.publish(3)
    wanted = spec(served, smoke=[{"prompt": "Where?", "contains": ["Atlantis"]}])
    said = served.home.rollout("run", wanted, expect=3)
    assert "Flow run" not in said and "Finished in state" not in said
    # a schedule may start others meanwhile
    nobodys = {"flow_runs": {"deployment_id": {"is_null_": True}}}
    newest = {"sort": "START_TIME_DESC", "limit": 1}
    (run,) = served.call("POST", "/flow_runs/filter", {**nobodys, **newest})
    assert run["state_name"] == "RolledBack"
    log = plain(served, run)
    assert any(message.startswith("failed: ") for task, message in log if not task)
    assert any("Atlantis" in message for task, message in log if task.startswith("smoke"))
