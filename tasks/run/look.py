"""One look at a release that serves: what its soak is made of, whoever watches it."""

from __future__ import annotations

from dataclasses import replace

from tasks.base.errors import OutsideError
from tasks.objects.pods import ending, restarts
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
