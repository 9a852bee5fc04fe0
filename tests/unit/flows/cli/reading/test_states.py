"""What is told of rollouts, to a person and to a program."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from flows.cli.main import main
from flows.cli.reading import states
from flows.cli.reading.states import ending_of, list_rows, listed, status_of
from tasks.base.errors import StepFailed
from tasks.record.record import Record
from tasks.release.course import DeploymentView, Observed
from tasks.release.state import State, with_history
from tests.support.cluster.actor_world import NAME, NS, World, in_test, world

ENDED = Record(
    rollout="r1",
    outcome="failed",
    exit_code=3,
    sentence="ttft_p95_ms is too high",
    finished="2026-11-27T10:00:00+00:00",
    who="alice@host",
)
ROW_KEYS = {
    *("namespace", "name", "phase", "since", "answers", "serving", "available", "replicas"),
    *("candidate", "last", "error"),
}
STATUS_KEYS = {
    *("schema", "kind", "namespace", "name", "phase", "since", "holder", "answers", "down", "why"),
    "progress",
    *("nodes_gone", "serving", "stable", "candidate", "previous", "verdict", "rollout", "plan"),
    *("approve_until", "next", "strangers", "verified", "history"),
}


@pytest.fixture
def here(reached: list[World], monkeypatch: pytest.MonkeyPatch) -> World:
    """A candidate is tested, and one rollout has failed before."""
    found = in_test()
    actor = found.actor()
    actor.save(with_history(actor.observe().state, ENDED.as_dict(), 5))
    reached.append(found)
    monkeypatch.setattr(states, "WIDTH", 1)  # a World is of one thread
    lease = {"spec": {"holderIdentity": "alice@host/r2", "leaseTransitions": 3}}
    monkeypatch.setattr("tasks.outside.kubernetes.lease.lease_of", lambda *_: lease)
    return found


def read(capsys: pytest.CaptureFixture[str], *line: str) -> Any:
    assert main([*line, "-n", NS, "-o", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_status_as_a_document(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    found = read(capsys, "status", NAME)
    assert set(found) == STATUS_KEYS and (found["schema"], found["kind"]) == (1, "status")
    assert (found["phase"], found["holder"], found["answers"]) == ("testing", "alice@host/r2", True)
    assert found["progress"] is None  # its holder does not say
    assert found["serving"] == {
        "release": "old",
        "deployment": "m-old",
        "replicas": 2,
        "available": 2,
        "drift": "",
    }
    assert found["candidate"]["deployment"] == "m-new" and found["previous"]["release"] == "older"
    assert [item["outcome"] for item in found["history"]] == ["failed"]
    assert main(["status", NAME, "-n", NS, "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == found


def test_a_list_as_a_document_and_as_a_table(
    here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read(capsys, "list")
    (row,) = found["rollouts"]
    assert (found["kind"], found["namespace"]) == ("list", NS) and set(row) == ROW_KEYS
    assert (row["serving"], row["available"], row["replicas"]) == ("m-old", 2, 2)
    assert row["last"] == {"outcome": "failed", "finished": ENDED.finished, "rollout": "r1"}
    assert read(capsys, "list", "-A")["namespace"] is None
    assert main(["list", "-A"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["NAMESPACE", "NAME", "PHASE", "SERVING", "SINCE", "LAST"]
    assert line.split()[:5] == [NS, NAME, "testing", "m-old", "2/2"]
    assert "failed 2026-11-27T10:00:00+00:00" in line
    assert main(["list", "-n", NS]) == 0
    assert capsys.readouterr().out.split()[0] == "NAME"


def test_a_narrow_terminal_cuts_no_name_and_no_time(
    here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["list", "-A"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == [f"name:      {NAME}", "phase:     testing", "serving:   m-old 2/2"]
    assert lines[-1] == f"last:      failed {ENDED.finished}"


def test_one_that_cannot_be_read_hides_no_other(
    here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {
        "kind": "ConfigMap",
        "metadata": {
            "name": "rollout-bad",
            "namespace": NS,
            "labels": {
                "app.kubernetes.io/managed-by": "model-rollout",
                "model-rollout/kind": "state",
                "app.kubernetes.io/instance": "bad",
            },
        },
        "data": {"state": "not JSON"},
    }
    here.put(bad)
    assert main(["list", "-n", NS, "-o", "json"]) == 1
    first, second = json.loads(capsys.readouterr().out)["rollouts"]
    assert first["phase"] == "unreadable" and "does not hold a readable" in first["error"]
    assert second["name"] == NAME and second["error"] == ""


def test_where_there_is_none_that_is_said(
    reached: list[World], capsys: pytest.CaptureFixture[str]
) -> None:
    reached.append(World())
    assert main(["list", "-n", NS]) == 0
    assert capsys.readouterr().err == f"no rollout in namespace {NS}; -A looks in all\n"
    assert read(capsys, "list")["rollouts"] == []


def test_a_history_as_a_document_and_as_a_table(
    here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read(capsys, "history", NAME)
    assert (found["kind"], found["name"]) == ("history", NAME)
    assert found["history"] == [ending_of(ENDED.as_dict())]
    assert found["history"][0]["exit_code"] == 3
    assert main(["history", NAME, "-n", NS]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["FINISHED", "KIND", "OUTCOME", "RELEASE"]
    assert line.split()[1:3] == ["rollout", "failed"]
    assert "alice@host" in line and line.endswith("ttft_p95_ms is too high")


def test_a_history_without_an_ending(
    reached: list[World], capsys: pytest.CaptureFixture[str]
) -> None:
    reached.append(world())
    assert main(["history", NAME, "-n", NS]) == 0
    assert "has ended yet" in capsys.readouterr().err


def test_rows_of_what_serves_nothing_and_of_what_cannot_be_read() -> None:
    nothing = listed("a", "m", Observed(State("m"), None, absent=True))
    down = Observed(State("m"), "old", {"old": DeploymentView("m-old", "old", 2, 2, 0)})
    rows = list_rows([nothing, listed("a", "n", down), listed("a", "o", StepFailed("no"))])
    assert [row[2] for row in rows] == [
        "idle",
        "idle, does not answer",
        "unreadable",
    ]
    assert [row[3] for row in rows] == ["nothing", "m-old 0/2", "unknown"]
    assert [row[5] for row in rows] == ["none", "none", "no"]


def test_what_is_held_says_under_which_plan_and_until_when() -> None:
    seen = in_test().actor().observe()
    state = replace(seen.state, phase="held", plan="0123", until="2026-11-28", why="seats")
    found = status_of(NS, replace(seen, state=state))
    assert (found["plan"], found["approve_until"], found["why"]) == ("0123", "2026-11-28", "seats")
    assert found["holder"] == found["nodes_gone"] == ""
