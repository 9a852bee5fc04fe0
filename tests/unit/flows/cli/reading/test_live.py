"""A rollout that somebody runs, looked at until it is at rest."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from flows.cli.main import main
from flows.cli.reading import live
from flows.cli.reading.live import (
    JobSight,
    PodSight,
    Sight,
    ended,
    job_sight,
    lines_of,
    pod_sight,
    tree_of,
)
from flows.cli.reading.states import status_of
from flows.cli.screen import Screen
from tasks.base.errors import OutsideError
from tasks.outside.kubernetes.client import ApiError
from tasks.record.record import Record
from tasks.release.state import with_history
from tasks.weights.messages import Said, Transfer, line_of
from tests.support.cluster.actor_world import NAME, NS, World, in_test, world


def status(**change: Any) -> dict[str, Any]:
    return {**status_of(NS, in_test().actor().observe()), **change}


def ending(outcome: str, exit_code: int | None = None) -> dict[str, Any]:
    return {"outcome": outcome, "exit_code": exit_code}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"history": [ending("promoted")]}, 0),
        ({"history": [ending("unchanged")]}, 0),
        ({"history": [ending("failed")]}, 3),
        ({"history": [ending("inconclusive")]}, 4),
        ({"history": [ending("refused")]}, 5),
        ({"history": [ending("error")]}, 1),
        # done by name: of a guard that cleaned up, the rollout before it counts
        ({"history": [ending("guard"), ending("failed")]}, 3),
        # and one that brought a dead one to rest tells how that ended
        ({"history": [ending("recover", 0), ending("failed")]}, 0),
        ({"history": [ending("guard", 1), ending("promoted")]}, 1),
        ({"history": [ending("approve"), ending("held")]}, 0),
        ({"history": []}, 0),
        ({"history": [], "answers": False}, 1),
        ({"history": [ending("promoted")], "answers": False}, 1),
        ({"history": [ending("promoted")], "phase": "held"}, 4),
        ({"history": [ending("promoted")], "phase": "unproven", "verdict": "fail"}, 3),
        ({"history": [ending("promoted")], "phase": "unproven", "verdict": "pass"}, 4),
    ],
)
def test_the_exit_status_is_of_its_last_outcome(change: dict[str, Any], code: int) -> None:
    assert ended(status(**{"phase": "idle", **change})) == code


@pytest.mark.parametrize(
    ("phase", "holder", "rests"),
    [
        ("idle", "", True),
        ("held", "", True),
        ("unproven", "", True),
        ("idle", "alice@host/r", False),
        ("testing", "", False),  # nobody has it: the guard will
        ("soaking", "alice@host/r", False),
    ],
)
def test_at_rest_is_what_waits_for_somebody(phase: str, holder: str, rests: bool) -> None:
    assert Sight(status(phase=phase, holder=holder)).rests is rests


def job(ended_as: str = "") -> dict[str, Any]:
    marks = {"model-rollout/kind": "fetch", "app.kubernetes.io/instance": NAME}
    done = [{"type": ended_as, "status": "True"}] if ended_as else []
    return {
        "kind": "Job",
        "metadata": {
            "name": "m-fetch-1",
            "namespace": NS,
            "labels": marks,
            "annotations": {"model-rollout/node": "node-a"},
        },
        "status": {"conditions": done},
    }


def test_a_job_tells_how_far_it_is() -> None:
    log = "\n".join([line_of(Transfer(10, 100, 5)), line_of(Said("waits")), "half a li"])
    assert job_sight(job(), log) == JobSight("m-fetch-1", "fetch", "node-a", 10, 100, 5)
    assert job_sight(job(), "") == JobSight("m-fetch-1", "fetch", "node-a")
    assert job_sight(job("Complete"), log) is job_sight(job("Failed"), log) is None


def test_a_pod_is_told_as_kubectl_does() -> None:
    pod = {
        "metadata": {"name": "p", "labels": {"model-rollout/release": "new"}},
        "spec": {"nodeName": "node-a"},
        "status": {
            "phase": "Pending",
            "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}],
        },
    }
    assert pod_sight(pod) == PodSight("p", "new", "node-a", "ImagePullBackOff", ready=False)


def test_both_ways_of_telling_name_pods_and_jobs() -> None:
    sight = Sight(
        status(holder="alice@host/r", down="no pod is ready"),
        (PodSight("m-new-0", "new", "node-a", "Running, not ready yet", ready=False),),
        (JobSight("m-fetch-1", "fetch", "node-b", 5e9, 1e10, 1e9), JobSight("j", "probe", "")),
    )
    assert [line for _, line in lines_of(sight)] == [
        "phase: testing, alice@host/r",
        "down: no pod is ready",
        "serving: m-old, 2 of 2 available",
        "candidate: m-new",
        "pod m-new-0: Running, not ready yet",
        "job m-fetch-1: fetch on node-b, 50 %",
        "job j: probe on no node yet",
    ]
    console = Console(width=120, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(tree_of(sight))
    drawn = captured.get()
    for word in (
        f"{NS}/{NAME}: testing",
        "holder: alice@host/r",
        "candidate: m-new",
        "m-new-0 on node-a: Running, not ready yet",
        "5.0 GB of 10.0 GB",
        "5 s left",
        "probe on no node yet",
    ):
        assert word in drawn


At = Callable[..., World]


@pytest.fixture
def at(reached: list[World], monkeypatch: pytest.MonkeyPatch) -> At:
    """A rollout whose holder, as it is asked for look by look, is one of these, and its end."""

    def put(*holders: str, outcome: str = "promoted") -> World:
        found = world()
        actor, left = found.actor(), list(holders)
        entry = Record(rollout="r1", outcome=outcome, sentence="said").as_dict()
        actor.save(with_history(actor.observe().state, entry, 5))

        def lease(*_: object) -> dict[str, Any]:
            return {"spec": {"holderIdentity": left.pop(0) if left else ""}}

        monkeypatch.setattr(live, "lease_of", lease)
        reached.append(found)
        return found

    return put


HERE = ["status", NAME, "-n", NS]


@pytest.mark.parametrize(("outcome", "code"), [("promoted", 0), ("failed", 3), ("held", 4)])
def test_it_waits_until_the_lease_is_given_back(
    at: At, outcome: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    at("alice@host/r", "alice@host/r", outcome=outcome)
    assert main([*HERE, "--wait"]) == code
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "phase: idle" and "serving: m-old, 2 of 2 available" in said
    assert said[-2:] == [f"last: {outcome} : said", "next: nothing"]


def test_it_waits_no_longer_than_it_is_told_to(at: At, capsys: pytest.CaptureFixture[str]) -> None:
    at(*["alice@host/r"] * 100)
    assert main([*HERE, "--wait", "--timeout", "1m"]) == 1
    assert "is not at rest after 60 s: it is idle; it goes on" in capsys.readouterr().err


AWAY = ApiError("Kubernetes API https://api: no answer")


def absent(monkeypatch: pytest.MonkeyPatch, *errors: OutsideError | None) -> None:
    """Looks that fail with these, one after the other, and go well where it is None and after."""
    left, looks = list(errors), live.look

    def look(*at: Any) -> Sight:
        if left and (error := left.pop(0)):
            raise error
        return looks(*at)

    monkeypatch.setattr(live, "look", look)


@pytest.mark.parametrize(
    ("timeout", "errors"),
    [
        (["--timeout", "30m"], [None, *[AWAY] * 200]),
        (["--timeout", "30m"], [AWAY]),  # before it was ever seen
        (["--timeout", "30m"], [None, ApiError("forbidden", 403)]),  # as a server that starts says
        ([], [None, *[AWAY] * 200]),
    ],
)
def test_a_wait_outlasts_an_api_server_that_is_away(
    at: At,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    timeout: list[str],
    errors: list[OutsideError | None],
) -> None:
    at("alice@host/r", "alice@host/r")
    absent(monkeypatch, *errors)
    assert main([*HERE, "--wait", *timeout]) == 0
    said = capsys.readouterr()
    assert said.err.count("is not seen, and looked at again: ") == 1
    assert "last: promoted" in said.out


def test_an_api_server_that_stays_away_is_told_when_the_time_is_over(
    at: At, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at("alice@host/r")
    absent(monkeypatch, None, *[AWAY] * 999)
    assert main([*HERE, "--wait", "--timeout", "1m"]) == 1
    said = capsys.readouterr().err
    assert "is not at rest after 60 s: it is not known (Kubernetes API https://api: no" in said


@pytest.mark.parametrize("errors", [[AWAY], [None, ApiError("forbidden", 403)]])
def test_without_a_timeout_nobody_waits_for_what_never_comes(
    at: At,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    errors: list[OutsideError | None],
) -> None:
    at("alice@host/r")
    absent(monkeypatch, *errors)
    assert main([*HERE, "--wait"]) == 1
    assert "looked at again" not in capsys.readouterr().err


def test_the_end_of_a_wait_may_be_a_document(at: At, capsys: pytest.CaptureFixture[str]) -> None:
    at("alice@host/r", outcome="inconclusive")
    assert main([*HERE, "--wait", "-o", "json"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["holder"]) == ("status", "")


def test_without_a_terminal_a_watch_tells_each_change_once(
    at: At, capsys: pytest.CaptureFixture[str]
) -> None:
    at("alice@host/r", "alice@host/r", outcome="failed")
    assert main([*HERE, "--watch"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("phase")] == [
        "phase: idle, alice@host/r",
        "phase: idle",
    ]
    assert said.count("serving: m-old, 2 of 2 available") == 1


def test_jobs_are_found_in_the_cluster(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    found = at()
    found.put(job())
    pod = {
        "metadata": {"name": "m-fetch-1-x", "namespace": NS, "labels": {"job-name": "m-fetch-1"}}
    }
    found.bare = [pod]
    vars(found).update(logs=lambda *_, **__: line_of(Transfer(1, 2, 3)))
    sight = live.look(found, NS, NAME)  # type: ignore[arg-type]
    assert sight.jobs == (JobSight("m-fetch-1", "fetch", "node-a", 1, 2, 3),)
    assert {pod.release for pod in sight.pods} == {"old"} and all(p.ready for p in sight.pods)


def test_a_release_that_serves_and_is_stable_is_drawn_once() -> None:
    seen = in_test().actor().observe()
    both = replace(seen, state=replace(seen.state, candidate=seen.state.stable))
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(tree_of(Sight(status_of(NS, both))))
    assert captured.get().count(": m-old,") == 1


def test_at_a_terminal_it_is_drawn(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    at("alice@host/r")
    file = io.StringIO()
    drawn = Screen(file=file, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(live, "Screen", lambda: drawn)
    assert main([*HERE, "--watch"]) == 0
    assert "holder: alice@host/r" in file.getvalue()
    assert "on n: Ready" in file.getvalue()
