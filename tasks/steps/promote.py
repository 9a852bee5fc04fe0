"""Move the stable Service to the candidate in one write, watch it, retire what served before."""

from __future__ import annotations

import logging

from tasks.base.errors import OutsideError, StepFailed
from tasks.outside.kubernetes.actor import NotProven, SoakFailed
from tasks.record.outcome import Outcome
from tasks.release.moves import decide_promotion
from tasks.release.state import Release
from tasks.run.locked import Locked
from tasks.run.look import note, watch
from tasks.run.run import Run
from tasks.run.seats import room_to_promote
from tasks.run.step import step

_log = logging.getLogger(__name__)


@step
def promote(run: Run, cluster: Locked, release: Release, reason: str) -> Outcome:
    """Raises SoakFailed where it fails in its first minutes, NotProven where nobody could look."""
    actor = cluster.actor
    watch(run, actor)
    seen = actor.observe()
    course = decide_promotion(
        seen,
        keep_previous=run.spec.promotion.keep_previous,
        measured=run.measured,
        room=room_to_promote(actor, seen),
    )
    run.promoting = release
    try:
        actor.run(course)
    except (OutsideError, StepFailed) as error:
        if isinstance(error, SoakFailed | NotProven) or not run.serves_proven(release):
            raise
        # it serves and has proven itself; what was to go is settled by whoever comes next
        run.record.leftover = str(error)
        _log.error("%s serves; what served before was not put away: %s", release.deployment, error)
    finally:
        note(run, actor.watched)
    said = f"{course.sentence}; done after a soak of {run.spec.promotion.soak.duration_s:g} s"
    run.say(
        f"{release.deployment} serves {run.spec.namespace}/{run.spec.name}",
        log=f"{said}: {actor.watched.told()}" if actor.watched else said,
    )
    return Outcome("promoted", f"{release.deployment} promoted: {reason}")
