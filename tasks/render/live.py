"""Does the pod that runs equal the plan?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.objects.pods import engine_container, ready, restarts


def differences(
    planned: Mapping[str, Any], pod: Mapping[str, Any], nodes: Iterable[str]
) -> list[str]:
    """How a live pod differs from the Deployment we rendered; an admission webhook or a hand may
    have changed it. Additions (injected volumes, defaults) are allowed, changes are not.
    """
    out = engine_differences(planned, pod["spec"])
    node = pod["spec"].get("nodeName")
    chosen = list(nodes)
    if node not in chosen:
        out.append(f"node: planned one of {', '.join(chosen)}, runs on {node}")
    return out


def engine_differences(planned: Mapping[str, Any], pod_spec: Mapping[str, Any]) -> list[str]:
    """The same of its engine alone, wherever it runs."""
    wanted = engine_container(planned["spec"]["template"]["spec"])
    found = engine_container(pod_spec)
    out = []
    for key in ("image", "command", "args"):
        if wanted.get(key) != found.get(key):
            out.append(f"{key}: planned {wanted.get(key)!r}, runs {found.get(key)!r}")
    have = {item["name"]: item for item in found.get("env") or []}
    for item in wanted.get("env") or []:
        if have.get(item["name"]) != item:
            out.append(f"env {item['name']}: not as planned")
    for part in ("limits", "requests"):
        live = (found.get("resources") or {}).get(part) or {}
        for name, amount in ((wanted.get("resources") or {}).get(part) or {}).items():
            if str(live.get(name)) != str(amount):
                out.append(f"{part} {name}: planned {amount}, runs with {live.get(name)}")
    return out


def trouble(pods: Sequence[Mapping[str, Any]], replicas: int, before: int) -> tuple[str, ...]:
    """What the cluster says against a release's pods: too few ready, or restarts since `before`."""
    up, again = sum(ready(pod) for pod in pods), restarts(pods) - before
    out = [f"{up} of {replicas} replicas ready"] if up < replicas else []
    return (*out, *([f"{again} container restart(s)"] if again > 0 else []))
