"""The Services of a rollout, each made in one place.

The stable Service is its clients' address and outlives every release: a switch moves its selector
and lets each release say where it listens. Everything else stays as it is found, whoever set it:
port and node port numbers, policies, a load balancer. A type is only ever widened.
"""

from __future__ import annotations

import copy

from tasks.base.errors import Refused
from tasks.objects.labels import (
    INSTANCE_LABEL,
    KIND_LABEL,
    MANAGED_LABEL,
    MANAGER,
    REACHED_ANNOTATION,
    RELEASE_LABEL,
    SERVICE_ANNOTATION,
    SWITCHED_ANNOTATION,
)
from tasks.objects.pods import Object
from tasks.objects.reached import Reached, Switched, reached_of
from tasks.release.state import Release
from tasks.render.release import ServiceType, selector, service_type
from tasks.spec.rollout import Rollout

PORT = "http"  # name of the engine's port, in Services and in pods


def service(spec: Rollout, release: Release, *, candidate: bool) -> Object:
    """The stable Service `<name>`, or the candidate's own `<name>-candidate`."""
    where = (spec.namespace, spec.name)
    return _service(where, release.id, spec.serving.port, service_type(spec), candidate=candidate)


def stable_service(deploy: Object) -> Object:
    """The stable Service that leads to a release's Deployment, without its spec: the Deployment
    says where it listens and what its rollout needs of the Service."""
    meta = deploy["metadata"]
    containers = deploy["spec"]["template"]["spec"]["containers"]
    ports = [port for container in containers for port in container.get("ports") or []]
    number = next((p["containerPort"] for p in ports if p.get("name") == PORT), 8000)
    kind = (meta.get("annotations") or {}).get(SERVICE_ANNOTATION, "ClusterIP")
    where = (meta["namespace"], meta["labels"][INSTANCE_LABEL])
    release = meta["labels"][RELEASE_LABEL]
    body = _service(
        where, release, number, "NodePort" if kind == "NodePort" else "ClusterIP", candidate=False
    )
    if reached := reached_of(deploy):
        body["metadata"]["annotations"] = {REACHED_ANNOTATION: reached.text()}
        body["spec"].update(selector=dict(reached.selector), ports=copy.deepcopy(reached.ports))
        if any(port.get("nodePort") for port in reached.ports):
            body["spec"]["type"] = "NodePort"
    return body


def leading_nowhere(deploy: Object) -> Object:
    """The stable Service that a release's Deployment would have, before it leads to any."""
    body = stable_service(deploy)
    del body["spec"]["selector"], body["metadata"]["labels"][RELEASE_LABEL]
    body["metadata"].pop("annotations", None)  # how an adopted one was reached
    return body


def selector_of(deploy: Object) -> dict[str, str]:
    """By which the pods of a release are reached, whoever made it."""
    if reached := reached_of(deploy):
        return dict(reached.selector)
    labels = deploy["metadata"]["labels"]
    return selector(labels[INSTANCE_LABEL], labels[RELEASE_LABEL])


def target_port(reached: Reached) -> int | str:
    """Where the engine of an adopted release listens: a number, or a port's name in its pods."""
    port = our_port(reached.ports, f"the Service in front of {reached.release}")
    found = port.get("targetPort", port["port"])
    return found if isinstance(found, int) else str(found)


def _service(
    where: tuple[str, str], release: str, port: int, kind: ServiceType, *, candidate: bool
) -> Object:
    namespace, name = where
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"{name}-candidate" if candidate else name,
            "namespace": namespace,
            "labels": {
                INSTANCE_LABEL: name,
                MANAGED_LABEL: MANAGER,
                KIND_LABEL: "candidate" if candidate else "stable",
                RELEASE_LABEL: release,
            },
        },
        "spec": {
            "type": kind,
            "selector": selector(name, release),
            "ports": [{"name": PORT, "port": port, "targetPort": PORT}],
        },
    }


def switch(found: Object, wanted: Object) -> Object:
    """The merge patch that makes an existing Service lead where `wanted` leads.

    Raises Refused for a Service that cannot lead to pods, or not in the way asked for.
    """
    meta, spec = found["metadata"], found["spec"]
    where = f"Service {meta.get('namespace')}/{meta['name']}"
    kind = spec.get("type") or "ClusterIP"
    if kind == "ExternalName":
        raise Refused(
            f"{where} is of type ExternalName and leads to no pod; make it ClusterIP, or give the "
            "rollout another name"
        )
    chosen = wanted["spec"]["selector"]
    # a key that stays would have to match as well
    gone = dict.fromkeys((spec.get("selector") or {}).keys() - chosen.keys())
    body: Object = {
        "metadata": {"labels": {RELEASE_LABEL: wanted["metadata"]["labels"][RELEASE_LABEL]}},
        "spec": {"selector": {**gone, **chosen}},
    }
    ports = copy.deepcopy(spec.get("ports") or [])
    ours = our_port(ports, where)
    target: int | str = PORT
    if reached := reached_of(wanted):  # as it was, in the same write
        target = target_port(reached)
        body["metadata"]["annotations"] = {REACHED_ANNOTATION: reached.text()}
    if ours.get("targetPort") != target:
        ours["targetPort"] = target
        body["spec"]["ports"] = ports
    if wanted["spec"]["type"] == "NodePort" and not ours.get("nodePort"):
        if kind == "LoadBalancer":
            raise Refused(
                f"{where} is a load balancer without node ports, and access.mode node-port needs "
                "one; set its allocateLoadBalancerNodePorts to true, or choose another access.mode"
            )
        if spec.get("clusterIP") == "None":
            raise Refused(
                f"{where} is headless and can have no node port, which access.mode node-port "
                "needs; choose access.mode pod-ip, or delete the Service to have it made anew"
            )
        body["spec"]["type"] = "NodePort"
    return body


def our_port(ports: list[Object], where: str) -> Object:
    """The entry of a Service's ports that leads to the engine: `http`, or the only one.

    Raises Refused when it cannot be told.
    """
    named = [port for port in ports if port.get("name") == PORT]
    if named or len(ports) == 1:
        return (named or ports)[0]
    listed = ", ".join(str(port.get("name") or port.get("port")) for port in ports) or "none"
    raise Refused(
        f"{where} has the ports {listed}, and none is named '{PORT}': name the one that leads to "
        "the engine so"
    )


def switched_by(body: Object, mark: Switched) -> Object:
    """A Service, or a patch of one, that says how it came to lead where it leads."""
    meta = body.get("metadata") or {}
    marks = {**(meta.get("annotations") or {}), SWITCHED_ANNOTATION: mark.text()}
    return {**body, "metadata": {**meta, "annotations": marks}}
