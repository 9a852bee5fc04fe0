"""What a vendor's components should bring to the nodes, and what is still missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from tasks.accelerators.profiles import Profile
from tasks.base.errors import SpecError
from tasks.nodes.facts import ApiFacts
from tasks.objects.pods import Object

# What must exist before what uses it; the rest follows in the files' order.
_FIRST = (
    "Namespace",
    "CustomResourceDefinition",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Secret",
    "ConfigMap",
)


def read_manifests(texts: Mapping[str, str]) -> list[Object]:
    """All objects of some YAML files ({file name: text}), in an order that can be applied.

    SpecError has one line per problem: not YAML, not an object, no kind or name.
    """
    found: list[Object] = []
    problems: list[str] = []
    for name, text in texts.items():
        try:
            documents = list(yaml.safe_load_all(text))
        except (yaml.YAMLError, ValueError) as error:
            problems.append(f"{name}: not valid YAML: {str(error).splitlines()[0]}")
            continue
        for index, document in enumerate(documents):
            if document is None:
                continue
            items = (
                document.get("items") or []
                if isinstance(document, dict) and str(document.get("kind")).endswith("List")
                else [document]
            )
            for item in items:
                if _sound(item):
                    found.append(item)
                else:
                    problems.append(
                        f"{name}: document {index + 1} is no Kubernetes object; expected "
                        "apiVersion, kind and metadata.name"
                    )
    if not found and not problems:
        problems.append("the files hold no object; give the vendor's YAML files")
    if problems:
        raise SpecError(problems)
    rank = {kind: at for at, kind in enumerate(_FIRST)}
    return sorted(found, key=lambda item: rank.get(item["kind"], len(_FIRST)))


def _sound(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and bool(item.get("apiVersion"))
        and bool(item.get("kind"))
        and isinstance(item.get("metadata"), dict)
        and bool(item["metadata"].get("name"))
    )


def missing(profile: Profile, nodes: Iterable[ApiFacts], expected: Sequence[str]) -> list[str]:
    """What the expected nodes still lack, one line each; [] when all is there.

    A node must carry one of the profile's presence labels and offer at least one device.
    """
    by_name = {node.name: node for node in nodes}
    out = []
    for name in expected:
        node = by_name.get(name)
        if node is None:
            out.append(f"{name}: no such node in the cluster")
            continue
        if profile.labels.presence and not any(
            node.labels.get(key) for key in profile.labels.presence
        ):
            keys = " or ".join(profile.labels.presence)
            out.append(f"{name}: label {keys} is missing; is the label-node pod running there?")
        offered = [
            resource
            for resource, amount in node.allocatable.items()
            if amount > 0 and profile.resource_kind(resource)
        ]
        if profile.has_devices and not offered:
            hint = "; ".join(_plugin_troubles(profile, node)) or "no device plugin is meant for it"
            out.append(f"{name}: no {profile.name} resource is allocatable ({hint})")
    return out


def _plugin_troubles(profile: Profile, node: ApiFacts) -> list[str]:
    """What keeps the vendor's device plugin from offering cards on a node."""
    plugins = ("device-plugin", "virtual-plugin")
    running = {pod.daemonset for pod in node.daemons}
    out = [
        f"{pod.daemonset}: {pod.note}"
        if not pod.ready
        else f"{pod.daemonset} runs there and offers none: look at its log"
        for pod in node.daemons
        if profile.component_role(pod.daemonset, pod.images) in plugins
    ]
    out += [
        f"DaemonSet {namespace}/{daemonset} has no pod there: look at its events"
        for daemonset, (namespace, images) in node.expected_daemons.items()
        if daemonset not in running and profile.component_role(daemonset, images) in plugins
    ]
    return out
