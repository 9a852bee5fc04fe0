"""By which address a release is reached, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tasks.base.errors import StepFailed
from tasks.objects.labels import INSTANCE_LABEL, REACHED_ANNOTATION, RELEASE_LABEL
from tasks.objects.reached import Reached
from tasks.outside.kubernetes.access import Endpoint, astray, node_address, reach, release_pods
from tests.support.nodedata import make_spec

READY = [{"type": "Ready", "status": "True"}]
HTTP = {"name": "http", "port": 8000, "targetPort": "http"}


def node(name: str, *, up: bool = True, **addresses: str) -> dict[str, Any]:
    shown = [{"type": kind, "address": address} for kind, address in addresses.items()]
    conditions = READY if up else []
    return {"metadata": {"name": name}, "status": {"conditions": conditions, "addresses": shown}}


def pod(
    name: str, *, up: bool = True, at: str = "n1", port: int | None = 8000, of: str = "m-abc"
) -> dict[str, Any]:
    owner = {"kind": "ReplicaSet", "name": f"{of}-5d8"}
    ports = [{"name": "http", "containerPort": port}] if port else []
    return {
        "metadata": {"name": name, "ownerReferences": [owner]},
        "spec": {"nodeName": at, "containers": [{"name": "side"}, {"name": "e", "ports": ports}]},
        "status": {"podIP": "10.0.0.7", "conditions": READY if up else []},
    }


def service(**spec: Any) -> dict[str, Any]:
    whole = {"type": "ClusterIP", "clusterIP": "10.96.0.9", "ports": [HTTP], **spec}
    return {"metadata": {"name": "m"}, "spec": whole}


class Cluster:
    """What is read for it. asked: the lists, with their selectors."""

    def __init__(self, found: dict[str, Any] | None = None, **lists: list[Any]) -> None:
        self.found, self.lists = found, lists
        self.asked: list[tuple[str, str | None, str]] = []
        self.forwards: list[Any] = []

    def get(self, kind: str, name: str, ns: str) -> Any:
        assert (kind, name, ns) == ("Service", "m", "models")
        return self.found

    def list(self, kind: str, ns: str | None = None, label_selector: str = "") -> list[Any]:
        self.asked.append((kind, ns, label_selector))
        return self.lists.get(kind, [])

    @contextmanager
    def port_forward(self, name: str, ns: str, port: int) -> Iterator[int]:
        self.forwards.append((name, ns, port))
        yield 40123
        self.forwards.append("closed")


def reached(cluster: Cluster, mode: str, release: str = "abc", **serving: Any) -> Endpoint:
    spec = make_spec(
        {"name": "m", "namespace": "models", "access": {"mode": mode}, "serving": serving}
    )
    with reach(cluster, spec, "m", release) as found:  # type: ignore[arg-type]
        return found


@pytest.mark.parametrize(
    ("spec", "url"),
    [
        ({}, "http://10.96.0.9:8000"),
        # its own number, also where it is not the engine's
        ({"ports": [{**HTTP, "port": 80}]}, "http://10.96.0.9:80"),
        ({"ports": [{"name": "metrics", "port": 9}, {**HTTP, "port": 80}]}, "http://10.96.0.9:80"),
        ({"ports": [{"port": 81}]}, "http://10.96.0.9:81"),
        ({"clusterIP": "fd00::9"}, "http://[fd00::9]:8000"),
    ],
)
def test_the_cluster_address(spec: dict[str, Any], url: str) -> None:
    assert reached(Cluster(service(**spec)), "cluster") == Endpoint(url, "cluster address")


@pytest.mark.parametrize(
    ("mode", "found", "why"),
    [
        ("cluster", None, "Service models/m is gone"),
        ("node-port", None, "Service models/m is gone"),
        ("cluster", service(clusterIP="None"), "set access.mode to pod-ip"),
        ("cluster", service(clusterIP=""), "set access.mode to pod-ip"),
        (
            "cluster",
            service(ports=[{"name": "a", "port": 1}, {"name": "b", "port": 2}]),
            "has the ports a, b, and none is named 'http'",
        ),
        ("cluster", service(ports=None), "has the ports none"),
        ("node-port", service(), "has no node port; its type is ClusterIP"),
    ],
)
def test_a_service_that_does_not_lead_there(mode: str, found: Any, why: str) -> None:
    with pytest.raises(StepFailed, match=why):
        reached(Cluster(found), mode)


def test_a_node_port_is_asked_on_a_node_that_runs_the_release() -> None:
    nodes = [node("n0", InternalIP="192.0.2.1"), node("n1", InternalIP="192.0.2.2")]
    found = service(type="NodePort", ports=[{**HTTP, "nodePort": 31000}])
    cluster = Cluster(found, Node=nodes, Pod=[pod("a")])
    assert reached(cluster, "node-port") == Endpoint("http://192.0.2.2:31000", "node port")


@pytest.mark.parametrize(
    ("nodes", "pods", "address"),
    [
        ([node("b", InternalIP="2"), node("a", InternalIP="1")], [], "1"),
        ([node("a", InternalIP="1", up=False), node("b", InternalIP="2")], [], "2"),
        ([node("a", InternalIP="1"), node("b", InternalIP="2")], [pod("p", at="b")], "2"),
        # one that is not ready answers nobody
        ([node("a", InternalIP="1"), node("b", InternalIP="2")], [pod("p", at="b", up=False)], "1"),
        ([node("a", InternalIP="1"), node("b", InternalIP="2", up=False)], [pod("p", at="b")], "1"),
        ([node("a", InternalIP="1", up=False)], [], "1"),
        # an address from within before one from outside, on whichever node
        ([node("a", ExternalIP="9"), node("b", InternalIP="2")], [], "2"),
        ([node("a", Hostname="a", ExternalIP="9")], [], "9"),
    ],
)
def test_which_node_is_asked(nodes: list[Any], pods: list[Any], address: str) -> None:
    assert node_address(nodes, pods) == address


@pytest.mark.parametrize("nodes", [[], [node("a", Hostname="a")], [{"metadata": {"name": "a"}}]])
def test_no_node_shows_an_address(nodes: list[Any]) -> None:
    with pytest.raises(StepFailed, match="no node shows an address"):
        node_address(nodes, [])


def test_a_pods_address_is_the_first_ready_ones_at_its_own_port() -> None:
    cluster = Cluster(Pod=[pod("a", up=False), pod("b", port=9000)])
    assert reached(cluster, "pod-ip") == Endpoint("http://10.0.0.7:9000", "pod address")
    # one that names no port listens where the spec says
    cluster = Cluster(Pod=[pod("b", port=None)])
    assert reached(cluster, "pod-ip", port=8123).url == "http://10.0.0.7:8123"
    with pytest.raises(StepFailed, match="no pod of release abc is ready"):
        reached(Cluster(Pod=[pod("a", up=False)]), "pod-ip")


def test_a_port_forward_lasts_as_long_as_it_is_used() -> None:
    cluster = Cluster(Pod=[pod("b", port=9000)])
    assert reached(cluster, "port-forward") == Endpoint("http://127.0.0.1:40123", "port-forward")
    assert cluster.forwards == [("b", "models", 9000), "closed"]


def test_pods_and_slices_are_asked_for_by_their_labels() -> None:
    found: Any = Cluster(Pod=[pod("a")], EndpointSlice=[])
    assert release_pods(found, "models", "m", "abc") == [pod("a")]
    assert astray(found, "models", "m", [pod("a")]) == "it does not lead to a yet"
    (kind, ns, pods), slices = found.asked
    assert (kind, ns) == ("Pod", "models")
    assert set(pods.split(",")) >= {"app.kubernetes.io/instance=m", "model-rollout/release=abc"}
    assert slices == ("EndpointSlice", "models", "kubernetes.io/service-name=m")


@pytest.mark.parametrize(("target", "port"), [(8123, 8123), ("web", 9000)])
def test_an_adopted_release_is_reached_as_it_was(target: Any, port: int) -> None:
    """By the selector and the port of the Service that was in front of it."""
    spec, ports = {"app": "vllm"}, [{"port": 80, "targetPort": target}]
    note = {REACHED_ANNOTATION: Reached("adopted-1", spec, ports).text()}
    labels = {INSTANCE_LABEL: "m", RELEASE_LABEL: "adopted-1"}
    meta = {"name": "d", "namespace": "models", "annotations": note, "labels": labels}
    deploy = {"metadata": meta}
    one = pod("b", of="d")
    one["metadata"] |= {"namespace": "models", "labels": spec}
    one["spec"]["containers"][1]["ports"] = [{"name": "web", "containerPort": 9000}]
    cluster: Any = Cluster(Pod=[one], Deployment=[deploy])
    (found,) = release_pods(cluster, "models", "m", "adopted-1")
    assert found["metadata"]["labels"] == {**spec, **labels} and found["spec"] == one["spec"]
    assert cluster.asked[-1] == ("Pod", "models", "app=vllm")
    assert reached(cluster, "pod-ip", "adopted-1").url == f"http://10.0.0.7:{port}"
    # its Deployment is gone, and its pods with it
    gone: Any = Cluster(Pod=[])
    assert release_pods(gone, "models", "m", "adopted-1") == []
