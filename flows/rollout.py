"""The rollout: the order of its steps, and what follows from a verdict. Each step is a file in
tasks/steps; what it decides is in the rooms below."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow

from flows.guard import settle_parameters
from tasks import steps
from tasks.base.errors import NotNow, RolloutError
from tasks.outside.disk.site import spec_below
from tasks.outside.kubernetes.actor import NotProven, SoakFailed
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.prefect import approvals, ending, others, own, parameters
from tasks.record.outcome import Outcome, in_short, not_again, not_now, unchanged
from tasks.release.state import Release
from tasks.run.findings import Planned
from tasks.run.locked import Locked
from tasks.run.nodes.placing import place
from tasks.run.run import Run
from tasks.run.telling.people import tell_start, tell_unread
from tasks.run.ui.states import states
from tasks.spec.rollout import Rollout
from tasks.steps.plan import must_hold
from tasks.steps.roll_back import clean_up
from tasks.steps.smoke import wrong
from tasks.verdict.decide import ended_with, ends_early, next_move


def pipeline(run: Run, digest: str | None) -> Outcome:
    """From the spec to an outcome on record. digest: of the plan that a person has seen."""
    run.check()
    survey = steps.resolve_model(run)
    if survey.serves_already:
        return run.finish(unchanged(survey.release.deployment, survey.amiss))
    if survey.not_again:
        return run.finish(not_again(survey.not_again))
    if survey.not_now:
        return run.finish(not_now(survey.release.deployment, survey.not_now))
    survey = steps.validate_nodes(run, survey)
    plan = steps.plan(run, survey)
    must_hold(run, plan, digest)  # nothing has changed so far
    with run.locked(clean_up) as cluster:  # from here every write is fenced
        return run.finish(under_lock(run, cluster, plan))


def under_lock(run: Run, cluster: Locked, plan: Planned) -> Outcome:
    """The steps that change the cluster."""
    release, placed = plan.release, ""
    if plan.plan.strategy == "place":  # it serves, and the nodes that it may run on are gone
        steps.fetch_weights(run, cluster, plan)
        placed = place(run, cluster, plan)
    match cluster.begin(release, keep_previous=run.spec.promotion.keep_previous):
        case "retest" if run.passed_before(release):
            return promoted(run, cluster, release, "it passed before, and waited for its window")
        case "promote":
            return promoted(run, cluster, release, "a promotion that was cut short is finished")
        case "done" if not placed:
            return unchanged(release.deployment)
    if placed:
        return Outcome("unchanged", f"{placed}; it serves again, as it was judged before")
    tell_start(run.record)
    steps.fetch_weights(run, cluster, plan)
    try:
        candidate = steps.deploy(run, cluster, plan)
    except NotNow as error:
        return steps.roll_back(run, cluster, "not now", str(error))
    if why := wrong(steps.smoke(run, candidate)):
        return steps.roll_back(run, cluster, "failed", f"smoke: {why}")
    exam = steps.exam(run, candidate) if run.spec.quality else None
    rounds = () if ends_early(exam) else steps.benchmark(run, candidate)
    verdict = steps.judge(run, rounds, exam)
    window = run.window_closed()
    match next_move(verdict, run.spec.promotion, plan.plan.strategy, window):
        case "promote":
            return promoted(run, cluster, release, verdict.reason)
        case "wait":
            return steps.hold(run, cluster, verdict, window)
        case "give_back":
            return steps.roll_back(run, cluster, "not now", f"{verdict.reason}, and {window}")
        case "hold":
            return steps.hold(run, cluster, verdict)
        case "roll_back":
            return steps.roll_back(run, cluster, ended_with(verdict), verdict.reason)


def promoted(run: Run, cluster: Locked, release: Release, reason: str) -> Outcome:
    """The promotion, and what follows where its soak goes wrong."""
    try:
        return steps.promote(run, cluster, release, reason)
    except SoakFailed as error:  # what served before serves again
        return steps.roll_back(run, cluster, "failed", error)
    except NotProven as error:  # nobody could look at it: it serves on, and a person decides
        return steps.hold(run, cluster, error)


@flow(name="rollout", flow_run_name=parameters.run_name, persist_result=False)
def rollout(
    spec: Rollout | None = None,
    spec_file: str | None = None,
    revision: str | None = None,
    commit: str | None = None,
    plan: str | None = None,
    kubeconfig: str | None = None,
    context: str | None = None,
    why: str = own.BY_HAND,
    again: bool = False,
    may_interrupt: bool = True,
    targets: dict[str, float] | None = None,
    changes: dict[str, Any] | None = None,
) -> State[Any]:
    """Roll a model out; promote it only when it meets its targets.

    Args:
        spec: The rollout spec, filled in here, whole.
        spec_file: Path of a spec file, below the folder of the worker; in place of a `spec`.
        revision: Roll this branch or tag out instead of the spec's.
        commit: Roll exactly this commit out, wherever the revision is by now (an event gives it).
        plan: Digest of a plan; refuse when the world has changed since.
        kubeconfig: Path of a kubeconfig; default: the pod's service account or ~/.kube/config.
        context: Context of the kubeconfig.
        why: What started it, for the record.
        again: Try a release again that failed under the same targets, or waits for a person.
        may_interrupt: Where not, what interrupts is refused, whatever the spec allows.
        targets: Other limits, by metric: {"ttft_p95_ms": 800}.
        changes: Other values of the spec, by key: {"serving.max_model_len": 8192}.
    """
    wanted = spec
    try:
        if spec_file is not None:
            spec_below(spec_file, "parameters.spec_file")
        wanted = parameters.of_parameters(spec, spec_file, revision, commit, targets, changes)
        parameters.must_be_its_own(wanted.name, wanted.namespace)
        others.end_doubles()
        with Cluster.connect(kubeconfig, context) as cluster:
            run = Run(
                wanted,
                cluster,
                why=own.why(why),
                commit=commit,
                again=again,
                may_interrupt=may_interrupt,
                by_itself=own.by_itself(),
            )
            outcome = run.conduct(lambda: pipeline(run, plan))
            model = (wanted.namespace, wanted.name)
            asked = approvals.tend(model, states(cluster), _measured(run))
    except RolloutError as error:
        if own.by_itself():  # else a person sees it
            tell_unread(wanted, spec_file, error)
        return ending.no_record(error)
    waits = outcome.kind in ("held", "not now")
    ending.tell(outcome, run.record, asked=asked if waits else {}, report=run.shown.page)
    return ending.as_state(outcome, run.record)


def _measured(run: Run) -> str:
    judge = run.record.judge
    said = f"Verdict: {judge.verdict}; {in_short(run.record)}. " if judge else ""
    return f"{said}The report: {run.shown.ui or run.shown.address or run.record.report}"


def _cancelled(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Runs in another process after a cancellation: settle what the flow left, from the cluster."""
    settle_parameters(flow_run.parameters)


rollout.on_cancellation(_cancelled)
rollout.on_crashed(_cancelled)
