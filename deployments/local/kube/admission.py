"""What a cluster adds to an object on its way in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from deployments.local.kube import pods
from deployments.local.kube.addresses import Addresses, free_node_port
from deployments.local.kube.controllers import NAMESPACE
from deployments.local.kube.kinds import BY_PLURAL
from deployments.local.kube.store import Event, Object, Store


class Admission:
    """Cluster addresses for Services, defaults for pods, the finalizer of namespaces."""

    def __init__(
        self, store: Store, services: Addresses, node_addresses: Callable[[], Mapping[str, str]]
    ) -> None:
        self._store, self._services, self._nodes = store, services, node_addresses
        self._ports: set[int] = set()
        self._lock = threading.Lock()
        store.listen(self._hear)

    def __call__(self, plural: str, obj: Object, old: Object | None) -> Object:
        """The object as it will be stored; `obj` itself is not changed."""
        if plural == "services":
            return self._service(obj, old)
        if plural == "jobs":
            obj = self._job(obj, old)
        if old is not None:
            return obj
        if plural == "pods":
            return pods.default(obj)
        if plural == "namespaces":
            meta = obj["metadata"]
            finalizers = [*(meta.get("finalizers") or []), NAMESPACE]
            name = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta.get("name")}
            return {
                **obj,
                "metadata": {**meta, "finalizers": finalizers, "labels": name},
                "status": {"phase": "Active"},
            }
        if "status" in BY_PLURAL[plural].subresources:
            return {"status": {}, **obj}
        return obj

    def _hear(self, event: Event) -> None:
        _, plural, what, obj = event
        if plural != "services" or what != "DELETED":
            return
        self._services.give(str(obj["spec"].get("clusterIP")))
        with self._lock:
            for port in obj["spec"].get("ports") or []:
                self._ports.discard(port.get("nodePort", 0))

    @staticmethod
    def _job(obj: Object, old: Object | None) -> Object:
        """A Job's selector, which its pods are found by; by name, for the uid is not known yet."""
        spec, name = obj["spec"], obj["metadata"].get("name")
        selector = spec.get("selector") or ((old or {}).get("spec") or {}).get("selector")
        if not selector and name and old is None:
            selector = {"matchLabels": {"batch.kubernetes.io/job-name": name}}
        return {**obj, "spec": {**spec, "selector": selector}} if selector else obj

    def _service(self, obj: Object, old: Object | None) -> Object:
        spec = {"type": "ClusterIP", "sessionAffinity": "None", **obj["spec"]}
        was = (old or {}).get("spec") or {}
        if spec["type"] != "ExternalName" and not spec.get("clusterIP"):
            spec["clusterIP"] = was.get("clusterIP") or self._services.take()
        if spec.get("clusterIP") not in (None, "None"):
            self._services.claim(spec["clusterIP"])
            spec.setdefault("clusterIPs", [spec["clusterIP"]])
        before = {port.get("name"): port for port in was.get("ports") or []}
        ports = []
        for port in spec.get("ports") or []:
            new = {"protocol": "TCP", "targetPort": port["port"], **port}
            if spec["type"] in ("NodePort", "LoadBalancer") and not new.get("nodePort"):
                kept = before.get(new.get("name"), {}).get("nodePort")
                new["nodePort"] = kept or self._node_port()
            ports.append(new)
        return {**obj, "spec": {**spec, "ports": ports}, "status": {"loadBalancer": {}}}

    def _node_port(self) -> int:
        with self._lock:
            address = next(iter(self._nodes().values()), "127.0.0.1")
            port = free_node_port(self._ports, address)
            self._ports.add(port)
            return port
