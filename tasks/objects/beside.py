"""By what else than its own Service, and its one port, clients reach a release's pods: that leads
nowhere once those stop, and nobody would have looked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.objects.endpoints import by_hand
from tasks.objects.pods import Object, ReadObject
from tasks.objects.reached import chooses

ENGINE_PORT = "http"  # what the engine's port is called, in Services and in pods


def others_on(
    services: Iterable[Object], ours: Iterable[str], pods: Sequence[Mapping[str, str]]
) -> list[Object]:
    """The Services that choose some of these pods, but for `ours`, by name."""
    return [
        item
        for item in services
        if item["metadata"]["name"] not in ours
        and any(chooses(item["spec"].get("selector") or {}, labels) for labels in pods)
    ]


def other_ports(service: ReadObject) -> list[Mapping[str, Any]]:
    """The ports of a Service that a switch leaves as they are: all but the engine's; none where
    nobody can tell which that is, which is refused elsewhere."""
    ports = service["spec"].get("ports") or []
    other = [port for port in ports if port.get("name") != ENGINE_PORT]
    return other if len(other) < len(ports) else []


def target_of(port: Mapping[str, Any]) -> int | str:
    """Where in its pods a Service's port leads: a number, or the name of a port."""
    found = port.get("targetPort") or port["port"]
    return found if isinstance(found, int) else str(found)


def named(port: Mapping[str, Any]) -> str:
    """How a person names a Service's port."""
    return str(port.get("name") or port["port"])


def listens(template: ReadObject, target: int | str) -> bool:
    """Whether a container of a pod template says that it listens there."""
    spec = template.get("spec") or {}
    sidecars = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    ports = [p for c in [*spec["containers"], *sidecars] for p in c.get("ports") or []]
    return any(target in (port.get("containerPort"), port.get("name")) for port in ports)


def ways_of(service: ReadObject, slices: Iterable[ReadObject] = ()) -> list[str]:
    """What else about a Service a person should know before its pods are other ones."""
    spec, out = service["spec"], list[str]()
    name = f"Service {service['metadata']['name']}"
    for field, whose in (
        ("internalTrafficPolicy", "of the node that asks"),
        ("externalTrafficPolicy", "of the node that is asked"),
    ):
        if spec.get(field) == "Local":
            out.append(
                f"{name} has {field} Local and leads to pods {whose} only: where no pod of the new "
                "release runs nothing answers after the switch; set it to Cluster, or let the "
                "release run on every node that is asked"
            )
    if spec.get("sessionAffinity") == "ClientIP":
        out.append(
            f"{name} has sessionAffinity ClientIP: a client goes on to the pod that it asked "
            "before until that pod is led to no more, so both releases are asked for a moment"
        )
    if spec.get("publishNotReadyAddresses"):
        out.append(
            f"{name} has publishNotReadyAddresses: it leads to pods that do not answer yet, or no "
            "more, whatever their readiness says; take it away"
        )
    if spec.get("clusterIP") == "None":
        out.append(
            f"{name} is headless: its clients ask the pods' own addresses, and those that keep for "
            "long what DNS said go on asking pods that have stopped"
        )
    if kept := sorted(by_hand(slices)):
        out.append(
            f"{name} has EndpointSlices that its selector does not make: {', '.join(kept)}; they "
            "lead where they lead, whatever release serves, and nobody changes them"
        )
    return out


def picks(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) chooses these labels; an empty one
    chooses all."""
    if not (selector.get("matchLabels") or {}).items() <= labels.items():
        return False
    for ask in selector.get("matchExpressions") or []:
        value, values = labels.get(ask["key"]), ask.get("values") or []
        met = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not met.get(ask["operator"], False):
            return False
    return True


def left_behind(
    found: Iterable[ReadObject], deployment: str, pods: Mapping[str, str], comes: Mapping[str, str]
) -> list[str]:
    """NetworkPolicies, PodDisruptionBudgets and HorizontalPodAutoscalers that are about the pods of
    one Deployment, and not about those that come after."""
    out = []
    for item in found:
        spec, kind = item.get("spec") or {}, str(item.get("kind"))
        if kind == "HorizontalPodAutoscaler":
            about = spec.get("scaleTargetRef") or {}
            only = (about.get("kind"), about.get("name")) == ("Deployment", deployment)
        else:
            key = "podSelector" if kind == "NetworkPolicy" else "selector"
            chosen = spec.get(key)
            only = chosen is not None and picks(chosen, pods) and not picks(chosen, comes)
        if only:
            out.append(
                f"{kind} {item['metadata']['name']} is about the pods of {deployment} alone: it "
                "does not hold for the releases that come after"
            )
    return out
