"""The vendor's DaemonSets on a node, and what a sharing plugin wrote there of itself."""

from __future__ import annotations

import re
from typing import Any

from tasks.accelerators.profiles import PROFILES
from tasks.accelerators.types import Profile
from tasks.nodes.facts import ApiFacts, DaemonPod
from tasks.nodes.reasons import Reason, error, warning
from tasks.nodes.units.choice import OTHERS, ZERO
from tasks.nodes.units.register import registers

PLUGIN = re.compile(r"device-?plugin(-(daemonset|ds))?$", re.IGNORECASE)


def component_reasons(profile: Profile, api: ApiFacts, resource: str) -> list[Reason]:
    """The vendor's DaemonSets on this node."""
    out: list[Reason] = []
    roles: dict[str, list[Any]] = {}
    for pod in api.daemons:
        role = profile.component_role(pod.daemonset, pod.images)
        if role:
            roles.setdefault(role, []).append(pod)
    plugins = [*roles.get("device-plugin", []), *roles.get("virtual-plugin", [])]
    if roles.get("device-plugin") and roles.get("virtual-plugin"):
        out.append(
            error(
                "PLUGINS_CONFLICT",
                f"DaemonSets {' and '.join(sorted(p.daemonset for p in plugins))} both run here",
                "the whole-card plugin or the virtual one",
                "remove one: they register the same cards twice and capacity swings",
            )
        )
    capacity = api.capacity.get(resource, ZERO)
    if resource and capacity > 0 and api.allocatable.get(resource, ZERO) == 0:
        out.append(
            error(
                "PLUGIN_UNHEALTHY",
                f"{resource}: 0 allocatable of {capacity}",
                "allocatable devices",
                "the device plugin is gone or sees no healthy card: look at its pod's log",
            )
        )
    if capacity > api.allocatable.get(resource, ZERO) > 0:
        out.append(
            warning(
                "CARD_UNHEALTHY",
                f"{resource}: {api.allocatable[resource]} allocatable of {capacity}",
                "every device allocatable",
                "the device plugin takes the others for unhealthy: its log says which, and why",
            )
        )
    for pod in plugins:
        if not pod.ready:
            out.append(
                error(
                    "PLUGIN_UNHEALTHY",
                    f"pod of DaemonSet {pod.namespace}/{pod.daemonset}: {pod.note}",
                    "Ready",
                    "look at its log: it cannot hand out cards",
                )
            )
    if not plugins:
        out += _perhaps(api)
    out += _gone(profile, api, resource, roles)
    running = {p.daemonset for p in api.daemons}
    for name, (namespace, images) in api.expected_daemons.items():
        if profile.component_role(name, images) == "device-plugin" and name not in running:
            if plugins:
                continue
            out.append(
                error(
                    "PLUGIN_UNHEALTHY",
                    f"DaemonSet {namespace}/{name} has no pod here",
                    "a Ready pod",
                    "look at the DaemonSet's events (taints, quota, node selector)",
                )
            )
    for role in ("label-node", "exporter", "dra-driver"):
        out += [
            warning(
                "COMPONENT_UNHEALTHY",
                f"pod of DaemonSet {pod.namespace}/{pod.daemonset} ({role}): {pod.note}",
                "Ready",
                "labels, metrics or claims of this node may be stale",
            )
            for pod in roles.get(role, [])
            if not pod.ready
        ]
    return out


def _perhaps(api: ApiFacts) -> list[Reason]:
    """Pods that no vendor's row knows and that are device plugins by their names, but not Ready."""
    return [
        warning(
            "PLUGIN_UNHEALTHY",
            f"pod of DaemonSet {pod.namespace}/{pod.daemonset}, which no row knows: {pod.note}",
            "Ready, where it is the vendor's device plugin",
            "look at its log: if it is, it cannot hand out cards",
        )
        for pod in api.daemons
        if not pod.ready and _plugin_by_name(pod)
    ]


def _plugin_by_name(pod: DaemonPod) -> bool:
    images = [image.rsplit("/", 1)[-1] for image in pod.images]
    names = [pod.daemonset, *(re.split("[:@]", image)[0] for image in images)]
    known = any(row.component_role(pod.daemonset, pod.images) for row in PROFILES.values())
    others = any(OTHERS.search(name) for name in names)
    return not known and not others and any(PLUGIN.search(name) for name in names)


def _gone(
    profile: Profile, api: ApiFacts, resource: str, roles: dict[str, list[Any]]
) -> list[Reason]:
    """A sharing plugin that took its registration back, where no other plugin took its place."""
    if not resource or (roles.get("device-plugin") and not roles.get("virtual-plugin")):
        return []
    found = [
        register
        for sharing in profile.sharings
        for register in registers(api.annotations, sharing.register, resource)
    ]
    out = [
        warning(
            "FACT_UNKNOWN",
            register.broken,
            "uuid,split,memory,... or a JSON list, as HAMi documents them",
            "look at the plugin's version and log; what it shares out was not judged",
        )
        for register in found
        if register.broken
    ]
    if not found or not all(register.gone for register in found):
        return out
    return [
        *out,
        error(
            "PLUGIN_UNHEALTHY",
            f"{found[0].key} is there, its handshake reads {found[0].gone}",
            "a registration that the sharing plugin renews",
            "restart the plugin's pod on the node: its scheduler places nothing there now",
        ),
    ]
