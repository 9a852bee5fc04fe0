"""An approval is of one candidate, and not for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.base.errors import Refused
from tasks.release.memory.terms import terms_of, unproven_text, with_terms
from tasks.release.moves import decide_start
from tasks.release.state import Phase, State, in_doubt, to_configmap
from tasks.release.wish import (
    Meant,
    acted_on,
    decide_wish,
    expired,
    must_be_meant,
    must_take,
    settled_since,
)
from tests.support.cluster.actor_world import NEW, NS, OLD, OLDER, World, deployment, world
from tests.support.cluster.courses import at_rest

UNTIL = datetime(2026, 3, 1, 12, tzinfo=UTC)
HELD = State("m", phase="held", rollout="run-1", plan="0123", until=UNTIL.isoformat())
THIS = Meant("run-1", "0123")
BEFORE = UNTIL - timedelta(seconds=1)


@pytest.mark.parametrize("what", ["approve", "promote", "reject"])
def test_the_one_that_waits(what: str) -> None:
    must_be_meant(what, HELD, THIS, BEFORE)
    # of a version that wrote no plan down
    must_be_meant(what, replace(HELD, plan=""), Meant("run-1"), BEFORE)


@pytest.mark.parametrize("what", ["approve", "promote", "reject"])
@pytest.mark.parametrize(
    ("meant", "missing"),
    [
        (Meant(), "--rollout run-1 --plan 0123"),
        (Meant("run-1"), "--plan 0123"),
        (Meant("", "0123"), "--rollout run-1"),
    ],
)
def test_it_is_said_which_one_is_meant(what: str, meant: Meant, missing: str) -> None:
    with pytest.raises(Refused, match=f"of rollout run-1.*`rollout {what} m {missing}`"):
        must_be_meant(what, HELD, meant, BEFORE)


@pytest.mark.parametrize("what", ["approve", "promote", "reject"])
@pytest.mark.parametrize(
    ("meant", "said"),
    [
        (Meant("run-0", "0123"), "is of rollout run-1, not run-0"),
        (Meant("run-1", "4567"), "is of plan 0123, not 4567"),
    ],
)
def test_another_one(what: str, meant: Meant, said: str) -> None:
    with pytest.raises(Refused, match=said):
        must_be_meant(what, HELD, meant, BEFORE)


@pytest.mark.parametrize("what", ["approve", "promote"])
def test_it_is_approved_in_time(what: str) -> None:
    with pytest.raises(Refused, match="could be approved until 2026-03-01"):
        must_be_meant(what, HELD, THIS, UNTIL)


def test_it_is_rejected_whenever() -> None:
    must_be_meant("reject", HELD, THIS, UNTIL)


SWITCHED = State("m", stable=NEW, rollout="run-2", plan="4567")


@pytest.mark.parametrize("phase", ["promoting", "soaking", "proven", "unproven"])
def test_another_one_in_whatever_phase_it_is(phase: Phase) -> None:
    """Who answers the message of a candidate that another one has replaced means that one alone."""
    state = replace(SWITCHED, phase=phase)
    for meant in (Meant("run-1"), Meant("run-2", "0123"), Meant(plan="0123")):
        with pytest.raises(Refused, match=r"is of (rollout run-2|plan 4567), not"):
            must_be_meant("promote", state, meant, BEFORE)
    must_be_meant("promote", state, Meant("run-2", "4567"), BEFORE)


def test_what_serves_is_of_the_rollout_that_tested_it() -> None:
    """Another one was tried beside it since, and wrote last."""
    at = serves_unproven()
    actor = at.actor()
    actor.take_over()
    actor.run(decide_start(actor.observe(), NEW, "run-9", "parallel", plan="9999"))
    at.put(deployment(NEW, 2))
    tested = actor.observe().state
    assert terms_of(tested, "new").rollout == "run-9" and tested.plan == "9999"
    state = replace(tested, phase="unproven", candidate=None)
    state = with_terms(state, "old", rollout="run-1", plan="0123")
    assert state.rollout == "run-9" and acted_on(state) == ("run-1", "0123")
    with pytest.raises(Refused, match="what serves already is of rollout run-1, not run-9"):
        must_be_meant("promote", state, Meant("run-9"), BEFORE)


@pytest.mark.parametrize("what", ["rollback", "abort", "recover"])
def test_what_is_about_no_candidate_names_none(what: str) -> None:
    must_take(what, Meant())
    with pytest.raises(Refused, match=f"{what} is about whatever is there"):
        must_take(what, Meant(plan="0123"))
    must_take("promote", Meant("run-1"))


def test_the_namespace_is_in_the_words() -> None:
    held = replace(HELD, namespace="llm")
    with pytest.raises(Refused, match="`rollout approve m -n llm --rollout run-1 --plan 0123`"):
        must_be_meant("approve", held, Meant(), BEFORE)
    with pytest.raises(Refused, match="`rollout report m -n llm`"):
        must_be_meant("approve", held, Meant("run-0"), BEFORE)


def test_nothing_waits() -> None:
    soaking = State("m", phase="soaking", rollout="run-1")
    must_be_meant("promote", soaking, Meant(), UNTIL)
    with pytest.raises(Refused, match="is soaking, only a held candidate can be approved"):
        must_be_meant("approve", soaking, Meant("run-1"), UNTIL)


# -- unproven -----------------------------------------------------------------------------------

SINCE = UNTIL - timedelta(hours=72)


def serves_unproven(**changes: Any) -> World:
    at = world(phase="unproven")
    at.put(deployment(OLDER, 2))
    state = replace(at.actor().observe().state, verdict="inconclusive", why="no route to it")
    found = {"doubt": "inconclusive", "doubted": "old", **changes}
    at.put(to_configmap(replace(state, **found), NS))
    return at


def test_what_serves_unproven_waits_so_long_and_no_longer() -> None:
    state = State("m", phase="unproven", stable=NEW, since=SINCE.isoformat())
    assert expired(state, UNTIL) and not expired(state, BEFORE)
    asked = with_terms(state, "new", spec={"promotion": {"unproven_hours": 73}})
    assert not expired(asked, UNTIL) and expired(asked, UNTIL + timedelta(hours=1))
    assert not expired(replace(state, since=""), UNTIL)  # of a version that did not note it
    assert "the guard keeps it after 2026-03-01T12:00:00+00:00" in unproven_text(state)


def test_what_is_said_of_the_guard_is_what_it_does() -> None:
    """One that failed its soak is kept by nobody but a person, and left where the other answers."""
    failed = State("m", phase="unproven", since=SINCE.isoformat(), verdict="fail", stable=OLD)
    assert "has nothing to go back to: m-old serves on" in unproven_text(failed)
    both = replace(failed, previous=OLDER)
    there = "goes back to m-older where that answers then; else m-old"
    assert f"{there} serves on until a person decides" in unproven_text(both)
    back = with_terms(both, "old", spec={"promotion": {"on_unproven": "roll-back"}})
    asked = replace(back, verdict="inconclusive")
    assert f"{there} is kept" in unproven_text(asked)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("breach", ["", "HTTP 500"])
def test_a_person_keeps_it_without_a_look_and_is_told_what_is_not_known(breach: str) -> None:
    """Where nobody can look, `promote` alone ends as it began."""
    at = serves_unproven(breach=breach)
    actor = at.actor()
    actor.take_over()
    course = decide_wish("promote", actor.observe(), unwatched=True)
    assert course.sentence == (
        "m-old is kept without a look. Whether it serves as well as was measured is not known; "
        f"last known of its soak: inconclusive: {breach or 'no route to it'}"
    )
    actor.run(course)
    assert at_rest(at) == "old" and at.available("older") == 0 and at.harm == []
    state = actor.observe().state
    assert (state.phase, state.previous, in_doubt(state, "old")) == ("idle", OLDER, "")


@pytest.mark.usefixtures("quick")
def test_only_what_serves_and_answers_is_kept_so() -> None:
    at = serves_unproven()
    at.broken = {"old"}
    with pytest.raises(Refused, match="m-old is not ready and is not kept"):
        decide_wish("promote", at.actor().observe(), unwatched=True)
    held = world(phase="held", candidate=True)
    with pytest.raises(Refused, match="is held: only what serves already, and is not proven"):
        decide_wish("promote", held.actor().observe(), unwatched=True)


def test_a_person_is_asked_as_long_as_this_candidate_waits() -> None:
    assert settled_since(HELD, THIS, BEFORE) == ""
    assert "until 2026-03-01T12:00:00+00:00" in settled_since(HELD, THIS, UNTIL)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (replace(HELD, plan="4567"), "m is held, and nothing of rollout run-1 waits"),
        (replace(HELD, rollout="run-2"), "m is held, and nothing of rollout run-1 waits"),
        (
            replace(HELD, phase="idle", history=({"sentence": "promoting m-new"},)),
            "m is idle, and nothing of rollout run-1 waits; last: promoting m-new",
        ),
    ],
)
def test_and_not_once_it_is_decided_or_another_waits(state: State, said: str) -> None:
    assert settled_since(state, THIS, BEFORE) == said
