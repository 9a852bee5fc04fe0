"""A release none of whose pods is ready, and whose nodes are gone: it is held to other nodes, once
its weights are there. What answers, and be it with one pod, is left as it is and told of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tasks.base.errors import Refused, StepFailed
from tasks.base.progress import Progress, emit
from tasks.nodes.assess import is_candidate
from tasks.objects.pods import Object, ready
from tasks.outside.kubernetes.access import release_pods
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import ApiError, Cluster, Forbidden
from tasks.release.back import leaving
from tasks.release.comeback import Comeback
from tasks.release.course import AwaitFreed, AwaitReady, Course, DeploymentView, Observed, Scale
from tasks.release.seats import pins
from tasks.release.state import unfinished
from tasks.run import seats
from tasks.run.findings import Planned, Survey
from tasks.run.locked import Locked, not_held
from tasks.run.making import NOT_TRIED, REFUSALS
from tasks.run.proofs import WIDTH, whole_on, with_proofs
from tasks.run.recall import spec_of
from tasks.run.run import Run
from tasks.spec.rollout import Rollout

BY_NAME = ("guard", "recover", "rollback", "abort")


@dataclass(frozen=True)
class Stranded:
    """A Deployment of which no pod is ready, nor can be placed. why: in words. pods: that hold
    seats, or are owed them."""

    view: DeploymentView
    deploy: Object
    why: str
    nodes: list[Object]
    pods: list[Object]


def stranded(actor: Actor, seen: Observed, release: str | None) -> Stranded | None:
    """A release that cannot be placed where it may run; None where one of its pods answers, it may
    still be placed, or nobody may look at nodes."""
    view = seen.view(release)
    deploy = view and actor.cluster.get("Deployment", view.name, actor.namespace)
    if view is None or view.available or not deploy or not pins.pinned(deploy):
        return None
    try:
        nodes = actor.cluster.list("Node")
        pods = seats.taken(actor, nodes).pods
    except Forbidden:
        return None
    why = pins.why_stranded(deploy, nodes, pods)
    return Stranded(view, deploy, why, nodes, pods) if why else None


def some_gone(cluster: Cluster, namespace: str, seen: Observed) -> str:
    """That nodes of what serves are gone, and what becomes of that; '' where none are, or nobody
    may look."""
    view = seen.view(seen.serving)
    deploy = view and cluster.get("Deployment", view.name, namespace)
    if view is None or not deploy or not pins.pinned(deploy):
        return ""
    try:
        said = pins.some_gone(deploy, cluster.list("Node"))
    except Forbidden:
        return ""
    if not said:
        return ""
    if not view.available:
        return (
            f"{said}; `rollout run` with its spec brings its weights to other nodes and places it"
        )
    return (
        f"{said}. What answers is left as it is: it gets other nodes with the next release that "
        "`rollout run` tests, or once none of its pods is ready"
    )


def amiss(cluster: Cluster, namespace: str, seen: Observed) -> str:
    """What is wrong with what serves, though it answers; '' where nothing is."""
    said = (
        (seen.unsettled(), some_gone(cluster, namespace, seen)) if seen.alive(seen.serving) else ()
    )
    return "; ".join(filter(None, said))


def why_placed(cluster: Cluster, survey: Survey) -> str:
    """Why what is rolled out serves and no pod of it can be placed; '' where it is not so."""
    spec, seen, release = survey.spec, survey.seen, survey.release.id
    if seen.serving != release or by_site(spec):
        return ""
    actor = Actor(cluster, spec.namespace, spec.name, fence=not_held, epoch=0)
    found = stranded(actor, seen, release)
    return found.why if found else ""


def place(run: Run, cluster: Locked, planned: Planned) -> str:
    """Carry a plan out that says `place`, once the weights are there; gives what was done. Raises
    Refused where that is not needed any more."""
    actor, release = cluster.actor, planned.release
    if stranded(actor, actor.observe(), release.id) is None:
        raise Refused(
            f"{release.deployment} can be placed where it is by now; look at it, and run it again"
        )
    return again(actor, run.spec, release.id, planned.nodes)


def again(
    actor: Actor, spec: Rollout, release: str, names: Sequence[str], *, starts: bool = True
) -> str:
    """Hold a release none of whose pods is ready to these nodes, on which its weights are; gives
    what was done, in words. starts: and wait until it answers; else it stands at zero.

    Raises StepFailed where one of its pods is ready, the site chose its nodes, or the API server
    takes no such template; nothing has changed then. Cut anywhere, it is scaled up by whoever comes
    next, and placed by this.
    """
    seen = actor.observe()
    view = seen.view(release)
    deploy = view and actor.cluster.get("Deployment", view.name, actor.namespace)
    if view is None or not deploy:
        raise StepFailed(f"the Deployment of release {release} is gone; run the rollout again")
    pods = release_pods(actor.cluster, actor.namespace, actor.name, release)
    if view.available or any(map(ready, pods)):
        raise StepFailed(f"{view.name} answers by now and is left where it is; run it again")
    if by_site(spec):
        raise StepFailed(
            f"{view.name} runs on nodes that serving.pod names: they are its author's to change"
        )
    nodes = [n for n in actor.cluster.list("Node") if n["metadata"]["name"] in names]
    uid = deploy["metadata"].get("uid", "")
    change = partial(pins.held_to, uid=uid, nodes=nodes)
    _must_be_taken(actor, view.name, change)
    # at zero at once: one that changes its template replaces its pods one by one
    if view.replicas:
        actor.run(Course((Scale(view.name, 0), AwaitFreed(view.name)), ""))
    actor.owned.change("Deployment", view.name, "engine", change)
    where = ", ".join(names)
    emit(Progress("deploy", "running", view.name, f"is placed on {where}"))
    if starts:
        actor.run(Course((Scale(view.name, view.serves_with), AwaitReady(view.name)), ""))
    return f"{view.name} was placed again, on {where}"


def _must_be_taken(actor: Actor, name: str, change: Callable[[Object], Object]) -> None:
    """Raises StepFailed where the API server would not take the new template: it is asked before
    anything stops. What cannot be tried is done untried."""

    def at_zero(found: Object) -> Object:
        return change({**found, "spec": {**found["spec"], "replicas": 0}})

    said = f"{name} is not placed on other nodes, and nothing was moved: its new pod template"
    try:
        actor.owned.try_change("Deployment", name, "engine", at_zero)
    except Refused as error:
        raise StepFailed(f"{said} would not stay as it is written: {error}") from error
    except ApiError as error:
        if error.status not in REFUSALS:
            raise
        if not NOT_TRIED.search(str(error)):
            raise StepFailed(f"{said} is refused: {error}; run it again once it is not") from error


def by_site(spec: Rollout) -> bool:
    """Whether a site's own PodSpec chooses the nodes."""
    return bool((spec.serving.pod.get("affinity") or {}).get("nodeAffinity"))


def by_itself(actor: Actor, what: str) -> tuple[str, str]:
    """Before what is done by name: what serves, or is to, is placed again where its nodes are gone
    and its weights are on others. Gives what was done, and what a person may do instead."""
    if what not in BY_NAME:
        return "", ""
    seen = actor.observe()
    for release, starts in _asked(seen, what):
        found = stranded(actor, seen, release)
        if found is None:
            continue
        advice = (
            f"{found.why}; `rollout run` with its spec brings its weights to other nodes and "
            "places it again"
        )
        try:
            names, why = _whole(actor, seen, found)
            if why:
                return "", f"{advice} ({why})"
            spec = spec_of(seen.state, found.view.release)
            assert spec is not None
            done = again(actor, spec, found.view.release, names, starts=starts)
            return f"{found.why}; {done}", ""
        except StepFailed as error:
            return "", f"{advice} ({error})"
    return "", ""


def to_place(actor: Actor, seen: Observed, what: str = "guard") -> str:
    """Why something is to be placed again first, and may be: others have room; '' where nothing."""
    for release, _ in _asked(seen, what):
        found = stranded(actor, seen, release)
        if found is not None and not _chosen(actor, seen, found)[1]:
            return found.why
    return ""


def _asked(seen: Observed, what: str) -> list[tuple[str | None, bool]]:
    """Releases that are to answer, and whether they are to start at once."""
    state = seen.state
    home = state.stable.id if state.phase == "restoring" and state.stable else seen.serving
    previous = leaving(seen).previous
    back: list[tuple[str | None, bool]] = [(previous.id, False)] if previous else []
    if what == "rollback" or state.phase == "reverting":
        return back
    if what == "guard" and seen.down is None:  # it may be a start-up still
        return []
    leaves = (what == "abort" and unfinished(state)) or (seen.down is not None and seen.down.broken)
    return [*(back if leaves else []), (home, True)]


def _chosen(actor: Actor, seen: Observed, found: Stranded) -> tuple[list[str], str]:
    """Nodes that would take its pods, and why they will not do."""
    spec = spec_of(seen.state, found.view.release)
    if spec is None:
        return [], "the cluster remembers no spec of it"
    if by_site(spec):
        return [], "serving.pod names its nodes"
    meant = [node for node in found.nodes if is_candidate(spec, node)]
    room = pins.places(found.deploy, meant, found.pods)
    names = sorted(room, key=lambda name: (-room[name], name))[:WIDTH]
    if sum(room[name] for name in names) < found.view.serves_with:
        return [], f"other nodes have room for {sum(room.values())} of {found.view.serves_with}"
    return names, ""


def _whole(actor: Actor, seen: Observed, found: Stranded) -> tuple[list[str], str]:
    """Of these, those that have its weights, every byte of them hashed."""
    names, why = _chosen(actor, seen, found)
    if why:
        return [], why
    release = found.view.release
    spec = spec_of(seen.state, release)
    looked = with_proofs(spec, found.deploy, release, Comeback(nodes=tuple(names)))
    if not looked.proofs:
        return [], "; ".join(looked.found.unknown)
    whole, said = whole_on(actor, looked)
    room = pins.places(found.deploy, found.nodes, found.pods)
    if sum(room.get(name, 0) for name in whole) < found.view.serves_with:
        return [], "; ".join(said[:4]) or f"other nodes have room for {sum(room.values())}"
    return whole, ""
