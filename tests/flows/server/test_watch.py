"""The watcher, windows and events on a real Prefect server: what starts by itself, and what does
not."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deployments.local import daemons, stack
from flows.watch_models import EVENT, KEY
from tests.flows.house import NAMESPACE, house, spec_data
from tests.support.places import ROOT
from tests.support.served import Served, serve
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)
SPEC = "deployments/models/smollm2-135m-cpu.yaml"
ALWAYS = [{"cron": "0 * * * *", "hours": 1}]
RESOURCE = f"model-rollout.rollout.{NAMESPACE}.smollm2"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Iterator[Served]:
    """One house, deployed once, one worker."""
    with house(tmp_path_factory.mktemp("watched"), prefect_api) as home:
        found = serve(home)
        with found.worker():
            yield found


def rollout_of(served: Served) -> dict[str, Any]:
    """The deployment that rolls the spec out."""
    every = served.call("POST", "/deployments/filter", {})
    (found,) = [item for item in every if item["name"] == "rollout-smollm2"]
    return dict(found)


def write(served: Served, **changes: Any) -> None:
    """The spec file that the deployment reads."""
    text = yaml.safe_dump(spec_data(**{"name": "smollm2", **changes}))
    (served.folder / SPEC).write_text(text)


def body_of(commit: str) -> dict[str, Any]:
    """What a site's own webhook posts of a commit, as docs/watch.md has it."""
    return {
        "id": str(uuid.uuid4()),
        "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "event": EVENT,
        "resource": {"prefect.resource.id": RESOURCE},
        "payload": {"commit": commit},
    }


def after(served: Served, start: Any) -> dict[str, Any]:
    """The rollout that `start` brings about, once it has ended."""
    name = rollout_of(served)["name"]
    before = {run["id"] for run in served.runs(name)}
    start()
    new = until(lambda: [run for run in served.runs(name) if run["id"] not in before])
    return served.ended(new[0]["id"])


def events(served: Served) -> list[dict[str, Any]]:
    wanted = {"filter": {"event": {"name": [EVENT]}, "resource": {"id": [RESOURCE]}}}
    found: list[dict[str, Any]] = served.call("POST", "/events/filter", wanted)["events"]
    return found


def watched(served: Served) -> list[dict[str, Any]]:
    """The table that the watcher leaves, after one more look."""
    run = served.run("watch-models", spec_files=[SPEC])
    assert run["state_type"] == "COMPLETED", run["state"]
    body = {"artifacts": {"key": {"any_": [KEY]}, "flow_run_id": {"any_": [run["id"]]}}}
    (found,) = served.call("POST", "/artifacts/filter", body)
    rows: list[dict[str, Any]] = yaml.safe_load(found["data"])
    return rows


def test_what_is_new_is_told_rolled_out_and_left_in_peace(served: Served) -> None:
    home, before = served.home, {event["id"] for event in events(served)}
    first = home.publish(1)
    second = home.publish(2)

    def look() -> None:
        (row,) = watched(served)
        assert (row["what"], row["found"]) == ("new", second[:12])
        # at once again: it was told
        assert watched(served)[0]["what"] != "new"

    run = after(served, look)
    assert run["state_name"] == "Promoted", run["state"]
    assert run["created_by"]["type"] == "AUTOMATION"
    stable = home.state("smollm2").stable
    assert stable is not None and stable.commit == second
    (told,) = [event for event in events(served) if event["id"] not in before]
    assert told["payload"]["commit"] == second and told["payload"]["bytes"] > 1 << 20
    (row,) = watched(served)
    assert (row["what"], row["serves"]) == ("serves", second[:12])

    # one POST from outside starts the same; what is older starts by a person alone
    older = after(served, lambda: served.call("POST", "/events", [body_of(first)]))
    assert older["state_name"] == "Refused"
    assert "is older than what serves: it comes before what serves" in older["state"]["message"]

    home.publish(3)
    # outside of its windows nothing starts by itself, by a schedule as little as by an event
    write(served, quiet_hours=ALWAYS)
    (row,) = watched(served)
    assert row["what"] == "not now" and "no time within a year" in row["said"]
    third = commit_of(home, row["found"])
    posted = after(served, lambda: served.call("POST", "/events", [body_of(third)]))
    assert (posted["state_type"], posted["state_name"]) == ("COMPLETED", "NotNow")
    assert "is not started now" in posted["state"]["message"]
    assert scheduled(served)["state_name"] == "NotNow"
    # the watcher's, and the two of this test: the server writes them down in its own time
    until(lambda: len(events(served)) == len(before) + 3)


def test_what_was_rejected_is_tried_again_by_nobody_but_a_person(served: Served) -> None:
    """Each of these is a process of its own that knows what the cluster remembers; an event has an
    id of its own, as to a server that was started anew."""
    home = served.home
    write(served, targets={"ttft_mean_ms": 50, "success_rate_percent": 90})
    slow = home.publish(4)
    rejected = after(served, lambda: served.call("POST", "/events", [body_of(slow)]))
    assert (rejected["state_type"], rejected["state_name"]) == ("FAILED", "RolledBack")
    assert not any("Traceback" in line for _, line in served.log(rejected))
    before = home.objects("Pod")
    posted = after(served, lambda: served.call("POST", "/events", [body_of(slow)]))
    for run in (posted, scheduled(served)):
        assert (run["state_type"], run["state_name"]) == ("COMPLETED", "NotAgain"), run["state"]
        assert "was judged before, under the same targets: failed" in run["state"]["message"]
    (row,) = watched(served)
    assert (row["what"], row["found"]) == ("judged", slow[:12])
    # none came; the candidate's may be ending still
    assert set(home.objects("Pod")) <= set(before)
    asked = served.run(rollout_of(served)["name"])
    assert (asked["state_type"], asked["state_name"]) == ("FAILED", "Refused")


def commit_of(home: Any, short: str) -> str:
    """The whole of a commit on the hub, by its beginning."""
    (found,) = (home.hub_folder / "models").rglob(f"commits/{short}*.json")
    return str(found.stem)


def scheduled(served: Served) -> dict[str, Any]:
    """A rollout that a schedule starts, which a person has added and switches off again."""
    deployment = f"/deployments/{rollout_of(served)['id']}/schedules"
    before = {run["id"] for run in served.runs(rollout_of(served)["name"])}
    soon = (datetime.now(UTC) + timedelta(seconds=15)).isoformat()
    row = {"active": True, "schedule": {"interval": 60, "anchor_date": soon}}
    (made,) = served.call("POST", deployment, [row])

    def begun() -> list[dict[str, Any]]:
        runs = served.runs(rollout_of(served)["name"], "RUNNING", "COMPLETED")
        return [run for run in runs if run["auto_scheduled"] and run["id"] not in before]

    run = until(begun)[0]
    served.call("DELETE", f"{deployment}/{made['id']}")
    return served.ended(run["id"])


def test_one_hub_that_is_down_hides_no_other_model(served: Served) -> None:
    def spec(**changes: Any) -> str:
        return str(shutil.copy(served.home.spec(**changes), served.folder))

    down = spec(name="down", model__endpoint="http://127.0.0.1:9", watch={"tries": 1})
    wrong = served.folder / "wrong.yaml"
    wrong.write_text(yaml.safe_dump({"name": "wrong"}))
    good = spec(name="other")
    run = served.run("watch-models", spec_files=[str(wrong), down, good])
    assert run["state_type"] == "FAILED"
    message = run["state"]["message"]
    assert "2 of 3 could not be looked at" in message
    assert str(wrong) in message and down in message and good not in message
    assert "http://127.0.0.1:9" in message
    said = [line for _, line in served.log(run)]
    assert any("models/other: test/tiny @ master: new: " in line for line in said)
    assert not any("Traceback" in line for line in said)


def test_events_from_outside_are_let_in_by_the_servers_word_alone(tmp_path: Path) -> None:
    """As docs/watch.md has it: Basic authentication with PREFECT_SERVER_API_AUTH_STRING."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    env["PREFECT_SERVER_API_AUTH_STRING"] = "rollouts:a word"
    started: list[daemons.Daemon] = []
    try:
        api = f"{stack.start_prefect(tmp_path, env, started)}/api"
        events = [body_of("c" * 40)]
        assert httpx.post(f"{api}/events", json=events, timeout=60).status_code == 401
        wrong = httpx.BasicAuth("rollouts", "another")
        refused = httpx.post(f"{api}/events", json=events, auth=wrong, timeout=60)
        assert refused.status_code == 401
        right = httpx.BasicAuth("rollouts", "a word")
        taken = httpx.post(f"{api}/events", json=events, auth=right, timeout=60)
        assert taken.status_code == 204
    finally:
        for item in started:
            daemons.stop(item)


def test_the_command_in_the_docs_posts_exactly_that() -> None:
    text = (ROOT / "docs" / "watch.md").read_text()
    body = text.split("--data '")[1].split("'")[0]
    (sent,) = yaml.safe_load(body)
    ours = body_of("c" * 40)
    assert set(sent) == set(ours) and sent["event"] == EVENT
    assert set(sent["resource"]) == set(ours["resource"]) and set(sent["payload"]) == {"commit"}
