"""Go back: what served before serves, the candidate is gone. Only the cluster says what is left."""

from __future__ import annotations

import logging

from tasks.base.errors import Aborted, LockLost, OutsideError, RolloutError, StepFailed
from tasks.outside.kubernetes.actor import Actor, SoakFailed
from tasks.record.outcome import Kind, Outcome
from tasks.release.back import leaving
from tasks.release.course import NOTHING
from tasks.release.memory.terms import unsoaked_text
from tasks.release.moves import Course, Observed, decide_recovery
from tasks.release.state import unfinished
from tasks.release.wish import decide_abort
from tasks.release.words import next_step
from tasks.run import seats
from tasks.run.carry_out import after_soak, carry_out, settled
from tasks.run.locked import Locked
from tasks.run.look import note, watch
from tasks.run.recall import spec_of, subject
from tasks.run.run import Run
from tasks.run.step import optional_step

_log = logging.getLogger(__name__)


@optional_step
def roll_back(run: Run, cluster: Locked, kind: Kind, why: str | SoakFailed) -> Outcome:
    """kind: how the rollout ends for it. why: of a candidate that is not promoted; or that a
    promoted one failed in its soak, and the release before it serves again."""
    actor = cluster.actor
    if isinstance(why, SoakFailed):
        said = _after_soak(run, cluster, why)
    else:
        # where nothing was measured, the way there failed, and not the release
        if kind == "failed" or (kind == "inconclusive" and _measured(run)):
            cluster.remember(run.judged(kind))
        keep = run.spec.promotion.keep_previous

        def decide() -> Course:
            return decide_recovery(actor.observe(), keep_previous=keep)

        said = settled(actor, decide(), decide)
    run.say(said)
    return Outcome(kind, f"{why}; {said}")


def _measured(run: Run) -> bool:
    judge = run.record.judge
    return judge is not None and any(item.measured is not None for item in judge.targets)


def _after_soak(run: Run, cluster: Locked, why: SoakFailed) -> str:
    actor = cluster.actor
    try:
        cluster.remember(run.judged("failed"))
        return carry_out(actor, after_soak(actor), decide=lambda: after_soak(actor))
    except OutsideError as error:
        # the bad news stays what it is: whoever settles this must not take it for a success
        raise SoakFailed(f"{why}; going back failed: {error}") from error
    except StepFailed as error:
        raise StepFailed(f"{why}; going back failed: {error}") from error


def clean_up(run: Run, cluster: Locked, error: BaseException) -> BaseException:
    """After a failure or a cancellation; gives what the rollout ends with: the error, and what
    cleaning up left behind, if it did."""
    if isinstance(error, LockLost):
        return error  # another run owns the cluster now, and cleans up
    try:
        with run.step(roll_back.name):
            said = _after_error(run, cluster, error)
            run.say(said)
        run.settled = said if said != NOTHING else ""
    except BaseException as again:
        left = _named(run, again)
        run.record.leftover = left
        if isinstance(error, RolloutError):
            return StepFailed(f"{error}; {left}")
        _log.error("%s", left)
    return error


def _after_error(run: Run, cluster: Locked, error: BaseException) -> str:
    actor = cluster.actor
    seen = actor.observe()
    _watch(run, actor, seen)
    if not isinstance(error, Exception):
        # who interrupts wants to leave; nothing is harmed by both releases running on
        if unfinished(seen.state):
            return unsoaked_text(seen.state)
        if seen.state.phase == "proven" and seen.alive(seen.serving):
            return next_step(seen)

    def decide(seen: Observed) -> Course:
        keep = run.spec.promotion.keep_previous
        if isinstance(error, Aborted):
            back = leaving(seen).previous
            room = seats.room(actor, back, seen.serving)
            return decide_abort(seen, keep_previous=keep, room=room)
        return decide_recovery(seen, keep_previous=keep, soak_failed=isinstance(error, SoakFailed))

    try:
        return settled(actor, decide(seen), lambda: decide(actor.observe()))
    finally:
        note(run, actor.watched)


def _watch(run: Run, actor: Actor, seen: Observed) -> None:
    """What this run has not promoted is watched by its own spec, and not by this run's."""
    release = subject(seen)
    spec = spec_of(seen.state, release)
    if run.promoting is not None:
        watch(run, actor, run.promoting.id)
    elif spec is not None:
        watch(Run(spec, run.cluster, rollout=run.rollout), actor, release)


def _named(run: Run, error: BaseException) -> str:
    """A sentence for when even cleaning up failed."""
    release = run.record.deployment or "the candidate"
    text = str(error) if isinstance(error, RolloutError) else repr(error)
    return (
        f"{release} may still exist in {run.spec.namespace} ({text}); "
        f"`rollout recover {run.spec.name} -n {run.spec.namespace}` settles it"
    )
