"""Move the stable Service to the candidate in one write, watch it, retire what served before. Where
that does not come about for what is around it, the candidate waits for a person."""

from __future__ import annotations

import logging
from datetime import timedelta

from tasks.base.errors import OutsideError, StepFailed
from tasks.outside.kubernetes.actor import NotProven, SoakFailed
from tasks.record.outcome import Outcome
from tasks.release.course import Course
from tasks.release.memory.terms import with_terms
from tasks.release.moves import decide_promotion
from tasks.release.seats.kept import Waits
from tasks.release.state import Release
from tasks.run.locked import Locked
from tasks.run.look import note, watch
from tasks.run.promoting import HeldInstead, promoting
from tasks.run.run import Run
from tasks.run.seats import room_to_promote
from tasks.run.step import step

_log = logging.getLogger(__name__)


@step
def promote(run: Run, cluster: Locked, release: Release, reason: str) -> Outcome:
    """Raises SoakFailed where it fails in its first minutes, NotProven where nobody could look."""
    actor = cluster.actor
    watch(run, actor, release.id)

    def decide() -> Course:
        seen = actor.observe()
        return decide_promotion(
            seen,
            keep_previous=run.spec.promotion.keep_previous,
            measured=run.measured,
            room=room_to_promote(actor, seen),
        )

    def act(course: Course) -> str:
        run.promoting = release
        actor.run(course)
        return course.sentence

    sentence = f"promoting {release.deployment}"
    try:
        sentence = promoting(actor, decide, act, _waits(run, cluster))
    except HeldInstead as error:
        cluster.remember(run.judged("held"))
        measured = run.measured or {}
        actor.change_state(lambda held: with_terms(held, release.id, measured=measured))
        run.say(str(error))
        return Outcome("held", f"{reason}; {error}")
    except (OutsideError, StepFailed) as error:
        if isinstance(error, SoakFailed | NotProven) or not run.serves_proven(release):
            raise
        # it serves and has proven itself; what was to go is settled by whoever comes next
        run.record.leftover = str(error)
        _log.error("%s serves; what served before was not put away: %s", release.deployment, error)
    finally:
        note(run, actor.watched)
    said = f"{sentence}; done after a soak of {run.spec.promotion.soak.duration_s:g} s"
    run.say(
        f"{release.deployment} serves {run.spec.namespace}/{run.spec.name}",
        log=f"{said}: {actor.watched.told()}" if actor.watched else said,
    )
    return Outcome("promoted", f"{release.deployment} promoted: {reason}")


def _waits(run: Run, cluster: Locked) -> Waits:
    until = cluster.actor.cluster.now() + timedelta(hours=run.spec.promotion.approval_hours)
    plan = run.record.plan.digest if run.record.plan else ""
    return Waits(plan, until.isoformat(timespec="seconds"))
