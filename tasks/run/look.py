"""One look at a release that serves: what its soak is made of, whoever watches it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from tasks.base.errors import OutsideError
from tasks.objects.pods import ending, ready, restarts
from tasks.objects.replicas import replicas_of
from tasks.outside.kubernetes.access import astray, release_pods
from tasks.record.parts import Promote
from tasks.release.soaking import Look
from tasks.release.state import Release
from tasks.render import live
from tasks.run.run import Run


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
    wanted = _wanted(run, release, sum(map(ready, staying)))
    trouble = live.trouble(staying, wanted, first.restarts_before)
    where = f"Service {spec.namespace}/{spec.name}"
    if why:
        return Look(trouble, "none", f"{where}: {why}")
    found, names = run.ask(spec.name, release)
    if found.answer == "good" and release.served_name not in names:
        # its own pods said the right name before: the way there leads elsewhere still
        why = f"{where} answers with {', '.join(names) or 'no model'}, not {release.served_name}"
        return Look(trouble, "none", why)
    return replace(found, trouble=trouble)


def _wanted(run: Run, release: Release, up: int) -> int:
    """How many replicas are to be ready: fewer than it serves with while others have its seats."""
    if up >= release.replicas:
        return release.replicas
    with suppress(OutsideError):
        deploy = run.cluster.get("Deployment", release.deployment, run.spec.namespace)
        found = replicas_of(deploy) if deploy else None
        if found and found.lent:
            return found.asked
    return release.replicas
