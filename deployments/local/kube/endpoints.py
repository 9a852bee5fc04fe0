"""Where a Service's traffic may go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployments.local.kube import pods
from deployments.local.kube.index import Index
from deployments.local.kube.status import StatusError
from deployments.local.kube.store import Object, Store

Target = tuple[str, int]  # address, port


def chosen(index: Index, service: Mapping[str, Any]) -> list[Object]:
    """Pods of a Service that have an address and are not going, by name."""
    selector = service["spec"].get("selector")
    if not selector:
        return []
    wanted = selector.items()
    found = [
        pod
        for pod in index.pods_in(service["metadata"]["namespace"])
        if wanted <= (pod["metadata"].get("labels") or {}).items()
        and pods.active(pod)
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


def targets(index: Index, service: Mapping[str, Any], port: Mapping[str, Any]) -> list[Target]:
    """Ready endpoints of one Service port."""
    unready_too = bool(service["spec"].get("publishNotReadyAddresses"))
    out = []
    for pod in chosen(index, service):
        number = port_of(pod, port)
        if number is not None and (unready_too or pods.ready(pod)):
            out.append((str(pod["status"]["podIP"]), number))
    return out


def endpoints(store: Store, index: Index, service: Mapping[str, Any]) -> None:
    """Write a Service's Endpoints object; one without a selector is left to its owner."""
    meta, spec = service["metadata"], service["spec"]
    if not spec.get("selector"):
        return
    ports = spec.get("ports") or []
    groups: dict[tuple[int, ...], tuple[list[Any], list[Any]]] = {}
    for pod in chosen(index, service):
        numbers = tuple(port_of(pod, port) or 0 for port in ports)
        fine, not_yet = groups.setdefault(numbers, ([], []))
        address = {
            "ip": pod["status"]["podIP"],
            "nodeName": pod["spec"].get("nodeName"),
            "targetRef": {
                "kind": "Pod",
                "namespace": meta["namespace"],
                "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"],
            },
        }
        ok = pods.ready(pod) or spec.get("publishNotReadyAddresses")
        (fine if ok else not_yet).append(address)
    subsets = [
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
        for numbers, (fine, not_yet) in sorted(groups.items())
    ]
    with store.lock:
        old = store.get("endpoints", meta["namespace"], meta["name"])
        owner = {
            "apiVersion": "v1",
            "kind": "Service",
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
        }
        if old is None:
            new = {"name": meta["name"], "namespace": meta["namespace"], "ownerReferences": [owner]}
            try:
                store.create("endpoints", {"metadata": new, "subsets": subsets})
            except StatusError:
                return
        elif (old.get("subsets") or []) != subsets:
            store.update("endpoints", {**old, "subsets": subsets})
