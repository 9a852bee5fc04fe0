"""What a Prefect server is to hold for a list of rollout specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.base.errors import SpecError
from tasks.service.names import ANY_SPEC, TAG, Deed, ModelKey, called, tags_of
from tasks.service.parts import FlowDeployment, ServicePlan, Timetable, Trigger
from tasks.spec.rollout import Rollout

# what watch_models tells, and a site's own webhook may
NEW_VERSION = "model-rollout.new-version"
ROLLOUT, ROLLBACK = "flows.rollout.rollout", "flows.rollback.rollback"
GUARD, WATCH = "flows.guard.guard", "flows.watch_models.watch_models"
VERIFY = "flows.verify.verify"
GUARD_EVERY_S = 60  # and a minute of the lease: what died is settled within three
WATCH_EVERY_S = 600
# ours beat every 30 s; where nothing is set Prefect's beat every 180 s
SILENT_S = 420
# a pod may have to be placed, and its image pulled, before a submitted run begins
UNBEGUN_S = 900
# names of triggers and automations: what each begins with
NEW, CRASHED, SILENT = "new version of ", "a rollout crashed", "a rollout fell silent"
UNBEGUN = "a run did not begin"
_ASKED = ("revision", "targets", "changes", "why", "again", "may_interrupt")
_SAID: Mapping[Deed, str] = {
    "rollout": "Roll {model} out, and promote it only when it meets its targets. Started here, by "
    "a schedule, or by the event of a new version.",
    "approve": "Promote the candidate of {model} that waits for a person: its run here is paused, "
    "and Resume promotes exactly what was measured. Who starts a run by hand says which `rollout` "
    "and `plan` are meant.",
    "reject": "Remove the candidate of {model} that waits for a person: its run here is paused, "
    "and Resume removes exactly that one. Who starts a run by hand says which `rollout` and `plan` "
    "are meant.",
    "abort": "Stop the rollout of {model} that runs now, wherever it runs. It cleans up; what "
    "served before it serves on.",
    "rollback": "Go back to the release of {model} that served before. Refused where that would "
    "interrupt what serves, unless it is allowed here.",
    "verify": "Measure the release of {model} that serves again, as `verify` of its spec says, and "
    "announce targets that it misses. It gives way to a rollout, and to whoever waits.",
}
_FORMS: Mapping[Deed, tuple[str, ...]] = {
    "rollout": ("spec_file", *_ASKED),
    "approve": ("rollout", "plan"),
    "reject": ("rollout", "plan"),
    "abort": (),
    "rollback": ("allow_interruption", "unchecked", "past_queue"),
    "verify": ("spec_file", "changes", "why"),
}
_FLOWS: Mapping[Deed, str] = {"rollout": ROLLOUT, "verify": VERIFY}


@dataclass(frozen=True)
class Tracked:
    """A spec whose model has deployments. file: its path below the worker's folder. timetable,
    verified: when a rollout starts by itself, and when what serves is verified."""

    name: str
    namespace: str
    file: str
    timetable: Timetable | None = None
    verified: Timetable | None = None

    @property
    def key(self) -> ModelKey:
        """Namespace and name."""
        return self.namespace, self.name


def tracked(spec: Rollout, file: str) -> Tracked:
    """What a spec says of its deployments."""
    times = spec.schedule
    again = (
        Timetable(times.cron, timezone=times.timezone, parameters={"why": "schedule"})
        if times
        else None
    )
    looks = spec.verify
    checked = (
        Timetable(looks.cron, timezone=looks.timezone, parameters={"why": "schedule"})
        if looks.cron
        else None
    )
    return Tracked(spec.name, spec.namespace, file, again, checked)


def resource_of(model: ModelKey) -> str:
    """How events call a model."""
    return "model-rollout.rollout." + ".".join(model)


def wanted(models: Sequence[Tracked], *, watch_every_s: int = WATCH_EVERY_S) -> ServicePlan:
    """For these models, in their order. Raises SpecError where two specs are of one rollout."""
    first: dict[ModelKey, str] = {}
    for model in models:
        if (other := first.setdefault(model.key, model.file)) != model.file:
            raise SpecError(
                [
                    f"{other} and {model.file} are both of rollout {model.namespace}/{model.name}: "
                    "one rollout has one spec; rename one of them, or leave it out"
                ]
            )
    names = called(model.key for model in models)
    each = [item for model in models for item in _of_model(model, names[model.key])]
    silences = (_fell_silent(), _never_heard(), _never_began(), _others_fell_silent())
    return ServicePlan((*each, *_common(models, watch_every_s)), silences)


def _of_model(model: Tracked, name: str) -> list[FlowDeployment]:
    tags, title = tags_of(model.key), f"{model.namespace}/{model.name}"

    def made(does: Deed, parameters: Mapping[str, Any], **more: Any) -> FlowDeployment:
        return FlowDeployment(
            name=f"{does}-{name}",
            entrypoint=_FLOWS.get(does, ROLLBACK),
            description=_SAID[does].format(model=title),
            queue="rollouts" if does == "rollout" else "operations",
            parameters=parameters,
            form=_FORMS[does],
            tags=tags,
            **more,
        )

    new = Trigger(
        name=f"{NEW}{title}",
        expect=NEW_VERSION,
        match={"prefect.resource.id": resource_of(model.key)},
        parameters={
            # what the event is about, though the branch may have moved since
            "commit": {"__prefect_kind": "jinja", "template": "{{ event.payload['commit'] }}"},
            "why": "event: new version",
        },
    )
    times = (model.timetable,) if model.timetable else ()
    which = {"name": model.name, "namespace": model.namespace}
    # which candidate is meant, a person says on the form, or the paused run that asks about it
    meant = {"rollout": "", "plan": ""}
    return [
        made(
            "rollout",
            {"spec_file": model.file},
            timetables=times,
            triggers=(new,),
            beating=True,
            alone=True,
        ),
        made("approve", {**which, "what": "approve", **meant}),
        made("reject", {**which, "what": "reject", **meant}),
        made("abort", {**which, "what": "abort"}),
        made("rollback", {**which, "what": "rollback"}),
        made(
            "verify",
            {"spec_file": model.file},
            timetables=(model.verified,) if model.verified else (),
            alone=True,
        ),
    ]


def _common(models: Sequence[Tracked], watch_every_s: int) -> list[FlowDeployment]:
    spaces = {model.namespace for model in models}
    crashed = Trigger(
        name=CRASHED,
        expect="prefect.flow-run.Crashed",
        match_related={"prefect.resource.role": "flow", "prefect.resource.name": "rollout"},
    )
    found = [
        FlowDeployment(
            name="guard",
            entrypoint=GUARD,
            description="Settle rollouts that died half-way; every minute, and after a crash.",
            queue="operations",
            # without one: of the whole cluster, which its account must be allowed to list
            parameters={"namespace": spaces.pop()} if len(spaces) == 1 else {},
            form=("namespace",),
            tags=(TAG,),
            timetables=(Timetable(every_s=GUARD_EVERY_S),),
            triggers=(crashed,),
            skips=True,
        ),
        FlowDeployment(
            name=ANY_SPEC,
            entrypoint=ROLLOUT,
            description="Roll out by a spec that is filled in here, whole.",
            queue="rollouts",
            parameters={},
            form=("spec", *_ASKED, "commit", "plan", "kubeconfig", "context"),
            tags=(TAG,),
            beating=True,
        ),
    ]
    if models:
        watching = FlowDeployment(
            name="watch-models",
            entrypoint=WATCH,
            description="Emit an event for every spec whose model has a version that does not "
            "serve yet.",
            queue="operations",
            parameters={"spec_files": [model.file for model in models]},
            form=("spec_files",),
            tags=(TAG,),
            timetables=(Timetable(every_s=watch_every_s),),
            alone=True,
            soon=True,
        )
        found.insert(0, watching)
    return found


# A run that is Pending, Running or Cancelling holds its deployment's place: where nobody ends it,
# one of these does.
_OURS = {"prefect.resource.id": f"prefect.tag.{TAG}"}
# `rollout run` at a terminal has no deployment's tags
_A_ROLLOUT = {"prefect.resource.role": "flow", "prefect.resource.name": "rollout"}
_NO_ROLLOUT = {"prefect.resource.role": "flow", "prefect.resource.name": "!rollout"}


# killed before its first heartbeat, a run has only begun
_LIVES = ("prefect.flow-run.Running", "prefect.flow-run.heartbeat")


def _fell_silent() -> dict[str, Any]:
    return _silence(
        SILENT,
        "No heartbeat of a rollout for seven minutes, and no end of it.",
        _LIVES,
        {"state": "CRASHED", "message": "its heartbeats stopped"},
        _A_ROLLOUT,
    )


def _others_fell_silent() -> dict[str, Any]:
    return _silence(
        "another run fell silent",
        "No heartbeat of a guard, a watcher, a verification or a wish for seven minutes, and no "
        "end of it.",
        _LIVES,
        {"state": "CRASHED", "message": "its heartbeats stopped"},
        [_OURS, _NO_ROLLOUT],
    )


def _never_heard() -> dict[str, Any]:
    return _silence(
        "a cancelled rollout was not heard of",
        "No heartbeat of a run for seven minutes after it was asked to stop: it had not begun.",
        ("prefect.flow-run.Cancelling",),
        {"state": "CANCELLED", "message": "it was cancelled, and nobody was there to hear of it"},
        _OURS,
    )


def _never_began() -> dict[str, Any]:
    return _silence(
        UNBEGUN,
        "A run was submitted, and has not begun for a quarter of an hour: its worker is gone, or "
        "its pod finds no place.",
        ("prefect.flow-run.Pending",),
        {"state": "CRASHED", "message": "it was submitted, and did not begin for 15 minutes"},
        _OURS,
        UNBEGUN_S,
    )


def _silence(
    name: str,
    description: str,
    after: Sequence[str],
    then: Mapping[str, str],
    whose: Mapping[str, str] | Sequence[Mapping[str, str]],
    within: int = SILENT_S,
) -> dict[str, Any]:
    """An automation for runs of which nothing comes for so many seconds after one of these events.
    whose: what the run comes with; of a list, all of them."""
    return {
        "name": name,
        "description": description,
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Proactive",
            "after": list(after),
            # every end of a rollout has a name of its own
            "expect": ["prefect.flow-run.*"],
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": [dict(item) for item in whose]
            if isinstance(whose, Sequence)
            else dict(whose),
            "for_each": ["prefect.resource.id"],
            "threshold": 1,
            "within": within,
        },
        "actions": [{"type": "change-flow-run-state", **then}],
    }
