"""Services as a rollout sees them: addresses, node ports, the switch, and a proxy that is late."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as official

from deployments.local.kube.network.endpoints import SERVICE_LABEL
from deployments.local.kube.network.proxy import Proxy, rules
from deployments.local.kube.objects.store import Object, Store
from tests.cluster.conftest import Kube
from tests.support.cluster.servers import server

LOOK = """
import sys, time, urllib.request
while True:
    try: word = urllib.request.urlopen(sys.argv[1], timeout=60).read().decode()
    except OSError as error: word = type(getattr(error, 'reason', error)).__name__
    print(word, flush=True)
    time.sleep(0.05)
"""


def serve(kube: Kube, selector: dict[str, str], **spec: Any) -> Any:
    """Create a Service 'front'."""
    port = {"port": 80, "targetPort": "http"}
    body = {"metadata": {"name": "front"}, "spec": {"selector": selector, "ports": [port], **spec}}
    return kube.core.create_namespaced_service(kube.ns, body)


def look(kube: Kube, url: str) -> None:
    """Start a pod 'looker' that asks an address all the while."""
    kube.pod("looker", kube.container(LOOK, args=[url]))


def seen(kube: Kube) -> list[str]:
    """What it saw until now."""
    return kube.log("looker").split() if kube.phase("looker") == "Running" else []


def saw(kube: Kube, word: str, more: int = 1) -> None:
    """Wait until it has seen a word once more (or `more` times)."""
    had = seen(kube).count(word)
    kube.until(lambda: seen(kube).count(word) >= had + more, f"{word} from {kube.ns}")


def slices(kube: Kube) -> list[tuple[str, Any]]:
    """(pod, conditions) of every endpoint of 'front'."""
    api = official.DiscoveryV1Api(kube.core.api_client)
    found = api.list_namespaced_endpoint_slice(kube.ns, label_selector=f"{SERVICE_LABEL}=front")
    return [(e.target_ref.name, e.conditions) for s in found.items for e in s.endpoints or []]


def ready(kube: Kube) -> set[str]:
    """Pods that the EndpointSlices of 'front' call ready."""
    return {name for name, conditions in slices(kube) if conditions.ready}


def names(kube: Kube, app: str) -> set[str]:
    return {pod.metadata.name for pod in kube.pods(f"app={app}")}


def test_a_service_switches_in_one_write_and_refuses_nobody(kube: Kube) -> None:
    for word in ("blue", "green"):
        kube.deploy(word, server(kube, word), labels={"colour": word}, replicas=2)
    address = serve(kube, {"colour": "blue"}).spec.cluster_ip
    for word in ("blue", "green"):
        kube.until(lambda word=word: kube.complete(word), f"{word} is ready")
    look(kube, f"http://{address}/")
    saw(kube, "blue", 20)
    before = seen(kube)
    kube.core.patch_namespaced_service(
        "front", kube.ns, {"spec": {"selector": {"colour": "green"}}}
    )
    kube.until(lambda: ready(kube) == names(kube, "green"), "the slices name the green pods")
    saw(kube, "green", 20)
    # refused before its rules were there, then blue, then green, and nothing in between
    after = "".join(word[0] for word in seen(kube)[before.index("blue") :])
    assert after.strip("b").strip("g") == ""


def test_a_service_without_endpoints_refuses(kube: Kube) -> None:
    address = serve(kube, {"colour": "none"}).spec.cluster_ip
    look(kube, f"http://{address}/")
    saw(kube, "ConnectionRefusedError", 5)
    assert slices(kube) == [] and set(seen(kube)) == {"ConnectionRefusedError"}


def test_a_node_port_leads_where_the_service_does(kube: Kube) -> None:
    kube.deploy("web", server(kube, "here"))
    made = serve(kube, {"app": "web"}, type="NodePort")
    number = made.spec.ports[0].node_port
    assert 30000 <= number < 32768
    kube.until(lambda: kube.complete("web"), "web is ready")
    node = kube.core.read_namespaced_pod(names(kube, "web").pop(), kube.ns).status.host_ip
    look(kube, f"http://{node}:{number}/")
    saw(kube, "here", 3)
    # the type goes and comes again, and the port with it
    for kind in ("ClusterIP", "NodePort"):
        changed = kube.core.patch_namespaced_service("front", kube.ns, {"spec": {"type": kind}})
        assert bool(changed.spec.ports[0].node_port) == (kind == "NodePort")


def test_a_node_port_that_is_taken_is_refused(kube: Kube) -> None:
    number = serve(kube, {"app": "web"}, type="NodePort").spec.ports[0].node_port
    for wrong, why in ((number, "already allocated"), (80, "not in the valid range")):
        ports = [{"port": 80, "nodePort": wrong}]
        body = {"metadata": {"name": "other"}, "spec": {"type": "NodePort", "ports": ports}}
        with pytest.raises(official.ApiException) as caught:
            kube.core.create_namespaced_service(kube.ns, body)
        assert caught.value.status == 422 and why in caught.value.body


def test_what_ends_serves_on_where_nothing_else_does(kube: Kube) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    container = server(kube, "still")
    container["command"] = ["python", "-c", f"{deaf}{container['command'][2]}"]
    kube.deploy("web", container, pod={"terminationGracePeriodSeconds": 600})
    address = serve(kube, {"app": "web"}).spec.cluster_ip
    kube.until(lambda: kube.complete("web"), "web is ready")
    look(kube, f"http://{address}/")
    saw(kube, "still")
    kube.apps.patch_namespaced_deployment_scale("web", kube.ns, {"spec": {"replicas": 0}})

    def ending() -> bool:
        found = [conditions for _, conditions in slices(kube)]
        return bool(found) and all(c.terminating and c.serving and not c.ready for c in found)

    kube.until(ending, "the slice calls it terminating")
    saw(kube, "still", 3)
    name = names(kube, "web").pop()
    shorter = official.V1DeleteOptions(grace_period_seconds=1)  # it has shown what it was to
    kube.core.delete_namespaced_pod(name, kube.ns, body=shorter)
    kube.until(lambda: not kube.pods("app=web"), "the pod is gone")
    saw(kube, "ConnectionRefusedError")


# -- the embedded proxy -----------------------------------------------------------------------


# of this run's own, for others may run on the same machine
ADDRESS = f"127.{200 + (os.getpid() >> 16 & 31)}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"


def front(**spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": 8000, **spec.pop("port", {})}]
    meta = {"name": "front", "namespace": "default"}
    return {"metadata": meta, "spec": {"clusterIP": ADDRESS, "ports": ports, **spec}}


def piece(*ends: tuple[str, dict[str, bool]], port: int = 8000) -> Object:
    """An EndpointSlice of 'front'."""
    return {
        "metadata": {"name": "s", "namespace": "default", "labels": {SERVICE_LABEL: "front"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port}],
        "endpoints": [{"addresses": [ip], "conditions": conditions} for ip, conditions in ends],
    }


READY = {"ready": True, "serving": True, "terminating": False}
ENDING = {"ready": False, "serving": True, "terminating": True}
UNREADY = {"ready": False, "serving": False, "terminating": False}
NODES = ["127.16.0.1"]


@pytest.mark.parametrize(
    ("service", "slices", "expected"),
    [
        (front(), [], {}),
        (front(), [piece(("a", UNREADY))], {}),
        (
            front(),
            [piece(("a", READY), ("b", ENDING), ("c", UNREADY))],
            {(ADDRESS, 80): [("a", 8000)]},
        ),
        (front(), [piece(("b", ENDING))], {(ADDRESS, 80): [("b", 8000)]}),
        (
            front(port={"nodePort": 30001}),
            [piece(("a", READY))],
            {(ADDRESS, 80): [("a", 8000)], ("127.16.0.1", 30001): [("a", 8000)]},
        ),
        (front(clusterIP="None"), [piece(("a", READY))], {}),
    ],
)
def test_the_rules_lead_to_what_is_ready(
    service: Object, slices: list[Object], expected: dict[Any, Any]
) -> None:
    assert rules([service], slices, NODES) == expected


@pytest.fixture
def answering() -> Iterator[tuple[str, int]]:
    """Something that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


def refused() -> bool:
    try:
        socket.create_connection((ADDRESS, 80), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_an_address_refuses_until_its_rules_are_there(
    answering: tuple[str, int], tmp_path: Path
) -> None:
    store = Store()
    store.create("namespaces", {"metadata": {"name": "default"}})
    store.create("services", front())
    store.create("endpointslices", piece((answering[0], READY), port=answering[1]))
    never = Proxy(store, {}, 3600.0)
    never.start()
    try:
        time.sleep(0.3)
        assert refused()  # the slices name a ready pod, and still nobody is let through
    finally:
        never.stop()
    soon = Proxy(store, {}, 0.0)
    soon.start()
    try:
        deadline = time.monotonic() + 30
        while refused() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not refused()
        store.remove("endpointslices", "default", "s")
        while not refused() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert refused()
    finally:
        soon.stop()
