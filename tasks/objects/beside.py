"""By what else than its own Service, and its one port, clients reach a release's pods: that leads
nowhere once those stop, and nobody would have looked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.objects.endpoints import MAKER_LABEL, by_hand
from tasks.objects.labels import LEAVES_ANNOTATION
from tasks.objects.pods import Object, ReadObject
from tasks.objects.reached import chooses

ENGINE_PORT = "http"  # what the engine's port is called, in Services and in pods
SERVICE_LABEL = "kubernetes.io/service-name"  # of an EndpointSlice
# it copies the Endpoints that somebody wrote by hand
MIRROR = "endpointslicemirroring-controller.k8s.io"


@dataclass(frozen=True)
class Cut:
    """What leads to pods that stop and to none of those that follow. key: how a person agrees to
    it, a Service by its name, a port as SERVICE/PORT. agreed: when the release was adopted."""

    key: str
    text: str
    agreed: bool = False


def not_agreed(cut: Sequence[Cut], leaves: Collection[str], name: str) -> str:
    """Why rollout `name` goes no further, with the value to write; '' where all of it is agreed to.
    leaves: keys of a Cut, as the spec has them."""
    left = [item for item in cut if not item.agreed and item.key not in leaves]
    if not left:
        return ""
    keys = ", ".join(dict.fromkeys([*leaves, *(item.key for item in left)]))
    return (
        f"{'; '.join(item.text for item in left)}: point its clients to the Service of {name} "
        f"first, or agree to it by name with promotion.leaves: [{keys}]"
    )


def agreed_of(deploy: ReadObject) -> set[str]:
    """What may lead nowhere once a Deployment's pods stop: agreed to as it was adopted."""
    marks = deploy["metadata"].get("annotations") or {}
    return set(filter(None, str(marks.get(LEAVES_ANNOTATION) or "").split(",")))


def others_on(
    services: Iterable[Object], ours: Iterable[str], pods: Sequence[Mapping[str, str]]
) -> list[Object]:
    """The Services that choose some of these pods, but for `ours`, by name. Of one of type
    ExternalName nobody reads the selector."""
    return [
        item
        for item in services
        if item["metadata"]["name"] not in ours
        and item["spec"].get("type") != "ExternalName"
        and any(chooses(item["spec"].get("selector") or {}, labels) for labels in pods)
    ]


def kept_by_hand(services: Iterable[ReadObject]) -> set[str]:
    """The names of Services without a selector: whoever writes their EndpointSlices leads them."""
    return {
        str(item["metadata"]["name"])
        for item in services
        if not item["spec"].get("selector") and item["spec"].get("type") != "ExternalName"
    }


def led_by_hand(
    services: Collection[str], slices: Iterable[ReadObject], pods: Iterable[ReadObject]
) -> list[str]:
    """Of these Services those whose EndpointSlices name some of these pods, and are written by
    nobody who would follow: a controller of its own (another cluster's, a mesh's) does."""
    names, addresses = set[str](), set[str]()
    for pod in pods:
        names.add(pod["metadata"]["name"])
        if not (pod.get("spec") or {}).get("hostNetwork"):  # else they are the node's
            ips = (pod.get("status") or {}).get("podIPs") or []
            addresses |= {ip["ip"] for ip in ips if ip.get("ip")}
    found = set()
    for item in slices:
        marks = item["metadata"].get("labels") or {}
        if marks.get(SERVICE_LABEL) not in services or marks.get(MAKER_LABEL) not in (None, MIRROR):
            continue
        for end in item.get("endpoints") or []:
            about = end.get("targetRef") or {}
            told = about.get("kind", "Pod") == "Pod" and about.get("name") in names
            if told or addresses & set(end.get("addresses") or []):
                found.add(str(marks[SERVICE_LABEL]))
    return sorted(found)


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


def ports_lost(
    service: ReadObject,
    ports: Iterable[Mapping[str, Any]],
    before: ReadObject,
    comes: ReadObject,
    *,
    undeclared: bool,
) -> list[Cut]:
    """Those of a Service's ports that lead somewhere in pods of the template `before`, and nowhere
    in those of `comes`. undeclared: what is before may listen on numbers that it does not say."""
    out, name = [], service["metadata"]["name"]
    for port in ports:
        target = target_of(port)
        led = listens(before, target) or (undeclared and isinstance(target, int))
        if led and not listens(comes, target):
            text = (
                f"port {named(port)} of Service {name} leads to {target} in the pods, where the "
                "new release does not say that it listens (serving.pod may have containers that do)"
            )
            out.append(Cut(f"{name}/{named(port)}", text))
    return out


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
