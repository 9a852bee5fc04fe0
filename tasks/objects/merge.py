"""Merge a partial PodSpec over a rendered one the way Kubernetes' strategic merge does.

Maps merge key by key, null deletes, lists merge by the merge key the Kubernetes API publishes
(`x-kubernetes-patch-merge-key`) and are replaced where it publishes none. An item with
`$patch: delete` removes its counterpart; `$patch: replace` in a map or list replaces it whole.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

# Source: the patch merge keys of core/v1 PodSpec and Container in the Kubernetes OpenAPI document.
MERGE_KEYS = {
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
}


def merge_pod(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `patch` over it; neither is changed.

    Raises ValueError naming the place where the two have different shapes.
    """
    return _merge_map(base, patch, "pod")


def _merge_map(base: Mapping[str, Any], patch: Mapping[str, Any], path: str) -> dict[str, Any]:
    if patch.get("$patch") == "replace":
        return {k: copy.deepcopy(v) for k, v in patch.items() if k != "$patch"}
    out = copy.deepcopy(dict(base))
    for key, value in patch.items():
        here = f"{path}.{key}"
        if value is None:
            out.pop(key, None)
        elif isinstance(value, Mapping):
            old = out.get(key)
            if old is not None and not isinstance(old, Mapping):
                raise ValueError(f"{here}: a mapping cannot replace {type(old).__name__}")
            out[key] = _merge_map(old or {}, value, here)
        elif isinstance(value, list):
            old = out.get(key)
            if old is not None and not isinstance(old, list):
                raise ValueError(f"{here}: a list cannot replace {type(old).__name__}")
            out[key] = _merge_list(old or [], value, MERGE_KEYS.get(key), here)
        else:
            if isinstance(out.get(key), Mapping | list):
                raise ValueError(f"{here}: {value!r} cannot replace what has parts")
            out[key] = value
    return out


def _merge_list(base: list[Any], patch: list[Any], merge_key: str | None, path: str) -> list[Any]:
    if merge_key is None:
        return copy.deepcopy(patch)
    items = [item for item in patch if item != {"$patch": "replace"}]
    out = [] if len(items) < len(patch) else copy.deepcopy(base)
    for item in items:
        if not isinstance(item, Mapping) or merge_key not in item:
            raise ValueError(f"{path}: every item needs '{merge_key}'")
        at = next((i for i, old in enumerate(out) if old.get(merge_key) == item[merge_key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del out[at]
        elif at is None:
            out.append(_merge_map({}, item, f"{path}[{item[merge_key]}]"))
        else:
            out[at] = _merge_map(out[at], item, f"{path}[{item[merge_key]}]")
    return out
