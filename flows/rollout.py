"""The rollout: validate nodes, plan, fetch weights, deploy, smoke, benchmark, judge, promote.

The flow only orders the steps. What each one decides lives in pure modules under tasks/.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow as prefect_flow
from prefect import unmapped
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.runtime import flow_run as this_run
from prefect.states import Completed, Failed

from flows import measure, nodes, steps, told
from flows.rollback import carry_out
from flows.session import Session
from tasks.base.errors import LockLost, OutsideError, Refused, RolloutError, SpecError, StepFailed
from tasks.outside.kubernetes.actor import NotProven, SoakFailed
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.prefect import artifacts
from tasks.record.outcome import Outcome, target_rows
from tasks.release.moves import (
    decide_recovery,
    decide_resume,
    decide_soak_failed,
    decide_start,
    decide_unproven,
    unproven_text,
)
from tasks.release.plan import Plan, bends_figures
from tasks.release.state import Release
from tasks.render.release import deployment
from tasks.render.services import service
from tasks.spec.file import build_spec, read_spec
from tasks.spec.rollout import Rollout
from tasks.steps.survey import Survey
from tasks.weights.manifest import safe_commit

_log = logging.getLogger(__name__)
_STATE_NAMES = {
    "promoted": "Promoted",
    "unchanged": "Unchanged",
    "failed": "RolledBack",
    "inconclusive": "Inconclusive",
    "held": "Held",
    "refused": "Refused",
    "error": "Error",
}


class NotPromoted(RolloutError):
    """What a rollout that promoted nothing leaves in its flow run's state.

    outcome: how it ended. record: its record, as for one that promoted.
    """

    def __init__(self, outcome: Outcome, record: dict[str, Any]) -> None:
        super().__init__(outcome.sentence)
        self.outcome, self.record, self.exit_code = outcome, record, outcome.exit_code

    def __reduce__(self) -> tuple[type[NotPromoted], tuple[Outcome, dict[str, Any]]]:
        return (type(self), (self.outcome, self.record))


def load(
    spec: Rollout | None, spec_file: str | None, revision: str | None, commit: str | None = None
) -> Rollout:
    """The spec from either parameter, with another revision where one is given.

    Raises SpecError unless exactly one of `spec` and `spec_file` is given and right, and `commit`,
    where it is given, can be one.
    """
    if (spec is None) == (spec_file is None):
        raise SpecError(["parameters: give exactly one of 'spec' and 'spec_file'"])
    if commit is not None:
        try:
            safe_commit(commit)
        except ValueError as error:
            raise SpecError(
                [
                    f"parameters.commit: {error}; an event that starts a rollout names the commit "
                    "in its payload, and who names none rolls out what the revision is now"
                ]
            ) from error
    found = spec if spec is not None else read_spec(str(spec_file))
    if revision is None:
        return found
    data = found.model_dump(mode="json", exclude_unset=True)
    data["model"]["revision"] = revision
    return build_spec(data, f"spec with the revision {revision!r}")


def _run_name() -> str:
    given = this_run.parameters or {}
    spec = given.get("spec")
    name = spec.get("name") if isinstance(spec, dict) else getattr(spec, "name", None)
    return f"rollout {name or given.get('spec_file') or ''}".strip()


@prefect_flow(name="rollout", flow_run_name=_run_name, persist_result=False)
def rollout(
    spec: Rollout | None = None,
    spec_file: str | None = None,
    revision: str | None = None,
    commit: str | None = None,
    plan: str | None = None,
    kubeconfig: str | None = None,
    context: str | None = None,
    why: str = "started by hand",
) -> State[Any]:
    """Roll a model out; promote it only when it meets its targets.

    Args:
        spec: The rollout spec, filled in here.
        spec_file: Or the path of a spec file, below the working directory of the worker.
        revision: Roll this branch or tag out instead of the spec's.
        commit: Roll exactly this commit out, wherever the revision is by now (an event gives it).
        plan: Digest of a plan; refuse when the world has changed since.
        kubeconfig: Path of a kubeconfig; default: the pod's service account or ~/.kube/config.
        context: Context of the kubeconfig.
        why: What started it, for the record.
    """
    try:
        wanted = load(spec, spec_file, revision, commit)
        with Cluster.connect(kubeconfig, context) as cluster:
            session = Session(wanted, cluster, why=why, commit=commit)
            outcome = conduct(session, plan)
    except RolloutError as error:
        # there is no record yet: a wrong parameter, or no cluster
        return Failed(name=_STATE_NAMES["error"], message=str(error), data=error)
    return as_state(outcome, session.record)


def as_state(outcome: Outcome, record: dict[str, Any]) -> State[Any]:
    """The Prefect state that tells how it ended.

    Its data is the record, or the NotPromoted that carries it: Prefect takes whatever else a
    failed state holds for a crash, and writes it into the run's log with a traceback.
    """
    name = _STATE_NAMES[outcome.kind]
    if outcome.exit_code == 0:
        return Completed(name=name, message=outcome.sentence, data=record)
    error = NotPromoted(outcome, record)
    told.is_told(error)  # by the state's name and message
    return Failed(name=name, message=outcome.sentence, data=error)


def conduct(session: Session, plan_digest: str | None = None) -> Outcome:
    """Run the steps; every ending goes on record. Cancellation passes through after cleaning up."""
    try:
        outcome = _steps(session, plan_digest)
    except BaseException as error:
        outcome = _ended_by(error)
        session.finish(outcome)
        if not isinstance(error, RolloutError):
            raise
        _log.debug("the rollout ended in an error", exc_info=True)
    session.finish(outcome)
    _tell(session, outcome)
    return outcome


def _ended_by(error: BaseException) -> Outcome:
    if isinstance(error, RolloutError):
        return Outcome("refused" if isinstance(error, Refused) else "error", str(error))
    return Outcome("error", f"interrupted: {type(error).__name__}")


def _steps(session: Session, plan_digest: str | None) -> Outcome:
    if reason := bends_figures(session.spec):
        raise Refused(reason)  # before anything is looked at, let alone probed
    session.check_bucket()
    measure.questions_of(session.spec)  # a wrong file is an error now, not after the weights
    survey = nodes.survey(session)
    session.note_release(survey.release)
    if decide_resume(survey.seen, survey.release) == "done":
        release = survey.release
        return Outcome("unchanged", f"{release.deployment} serves already; nothing was changed")
    survey, looked = nodes.validate(session, survey)
    session.note_release(survey.release)
    with session.step("plan") as say:
        plan = nodes.make_plan(session, survey, looked)
        # the reason of a refusal is told once, as the outcome
        say(plan.strategy + (f": {plan.sentence}" if plan.strategy != "refused" else ""))
    session.record["plan"] = plan.as_dict()
    if plan.strategy == "refused":
        raise Refused(plan.sentence)
    if plan_digest is not None and plan.digest != plan_digest:
        raise Refused(
            f"the plan is now {plan.digest}, not {plan_digest}: the world has changed since; "
            "look at `rollout plan` again"
        )
    # what the API server would reject is refused here, while nothing has been changed
    hostnames = [seat.hostname for seat in plan.nodes]
    body = deployment(session.spec, survey.release, survey.needs, hostnames)
    _try_out(session, survey.release, body)
    with session.locked():
        try:
            outcome = _locked(session, survey, plan)
        except BaseException as error:
            ended = _settle(session, error)
            session.finish(_ended_by(ended))
            if ended is error:
                raise
            raise ended from error
        session.finish(outcome)
        return outcome


def _try_out(session: Session, release: Release, body: dict[str, Any]) -> None:
    """What the API server would say to the Deployment, its Service, and the switch of the other."""
    try:
        session.cluster.apply(body, dry_run=True)
        session.cluster.apply(service(session.spec, release, candidate=True), dry_run=True)
        session.make_actor().try_switch(body)
    except OutsideError as error:
        status = getattr(error, "status", 0)
        if status in (400, 403, 422):
            raise Refused(f"the cluster would not take it: {error}") from error
        raise


def _locked(session: Session, survey: Survey, plan: Plan) -> Outcome:
    """The steps that change the cluster, under the lease."""
    actor, release, spec = session.must_act(), survey.release, session.spec
    seen = actor.observe()
    if decide_resume(seen, release) == "clear":
        keep = spec.promotion.keep_previous
        carry_out(actor, decide_recovery(seen, keep_previous=keep, superseded=True))
        seen = actor.observe()
    resume = decide_resume(seen, release)
    if resume == "done":
        return Outcome("unchanged", f"{release.deployment} serves already; nothing was changed")
    if resume == "promote":
        return _promote(session, release, "a promotion that was cut short is finished")
    with session.step("fetch_weights") as say:
        jobs = steps.fetch_weights.map(
            unmapped(session),
            [seat.name for seat in plan.nodes],
            unmapped(survey.manifest),
            survey.endpoint,
        )
        fetched = [job.result() for job in jobs]
        session.record["fetched"] = fetched
        total = sum(int(item.get("bytes_fetched", 0)) for item in fetched)
        say(f"{total:,} bytes fetched to {len(fetched)} node(s), all verified")
    drain_s = spec.promotion.drain_s
    actor.run(decide_start(seen, release, session.rollout, plan.strategy, drain_s))
    with session.step("deploy") as say:
        planned = steps.deploy(session, release, survey, plan)
        say(f"{release.deployment} is ready")
    with session.step("smoke") as say:
        checks = steps.smoke_test(session, release, planned, plan)
        wrong = [check for check in checks if not check.ok]
        say(steps.answered(checks))
    if wrong:
        return _roll_back(session, "failed", f"smoke: {steps.answered(wrong)}")
    verdict = measure.run(session, release, seen, plan)
    if verdict.verdict == "pass":
        if spec.promotion.approval == "before-promote":
            return _hold(session, "the verdict is pass; a person approves with `rollout promote`")
        return _promote(session, release, verdict.reason)
    if verdict.verdict == "inconclusive" and spec.promotion.on_inconclusive == "hold":
        return _hold(session, f"inconclusive: {verdict.reason}")
    kind = "failed" if verdict.verdict == "fail" else "inconclusive"
    return _roll_back(session, kind, verdict.reason)


def _promote(session: Session, release: Release, reason: str) -> Outcome:
    try:
        with session.step("promote") as say:
            steps.promote(session, release)
            say(f"{release.deployment} serves {session.spec.namespace}/{session.spec.name}")
    except SoakFailed as error:
        return _go_back(session, error)
    except NotProven as error:
        return _not_proven(session, str(error))
    return Outcome("promoted", f"{release.deployment} promoted: {reason}")


def _go_back(session: Session, reason: SoakFailed) -> Outcome:
    """The promoted release failed in its first minutes: the one before it serves again."""
    actor = session.must_act()
    try:
        seen = actor.observe()
        room = actor.room(seen.state.previous, seen.serving)
        with session.step("roll_back") as say:
            said = carry_out(actor, decide_soak_failed(seen, room))
            say(said)
    except OutsideError as error:
        # the bad news stays what it is: whoever settles this must not take it for a success
        raise SoakFailed(f"{reason}; going back failed: {error}") from error
    except StepFailed as error:
        raise StepFailed(f"{reason}; going back failed: {error}") from error
    return Outcome("failed", f"{reason}; {said}")


def _not_proven(session: Session, reason: str) -> Outcome:
    """The promoted release passed its benchmark and nobody could watch it: a person decides."""
    actor = session.must_act()
    actor.run(decide_unproven(actor.observe(), "inconclusive"))
    state, _ = actor.read_state()
    return Outcome("held", f"{reason}; {unproven_text(state)}")


def _hold(session: Session, reason: str) -> Outcome:
    actor = session.must_act()
    state, _ = actor.read_state()
    actor.save(replace(state, phase="held", verdict=session.record.get("verdict", "")))
    name, ns = session.spec.name, session.spec.namespace
    return Outcome(
        "held",
        f"{reason}; the candidate waits: `rollout promote {name} -n {ns}` or "
        f"`rollout recover {name} -n {ns}`",
    )


def _roll_back(session: Session, kind: Any, reason: str) -> Outcome:
    actor = session.must_act()
    with session.step("roll_back") as say:
        course = decide_recovery(
            actor.observe(), keep_previous=session.spec.promotion.keep_previous
        )
        say(carry_out(actor, course))
    return Outcome(kind, f"{reason}; {course.sentence}")


def _settle(session: Session, error: BaseException) -> BaseException:
    """Clean up after a failure or a cancellation; the cluster alone says what is left.

    Gives what the rollout ends with: the error, and what cleaning up left, if it did.
    """
    if isinstance(error, LockLost):
        return error  # another run owns the cluster now, and cleans up
    try:
        actor = session.must_act()
        with session.step("roll_back") as say:
            course = decide_recovery(
                actor.observe(),
                keep_previous=session.spec.promotion.keep_previous,
                soak_failed=isinstance(error, SoakFailed),
            )
            say(carry_out(actor, course))
    except BaseException as again:
        session.record["leftover"] = session.named_leftover(again)
        if isinstance(error, RolloutError):
            return StepFailed(f"{error}; {session.record['leftover']}")
        _log.error("%s", session.record["leftover"])
    return error


def _tell(session: Session, outcome: Outcome) -> None:
    """The outcome in the log and as an artifact."""
    told.say(f"{outcome.kind}: {outcome.sentence}")
    rows = target_rows(session.record)
    lines = [f"# {outcome.kind}", "", outcome.sentence, ""]
    if rows:
        lines += ["| target | limit | measured | bounds | verdict |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", "| step | state | seconds | |", "|---|---|---|---|"]
    lines += [
        f"| {s['step']} | {s['state']} | {s['seconds']} | {s['sentence']} |"
        for s in session.record["steps"]
    ]
    artifacts.markdown("rollout", "\n".join(lines), outcome.sentence)
    artifacts.link("report", Path(session.record["report"]).resolve().as_uri(), "the report")


def _cancelled(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Runs in another process after a cancellation: settle what the flow left, from the cluster."""
    from flows.janitor import settle_parameters

    settle_parameters(flow_run.parameters)


rollout.on_cancellation(_cancelled)
rollout.on_crashed(_cancelled)
