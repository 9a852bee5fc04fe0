"""What is free for a rollout: by every pod of the cluster, and by what other rollouts are owed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.base.errors import Refused, RolloutError
from tasks.objects.ours import marks_of_all
from tasks.objects.pods import Object, ending
from tasks.objects.reached import labelled
from tasks.outside.kubernetes.access import selector_text
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster, Forbidden
from tasks.release.course import Observed, Room
from tasks.release.seats.capacity import set_by_hand
from tasks.release.seats.owed import Owed, Rolled, owed
from tasks.release.seats.room import kept_for, room_for
from tasks.release.state import Release, State, configmap_name, from_configmap
from tasks.run.findings import Planned


@dataclass(frozen=True)
class Taken:
    """pods: of the whole cluster, and those that stand for what is owed. owed: to whom."""

    pods: list[Object]
    owed: tuple[Owed, ...] = ()


def taken(actor: Actor, nodes: Sequence[Object]) -> Taken:
    """What holds seats, or is to have them. Pods of adopted releases are labelled as ours are."""
    cluster, ns = actor.cluster, actor.namespace
    engines = [item for item in _every(cluster, ns, "Deployment", "engine") if not ending(item)]
    pods = labelled(cluster.list("Pod"), engines)
    states = _states(_every(cluster, ns, "ConfigMap", "state"))
    found = owed(engines, states, nodes, pods, (ns, actor.name))
    return Taken([*pods, *(pod for item in found for pod in item.pods)], found)


def _every(cluster: Cluster, namespace: str, kind: str, role: str) -> list[Object]:
    """Of every rollout: of the cluster's, or, where that may not be read, of the namespace's."""
    ours = selector_text(marks_of_all(role))
    try:
        return cluster.list(kind, None, label_selector=ours)
    except Forbidden:
        return cluster.list(kind, namespace, label_selector=ours)


def _states(configmaps: Sequence[Object]) -> dict[Rolled, State]:
    out: dict[Rolled, State] = {}
    for item in configmaps:
        meta = item["metadata"]
        name = meta["name"].removeprefix(configmap_name(""))
        try:
            out[meta.get("namespace", ""), name] = from_configmap(name, item)
        except RolloutError:
            continue  # its own to mend; its Deployments count all the same
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
    more = candidate is not None and set_by_hand(seen) > candidate.replicas
    if candidate is None or not (more or seen.state.strategy == "lend"):
        return None
    return room(actor, candidate, seen.serving)


def must_have_room(actor: Actor, planned: Planned) -> None:
    """Right before a candidate is made: the seats it was planned for are not owed to another
    rollout since, and where what serves is to stop for it, nobody else was placed there while
    weights were hashed. Raises Refused."""
    try:
        nodes = actor.cluster.list("Node")
        found = taken(actor, nodes)
    except Forbidden:
        return
    body, seen = planned.body, planned.survey.seen
    stops = planned.plan.strategy == "replace"
    if stops and not found.owed:
        made = seen.view(planned.release.id)
        stops = made is None or not made.runs  # it has its seats, if it runs
    if not (found.owed or stops):
        return
    there = room_for(body, nodes, found.pods, seen.serving)
    seats = there.beside if planned.plan.strategy == "parallel" else there.instead
    if seats < body["spec"]["replicas"]:
        raise Refused(
            f"{body['metadata']['name']} was planned for seats that are not free any more"
            f"{kept_for(tuple(map(str, found.owed)))}; run it again once that is over"
        )
