"""What a rollout's roles are where its memory is lost, or somebody moved its Service."""

from __future__ import annotations

import logging
from dataclasses import replace

from tasks.base import clock
from tasks.base.errors import SpecError
from tasks.objects.reached import switched_of
from tasks.outside.kubernetes.access import release_pods
from tasks.outside.kubernetes.actor import Actor
from tasks.release.guard import Around, remembered
from tasks.release.moves import Observed
from tasks.release.state import Judged, State, breached
from tasks.release.wish import expired
from tasks.run import seats
from tasks.spec.file import build_spec
from tasks.spec.rollout import Rollout

_log = logging.getLogger(__name__)


def around(actor: Actor, seen: Observed) -> Around:
    """What the guard looks at besides the roles."""
    cluster, ns, view = actor.cluster, actor.namespace, seen.view(seen.serving)
    pods = release_pods(cluster, ns, actor.name, view.release) if view else []
    others = [v for v in seen.others(seen.serving) if v.stopped and not v.replicas]
    stopped = [cluster.get("Deployment", other.name, ns) for other in others]
    tested = cluster.get("Service", f"{actor.name}-candidate", ns)
    mark = switched_of(cluster.get("Service", actor.name, ns))
    back = seen.view(mark.previous) if mark else None
    broken = seen.down is not None and seen.down.broken
    overdue = expired(seen.state, clock.now())
    return Around(
        cluster.get("Deployment", view.name, ns) if view else None,
        tested is not None and actor.owned.is_ours(tested, "candidate"),
        any(not pod["spec"].get("nodeName") for pod in pods),
        tuple(item for item in stopped if item is not None),
        seats.room(actor, seen.state.previous, seen.serving)
        if seen.state.phase == "reverting" or breached(seen.state) or broken or overdue
        else None,
        overdue,
        cluster.get("Deployment", back.name, ns) if back else None,
        mark is not None and not mark.proven,
        Judged("", actor.asked, "failed", seen.state.rollout, clock.now().isoformat("T", "seconds"))
        if broken and actor.asked
        else None,
    )


def recalled(actor: Actor, seen: Observed) -> Observed:
    """What is seen, with a state that agrees with the Service."""
    if seen.state.phase != "idle":
        return seen
    return replace(seen, state=remembered(seen.state, seen.serving, around(actor, seen)))


def spec_of(state: State) -> Rollout | None:
    """The spec that the cluster remembers; None where it has none that this version reads."""
    if not state.spec:
        return None
    try:
        return build_spec(state.spec, f"the spec of rollout {state.name} in the cluster")
    except SpecError as error:
        _log.warning("%s", error)
        return None
