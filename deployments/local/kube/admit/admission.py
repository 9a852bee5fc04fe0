"""What a cluster adds to an object on its way in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deployments.local.kube.network.addresses import NODE_PORTS, Addresses, free_node_port
from deployments.local.kube.objects import pods
from deployments.local.kube.objects.kinds import BY_PLURAL, NAMESPACE
from deployments.local.kube.objects.status import invalid
from deployments.local.kube.objects.store import Event, Object, Store


class Admission:
    """Cluster addresses for Services, defaults for pods, the finalizer of namespaces."""

    def __init__(
        self, store: Store, services: Addresses, node_addresses: Callable[[], Mapping[str, str]]
    ) -> None:
        self._store, self._services, self._nodes = store, services, node_addresses
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
            pods.permit(self._store, obj)
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
        ports = [
            {"protocol": "TCP", "targetPort": port["port"], **port}
            for port in spec.get("ports") or []
        ]
        if spec["type"] in ("NodePort", "LoadBalancer"):
            ports = self._node_ports(obj["metadata"], ports, was.get("ports") or [])
        return {**obj, "spec": {**spec, "ports": ports}, "status": {"loadBalancer": {}}}

    def _node_ports(self, meta: Object, ports: list[Object], before: list[Object]) -> list[Object]:
        """The ports with node ports: as asked for, as they were, or new. StatusError 422."""
        mine = (meta.get("namespace"), meta["name"])
        taken = {
            port.get("nodePort", 0)
            for service in self._store.list("services")
            if (service["metadata"]["namespace"], service["metadata"]["name"]) != mine
            for port in service["spec"].get("ports") or []
        }
        kept = {port.get("name"): port.get("nodePort") for port in before}
        address = next(iter(self._nodes().values()), "127.0.0.1")
        out = []
        for i, port in enumerate(ports):
            number = port.get("nodePort")
            why = ""
            if number and number not in NODE_PORTS:
                why = "provided port is not in the valid range. The range of valid ports is "
                why += f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
            elif number and number in taken:
                why = "provided port is already allocated"
            if why:
                place = f"spec.ports[{i}].nodePort"
                raise invalid("Service", mine[1], f"{place}: Invalid value: {number}: {why}")
            number = number or kept.get(port.get("name")) or free_node_port(taken, address)
            taken.add(number)
            out.append({**port, "nodePort": number})
        return out
