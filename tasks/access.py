"""By which address the flow reaches a release. THIN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.cluster import Cluster, Object
from tasks.errors import StepFailed
from tasks.render import selector
from tasks.spec import Rollout


@dataclass(frozen=True)
class Endpoint:
    """url: http address without /v1. how: the means, for the record."""

    url: str
    how: str


def ready(pod: Object) -> bool:
    """A pod that is Ready and not on its way out."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return is_ready and not pod["metadata"].get("deletionTimestamp")


def release_pods(cluster: Cluster, namespace: str, name: str, release: str) -> list[Object]:
    """All pods of one release."""
    chosen = ",".join(f"{key}={value}" for key, value in selector(name, release).items())
    return cluster.list("Pod", namespace, label_selector=chosen)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@contextmanager
def reach(cluster: Cluster, spec: Rollout, service: str, release: str) -> Iterator[Endpoint]:
    """An address of `service`, or of one ready pod of `release`, by the spec's means.

    Raises StepFailed when that means does not lead there.
    """
    mode, ns, port = spec.access.mode, spec.namespace, spec.serving.port
    if mode in ("cluster", "node-port"):
        found = cluster.get("Service", service, ns)
        if found is None:
            raise StepFailed(f"Service {ns}/{service} is gone; somebody deleted it, run again")
        if mode == "cluster":
            address = found["spec"].get("clusterIP", "")
            if address in ("", "None"):
                raise StepFailed(
                    f"Service {ns}/{service} has no cluster address; set access.mode to pod-ip"
                )
            yield Endpoint(f"http://{_host(address)}:{port}", "cluster address")
            return
        node_port = next((p.get("nodePort") for p in found["spec"]["ports"]), None)
        if not node_port:
            raise StepFailed(
                f"Service {ns}/{service} has no node port; its type is "
                f"{found['spec'].get('type')}, access.mode node-port needs NodePort"
            )
        yield Endpoint(f"http://{_host(_node_address(cluster))}:{node_port}", "node port")
        return
    pod = next((p for p in release_pods(cluster, ns, spec.name, release) if ready(p)), None)
    if pod is None:
        raise StepFailed(f"no pod of release {release} is ready; look at its events")
    if mode == "pod-ip":
        yield Endpoint(f"http://{_host(pod['status']['podIP'])}:{port}", "pod address")
        return
    with cluster.port_forward(pod["metadata"]["name"], ns, port) as local:
        yield Endpoint(f"http://127.0.0.1:{local}", "port-forward")


def _node_address(cluster: Cluster) -> str:
    for node in cluster.list("Node"):
        for address in (node.get("status") or {}).get("addresses") or []:
            if address["type"] == "InternalIP":
                return str(address["address"])
    raise StepFailed("no node shows an InternalIP; set access.mode to cluster or pod-ip")
