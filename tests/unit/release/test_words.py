"""Every phase says what an operator should do, and bad news says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from tasks.base import clock
from tasks.base.clock import FakeClock
from tasks.release.course import DeploymentView, Observed
from tasks.release.state import Phase, State
from tasks.release.words import in_words, next_step, why_so
from tests.support.cluster.actor_world import NEW, OLD

STATE = State("m", stable=NEW, previous=OLD, candidate=OLD, rollout="run-1")
VIEWS = {"new": DeploymentView("m-new", "new", 2, 2, 2)}


def seen(phase: Any, **more: Any) -> Observed:
    return Observed(replace(STATE, phase=phase, **more), "new", VIEWS)


@pytest.mark.parametrize("phase", get_args(Phase))
def test_every_phase_has_a_line(phase: Phase) -> None:
    said = next_step(seen(phase))
    assert said == "nothing" if phase == "idle" else "`rollout " in said
    assert phase in in_words(seen(phase))


@pytest.mark.parametrize(
    ("found", "why", "then"),
    [
        (seen("soaking"), "", "its soak is not finished"),
        (
            seen("soaking", breach="HTTP 500"),
            "m-new failed its soak: HTTP 500",
            "goes back to m-old",
        ),
        (seen("reverting", breach="HTTP 500"), "m-new failed its soak: HTTP 500", "m-old"),
        (
            seen("unproven", verdict="fail", breach="HTTP 500"),
            "it failed its soak: HTTP 500",
            "`rollout rollback m` goes back to m-old",
        ),
        (
            seen("unproven", verdict="inconclusive", why="no route"),
            "nobody could prove it: no route",
            "`rollout promote m` watches it again and keeps it",
        ),
        (seen("held", why="no seats"), "no seats", "`rollout approve m --rollout run-1`"),
        (seen("held"), "", "`rollout approve m --rollout run-1`"),
        (seen("idle", breach="of another time"), "", "nothing"),
    ],
)
def test_bad_news_says_why_and_what_next(found: Observed, why: str, then: str) -> None:
    assert why_so(found.state) == why
    assert then in next_step(found)


def test_at_rest_is_not_well() -> None:
    sick = Observed(State("m", stable=NEW), "new", {"new": DeploymentView("m-new", "new", 2, 2, 0)})
    assert next_step(sick) == (
        "m-new serves, and 0 of its 2 replica(s) are available; look at its pods"
    )
    lost = Observed(State("m", stable=NEW), None, VIEWS, lost=True)
    assert "`rollout recover m`" in next_step(lost)


def test_what_only_somebody_else_asks_for_is_told() -> None:
    more = DeploymentView("m-new", "new", 8, 8, 4, unmet=4)
    said = next_step(Observed(State("m", stable=NEW), "new", {"new": more}))
    assert said.startswith("m-new was scaled to 8 by somebody else")
    assert "4 answer: nothing waits for the others" in said


def test_what_waited_too_long_is_offered_for_approval_no_more() -> None:
    held = seen("held", until="2026-03-01T12:00:00+00:00", plan="0123")
    with clock.use(FakeClock(datetime(2026, 3, 1, 11, 59, tzinfo=UTC))):
        assert "`rollout approve m --rollout run-1 --plan 0123`" in next_step(held)
    with clock.use(FakeClock(datetime(2026, 3, 1, 12, 0, tzinfo=UTC))):
        said = next_step(held)
    assert "rollout approve" not in said and "the guard removes it" in said
    assert "`rollout reject m --rollout run-1 --plan 0123`" in said
