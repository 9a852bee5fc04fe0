"""How lists and maps of Kubernetes objects merge: by key, as sets, or whole.

Source: `x-kubernetes-patch-merge-key`, `x-kubernetes-list-map-keys`, `x-kubernetes-list-type` and
`x-kubernetes-map-type` in the Kubernetes OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_PATCH_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "conditions": "type",
    "addresses": "type",
    "ownerReferences": "uid",
    "secrets": "name",
    "taints": "key",
    "claims": "name",
}
# Lists of server-side apply that are whole there, though a strategic merge knows a key.
_ATOMIC_LISTS = {"taints", "addresses", "secrets"}
SETS = {"finalizers"}
ATOMIC_MAPS = {
    "selector",
    "labelSelector",
    "namespaceSelector",
    "nodeSelector",
    "roleRef",
    "configMapKeyRef",
    "secretKeyRef",
    "fieldRef",
    "resourceFieldRef",
    "managedFields",
}
_DEFAULTS = {"protocol": "TCP"}


def patch_key(field: str, items: Sequence[Any]) -> str | None:
    """The merge key of a strategic merge patch; None for a list that is replaced.

    items: of either side; they tell a Service's ports from a container's.
    """
    if field == "ports" and any(isinstance(item, Mapping) and "port" in item for item in items):
        return "port"
    return _PATCH_KEYS.get(field)


def apply_keys(field: str, items: Sequence[Any]) -> tuple[str, ...] | None:
    """The list-map keys of server-side apply; None for an atomic list."""
    key = patch_key(field, items)
    if key is None or field in _ATOMIC_LISTS:
        return None
    if field == "ports":
        return (key, "protocol")
    if field == "topologySpreadConstraints":
        return (key, "whenUnsatisfiable")
    return (key,)


def identity(item: Any, keys: tuple[str, ...]) -> dict[str, Any] | None:
    """The values of an item's keys, with their defaults; None where it lacks one."""
    if not isinstance(item, Mapping):
        return None
    out = {key: item.get(key, _DEFAULTS.get(key)) for key in keys}
    return None if None in out.values() else out
