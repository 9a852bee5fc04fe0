"""Carry a course out, and go home where a way back fails."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tasks.base import clock
from tasks.base.errors import LockLost, RolloutError, StepFailed
from tasks.outside.kubernetes.actor import Actor, ChangedByHand
from tasks.outside.kubernetes.waits import NotProven, SoakFailed
from tasks.release.comeback import takes_from
from tasks.release.course import Course, Observed
from tasks.release.memory.again import decide_once_more, with_tried
from tasks.release.memory.terms import unproven_text
from tasks.release.moves import (
    decide_after_failure,
    decide_soak_failed,
    decide_unproven,
)
from tasks.run import seats
from tasks.run.proofs import NotProvenToStart, prove

_log = logging.getLogger(__name__)
TRIES = 4


def carry_out(
    actor: Actor,
    course: Course,
    *,
    unchecked: bool = False,
    decide: Callable[[], Course] | None = None,
) -> str:
    """Execute a course; gives its sentence, and what came instead where its soak was not passed, or
    what it would lead to is not proven to start. unchecked: that is not asked. decide: what a look
    after the proofs comes to, which may have taken long; without one the course is given up where
    what it is about has changed.

    Where a way back fails, by an error or by its operator's Ctrl-C, what served before it serves
    again first. The error is raised all the same, and says what serves now. A way back from what
    failed its soak is gone on with once before that.
    """
    left, began = "", clock.monotonic()
    try:
        if not unchecked:
            try:
                course, left = _proven(actor, course, decide)
            except NotProvenToStart as error:
                if not course.unless:
                    raise
                stays = decide_unproven(actor.observe(), course.unless, f"no way back: {error}")
                actor.run(stays)
                now = actor.cluster.now()
                actor.change_state(lambda held: with_tried(held, now))
                return f"{stays.sentence}: {error}"
        actor.run(course)
    except (LockLost, ChangedByHand):
        raise  # another run owns the cluster now, and cleans up; or this is decided anew
    except SoakFailed as error:
        return f"{error}; {carry_out(actor, after_soak(actor), decide=lambda: after_soak(actor))}"
    except NotProven as error:
        actor.run(decide_unproven(actor.observe(), "inconclusive", str(error)))
        return f"{error}; {unproven_text(actor.observe().state)}"
    except BaseException as error:
        said, last = _once_more(actor, error, clock.monotonic() - began)
        if said:
            return said + left
        home = decide_after_failure(actor.observe())
        if home is not None:
            actor.run(home)
            _log.warning("%s", home.sentence)
            if isinstance(last, RolloutError):
                raise StepFailed(f"{last}; {home.sentence}") from last
        if last is error:
            raise
        raise last from error
    return course.sentence + left


def _once_more(actor: Actor, error: BaseException, took_s: float) -> tuple[str, BaseException]:
    """Go on with a way back from what failed its soak; gives its sentence, or what it fails with.
    What has been waited for as long as a start-up may take is not waited for again."""
    if not isinstance(error, Exception) or took_s >= actor.ready_timeout_s:
        return "", error
    course = decide_once_more(actor.observe())
    if course is None:
        return "", error
    _log.warning("%s; it is gone on with once", error)
    try:
        actor.run(course)
    except (LockLost, ChangedByHand):
        raise
    except BaseException as again:
        return "", again
    return course.sentence, error


def after_soak(actor: Actor) -> Course:
    """What follows where what serves failed its soak, by a fresh look."""
    seen = actor.observe()
    return decide_soak_failed(seen, seats.room(actor, seen.state.previous, seen.serving))


def _proven(
    actor: Actor, course: Course, decide: Callable[[], Course] | None
) -> tuple[Course, str]:
    """The course that is proven for, decided anew once it is, and what is left open. Raises
    NotProvenToStart."""
    for _ in range(TRIES):
        before = actor.looked()
        left = prove(actor, course)
        if left is None:
            return course, ""
        asked = takes_from(before, course)
        if decide is not None:
            course = decide()
        now = actor.looked()
        if (again := takes_from(now, course)) is None or again == asked:
            if decide is None and _shape(now) != _shape(before):
                break
            said = f"; not proven beforehand: {'; '.join(left)}" if left and again else ""
            return course, said
    raise NotProvenToStart(
        f"what {actor.name} serves with has changed while it was proven what can take its place; "
        "look at it, and ask again"
    )


def _shape(seen: Observed) -> object:
    """What a course was decided from."""
    return seen.state.phase, seen.serving, seen.deployments


def settled(
    actor: Actor, course: Course, decide: Callable[[], Course], *, unchecked: bool = False
) -> str:
    """Carry a course out; where a person edits the state meanwhile, one that is decided anew."""
    for _ in range(TRIES - 1):
        try:
            return carry_out(actor, course, unchecked=unchecked, decide=decide)
        except ChangedByHand as error:
            _log.warning("%s", error)
            course = decide()
    return carry_out(actor, course, unchecked=unchecked, decide=decide)
