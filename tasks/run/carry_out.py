"""Carry a course out, and go home where a way back fails."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tasks.base.errors import LockLost, RolloutError, StepFailed
from tasks.outside.kubernetes.actor import Actor, ChangedByHand
from tasks.outside.kubernetes.waits import NotProven, SoakFailed
from tasks.release.course import Course
from tasks.release.moves import (
    decide_after_failure,
    decide_soak_failed,
    decide_unproven,
    unproven_text,
)
from tasks.run import seats
from tasks.run.proofs import NotProvenToStart, prove

_log = logging.getLogger(__name__)
TRIES = 4


def carry_out(actor: Actor, course: Course, *, unchecked: bool = False) -> str:
    """Execute a course; gives its sentence, and what came instead where its soak was not passed, or
    what it would lead to is not proven to start. unchecked: that is not asked.

    Where a way back fails, by an error or by its operator's Ctrl-C, what served before it serves
    again first. The error is raised all the same, and says what serves now.
    """
    try:
        if not unchecked:
            try:
                prove(actor, course)
            except NotProvenToStart as error:
                if not course.unless:
                    raise
                stays = decide_unproven(actor.observe(), course.unless, f"no way back: {error}")
                actor.run(stays)
                return f"{stays.sentence}: {error}"
        actor.run(course)
    except (LockLost, ChangedByHand):
        raise  # another run owns the cluster now, and cleans up; or this is decided anew
    except SoakFailed as error:
        seen = actor.observe()
        room = seats.room(actor, seen.state.previous, seen.serving)
        return f"{error}; {carry_out(actor, decide_soak_failed(seen, room))}"
    except NotProven as error:
        actor.run(decide_unproven(actor.observe(), "inconclusive", str(error)))
        return f"{error}; {unproven_text(actor.observe().state)}"
    except BaseException as error:
        home = decide_after_failure(actor.observe())
        if home is None:
            raise
        actor.run(home)
        _log.warning("%s", home.sentence)
        if isinstance(error, RolloutError):
            raise StepFailed(f"{error}; {home.sentence}") from error
        raise
    return course.sentence


def settled(
    actor: Actor, course: Course, decide: Callable[[], Course], *, unchecked: bool = False
) -> str:
    """Carry a course out; where a person edits the state meanwhile, one that is decided anew."""
    for _ in range(TRIES - 1):
        try:
            return carry_out(actor, course, unchecked=unchecked)
        except ChangedByHand as error:
            _log.warning("%s", error)
            course = decide()
    return carry_out(actor, course, unchecked=unchecked)
