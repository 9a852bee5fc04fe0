"""Move the stable Service to the candidate in one write, watch it, retire what served before."""

from __future__ import annotations

from dataclasses import replace

from tasks.base.errors import OutsideError
from tasks.objects.pods import ending, restarts
from tasks.outside.kubernetes.access import astray, release_pods
from tasks.record.outcome import Outcome
from tasks.record.parts import Promote
from tasks.release.moves import decide_promotion
from tasks.release.soaking import Look
from tasks.release.state import Release
from tasks.render import live
from tasks.run.locked import Locked
from tasks.run.run import Run
from tasks.run.step import step


@step
def promote(run: Run, cluster: Locked, release: Release, reason: str) -> Outcome:
    """Raises SoakFailed where it fails in its first minutes, NotProven where nobody could look."""
    actor = cluster.actor
    actor.look = lambda promoted: look(run, promoted)
    course = decide_promotion(actor.observe(), keep_previous=run.spec.promotion.keep_previous)
    actor.run(course)
    run.say(
        f"{release.deployment} serves {run.spec.namespace}/{run.spec.name}",
        log=f"{course.sentence}; done after a soak of {run.spec.promotion.soak_s:g} s",
    )
    return Outcome("promoted", f"{release.deployment} promoted: {reason}")


def look(run: Run, release: Release) -> Look:
    """One look at a release that serves: its pods, where the Service leads, whether it answers."""
    spec, cluster = run.spec, run.cluster
    try:
        pods = release_pods(cluster, spec.namespace, spec.name, release.id)
        why = astray(cluster, spec.namespace, spec.name, pods)
    except OutsideError as error:
        return Look(trouble=None, answer="none", why=str(error))
    staying = [pod for pod in pods if not ending(pod)]
    first = run.record.promote = run.record.promote or Promote(restarts_before=restarts(staying))
    trouble = live.trouble(staying, release.replicas, first.restarts_before)
    where = f"Service {spec.namespace}/{spec.name}"
    if why:
        return Look(trouble, "none", f"{where}: {why}")
    found, names = run.ask(spec.name, release)
    if found.answer == "good" and release.served_name not in names:
        # its own pods said the right name before: the way there leads elsewhere still
        why = f"{where} answers with {', '.join(names) or 'no model'}, not {release.served_name}"
        return Look(trouble, "none", why)
    return replace(found, trouble=trouble)
