"""By which address the flow reaches a release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.base.errors import Refused, StepFailed
from tasks.objects.down import Down, down_of
from tasks.objects.endpoints import leads_astray
from tasks.objects.labels import ADOPTED, INSTANCE_LABEL, RELEASE_LABEL
from tasks.objects.ours import marks_of_all
from tasks.objects.pods import image_digests, ready
from tasks.objects.reached import (
    belongs_to,
    chooses,
    deployment_name,
    labelled,
    leads_to,
    reached_of,
    told_apart,
)
from tasks.objects.replicas import available_of
from tasks.outside.kubernetes.client import Cluster, Forbidden, Object
from tasks.release.state import configmap_name
from tasks.render.release import selector
from tasks.render.services import PORT, our_port, selector_of, target_port
from tasks.spec.rollout import Rollout

__all__ = [
    "Endpoint",
    "astray",
    "bent_now",
    "chosen_of",
    "chosen_pods",
    "engine_port",
    "images_of",
    "node_address",
    "pod_url",
    "pods_apart",
    "reach",
    "ready_pods",
    "release_pods",
    "rollout_pods",
    "rollouts",
    "selector_text",
    "slices_of",
    "strangers_of",
]


@dataclass(frozen=True)
class Endpoint:
    """url: http address without /v1. how: the means, for the record."""

    url: str
    how: str


def release_pods(cluster: Cluster, namespace: str, name: str, release: str) -> list[Object]:
    """All pods of one release, and none that only carries its labels."""
    return pods_apart(cluster, namespace, name, release)[0]


def pods_apart(
    cluster: Cluster, namespace: str, name: str, release: str
) -> tuple[list[Object], list[Object]]:
    """What a Service that leads to a release chooses: the release's pods, and those that only carry
    its labels."""
    adopted = _adopted(cluster, namespace, name, release)
    its = adopted["metadata"]["name"] if adopted else deployment_name(name, release)
    chosen = selector_of(adopted) if adopted else selector(name, release)
    found = chosen_pods(cluster, namespace, chosen)
    ours = [pod for pod in found if belongs_to(pod, its)]
    strange = [pod for pod in found if not belongs_to(pod, its)]
    return labelled(ours, [adopted] if adopted else []), strange


def down(
    cluster: Cluster, namespace: str, name: str, serving: str | None, deployments: Iterable[Object]
) -> Down | None:
    """What is wrong where a Service leads to a release of which nothing answers."""
    for item in deployments:
        its = item["metadata"]["labels"].get(RELEASE_LABEL)
        if serving and its == serving and not available_of(item):
            pods = release_pods(cluster, namespace, name, serving)
            return down_of(item, pods, cluster.now(), _nodes(cluster))
    return None


def _nodes(cluster: Cluster) -> list[Object]:
    """Every node; none where they may not be read."""
    try:
        return cluster.list("Node")
    except Forbidden:
        return []


def strangers_of(
    cluster: Cluster,
    namespace: str,
    name: str,
    releases: Iterable[str | None],
    copies: Sequence[Object],
) -> dict[str, str]:
    """What carries the labels of these releases and is not their own, in words, by release. copies:
    Deployments that carry a release's labels and are no release's."""
    out: dict[str, str] = {}
    for release in filter(None, releases):
        marks = selector(name, release)
        named = [
            f"Deployment {item['metadata']['name']}"
            for item in copies
            if chooses(marks, item["metadata"].get("labels"))
        ]
        _, pods = pods_apart(cluster, namespace, name, release)
        named += [f"pod {pod['metadata']['name']}" for pod in pods]
        if named:
            out[release] = ", ".join(sorted(named))
    return out


def chosen_pods(cluster: Cluster, namespace: str, chosen: Mapping[str, str]) -> list[Object]:
    """All pods that a Service's selector chooses."""
    return cluster.list("Pod", namespace, label_selector=selector_text(chosen))


def ready_pods(cluster: Cluster, namespace: str, chosen: Mapping[str, str]) -> list[Object]:
    """Those of them that answer; an empty selector chooses none."""
    return [pod for pod in chosen_pods(cluster, namespace, chosen) if ready(pod)] if chosen else []


def chosen_of(cluster: Cluster, service: Object | None, deploy: Object) -> bool:
    """Whether a Service chooses pods of a Deployment, or would: also those that carry more than its
    pod template says, as the template's own hash."""
    chosen = (service or {"spec": {}})["spec"].get("selector") or {}
    if chooses(chosen, deploy["spec"]["template"].get("metadata", {}).get("labels")):
        return True
    meta = deploy["metadata"]
    pods = chosen_pods(cluster, meta["namespace"], chosen) if chosen else []
    return any(belongs_to(pod, meta["name"]) for pod in pods)


def bent_now(cluster: Cluster, service: Object | None, deployments: Iterable[Object]) -> bool:
    """Whether a Service that names one of these releases chooses none of its pods: an applied
    manifest brings a former selector back beside the one it has."""
    leads = leads_to(service)
    return leads is not None and any(
        item["metadata"]["labels"].get(RELEASE_LABEL) == leads
        and not chosen_of(cluster, service, item)
        for item in deployments
    )


def images_of(
    cluster: Cluster, namespace: str, name: str, release: str | None
) -> dict[str, tuple[str, ...]]:
    """By release, the imageIDs that its ready pods run."""
    pods = release_pods(cluster, namespace, name, release) if release else []
    return {release: tuple(image_digests(list(filter(ready, pods))))} if release else {}


def selector_text(chosen: Mapping[str, str]) -> str:
    """A selector as the API is asked by it."""
    return ",".join(f"{key}={value}" for key, value in chosen.items())


def _adopted(cluster: Cluster, namespace: str, name: str, release: str) -> Object | None:
    """The Deployment of an adopted release, which says how its pods are reached."""
    if not release.startswith(ADOPTED):
        return None
    ours = selector_text(selector(name, release))
    found, _ = told_apart(name, cluster.list("Deployment", namespace, label_selector=ours))
    return next(iter(found), None)


def rollout_pods(cluster: Cluster, namespace: str, name: str) -> list[Object]:
    """All pods of one rollout, those of an adopted release labelled as ours are."""
    kept = cluster.list("Deployment", namespace, label_selector=f"{INSTANCE_LABEL}={name}")
    adopted = [item for item in told_apart(name, kept)[0] if reached_of(item)]
    chosen = [{INSTANCE_LABEL: name}, *(selector_of(item) for item in adopted)]
    every = [pod for one in chosen for pod in chosen_pods(cluster, namespace, one)]
    kept = labelled({pod["metadata"]["name"]: pod for pod in every}.values(), adopted)
    mine = {INSTANCE_LABEL: name}
    return [pod for pod in kept if chooses(mine, pod["metadata"].get("labels"))]


def made_by_all(cluster: Cluster, kind: str, role: str, namespace: str | None) -> list[Object]:
    """Every rollout's objects of a kind and role; namespace None: of all."""
    return cluster.list(kind, namespace, label_selector=selector_text(marks_of_all(role)))


def rollouts(cluster: Cluster, namespace: str | None) -> list[tuple[str, str]]:
    """Every rollout that has a state, or an engine though its state is lost: (namespace, name)."""
    found: set[tuple[str, str]] = set()
    for item in made_by_all(cluster, "ConfigMap", "state", namespace):
        meta = item["metadata"]
        found.add((meta["namespace"], meta["name"].removeprefix(configmap_name(""))))
    for item in made_by_all(cluster, "Deployment", "engine", namespace):
        meta = item["metadata"]
        found.add((meta["namespace"], meta["labels"].get(INSTANCE_LABEL, "")))
    return sorted(key for key in found if key[1])


def astray(cluster: Cluster, namespace: str, service: str, pods: Sequence[Object]) -> str:
    """Why a Service does not lead to exactly the ready ones of these pods; '' when it does."""
    return leads_astray(slices_of(cluster, namespace, service), pods)


def slices_of(cluster: Cluster, namespace: str, service: str) -> list[Object]:
    """The EndpointSlices of a Service, whoever made them."""
    label = f"kubernetes.io/service-name={service}"
    return cluster.list("EndpointSlice", namespace, label_selector=label)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@contextmanager
def reach(cluster: Cluster, spec: Rollout, service: str, release: str) -> Iterator[Endpoint]:
    """An address of `service`, or of one ready pod of `release`, by the spec's means.

    Raises StepFailed when that means does not lead there.
    """
    mode, ns = spec.access.mode, spec.namespace
    if mode in ("cluster", "node-port"):
        found = cluster.get("Service", service, ns)
        if found is None:
            raise StepFailed(f"Service {ns}/{service} is gone; somebody deleted it, run again")
        # its own number: clients know it, and it outlives a release that listens elsewhere
        try:
            entry = our_port(found["spec"].get("ports") or [], f"Service {ns}/{service}")
        except Refused as error:
            raise StepFailed(str(error)) from error
        if mode == "cluster":
            address = found["spec"].get("clusterIP", "")
            if address in ("", "None"):
                raise StepFailed(
                    f"Service {ns}/{service} has no cluster address; set access.mode to pod-ip"
                )
            yield Endpoint(f"http://{_host(address)}:{entry['port']}", "cluster address")
            return
        node_port = entry.get("nodePort")
        if not node_port:
            raise StepFailed(
                f"Service {ns}/{service} has no node port; its type is "
                f"{found['spec'].get('type')}, access.mode node-port needs NodePort"
            )
        pods = release_pods(cluster, ns, spec.name, release)
        address = node_address(cluster.list("Node"), pods)
        yield Endpoint(f"http://{_host(address)}:{node_port}", "node port")
        return
    pods = release_pods(cluster, ns, spec.name, release)
    pod = next((p for p in pods if ready(p)), None)
    if pod is None:
        raise StepFailed(f"no pod of release {release} is ready; look at its events")
    port = engine_port(pod, spec.serving.port)
    if mode == "pod-ip":
        yield Endpoint(pod_url(pod, port), "pod address")
        return
    with cluster.port_forward(pod["metadata"]["name"], ns, port) as local:
        yield Endpoint(f"http://127.0.0.1:{local}", "port-forward")


def pod_url(pod: Object, port: int) -> str:
    """Of a port at a pod's own address."""
    return f"http://{_host((pod.get('status') or {}).get('podIP') or '')}:{port}"


def engine_port(pod: Object, default: int) -> int:
    """Where this pod's engine listens: another release's may listen elsewhere than the spec's, and
    an adopted one's where its Service sent to."""
    reached = reached_of(pod)
    target = target_port(reached) if reached else PORT
    if isinstance(target, int):
        return target
    ports = [port for item in pod["spec"]["containers"] for port in item.get("ports") or []]
    return next((int(p["containerPort"]) for p in ports if p.get("name") == target), default)


def node_address(nodes: Sequence[Object], pods: Sequence[Object]) -> str:
    """The address of the node to ask for a node port.

    One that runs a ready pod of the release, which answers whatever the Service's traffic policy,
    before one that is Ready, before any. Raises StepFailed when no node shows an address.
    """
    here = {pod["spec"].get("nodeName") for pod in pods if ready(pod)}

    def rank(node: Object) -> tuple[bool, bool, str]:
        return (not ready(node), node["metadata"]["name"] not in here, node["metadata"]["name"])

    for kind in ("InternalIP", "ExternalIP"):
        for node in sorted(nodes, key=rank):
            for address in (node.get("status") or {}).get("addresses") or []:
                if address["type"] == kind:
                    return str(address["address"])
    raise StepFailed("no node shows an address; set access.mode to cluster or pod-ip")
