"""Which pods a Service has: its EndpointSlices, which the proxy follows, and the old Endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployments.local.kube.objects import pods
from deployments.local.kube.objects.index import Index
from deployments.local.kube.objects.status import StatusError
from deployments.local.kube.objects.store import Object, Store

Target = tuple[str, int]  # address, port
Groups = dict[tuple[int, ...], list[Object]]  # port numbers -> pods that have these
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by"


def chosen(index: Index, service: Mapping[str, Any]) -> list[Object]:
    """Pods of a Service that have an address and have not ended, by name."""
    selector = service["spec"].get("selector")
    if not selector:
        return []
    wanted = selector.items()
    found = [
        pod
        for pod in index.pods_in(service["metadata"]["namespace"])
        if wanted <= (pod["metadata"].get("labels") or {}).items()
        and pods.phase(pod) not in pods.FINISHED
        and (pod.get("status") or {}).get("podIP")
    ]
    return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))


def port_of(pod: Mapping[str, Any], port: Mapping[str, Any]) -> int | None:
    """A Service port's number in a pod: targetPort by number or by container port name."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    if str(target).isdigit():
        return int(target)
    for container in pod["spec"].get("containers") or []:
        for item in container.get("ports") or []:
            if item.get("name") == target:
                return int(item["containerPort"])
    return None


def endpoints(store: Store, index: Index, service: Mapping[str, Any]) -> None:
    """Write what a Service has; one without a selector is left to its owner."""
    if not service["spec"].get("selector"):
        return
    ports = service["spec"].get("ports") or []
    groups: Groups = {}
    for pod in chosen(index, service):
        numbers = tuple(port_of(pod, port) or 0 for port in ports)
        groups.setdefault(numbers, []).append(pod)
    _slices(store, service, groups)
    _endpoints(store, service, groups)


# -- EndpointSlices ---------------------------------------------------------------------------


def _slices(store: Store, service: Mapping[str, Any], groups: Groups) -> None:
    """One slice a group of port numbers; one without endpoints where there is no pod."""
    wanted = [_slice(service, numbers, groups[numbers]) for numbers in sorted(groups)]
    wanted = wanted or [_slice(service, (), [])]
    with store.lock:
        old = [s for s in slices_of(store, service) if _owned(s, service)]
        for slot, new in enumerate(wanted):
            if slot < len(old):
                kept = old[slot]
                new["metadata"] = kept["metadata"]
                store.update("endpointslices", {**kept, **new})
            else:
                _create(store, "endpointslices", new)
        for spare in old[len(wanted) :]:
            store.remove(
                "endpointslices", spare["metadata"]["namespace"], spare["metadata"]["name"]
            )


def slices_of(store: Store, service: Mapping[str, Any]) -> list[Object]:
    """The EndpointSlices of a Service, whoever wrote them."""
    meta = service["metadata"]
    return store.list(
        "endpointslices", meta["namespace"], lambda got: got.get(SERVICE_LABEL) == meta["name"]
    )


def _owned(item: Object, service: Mapping[str, Any]) -> bool:
    refs = item["metadata"].get("ownerReferences") or []
    return any(ref.get("uid") == service["metadata"]["uid"] for ref in refs)


def _slice(service: Mapping[str, Any], numbers: tuple[int, ...], found: list[Object]) -> Object:
    meta, spec = service["metadata"], service["spec"]
    even_unready = bool(spec.get("publishNotReadyAddresses"))
    items = []
    for pod in found:
        serving, going = pods.ready(pod), pods.terminating(pod)
        items.append(
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {
                    "ready": even_unready or (serving and not going),
                    "serving": serving,
                    "terminating": going,
                },
                "nodeName": pod["spec"].get("nodeName"),
                "targetRef": _reference(pod),
            }
        )
    return {
        "metadata": {
            "generateName": f"{meta['name']}-",
            "namespace": meta["namespace"],
            "labels": {
                SERVICE_LABEL: meta["name"],
                MANAGER_LABEL: "endpointslice-controller.k8s.io",
            },
            "ownerReferences": [pods.owner_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": items,
        "ports": [
            {
                "name": port.get("name") or "",
                "port": number,
                "protocol": port.get("protocol", "TCP"),
            }
            for port, number in zip(spec.get("ports") or [], numbers, strict=False)
            if number
        ],
    }


def targets(slices: list[Object], port: Mapping[str, Any]) -> list[Target]:
    """Where one Service port's traffic goes: ready endpoints, or where there is none those that
    still serve while they end, as kube-proxy has it."""
    ready: list[Target] = []
    ending: list[Target] = []
    for item in slices:
        number = next(
            (
                int(p["port"])
                for p in item.get("ports") or []
                if (p.get("name") or "") == (port.get("name") or "") and p.get("port")
            ),
            None,
        )
        if number is None:
            continue
        for end in item.get("endpoints") or []:
            is_so = end.get("conditions") or {}
            if is_so.get("ready", True):
                ready += [(address, number) for address in end["addresses"]]
            elif is_so.get("serving") and is_so.get("terminating"):
                ending += [(address, number) for address in end["addresses"]]
    return ready or ending


# -- Endpoints --------------------------------------------------------------------------------


def _reference(pod: Object) -> Object:
    meta = pod["metadata"]
    named = {key: meta[key] for key in ("namespace", "name", "uid")}
    return {"kind": "Pod", **named}


def _endpoints(store: Store, service: Mapping[str, Any], groups: Groups) -> None:
    meta, spec = service["metadata"], service["spec"]
    ports, even_unready = spec.get("ports") or [], spec.get("publishNotReadyAddresses")
    subsets = []
    for numbers, found in sorted(groups.items()):
        fine: list[Object] = []
        not_yet: list[Object] = []
        for pod in found:
            if pods.terminating(pod):
                continue
            address = {
                "ip": pod["status"]["podIP"],
                "nodeName": pod["spec"].get("nodeName"),
                "targetRef": _reference(pod),
            }
            (fine if pods.ready(pod) or even_unready else not_yet).append(address)
        if not fine and not not_yet:
            continue
        subsets.append(
            {
                **({"addresses": fine} if fine else {}),
                **({"notReadyAddresses": not_yet} if not_yet else {}),
                "ports": [
                    {
                        **({"name": port["name"]} if port.get("name") else {}),
                        "port": number,
                        "protocol": port.get("protocol", "TCP"),
                    }
                    for port, number in zip(ports, numbers, strict=True)
                    if number
                ],
            }
        )
    with store.lock:
        old = store.get("endpoints", meta["namespace"], meta["name"])
        if old is None:
            owner = pods.owner_reference(service)
            new = {"name": meta["name"], "namespace": meta["namespace"], "ownerReferences": [owner]}
            _create(store, "endpoints", {"metadata": new, "subsets": subsets})
        elif (old.get("subsets") or []) != subsets:
            store.update("endpoints", {**old, "subsets": subsets})


def _create(store: Store, plural: str, obj: Object) -> None:
    """A namespace that goes takes nothing more."""
    try:
        store.create(plural, obj)
    except StatusError:
        return
