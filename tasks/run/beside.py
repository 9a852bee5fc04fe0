"""Who else reaches the pods of what serves, looked at before those are stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tasks.base.errors import OutsideError, Refused
from tasks.objects.beside import (
    Cut,
    agreed_of,
    kept_by_hand,
    led_by_hand,
    other_ports,
    others_on,
    ports_lost,
    ways_of,
)
from tasks.objects.pods import Object, ReadObject
from tasks.objects.reached import belongs_to, chooses, reached_of
from tasks.objects.template import pod_of
from tasks.outside.kubernetes.access import chosen_pods
from tasks.outside.kubernetes.client import Cluster, Forbidden
from tasks.render.services import selector_of

HASH = "pod-template-hash"  # another one of each template


def cut_off(
    cluster: Cluster, name: str, serving: Object, comes: Object
) -> tuple[list[Cut], list[str]]:
    """What leads to pods of what serves and to none of what comes after; and what else a person
    should know of what leads to them.

    serving: its Deployment. comes: the Deployment that takes its place, whether it is there or not.
    """
    ns, its = serving["metadata"]["namespace"], serving["metadata"]["name"]
    before, after = serving["spec"]["template"], comes["spec"]["template"]
    undeclared, agreed = reached_of(serving) is not None, agreed_of(serving)
    service, services = cluster.get("Service", name, ns), list[Object]()
    told, said = ways_of(service) if service else [], list[Cut]()
    try:
        services = cluster.list("Service", ns)
    except Forbidden as error:
        told.append(f"whether another Service leads to pods of {its} is not known: {error}")
    pods = _pods(cluster, serving) if services else []
    labels = [_labels(before), *map(_labels, pods)]
    for other in others_on(services, (name, f"{name}-candidate"), labels):
        where = other["metadata"]["name"]
        if not _follows(cluster, other["spec"]["selector"], before, comes):
            said.append(Cut(where, f"Service {where} leads to pods of {its}, and {_NOWHERE}"))
            continue
        told.append(
            f"Service {where} chooses the pods of {comes['metadata']['name']} as well: it loses "
            "nothing by the switch, and leads to them before their verdict"
        )
        ports = other["spec"].get("ports") or []
        said += ports_lost(other, ports, before, after, undeclared=undeclared)
    if kept := kept_by_hand(services):
        for where in led_by_hand(kept, cluster.list("EndpointSlice", ns), pods):
            text = f"Service {where} names pods of {its} in EndpointSlices of its own, and leads "
            said.append(Cut(where, f"{text}{_NOWHERE}"))
    if service:
        said += ports_lost(service, other_ports(service), before, after, undeclared=undeclared)
    return [_told(cut) if cut.key in agreed else cut for cut in said], told


_NOWHERE = "nowhere once they stop"


def _told(cut: Cut) -> Cut:
    return replace(cut, text=f"{cut.text} (agreed to when it was adopted)", agreed=True)


def _labels(item: ReadObject) -> Mapping[str, str]:
    return (item.get("metadata") or {}).get("labels") or {}


def _pods(cluster: Cluster, deploy: Object) -> Sequence[Object]:
    meta = deploy["metadata"]
    found = chosen_pods(cluster, meta["namespace"], selector_of(deploy))
    return [pod for pod in found if belongs_to(pod, meta["name"])]


def _follows(
    cluster: Cluster, selector: Mapping[str, str], before: ReadObject, comes: Object
) -> bool:
    """Whether a selector that chooses pods of a template chooses those of what comes as well."""
    labels = _labels(comes["spec"]["template"])
    if chooses(selector, labels):
        return True
    # what no template says somebody else puts on each pod as it is made: a mesh, a webhook
    added = selector.keys() - _labels(before).keys()
    rest = {key: value for key, value in selector.items() if key not in added}
    if not added or HASH in added or not rest.items() <= labels.items():
        return False
    return chooses(selector, _as_made(cluster, comes))


def _as_made(cluster: Cluster, deploy: Object) -> Mapping[str, str]:
    """The labels that its pods have, or would have: the API server is asked, and makes none."""
    for pod in _pods(cluster, deploy):
        return _labels(pod)
    try:
        return _labels(cluster.trial().create(pod_of(deploy, ())))
    except (Refused, OutsideError):  # told elsewhere, where it stands in the way
        return {}
