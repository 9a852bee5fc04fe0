"""The plan: strategy, nodes, bytes, interruption. Nothing has changed when it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.base.errors import OutsideError, Refused
from tasks.base.progress import Progress, emit
from tasks.nodes.memory import MEMORY_CODES
from tasks.nodes.reasons import Reason, errors
from tasks.objects.pods import engine_container
from tasks.outside.kubernetes.access import release_pods
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.prefect import artifacts
from tasks.record.earlier import earlier
from tasks.record.parts import PlanMade
from tasks.release.plan import NodeSeat, bends_figures, decide_plan, describe_changes
from tasks.release.seats.capacity import falls
from tasks.release.seats.edited import drifted
from tasks.release.seats.rank import may_evict
from tasks.render.services import service
from tasks.run.beside import cut_off
from tasks.run.comeback import look_back
from tasks.run.findings import Planned, Survey, fit_reasons, smallest
from tasks.run.nodes.placing import why_placed
from tasks.run.run import Run
from tasks.run.step import step


@step
def plan(run: Run, survey: Survey) -> Planned:
    """Decide how; the plan is on record and an artifact."""
    planned = make_plan(run.cluster, survey)
    what = planned.plan
    run.record.plan = PlanMade(**what.as_dict())
    run.record.earlier = earlier(survey.seen.state.history, survey.release.model)
    artifacts.table(run.key("plan"), plan_rows(what.nodes), f"{what.strategy}: {what.sentence}")
    for line in planned.warnings:
        emit(Progress("plan", "running", run.spec.name, f"warning: {line}"))
    # the reason of a refusal is told once, as the outcome
    run.say(what.strategy + (f": {what.sentence}" if what.strategy != "refused" else ""))
    return planned


def must_hold(run: Run, planned: Planned, digest: str | None) -> None:
    """Raises Refused unless the plan can be carried out, is the one asked for, and the API server
    would take what it writes. Changes nothing."""
    found = planned.plan
    if found.strategy == "refused":
        raise Refused(found.sentence)
    if not run.may_interrupt and (said := interrupts(planned)):
        raise Refused(f"{said}: nobody has agreed to that; look at `rollout plan`, then pass --yes")
    made = [planned.body, *map(planned.fetch_job, planned.nodes)]
    _must_be_allowed(planned, made)
    if looked := look_back(run, planned):
        _must_be_allowed(planned, [job for _, job in looked.proofs])
    if digest is not None and found.digest != digest:
        raise Refused(
            f"the plan is now {found.digest}, not {digest}: the world has changed since; "
            "look at `rollout plan` again"
        )
    if error := tried(run, planned):
        raise Refused(f"the cluster would not take it: {error}") from error


def tried(run: Run, planned: Planned) -> OutsideError | None:
    """Why the API server would not take what a plan writes, by a dry run of each; None where it
    would. Raises OutsideError where it does not say, Refused for what is another's."""
    try:
        trial = run.cluster.trial()
        trial.apply(planned.body)
        trial.apply(service(run.spec, planned.release, candidate=True))
        run.observer().owned.try_switch(planned.body)
    except OutsideError as error:
        if getattr(error, "status", 0) in (400, 403, 422):
            return error
        raise
    return None


def interrupts(planned: Planned) -> str:
    """What a plan stops that serves and answers, may have stopped, cuts off from it, or leaves
    with fewer replicas; '' for nothing."""
    seen, plan = planned.survey.seen, planned.plan
    view = seen.view(seen.serving)
    if plan.strategy in ("refused", "unchanged") or view is None or not view.available:
        return ""
    said = (
        [f"{view.name} serves now and is scaled down first"] if plan.strategy == "replace" else []
    )
    fall = falls(seen, planned.release.replicas)
    if fall and plan.strategy in ("parallel", "lend"):
        said.append(
            f"{view.name} answers with {fall[0]} replica(s) now, {fall[1]} serve in the end"
        )
    said += [*filter(None, [plan.evicts]), *plan.cut]
    return "; ".join([plan.sentence, *said]) if said else ""


def _must_be_allowed(planned: Planned, made: Sequence[Mapping[str, Any]]) -> None:
    if reasons := planned.survey.refusals(made):
        raise Refused("the site's policy does not allow it: " + "; ".join(reasons))


def make_plan(cluster: Cluster, survey: Survey) -> Planned:
    """Decide strategy and nodes."""
    seats = survey.seats()
    serving = survey.seen.deployments.get(survey.seen.serving or "")
    there = cluster.get("Deployment", serving.name, survey.spec.namespace) if serving else None
    # of its container alone, which is the same wherever it runs
    template = survey.deployment([])
    said = objections(survey, template)
    name = survey.spec.name
    cut, told = cut_off(cluster, name, there, template) if there else ([], [])
    unranked = priority_refusals(cluster, template)
    other = [drifted(survey.seen, *survey.drift)] if survey.drift else []
    decided = decide_plan(
        survey.spec,
        survey.release,
        survey.seen,
        seats,
        resource=survey.resource,
        refused=[*said.refused, *unranked, *other],
        queue=survey.queue,
        owed=survey.owed,
        cut_off=cut,
        stranded=why_placed(cluster, survey),
        outranks=outranks(cluster, survey, template),
        differences=describe_changes(
            survey.seen, survey.release, {"before": _engine(there), "after": _engine(template)}
        ),
    )
    return Planned(
        decided,
        survey,
        survey.deployment(
            [seat.hostname for seat in decided.nodes],
            decided.lend.tested if decided.lend else None,
        ),
        (*said.warnings, *told),
    )


def _engine(body: dict[str, Any] | None) -> Mapping[str, Any] | None:
    return engine_container(body["spec"]["template"]["spec"]) if body else None


def priority_refusals(cluster: Cluster, body: Mapping[str, Any]) -> list[str]:
    """Why the cluster would make no pod of a Deployment: an unknown PriorityClass refuses the pods
    alone, one by one, long after it took the Deployment."""
    name = body["spec"]["template"]["spec"].get("priorityClassName")
    if not name or cluster.get("PriorityClass", name) is not None:
        return []
    return [
        f"serving.priority_class {name} is no PriorityClass of this cluster; `kubectl get "
        "priorityclass` lists them, an administrator makes one"
    ]


def outranks(cluster: Cluster, survey: Survey, body: Mapping[str, Any]) -> str:
    """How a Deployment's pods outrank what serves, so that the cluster may evict that for them; ''
    where they do not, or are its own."""
    spec, seen = survey.spec, survey.seen
    template = body["spec"]["template"]
    name = template["spec"].get("priorityClassName")
    if not name or not seen.serving or seen.serving == survey.release.id:
        return ""
    serving = release_pods(cluster, spec.namespace, spec.name, seen.serving)
    return may_evict(template, cluster.get("PriorityClass", name), serving)


@dataclass(frozen=True)
class Objections:
    """refused: why the rollout can't go on, whatever room there is. warnings: what is worth knowing
    of model and pod, and refuses nothing."""

    refused: list[str]
    warnings: tuple[str, ...]


def objections(survey: Survey, body: Mapping[str, Any]) -> Objections:
    """What speaks against a survey. body: the Deployment, wherever it runs."""
    reasons = fit_reasons(survey, body)
    warnings = tuple(str(reason) for reason in reasons if reason.severity == "warning")
    return Objections(_refused(survey, errors(reasons)), warnings)


def _refused(survey: Survey, of_fit: Sequence[Reason]) -> list[str]:
    spec, looked = survey.spec, survey.looked
    out = [reason] if (reason := bends_figures(spec)) else []
    usable = [item for item in looked if item.verdict.usable]
    if len(usable) < spec.nodes.minimum:
        out.append(
            f"{len(usable)} of {len(looked)} node(s) usable, at least {spec.nodes.minimum} needed"
        )
        out += [
            f"{item.verdict.node}: {reason}" for item in looked for reason in item.verdict.errors
        ]
        if not looked:
            out.append("no node matches nodes.names and nodes.selector; correct them")
        return out
    least = smallest(looked)
    where = f" (on {least.node})" if least else ""
    return out + [f"{reason}{where if reason.code in MEMORY_CODES else ''}" for reason in of_fit]


def plan_rows(seats: Sequence[NodeSeat]) -> list[Mapping[str, Any]]:
    """The plan's nodes for a table."""
    return [
        {
            "node": seat.name,
            "replicas that fit": seat.seats,
            "bytes to fetch": seat.bytes_missing,
            "bytes present": seat.bytes_present,
            "disk free": seat.disk_free,
        }
        for seat in seats
    ]
