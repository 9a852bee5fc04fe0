"""Which nodes can serve: a probe Job on each, judged with what the API says of it."""

from __future__ import annotations

from functools import partial

from tasks.base.errors import RolloutError
from tasks.base.progress import Progress, emit
from tasks.nodes.assess import (
    ApiFacts,
    NodeVerdict,
    as_rows,
    judge_node,
    preselect,
    weights_on,
)
from tasks.nodes.rules_host import read_hardware
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.prefect import artifacts, told
from tasks.record.parts import NodeFound, ValidateNodes
from tasks.run.findings import Looked, Survey, settle_resource
from tasks.run.nodes.probing import read_node
from tasks.run.run import Run
from tasks.run.step import step_of_nodes


@step_of_nodes
def validate_nodes(run: Run, survey: Survey) -> Survey:
    """Probe and judge every candidate node; the survey comes back with what was found of them."""
    looked = run.road.fan_out(
        "validate_nodes",
        [
            (f"validate_nodes {fact.name}", partial(_validate, run, survey, fact))
            for fact in survey.facts
        ],
        width=run.spec.nodes.probe_parallelism,
    )
    survey = settle_resource(survey, looked)
    run.note_release(survey.release, survey.manifest)
    verdicts = [item.verdict for item in survey.looked]
    run.record.validate_nodes = ValidateNodes(
        nodes=[
            NodeFound(
                name=v.node,
                usable=v.usable,
                driver=v.driver,
                cards=v.cards,
                cpu=v.cpu,
                resource=v.resource,
                reasons=[reason.as_dict() for reason in v.reasons],
            )
            for v in verdicts
        ]
    )
    artifacts.table(run.key("nodes"), as_rows(verdicts), "Which nodes can serve")
    run.say(f"{sum(v.usable for v in verdicts)} of {len(verdicts)} node(s) usable")
    return survey


def _validate(run: Run, survey: Survey, fact: ApiFacts) -> Looked:
    """Probe one node and judge it."""
    emit(Progress("validate_nodes", "running", fact.name, "probing"))
    looked = probe_node(run.cluster, survey, fact, run.rollout)
    run.keep_logs(looked.logs)
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


def probe_node(cluster: Cluster, survey: Survey, fact: ApiFacts, run: str) -> Looked:
    """Run the probe on one node, unless the API's facts make it pointless, and judge the node."""
    spec, serving = survey.spec, survey.seen.serving
    if preselect(spec, survey.profile, fact):
        return Looked(judge_node(spec, survey.profile, fact, None, stable_release=serving))
    try:
        doc = read_node(cluster, survey, fact, run)
    except (RolloutError, ValueError) as error:
        verdict = judge_node(
            spec,
            survey.profile,
            fact,
            None,
            probe_error=str(error).split("\n", 1)[0],
            probe_action=getattr(error, "action", ""),
            stable_release=serving,
        )
        return Looked(verdict, logs=getattr(error, "logs", {}))
    total = survey.manifest.total_bytes
    present, missing = weights_on(doc, spec.model.id, survey.manifest.commit, total)
    verdict = judge_node(spec, survey.profile, fact, doc, missing, stable_release=serving)
    return Looked(
        verdict, present, missing, cards=read_hardware(survey.profile, doc).inventory.cards
    )
