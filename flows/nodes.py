"""Validate the nodes and plan: everything a rollout knows before it changes anything."""

from __future__ import annotations

from typing import Any

from prefect import task, unmapped

from flows import told
from flows.session import Session
from flows.steps import QUIET, plan_rows
from tasks.base.progress import Progress, emit
from tasks.nodes.assess import NodeVerdict, as_rows
from tasks.nodes.facts import ApiFacts
from tasks.nodes.memory import MEMORY_CODES
from tasks.nodes.metrics import exporter_url
from tasks.nodes.reasons import errors
from tasks.objects.labels import ENGINE_CONTAINER
from tasks.outside.prefect import artifacts
from tasks.release.plan import Plan, bends_figures, decide_plan, describe_changes
from tasks.render.release import deployment
from tasks.steps.survey import (
    Looked,
    Survey,
    fit_reasons,
    look_around,
    probe_node,
    settle_resource,
    smallest,
)


@task(name="resolve_model", **QUIET)
def resolve(session: Session) -> Survey:
    """Resolve the revision to a commit and read the nodes as the API shows them."""
    found = look_around(session.cluster, session.spec, session.commit)
    told.say(resolved(found))
    return found


def resolved(found: Survey) -> str:
    """What is rolled out, and where it may run."""
    manifest = found.manifest
    return (
        f"{manifest.model} @ {manifest.revision} is {manifest.commit[:12]}, "
        f"{len(manifest.files)} files, {manifest.total_bytes:,} bytes; "
        f"{len(found.facts)} candidate node(s)"
    )


def survey(session: Session) -> Survey:
    """The facts without a probe, on record."""
    with session.step("resolve_model") as say:
        found = resolve(session)
        say(resolved(found))
    manifest = found.manifest
    session.exporters = {
        fact.name: url for fact in found.facts if (url := exporter_url(found.profile, fact))
    }
    session.record["weights"] = {"files": len(manifest.files), "bytes": manifest.total_bytes}
    return found


@task(name="validate_nodes", task_run_name="validate_nodes {fact.name}", **QUIET)
def validate_node(session: Session, found: Survey, fact: ApiFacts) -> Looked:
    """Probe one node and judge it."""
    emit(Progress("validate_nodes", "running", fact.name, "probing"))
    looked = probe_node(session.cluster, found, fact, session.rollout)
    session.keep_logs(looked.logs)
    verdict = looked.verdict
    state = "done" if verdict.usable else "failed"
    said = verdict.cards or verdict.cpu or "usable"
    if not verdict.usable:
        # the codes: a tree's line is short, and the refusal says the rest
        said = ", ".join(dict.fromkeys(reason.code for reason in verdict.errors))
    emit(Progress("validate_nodes", state, fact.name, said))
    told.say(judged(fact.name, verdict, said))
    return looked


def judged(node: str, verdict: NodeVerdict, machine: str) -> str:
    """A node's verdict in a sentence. machine: what a usable one is, in a few words."""
    if verdict.usable:
        return f"{node}: {machine}"
    return f"{node} is not usable: " + "; ".join(str(reason) for reason in verdict.errors)


def validate(session: Session, found: Survey) -> tuple[Survey, list[Looked]]:
    """Judge every candidate node; the survey comes back with the resource the probes settled."""
    with session.step("validate_nodes") as say:
        looked: list[Looked] = []
        width = session.spec.nodes.probe_parallelism
        for start in range(0, len(found.facts), width):
            batch = found.facts[start : start + width]
            runs = validate_node.map(unmapped(session), unmapped(found), list(batch))
            looked += [run.result() for run in runs]
        found, looked = settle_resource(found, looked)
        verdicts = [item.verdict for item in looked]
        rows = as_rows(verdicts)
        session.record["nodes"] = [
            {
                "name": v.node,
                "usable": v.usable,
                "driver": v.driver,
                "cards": v.cards,
                "cpu": v.cpu,
                "resource": v.resource,
                "reasons": [reason.as_dict() for reason in v.reasons],
            }
            for v in verdicts
        ]
        artifacts.table("nodes", rows, "Which nodes can serve")
        usable = sum(v.usable for v in verdicts)
        say(f"{usable} of {len(verdicts)} node(s) usable")
    return found, looked


def refusals(found: Survey, looked: list[Looked]) -> list[str]:
    """Why the rollout can't go on, whatever room there is."""
    spec = found.spec
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
    return out + [
        f"{reason}{where if reason.code in MEMORY_CODES else ''}"
        for reason in errors(fit_reasons(found, looked))
    ]


def warnings(found: Survey, looked: list[Looked]) -> list[str]:
    """What is worth knowing of model and pod, and refuses nothing."""
    return [str(reason) for reason in fit_reasons(found, looked) if reason.severity == "warning"]


def make_plan(session: Session, found: Survey, looked: list[Looked]) -> Plan:
    """Decide strategy and nodes; the plan is on record and an artifact."""
    refused = refusals(found, looked)
    seats = [item.seat() for item in looked if item.verdict.usable]
    body = deployment(session.spec, found.release, found.needs, [seat.hostname for seat in seats])
    containers = {
        "before": _engine(_serving_deployment(session, found)),
        "after": _engine(body),
    }
    plan = decide_plan(
        session.spec,
        found.release,
        found.seen,
        seats,
        resource=found.resource,
        refused=refused,
        differences=describe_changes(found.seen, found.release, containers),
    )
    artifacts.table("plan", plan_rows(plan.nodes), f"{plan.strategy}: {plan.sentence}")
    for line in warnings(found, looked):
        emit(Progress("plan", "running", session.spec.name, f"warning: {line}"))
    return plan


def _serving_deployment(session: Session, found: Survey) -> dict[str, Any] | None:
    view = found.seen.deployments.get(found.seen.serving or "")
    return session.cluster.get("Deployment", view.name, session.spec.namespace) if view else None


def _engine(body: dict[str, Any] | None) -> dict[str, Any] | None:
    if body is None:
        return None
    containers: list[dict[str, Any]] = body["spec"]["template"]["spec"]["containers"]
    return next((c for c in containers if c["name"] == ENGINE_CONTAINER), containers[0])
