"""What a Prefect server holds of us, as plain data: deployments, their timetables and triggers,
automations. The field names of `as_dict` are those of prefect.yaml.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# begins the slug of a schedule that we made; what a person adds in the UI has another, or none
SLUG = "model-rollout-"
Queue = Literal["rollouts", "operations"]
# A killed run keeps its place for five minutes: the next guard has another one.
PLACES = 3


@dataclass(frozen=True)
class Timetable:
    """When a deployment runs by itself: by `cron` (five fields, in `timezone`), or every `every_s`
    seconds. active: when it is made; afterwards that is a person's. parameters: of its runs."""

    cron: str = ""
    every_s: int = 0
    timezone: str = "UTC"
    active: bool = True
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """Of the same times the same: another one is another timetable of ours."""
        times = f"{self.cron} {self.timezone}" if self.cron else str(self.every_s)
        return SLUG + hashlib.sha256(times.encode()).hexdigest()[:8]

    @property
    def times(self) -> dict[str, Any]:
        """What Prefect calls the schedule of a schedule."""
        if self.cron:
            return {"cron": self.cron, "timezone": self.timezone}
        return {"interval": self.every_s}

    def as_dict(self) -> dict[str, Any]:
        """As in prefect.yaml."""
        more = {"parameters": dict(self.parameters)} if self.parameters else {}
        return {**self.times, "active": self.active, "slug": self.slug, **more}


@dataclass(frozen=True)
class Trigger:
    """An event that starts a deployment. expect: the event's name. match, match_related: of its
    resource, and of those it comes with. parameters: of the run, beside the deployment's own."""

    name: str
    expect: str
    match: Mapping[str, str] = field(default_factory=dict)
    match_related: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As in prefect.yaml."""
        some = {
            "match": dict(self.match),
            "match_related": dict(self.match_related),
            "parameters": dict(self.parameters),
        }
        return {
            "name": self.name,
            "type": "event",
            "posture": "Reactive",
            "enabled": True,
            "expect": [self.expect],
            **{key: value for key, value in some.items() if value},
            "threshold": 1,
            "within": 0,
        }


@dataclass(frozen=True)
class FlowDeployment:
    """A flow that can be started by name. entrypoint: the flow as module.function, so that it is
    found wherever the project is installed. form: the parameters that the UI asks for, in order.
    beating: its runs send heartbeats. alone: a second run waits for the first; skips: one too many
    is cancelled, where another one comes soon anyway. soon: once it is made or changed, it runs at
    once, and not first when its timetable says."""

    name: str
    entrypoint: str
    description: str
    queue: Queue
    parameters: Mapping[str, Any]
    form: tuple[str, ...]
    tags: tuple[str, ...]
    timetables: tuple[Timetable, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    beating: bool = False
    alone: bool = False
    skips: bool = False
    soon: bool = False

    @property
    def fixed(self) -> dict[str, Any]:
        """Parameters that the form does not ask for: no run may be given others, or what is called
        for one model would act on another."""
        return {key: value for key, value in self.parameters.items() if key not in self.form}

    @property
    def variables(self) -> dict[str, Any]:
        """Job variables."""
        return {"env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}} if self.beating else {}

    @property
    def concurrency(self) -> dict[str, Any]:
        """How many of its runs at once, and what becomes of one more; {}: any number."""
        if not (self.alone or self.skips):
            return {}
        if self.skips:
            return {"limit": PLACES, "collision_strategy": "CANCEL_NEW"}
        return {"limit": 1, "collision_strategy": "ENQUEUE"}

    def as_dict(self, pool: str) -> dict[str, Any]:
        """As in prefect.yaml, where the form is the flow's whole signature."""
        jobs = {"job_variables": self.variables} if self.variables else {}
        some = {
            "concurrency_limit": self.concurrency,
            "parameters": dict(self.parameters),
            "schedules": [item.as_dict() for item in self.timetables],
            "triggers": [item.as_dict() for item in self.triggers],
        }
        return {
            "name": self.name,
            "description": self.description,
            "entrypoint": self.entrypoint,
            "tags": list(self.tags),
            "work_pool": {"name": pool, "work_queue_name": self.queue, **jobs},
            **{key: value for key, value in some.items() if value},
        }


@dataclass(frozen=True)
class ServicePlan:
    """All of it. automations: as in deployments/automations.yaml."""

    deployments: tuple[FlowDeployment, ...]
    automations: tuple[Mapping[str, Any], ...]

    @property
    def automation_names(self) -> frozenset[str]:
        """Of automations and triggers: Prefect makes an automation of each trigger."""
        triggers = {item.name for each in self.deployments for item in each.triggers}
        return frozenset(triggers | {str(item["name"]) for item in self.automations})
