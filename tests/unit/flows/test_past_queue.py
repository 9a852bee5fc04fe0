"""Who waits for what a way back frees bars it, unless a person says so, and is told of whom."""

from __future__ import annotations

from typing import Any

import pytest

from flows.cli.main import main
from flows.cli.named import foretold
from flows.rollback import decide, settle
from tasks.base.errors import Exit, Refused
from tasks.outside.kubernetes.jobs import JobResult
from tasks.run import proofs
from tests.support.cluster.actor_world import NAME, NS, World
from tests.support.cluster.tight import WHOLE, tight


def waits(name: str) -> dict[str, Any]:
    asks = {"resources": {"requests": {"cpu": "1"}}}
    return {
        "metadata": {"name": name, "namespace": "jobs", "labels": {}},
        "spec": {"containers": [{"name": "c", **asks}]},
        "status": {"phase": "Pending"},
    }


@pytest.fixture
def at(reached: list[World], monkeypatch: pytest.MonkeyPatch) -> World:
    """What serves has both seats, and somebody waits for one. `late` comes while it is hashed."""
    found = tight()
    found.bare = [waits("train-1")]
    reached.append(found)

    def run_job(*_: Any, on_line: Any, **__: Any) -> JobResult:
        found.bare = [waits("train-1"), *late]
        on_line(WHOLE)
        return JobResult(True, 0, (), None)

    late: list[Any] = []
    vars(found).update(late=late, address="https://api:6443")
    monkeypatch.setattr(proofs, "run_job", run_job)
    return found


@pytest.mark.parametrize("allowed", [False, True])
def test_nobody_is_passed_without_leave(at: World, allowed: bool) -> None:
    with pytest.raises(Refused, match=r"jobs/train-1 would take what it frees.*--past-queue"):
        settle("rollback", NAME, NS, allow_interruption=allowed)
    assert at.leads_to() == "old" and at.available("old") == 2


@pytest.mark.parametrize("allowed", [False, True])
def test_a_person_may_pass_them(at: World, allowed: bool) -> None:
    said = settle("rollback", NAME, NS, allow_interruption=allowed, past_queue=True)
    assert "went back to m-older, past jobs/train-1" in said
    assert at.leads_to() == "older" and at.available("older") == 2


def test_who_comes_since_was_not_meant(at: World) -> None:
    vars(at)["late"].append(waits("train-2"))
    with pytest.raises(Refused, match="jobs/train-2 waits for what the serving release") as caught:
        settle("rollback", NAME, NS, past_queue=True)
    assert "train-1" not in str(caught.value)
    assert at.leads_to() == "old" and at.available("old") == 2


def test_nothing_but_a_rollback_passes_anybody(at: World) -> None:
    for what in ("abort", "recover", "guard"):
        assert decide(what, at.actor(), past_queue=True)[1].past == ()


def test_where_nothing_is_taken_nobody_is_passed(at: World) -> None:
    at.seats = 4
    _, course = decide("rollback", at.actor(), past_queue=True)
    assert course.past == () and course.sentence == "went back to m-older"


def test_the_danger_is_told_first(at: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said, interrupts = foretold("rollback", at.actor(), allow_interruption=False, past_queue=True)
    assert "jobs/train-1 may be placed first: then neither release may find its seats" in said
    assert interrupts
    # without a terminal it is agreed to by --yes alone
    named = ["rollback", NAME, "-n", NS, "--past-queue"]
    assert main(named) == Exit.USAGE
    assert at.leads_to() == "old"
    assert main([*named, "--yes"]) == 0
    assert at.leads_to() == "older"
