"""A promotion is decided anew where what serves has changed meanwhile; one that does not come about
takes no measured candidate away."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from tasks.base.errors import Refused, RolloutError, StepFailed
from tasks.outside.kubernetes.actor import Actor, NotProven, SoakFailed
from tasks.outside.kubernetes.ready import NotReady
from tasks.release.course import Course, Observed
from tasks.release.memory.terms import promotion_of
from tasks.release.seats.kept import Waits, decide_kept
from tasks.run.carry_out import TRIES

_log = logging.getLogger(__name__)
HOURS = 72  # for an approval, where the spec says nothing else


class HeldInstead(StepFailed):
    """A promotion has not come about; its candidate waits for a person, with its verdict."""


def promoting(
    actor: Actor,
    decide: Callable[[], Course],
    act: Callable[[Course], str],
    passed: Waits | None = None,
) -> str:
    """Decide a promotion, and act on it; gives what that gives. What serves may change until the
    switch, which is refused then: it is decided anew, TRIES times in all.

    passed: see decide_kept. Raises HeldInstead where the candidate waits for a person by now, else
    what stopped the promotion.
    """
    begun = actor.observe()
    for left in reversed(range(TRIES)):
        begins = False
        try:
            course = decide()
            begins = True
            return act(course)
        except (Refused, StepFailed) as error:
            if isinstance(error, SoakFailed | NotProven):
                raise
            seen = actor.observe()
            kept = _kept(actor, seen, begun, error, passed)
            if kept is None:
                raise
            # what no course leads to is so by a look just now; what does not start was waited for
            if left and begins and not isinstance(error, NotReady):
                _log.warning("%s; it is decided anew", error)
                continue
            if seen.state.phase == "held" and not kept.moves[:-1]:
                raise  # nothing has changed
            actor.run(kept)
            raise HeldInstead(f"{error}; {kept.sentence}") from error
    raise AssertionError("the last try gives, or raises")


def _kept(
    actor: Actor, seen: Observed, begun: Observed, error: RolloutError, passed: Waits | None
) -> Course | None:
    ident = seen.state.candidate.id if seen.state.candidate else ""
    hours = float(promotion_of(seen.state, ident).get("approval_hours", HOURS))
    until = (actor.cluster.now() + timedelta(hours=hours)).isoformat(timespec="seconds")
    return decide_kept(seen, begun, f"not promoted: {error}", until, passed)
