"""Commands that look at what a rollout would find and do: plan, check-nodes.

check-nodes (and plan --probe) run the probe Job, which reads the hosts; nothing else is created.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import yaml
from rich.table import Table

from flows.cli.output import document, show
from flows.cli.screen import Screen
from tasks.base.errors import Exit, Refused
from tasks.nodes.assess import as_rows, judge_node
from tasks.outside.kubernetes.client import Cluster, NotFound
from tasks.outside.kubernetes.jobs import marked
from tasks.release.plan import Plan
from tasks.render.services import service, stable_service, switch
from tasks.run.findings import Looked, Planned, Survey, fit, settle_resource
from tasks.run.run import Run
from tasks.spec.rollout import Rollout
from tasks.steps.plan import interrupts, make_plan, objections, tried
from tasks.steps.resolve_model import look_around
from tasks.steps.validate_nodes import probe_node


def _look(cluster: Cluster, spec: Rollout, run: Run, *, probe: bool) -> Survey:
    found = look_around(cluster, spec)
    if probe:
        looked = probe_all(cluster, found, run.rollout)
        for item in looked:
            run.keep_logs(item.logs)
    else:
        serving = found.seen.serving
        looked = [
            Looked(judge_node(spec, found.profile, fact, None, stable_release=serving))
            for fact in found.facts
        ]
    return settle_resource(found, looked)


def probe_all(cluster: Cluster, survey: Survey, run: str) -> list[Looked]:
    """Probe every candidate node, at most nodes.probe_parallelism at once, in the nodes' order."""
    pool = ThreadPoolExecutor(survey.spec.nodes.probe_parallelism, "probe")
    try:
        runs = [pool.submit(probe_node, cluster, survey, fact, run) for fact in survey.facts]
        return [item.result() for item in runs]
    finally:
        # after an error or Ctrl-C: those that run remove their Jobs, the others never start
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Manifests:
    """What a rollout of a plan writes besides its lock and state. before: objects it creates or
    applies before the verdict, in order. promotion: the write that promotes, as a verb ('create'
    or 'patch') and a body; None where the plan changes nothing."""

    before: tuple[dict[str, Any], ...] = ()
    promotion: tuple[str, dict[str, Any]] | None = None


def manifests(cluster: Cluster, planned: Planned) -> Manifests:
    """The objects of a rollout of this plan, by the makers it uses; none where it changes nothing.
    What it probes with, and the epoch it marks its writes with, are of the moment and left out.
    """
    spec, body = planned.survey.spec, planned.body
    if planned.plan.strategy in ("unchanged", "refused"):
        return Manifests()
    if planned.plan.strategy == "place":  # what serves gets other nodes, and is no candidate
        return Manifests(tuple(marked(planned.fetch_job(node)) for node in planned.nodes))
    stable = stable_service(body)
    there = cluster.get("Service", spec.name, spec.namespace)
    return Manifests(
        before=(
            *(marked(planned.fetch_job(node)) for node in planned.nodes),
            service(spec, planned.release, candidate=True),
            body,
        ),
        # the makers of the promotion itself
        promotion=("patch", switch(there, stable)) if there else ("create", stable),
    )


def manifests_text(plan: Plan, objects: Manifests, stable: str) -> str:
    """As YAML for people and `kubectl apply`. What promotes stands in comments, since nobody is to
    apply it before the verdict. stable: how the stable Service is called."""

    def note(text: str) -> str:
        return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())

    head = note(f"{plan.strategy}: {plan.sentence}")
    if not objects.before:
        return head + note("nothing to apply")
    body = yaml.safe_dump_all(objects.before, sort_keys=False, explicit_start=True)
    verb, change = objects.promotion or ("", {})
    promoted = yaml.safe_dump(change, sort_keys=False)
    return (
        head + body + note(f"and only if it is promoted, {verb} of Service {stable}:\n{promoted}")
    )


@dataclass(frozen=True)
class DryRun:
    """What the site's policy and the API server say to what a plan writes. taken: None where nobody
    was asked, or this account may not ask. said: why not, or why nobody was asked."""

    taken: bool | None = None
    said: str = ""


# by an account that may look and not write, nothing is known of what a worker's may
_NO_RIGHT = re.compile(r"cannot (create|patch|update) resource")


def dry_run(run: Run, planned: Planned) -> DryRun:
    """Ask for each object of a plan; nothing is stored. Raises OutsideError."""
    if planned.plan.strategy not in ("parallel", "lend", "replace"):
        return DryRun()
    jobs = map(planned.fetch_job, planned.nodes)
    if reasons := planned.survey.refusals([planned.body, *jobs]):
        return DryRun(False, "the site's policy does not allow it: " + "; ".join(reasons))
    try:
        error = tried(run, planned)
    except (Refused, NotFound) as absent:  # of another, or a namespace that is not there
        return DryRun(False, str(absent))
    if error is not None and _NO_RIGHT.search(str(error)):
        return DryRun(None, f"this account may not ask for it ({error})")
    return DryRun(error is None, str(error or ""))


def show_plan(
    spec: Rollout,
    kubeconfig: str | None,
    context: str | None,
    *,
    form: str,
    with_manifests: bool,
    probe: bool,
) -> int:
    """Print the plan; 5 when it is refused, or the API server would not take what it writes."""
    connect = Cluster.connect if probe else Cluster.looking  # a probe is a Job
    with connect(kubeconfig, context) as cluster:
        run = Run(spec, cluster)
        survey = _look(cluster, spec, run, probe=probe)
        planned = make_plan(cluster, survey)
        plan, shape = planned.plan, fit(survey)
        objects = manifests(cluster, planned) if with_manifests else Manifests()
        warned, trial = list(planned.warnings), dry_run(run, planned)
    arithmetic = list(shape.lines) if shape else []
    if form != "table":
        body = {
            **plan.as_dict(),
            "memory": arithmetic,
            "warnings": warned,
            "dry_run": asdict(trial),
        }
        body["node_verdicts"] = [item.verdict.as_dict() for item in survey.looked]
        if with_manifests:
            body["manifests"] = list(objects.before)
            verb, change = objects.promotion or (None, None)
            body["promotion"] = {"verb": verb, "body": change} if verb else None
        show(document("plan", body), form)
    elif with_manifests:
        print(manifests_text(plan, objects, f"{spec.namespace}/{spec.name}"), end="")
    else:
        logs = run.record.logs
        _print_plan(Screen(), spec, survey, plan, arithmetic, warned, logs, probed=probe)
    if form == "table" and trial.said:
        verdict = "would be refused" if trial.taken is False else "not tried"
        Screen(stderr=with_manifests).print(
            f"{'dry run:':<14}{verdict}: {trial.said}", soft_wrap=True
        )
    return Exit.REFUSED if plan.strategy == "refused" or trial.taken is False else 0


def interruption(spec: Rollout, kubeconfig: str | None, context: str | None) -> str:
    """What a rollout of this spec would interrupt, by the API's facts alone; '' for nothing."""
    want = spec.promotion  # without its leave a plan that interrupts is refused
    if not (want.allow_interruption or want.leaves or want.strategy == "replace"):
        return ""
    with Cluster.connect(kubeconfig, context) as cluster:
        return interrupts(make_plan(cluster, _look(cluster, spec, Run(spec, cluster), probe=False)))


def _print_plan(
    console: Screen,
    spec: Rollout,
    survey: Survey,
    plan: Plan,
    memory: list[str],
    warned: list[str],
    logs: list[str],
    *,
    probed: bool,
) -> None:
    def say(label: str, text: str) -> None:
        console.print(f"{label + ':':<14}{text}", soft_wrap=True)

    manifest = survey.manifest
    say("strategy", f"{plan.strategy}: {plan.sentence}")
    say("commit", f"{manifest.model} @ {manifest.revision} = {manifest.commit}")
    say(
        "weights", f"{len(manifest.files)} files, {manifest.total_bytes:,} bytes, {manifest.digest}"
    )
    say("release", f"{plan.release.deployment} ({plan.release.image})")
    say("serving", plan.serving or "nothing")
    for line in plan.differences:
        say("differs", line)
    if plan.devices_needed:
        say(
            "accelerators",
            f"{plan.devices_needed} {plan.resource} needed, {plan.devices_free} free",
        )
    for seat in plan.nodes:
        if seat.bytes_missing is None:
            bytes_there = "weights not looked for (add --probe)"
        else:
            bytes_there = f"{seat.bytes_missing:,} bytes to fetch, {seat.bytes_present:,} there"
        disk = f", {seat.disk_free / 2**30:.1f} GiB free" if seat.disk_free is not None else ""
        say("node", f"{seat.name}: {bytes_there}{disk}")
    for line in memory:
        say("memory", line)
    if memory and spec.devices and not probed:
        say("memory", "card sizes, and with them the budget, are known after a probe (--probe)")
    for line in warned:
        say("warning", line)
    for path in logs:
        say("log", path)
    say("interruption", plan.interruption)
    say("approval", plan.approval)
    for line in plan.targets:
        say("target", line)
    say("digest", f"{plan.digest} (rollout run SPEC --plan {plan.digest})")


def show_nodes(spec: Rollout, kubeconfig: str | None, context: str | None, *, form: str) -> int:
    """Probe and judge every candidate node; 5 when too few are usable."""
    with Cluster.connect(kubeconfig, context) as cluster:
        run = Run(spec, cluster)
        survey = _look(cluster, spec, run, probe=True)
    looked = survey.looked
    said = objections(survey, survey.deployment([]))
    refused, warned = said.refused, list(said.warnings)
    if form != "table":
        body = {
            "usable": not refused,
            "refused": refused,
            "warnings": warned,
            "nodes": [item.verdict.as_dict() for item in looked],
        }
        show(document("check-nodes", body), form)
        return Exit.REFUSED if refused else 0
    console = Screen()
    rows = as_rows([item.verdict for item in looked])
    # reasons are sentences, and a column of sentences is hard to read: they follow the table
    columns = [heading for heading in (rows[0] if rows else ("node",)) if heading != "reasons"]
    title = f"nodes for {spec.name} ({spec.nodes.accelerator})"
    asked = {item.verdict.resource for item in looked if item.verdict.resource}
    if len(asked) == 1:  # said once, above: a long name in a narrow column would be broken
        (name,) = asked
        title += f", {name}"
        rows = [
            row | {"devices free": row["devices free"].removesuffix(f" {name}")} for row in rows
        ]
    table = Table(title=title)
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(row[heading] for heading in columns))
    console.print(table)
    for item in looked:
        for reason in item.verdict.reasons:
            console.print(
                f"{item.verdict.node}: {reason.severity} {reason}",
                soft_wrap=True,
            )
    for path in run.record.logs:
        console.print(f"log: {path}", soft_wrap=True)
    # what is not of one node: too few of them, a model that does not fit
    of_nodes = tuple(f"{item.verdict.node}: " for item in looked)
    for line in refused:
        if not line.startswith(of_nodes):
            console.print(f"refused: {line}", soft_wrap=True)
    for line in warned:
        console.print(f"warning: {line}", soft_wrap=True)
    return Exit.REFUSED if refused else 0
