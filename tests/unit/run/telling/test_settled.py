"""A rollout that begins settles what the one before it left, and its ending is told like any."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.base.errors import StepFailed
from tasks.release.state import Phase, Release, to_configmap
from tasks.run import locked as module
from tasks.service.notices import Notice
from tests.support.cluster.actor_world import NEW, NS, World, world
from tests.support.cluster.runs import locked, run_of

pytestmark = pytest.mark.usefixtures("quick")
NEXT = replace(NEW, id="next", deployment="m-next", commit="c0ffee" * 7)


def left(phase: Phase, **changes: object) -> World:
    """What rollout A left behind, with its candidate."""
    at = world(phase=phase, candidate=True)
    state = replace(at.actor().observe().state, rollout="run-a", **changes)  # type: ignore[arg-type]
    at.put(to_configmap(state, NS))
    return at


def begins(at: World, release: Release = NEXT) -> str:
    return locked(run_of(at)).begin(release, keep_previous=True)


def endings(at: World) -> list[str]:
    history = at.actor().observe().state.history
    return [entry["sentence"] for entry in history if entry["outcome"] == "superseded"]


@pytest.mark.parametrize("phase", ["held", "testing"])
def test_what_makes_way_is_told_once(phase: Phase, told: list[Notice]) -> None:
    """A candidate that waits for a person, and one whose run has died."""
    at = left(phase)
    assert begins(at) == begins(at) == "fresh"
    (sentence,) = endings(at)
    waits = ", and waited for a person" if phase == "held" else ""
    assert sentence == (
        f"removed candidate m-new: rollout run-a was {phase}{waits}, and m-next (commit "
        "c0ffeec0ffee) comes after it"
    )
    (notice,) = told
    assert (notice.moment, notice.rollout, notice.release) == ("rejected", "run-a", "new")
    assert notice.sentence == sentence
    events = {body["reason"] for (kind, _), body in at.objects.items() if kind == "Event"}
    assert events == {"Superseded"}
    assert at.leads_to() == "old" and at.harm == []


def test_a_promotion_that_is_finished_first_is_told_as_one(told: list[Notice]) -> None:
    at = left("proven", candidate=None)
    begins(at)
    assert [(notice.moment, notice.rollout) for notice in told] == [("promoted", "run-a")]
    assert len(endings(at)) == 1 and at.actor().observe().state.phase == "idle"


def test_what_serves_unproven_has_not_ended(told: list[Notice]) -> None:
    """Nobody could look at it: it serves on while another one is tested."""
    at = left("unproven", candidate=None, verdict="inconclusive")
    assert begins(at) == "clear"
    assert told == [] and endings(at) == []


def test_its_own_candidate_is_tested_again_and_nothing_ended(told: list[Notice]) -> None:
    at = left("held")
    assert begins(at, NEW) == "retest"
    assert told == [] and endings(at) == []


def test_what_could_not_be_put_away_makes_way_all_the_same(
    told: list[Notice], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise StepFailed("m-old does not get ready")

    monkeypatch.setattr(module, "carry_out", fails)
    at = left("held")
    assert begins(at) == "clear"
    (notice,) = told
    assert notice.moment == "rejected" and "is not settled: m-old does not" in notice.sentence
    assert endings(at) == [notice.sentence]


def test_at_rest_there_is_nothing_to_tell(told: list[Notice]) -> None:
    at = world()
    assert begins(at) == "fresh"
    assert told == [] and endings(at) == []
