"""A person decides: what is kept for them, and what they are told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tasks.base import clock
from tasks.outside.kubernetes.actor import NotProven
from tasks.record.parts import PlanMade
from tasks.release import moves
from tasks.release.memory.terms import terms_of, unproven_until
from tasks.steps.hold import hold
from tasks.verdict.targets import Decision
from tests.support.cluster.actor_world import world
from tests.support.cluster.runs import locked, run_of

pytestmark = pytest.mark.usefixtures("quick")
WAITS = (
    "m-new waits for a person: `rollout approve m -n models --rollout {state.rollout} --plan "
    "0123abcd` approves it until {state.until}, `rollout reject m -n models --rollout "
    "{state.rollout} --plan 0123abcd` removes it"
)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("pass", "pass: too few requests"),
        ("inconclusive", "inconclusive: too few requests"),
    ],
)
def test_a_candidate_waits_with_its_verdict(word: Any, said: str) -> None:
    at = world(phase="testing", candidate=True)
    run = run_of(at)
    run.measured = {"ttft_s": 0.4, "queue": 2.0}
    run.record.plan = PlanMade(digest="0123abcd")
    with run.step("hold"):
        ended = hold.function(run, locked(run), Decision(word, True, "too few requests", ()))
    state = at.actor().observe().state
    waits = WAITS.format(state=state)
    assert (ended.kind, ended.sentence) == ("held", f"{said}; {waits}")
    assert run.record.steps[0].sentence == said
    assert datetime.fromisoformat(state.until) - clock.now() == timedelta(hours=72)
    assert (state.phase, state.verdict) == ("held", word)
    # by which whoever approves it watches it
    assert terms_of(state, "new").measured == {"ttft_s": 0.4, "queue": 2.0}
    assert at.leads_to() == "old" and at.available("new") == 2


def test_what_nobody_could_watch_serves_on_unproven() -> None:
    at = world(phase="testing", candidate=True)
    run = run_of(at)
    cluster = locked(run)
    course = moves.decide_promotion(cluster.actor.observe(), keep_previous=True)
    for move in course.moves[:3]:
        cluster.actor.move(move)
    with run.step("hold"):
        ended = hold.function(run, cluster, NotProven("m-new could not be watched: no route"))
    assert ended.kind == "held"
    state = at.actor().observe().state
    assert ended.sentence == (
        "m-new could not be watched: no route; m-new serves and is not proven: `rollout promote m "
        "-n models` watches it again and keeps it, with --unwatched without a look, `rollout "
        "rollback m -n models` goes back to m-old; the guard keeps it after "
        f"{unproven_until(state)}"
    )
    assert run.record.steps[0].sentence == "m-new could not be watched: no route"
    state = at.actor().observe().state
    assert (state.phase, state.verdict) == ("unproven", "inconclusive")
    assert at.leads_to() == "new" and at.available("old") == 2


def test_what_passed_may_wait_for_its_window_alone() -> None:
    """Nothing is said against it then: whoever comes in its window promotes it."""
    at = world(phase="testing", candidate=True)
    run = run_of(at, maintenance_windows=[{"cron": "0 0 31 1 *", "hours": 4}])
    run.measured = {"ttft_s": 0.4}
    why = "its next window opens at 2026-01-31T00:00+00:00"
    with run.step("hold"):
        ended = hold.function(run, locked(run), Decision("pass", True, "all met", ()), why)
    state = at.actor().observe().state
    assert ended.kind == "not now" and ended.sentence.startswith("pass: ") and why in ended.sentence
    assert (state.phase, state.verdict, state.judged) == ("held", "pass", ())
    assert state.until.startswith("2026-02-03T00:00")
    assert terms_of(state, "new").measured == {"ttft_s": 0.4}
    assert at.leads_to() == "old" and at.available("new") == 2
