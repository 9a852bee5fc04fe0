"""Does the pod that runs equal the plan?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tasks.objects.pods import engine_container, ready, restarts
from tasks.release.written.meaning import by_name, kept


def differences(
    planned: Mapping[str, Any],
    pod: Mapping[str, Any],
    nodes: Iterable[str],
    images: Collection[str] = (),
) -> list[str]:
    """How a live pod differs from the Deployment we rendered; an admission webhook or a hand may
    have changed it. Additions (injected volumes, defaults) are allowed, changes are not. images:
    what the API server itself makes of the planned one (a registry's mirror).
    """
    out = engine_differences(planned, pod["spec"], images)
    node = pod["spec"].get("nodeName")
    chosen = list(nodes)
    if node not in chosen:
        out.append(f"node: planned one of {', '.join(chosen)}, runs on {node}")
    return out


def engine_differences(
    planned: Mapping[str, Any], pod_spec: Mapping[str, Any], images: Collection[str] = ()
) -> list[str]:
    """The same of its engine alone, wherever it runs. pod_spec: as the API server has it, which
    writes the same thing in its own way."""
    wanted = engine_container(planned["spec"]["template"]["spec"])
    found = engine_container(pod_spec)
    out = []
    for key in ("image", "command", "args"):
        if key == "image" and found.get(key) in images:
            continue
        # nothing may be added to what was planned to have none
        if not kept(wanted.get(key) or [], found.get(key) or [], key):
            out.append(f"{key}: planned {wanted.get(key)!r}, runs {found.get(key)!r}")
    have = by_name(found.get("env"))
    for name, item in by_name(wanted.get("env")).items():
        if not kept([item], [have[name]] if name in have else [], "env"):
            out.append(f"env {name}: not as planned")
    for part in ("limits", "requests"):
        live = (found.get("resources") or {}).get(part) or {}
        for name, amount in ((wanted.get("resources") or {}).get(part) or {}).items():
            if not kept({name: amount}, live, part):
                out.append(f"{part} {name}: planned {amount}, runs with {live.get(name)}")
    return out


def trouble(pods: Sequence[Mapping[str, Any]], replicas: int, before: int) -> tuple[str, ...]:
    """What the cluster says against a release's pods: too few ready, or restarts since `before`."""
    up, again = sum(ready(pod) for pod in pods), restarts(pods) - before
    out = [f"{up} of {replicas} replicas ready"] if up < replicas else []
    return (*out, *([f"{again} container restart(s)"] if again > 0 else []))
