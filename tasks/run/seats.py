"""What is free for a rollout: by every pod of the cluster, and by what other rollouts are owed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from tasks.base.errors import Refused
from tasks.nodes.queue import unmade, untold
from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.objects.pods import Object, counted, ending
from tasks.objects.reached import labelled
from tasks.objects.remembered import tell_once
from tasks.outside.kubernetes.access import made_by_all
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster, Forbidden
from tasks.release.course import Observed, Room
from tasks.release.lend import freed
from tasks.release.seats.capacity import set_by_hand
from tasks.release.seats.owed import Owed, Rolled, owed
from tasks.release.seats.room import kept_for, room_for
from tasks.release.state import Release, State, states_in
from tasks.run.findings import Planned

_MANY = 1 << 20
_NO_POD = "involvedObject.kind=Job,reason=FailedCreate"


@dataclass(frozen=True)
class Taken:
    """pods: of the whole cluster, those that stand for what is owed, and those that stand for what
    this namespace's workloads may not make (a quota is a namespace's). owed: to whom."""

    pods: list[Object]
    owed: tuple[Owed, ...] = ()


def taken(actor: Actor, nodes: Sequence[Object]) -> Taken:
    """What holds seats, or is to have them. Pods of adopted releases are labelled as ours are."""
    cluster, ns = actor.cluster, actor.namespace
    engines = [item for item in _every(cluster, ns, "Deployment", "engine") if not ending(item)]
    pods = of_engines(labelled(cluster.list("Pod", keep=counted), engines), engines, ns)
    states = _states(_every(cluster, ns, "ConfigMap", "state"))
    found = owed(engines, states, nodes, pods, (ns, actor.name))
    waiting = labelled(_unmade(cluster, ns), engines)
    return Taken([*pods, *waiting, *(pod for item in found for pod in item.pods)], found)


def _unmade(cluster: Cluster, namespace: str) -> list[Object]:
    jobs = cluster.list("Job", namespace)
    events: list[Object] = []
    if untold(jobs):
        with suppress(Forbidden):
            events = cluster.list("Event", namespace, field_selector=_NO_POD)
    return unmade([*cluster.list("ReplicaSet", namespace), *jobs], events)


def of_engines(pods: Sequence[Object], engines: Sequence[Object], namespace: str) -> list[Object]:
    """Pods, those here that no Deployment of ours stands behind without the labels of a release:
    nobody stops them, and their seats are another's. pods: as `labelled` gives them."""
    known = {_release(item) for item in engines}

    def bare(pod: Object) -> Object:
        meta = pod["metadata"]
        labels = meta.get("labels") or {}
        its = meta.get("namespace") == namespace and RELEASE_LABEL in labels
        if not its or ending(pod) or _release(pod) in known:
            return pod
        kept = {k: v for k, v in labels.items() if k not in (INSTANCE_LABEL, RELEASE_LABEL)}
        return {**pod, "metadata": {**meta, "labels": kept}}

    return [bare(pod) for pod in pods]


def _release(item: Object) -> tuple[str, str, str]:
    meta = item["metadata"]
    labels = meta.get("labels") or {}
    return meta.get("namespace", ""), labels.get(INSTANCE_LABEL, ""), labels.get(RELEASE_LABEL, "")


def _every(cluster: Cluster, namespace: str, kind: str, role: str) -> list[Object]:
    """Of every rollout: of the cluster's, or, where that may not be read, of the namespace's."""
    try:
        return made_by_all(cluster, kind, role, None)
    except Forbidden:
        return made_by_all(cluster, kind, role, namespace)


def _states(configmaps: Sequence[Object]) -> dict[Rolled, State]:
    out: dict[Rolled, State] = {}
    for key, found in states_in(configmaps):
        if isinstance(found, State):
            out[key] = found
        else:  # its own to mend
            tell_once(f"{found}. Meanwhile its Deployments alone say which seats are its own")
    return out


def room(actor: Actor, release: Release | None, serving: str | None) -> Room | None:
    """The room for a release; None where it has no Deployment, or nobody may look at nodes."""
    name = release.deployment if release else ""
    deploy = actor.cluster.get("Deployment", name, actor.namespace) if name else None
    if deploy is None:
        return None
    try:
        nodes = actor.cluster.list("Node")
        found = taken(actor, nodes)
    except Forbidden:
        return None  # then it is tried, and taken back when it finds no place
    return room_for(deploy, nodes, found.pods, serving, tuple(map(str, found.owed)))


def room_to_promote(actor: Actor, seen: Observed) -> Room | None:
    """The room for a candidate that gets more seats before the switch: it has lent some, or more
    answers now. None for others, and where nobody may look."""
    candidate = seen.state.candidate
    view = seen.view(candidate.id) if candidate else None
    more = candidate is not None and set_by_hand(seen) > candidate.replicas
    more = more or (view is not None and view.lent)  # it was kept, and gets them again
    if candidate is None or not (more or seen.state.strategy == "lend"):
        return None
    return room(actor, candidate, seen.serving)


def _claims(planned: Planned) -> dict[str, int]:
    """By node, how many replicas its devices make, as the plan counted them: where it could not, it
    went by what else a replica needs."""
    if not planned.body["spec"]["template"]["spec"].get("resourceClaims"):
        return {}
    verdicts = [item.verdict for item in planned.survey.looked]
    return {item.node: _MANY if item.claims is None else item.claims for item in verdicts}


def must_have_room(actor: Actor, planned: Planned) -> None:
    """Right before a candidate is made, or anything stops for it: the seats it was planned for are
    there still, and not owed to another rollout since. One that runs has its seats. Raises
    Refused."""
    try:
        nodes = actor.cluster.list("Node")
        found = taken(actor, nodes)
    except Forbidden:
        return
    body, seen, plan = planned.body, planned.survey.seen, planned.plan
    made = seen.view(body["metadata"]["labels"][RELEASE_LABEL])
    asked = body["spec"]["replicas"]
    if not found.owed and made is not None and made.available >= asked:
        return
    there = room_for(body, nodes, found.pods, seen.serving, claims=_claims(planned))
    serving = seen.view(seen.serving)
    if plan.strategy == "parallel":
        seats = there.beside
    elif plan.lend and serving:
        seats = freed(there.tables, serving, plan.lend.keep)
    else:
        seats = there.instead
    if seats < asked:
        raise Refused(
            f"{body['metadata']['name']} was planned for seats that are not free any more"
            f"{kept_for(tuple(map(str, found.owed)))}; run it again once that is over"
        )
