"""A release that failed its soak and serves on, since there was no way back: that is tried again,
whatever was in the way.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from tasks.base.clock import moment
from tasks.base.errors import Refused
from tasks.release.back import barred, decide_revert, known_against
from tasks.release.course import Course, Observed, Room
from tasks.release.memory.terms import terms_of, with_terms
from tasks.release.state import Release, State, in_doubt

# What is in the way by a look alone is looked at each time. A try that was made and led nowhere
# costs what serves, or a Job: the next one waits for this, and then for as long as all before took.
AGAIN_S, MOST_S = 600.0, 6 * 3600.0
WAITS = "is not gone back to yet"


def owed_back(seen: Observed) -> Release | None:
    """What is to be gone back to from what failed its soak and serves on; None where nothing is
    left to try. One that a person led the Service to, knowing that, is theirs."""
    state, target = seen.state, seen.state.previous
    failed = state.phase == "unproven" and known_against(state) == "fail"
    if not failed or not (state.breach or state.why):
        return None
    if target is None or state.stable is None or seen.serving != state.stable.id:
        return None
    if target.id == seen.serving or in_doubt(state, target.id) == "fail":
        return None
    return target if target.id in seen.deployments else None


def again_at(state: State) -> datetime | None:
    """When a way back that led nowhere may be tried again; None where none has been tried."""
    known = terms_of(state, state.stable.id if state.stable else "")
    tried, first = moment(known.tried), moment(known.since)
    if tried is None:
        return None
    took = (tried - first).total_seconds() if first else 0.0
    return tried + timedelta(seconds=min(max(took, AGAIN_S), MOST_S))


def rested(state: State, now: datetime) -> bool:
    """Whether a way back that led nowhere may be tried again."""
    at = again_at(state)
    return at is None or now >= at


def with_tried(state: State, now: datetime) -> State:
    """A way back was tried, and led nowhere."""
    if state.stable is None:
        return state
    return with_terms(state, state.stable.id, tried=now.isoformat(timespec="seconds"))


def decide_again(seen: Observed, room: Room | None) -> Course:
    """The way back from what failed its soak, once more: a rollout that was allowed to interrupt
    may do so still. Raises Refused where something is in the way."""
    course = decide_revert(
        seen, allow_interruption=seen.state.strategy == "replace", room=room, failed=True
    )
    return replace(course, unless="fail")


def waits_told(seen: Observed, why: str) -> str:
    """That it serves on, and why."""
    state = seen.state
    here, there = (item.deployment if item else "" for item in (state.stable, state.previous))
    return f"{here} failed its soak and serves on, {there} {WAITS}: {why}"


def decide_once_more(seen: Observed) -> Course | None:
    """A way back from what failed its soak was cut short by an error: it is gone on with, before
    what is known to be bad is started again. None where it is not that, or where seats change over
    one by one."""
    state, target = seen.state, seen.state.previous
    if state.phase != "reverting" or known_against(state) != "fail" or state.strategy == "lend":
        return None
    if target is None or target.id not in seen.deployments or barred(seen, target):
        return None
    try:
        return decide_revert(seen)
    except Refused:
        return None
