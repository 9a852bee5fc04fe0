"""Who else reaches the pods of what serves, looked at before those are stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.objects.beside import listens, named, other_ports, others_on, target_of, ways_of
from tasks.objects.pods import Object
from tasks.objects.reached import belongs_to, chooses, reached_of
from tasks.outside.kubernetes.access import chosen_pods
from tasks.outside.kubernetes.client import Cluster, Forbidden
from tasks.render.services import selector_of


def cut_off(
    cluster: Cluster, name: str, serving: Object, comes: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """What leads to pods of what serves and to none of what comes after, one sentence each; and
    what else a person should know of the Service.

    serving: its Deployment. comes: the pod template that takes its place.
    """
    ns, its = serving["metadata"]["namespace"], serving["metadata"]["name"]
    service = cluster.get("Service", name, ns)
    told = ways_of(service) if service else []
    try:
        services = cluster.list("Service", ns)
    except Forbidden as error:
        return [], [*told, f"whether another Service leads to pods of {its} is not known: {error}"]
    labels, said = comes["metadata"]["labels"], list[str]()
    for other in others_on(services, (name, f"{name}-candidate"), _labels(cluster, serving)):
        chosen = other["spec"]["selector"]
        where = f"Service {other['metadata']['name']}"
        if chooses(chosen, labels):
            said.append(f"{where} leads to pods of {its}, and to a candidate before its verdict")
        else:
            said.append(f"{where} leads to pods of {its}, and nowhere once they stop")
    old, adopted = serving["spec"]["template"], reached_of(serving) is not None
    for port in other_ports(service) if service else ():
        target = target_of(port)
        if not listens(comes, target) and (adopted or listens(old, target)):
            said.append(
                f"port {named(port)} of Service {name} leads to {target} in the pods, where the "
                "new release does not say that it listens (serving.pod may have containers that do)"
            )
    return said, told


def cut_off_now(cluster: Cluster, name: str, serving: Object) -> list[str]:
    """The other Services that lead to what serves, which is about to stop."""
    ns = serving["metadata"]["namespace"]
    try:
        services = cluster.list("Service", ns)
    except Forbidden:
        return []
    found = others_on(services, (name, f"{name}-candidate"), _labels(cluster, serving))
    its = serving["metadata"]["name"]
    return [f"Service {item['metadata']['name']} leads to pods of {its}, too" for item in found]


def _labels(cluster: Cluster, deploy: Object) -> list[dict[str, str]]:
    """Of its pods, those it has and those it would make."""
    meta = deploy["metadata"]
    pods = chosen_pods(cluster, meta["namespace"], selector_of(deploy))
    found = [pod["metadata"].get("labels") or {} for pod in pods if belongs_to(pod, meta["name"])]
    return [deploy["spec"]["template"]["metadata"].get("labels") or {}, *found]
