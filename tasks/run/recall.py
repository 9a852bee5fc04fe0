"""What is looked at besides a rollout's roles, and the spec that the cluster remembers."""

from __future__ import annotations

import logging

from tasks.base import clock
from tasks.base.errors import SpecError
from tasks.outside.kubernetes.access import release_pods
from tasks.outside.kubernetes.actor import Actor
from tasks.release.back import arrived
from tasks.release.guard import Around
from tasks.release.memory.again import owed_back, rested
from tasks.release.memory.terms import terms_of, watched
from tasks.release.moves import Observed
from tasks.release.state import Judged, State, breached
from tasks.release.wish import expired
from tasks.run import seats
from tasks.spec.file import build_spec
from tasks.spec.rollout import Rollout

_log = logging.getLogger(__name__)
PROMOTES = ("approve", "promote")


def around(actor: Actor, seen: Observed) -> Around:
    """What the guard looks at besides the roles."""
    cluster, ns, view = actor.cluster, actor.namespace, seen.view(seen.serving)
    pods = release_pods(cluster, ns, actor.name, view.release) if view else []
    tested = cluster.get("Service", f"{actor.name}-candidate", ns)
    broken = seen.down is not None and seen.down.broken
    overdue, bad = expired(seen.state, cluster.now()), owed_back(seen) is not None
    return Around(
        tested is not None and actor.owned.is_ours(tested, "candidate"),
        any(not pod["spec"].get("nodeName") for pod in pods),
        seats.room(actor, seen.state.previous, seen.serving)
        if seen.state.phase == "reverting" or breached(seen.state) or broken or overdue or bad
        else None,
        overdue,
        Judged("", actor.asked, "failed", seen.state.rollout, clock.now().isoformat("T", "seconds"))
        if broken and actor.asked
        else None,
        rested(seen.state, cluster.now()),
    )


def subject(seen: Observed, what: str = "") -> str | None:
    """The release that something is done about by name: the candidate, where a person promotes the
    one whose turn has come; else what serves, also while a candidate is held."""
    state = arrived(seen).state
    release = watched(state) if what in PROMOTES else state.stable
    return release.id if release else None


def spec_of(state: State, release: str | None) -> Rollout | None:
    """The spec of the rollout that made a release: by no other is it placed, or watched. None where
    the cluster remembers none of it that this version reads."""
    spec = terms_of(state, release).spec if release else None
    if not spec:
        return None
    try:
        return build_spec(spec, f"the spec of rollout {state.name} in the cluster")
    except SpecError as error:
        _log.warning("%s", error)
        return None


def looked_by(state: State, release: str) -> Rollout | None:
    """A spec to make Jobs by that only look at a release: its own, else what the cluster remembers
    of another one."""
    roles = (
        release,
        *(item.id for item in (state.stable, state.candidate, state.previous) if item),
    )
    return next(filter(None, (spec_of(state, item) for item in roles)), None)
