"""What one replica asks of its node: our own fields, and the site's `serving.pod` over them."""

from __future__ import annotations

from typing import Any

from tasks.base.errors import SpecError
from tasks.objects.labels import ENGINE_CONTAINER
from tasks.objects.merge import merge_pod
from tasks.spec.rollout import Rollout

CLAIM = "devices"


def engine_resources(spec: Rollout, resource: str | None) -> dict[str, Any]:
    """Requests and limits of the engine's container, before the site's own fields."""
    asked = spec.serving.resources
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    if asked.cpu:
        requests["cpu"] = asked.cpu
    if asked.memory:
        requests["memory"] = limits["memory"] = asked.memory
    if resource and spec.devices:
        requests[resource] = limits[resource] = str(spec.devices)
    out: dict[str, Any] = {"requests": requests, "limits": limits}
    if spec.nodes.claim_template:
        out["claims"] = [{"name": CLAIM}]
    return {part: amounts for part, amounts in out.items() if amounts}


def pod_claims(spec: Rollout) -> dict[str, Any]:
    """The pod's part of a claim: each pod gets a claim of its own, made from the template."""
    if not spec.nodes.claim_template:
        return {}
    claim = {"name": CLAIM, "resourceClaimTemplateName": spec.nodes.claim_template}
    return {"resourceClaims": [claim]}


def asking_pod(spec: Rollout, resource: str | None) -> dict[str, Any]:
    """As much of the engine's PodSpec as the scheduler counts: sidecars, and what else a site's
    pods hold, are in it. Raises SpecError."""
    engine = {"name": ENGINE_CONTAINER, "resources": engine_resources(spec, resource)}
    try:
        return merge_pod({"containers": [engine]}, spec.serving.pod)
    except ValueError as error:
        raise SpecError([f"serving.pod: {error}"]) from error
