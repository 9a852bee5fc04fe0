"""prefect.yaml: what a reader of Prefect looks for, written from the specs."""

from __future__ import annotations

from typing import Any

import yaml

from tasks.service.parts import ServicePlan

POOL = "{{ $MODEL_ROLLOUT_WORK_POOL }}"
HEAD = """\
# Every deployment of model-rollout for the specs named here, written by
# `rollout up --print --specs SPEC > prefect.yaml`: change the spec, not this file.
# `rollout up` brings it onto a server, with smaller forms, and leaves what a person switched on or
# off there. `prefect --no-prompt deploy --all` does so, too, but sets every schedule and trigger
# back to what stands here; the work pool must exist then, and MODEL_ROLLOUT_WORK_POOL name it.
# Either is run in the folder that the worker sees: spec files are read below it.
# deployments/automations.yaml marks a run whose heartbeats stop as Crashed; `rollout up` makes it.
"""


def prefect_yaml(plan: ServicePlan, pool: str = POOL) -> str:
    """The file as text. pool: name of the work pool, or a template of it."""
    body: dict[str, Any] = {
        "name": "model-rollout",
        "prefect-version": ">=3.8",
        "deployments": [item.as_dict(pool) for item in plan.deployments],
    }
    return HEAD + yaml.safe_dump(body, sort_keys=False, width=100, allow_unicode=True)
