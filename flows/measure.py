"""Examine the candidate, benchmark it, and judge what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from prefect import task

from flows import report, told
from flows.health import Watch
from flows.session import Session
from flows.steps import QUIET
from tasks.accelerators import profiles as accelerators
from tasks.base.errors import SpecError
from tasks.measure.protocol import cache_note
from tasks.measure.questions import ExamRow, Question
from tasks.measure.round import Round
from tasks.measure.workload import cache_flattered
from tasks.outside.evalscope import bench, exam
from tasks.outside.great_expectations import gate
from tasks.outside.kubernetes.access import reach, release_pods
from tasks.outside.kubernetes.client import Object
from tasks.outside.prefect import artifacts
from tasks.outside.vllm import metrics
from tasks.record.outcome import target_rows
from tasks.release.moves import Observed
from tasks.release.plan import Plan
from tasks.release.state import Release
from tasks.spec.rollout import Rollout
from tasks.verdict import exam as exam_verdict
from tasks.verdict import targets as judge
from tasks.verdict.targets import Decision, TargetVerdict

# What the record keeps of an exam; all of it is in evalscope's files.
_KEPT_ROWS, _KEPT_CHARS = 500, 300


def run(session: Session, release: Release, seen: Observed, plan: Plan) -> Decision:
    """The steps; gives the verdict, which is on record.

    The exam comes first: a model that fails it is not worth an hour of load.
    """
    examined = None
    if (questions := questions_of(session.spec)) is not None:
        with session.step("exam") as say:
            examined = examine(session, release, questions)
            say(f"{examined.verdict}: {examined.reason}")
    rounds: tuple[Round, ...] = ()
    if not exam_verdict.ends_early(examined):
        with session.step("benchmark") as say:
            rounds = benchmark(session, release, seen, plan)
            say(measured(session.spec, rounds))
            note = cache_note(rounds, cache_flattered(session.spec.benchmark.workload))
            if note:
                session.record["note"] = note
    with session.step("judge") as say:
        verdict = judge_rounds(session, rounds, examined)
        say(f"{verdict.verdict}: {verdict.reason}")
    return verdict


def questions_of(spec: Rollout) -> tuple[Question, ...] | None:
    """The questions of the spec's exam; None where it has none.

    Raises SpecError for a wrong file, and for a minimum that no exam of its length could show.
    """
    if spec.quality is None:
        return None
    questions = exam.load_questions(spec.quality)
    exam_verdict.check_reachable(spec.quality, len(questions), spec.benchmark.confidence)
    return questions


@task(name="exam", **QUIET)
def examine(session: Session, release: Release, questions: tuple[Question, ...]) -> TargetVerdict:
    """Ask the candidate every question of the exam once, and judge its answers."""
    spec = session.spec
    assert spec.quality is not None
    folder = session.folder / "exam"
    with reach(session.cluster, spec, f"{spec.name}-candidate", release.id) as here:
        rows = exam.take(
            bench.EngineTarget(here.url, release.served_name),
            questions,
            spec.quality,
            out_dir=folder,
            timeout_s=spec.benchmark.budget.seconds,
            on_progress=artifacts.ProgressArtifact("exam", "exam").tell,
        )
    others = judge.binding_count(spec.targets, spec.benchmark)
    verdict = exam_verdict.judge_exam(rows, spec.quality, spec.benchmark.confidence, others)
    session.record["exam"] = {
        "questions": spec.quality.questions,
        "asked": len(rows),
        "right": sum(row.right for row in rows),
        "errors": sum(bool(row.error) for row in rows),
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "rows": [_answered(row) for row in rows[:_KEPT_ROWS]],
        "files": str(folder),
    }
    wrong = [_answered(row) for row in rows if not row.right][:_KEPT_ROWS]
    artifacts.table("exam", wrong, f"{verdict.verdict}: {verdict.reason}; what was not right")
    told.say(f"{verdict.verdict}: {verdict.reason}")
    return verdict


def _answered(row: ExamRow) -> dict[str, Any]:
    """One question for the record, its answer cut to a bearable length."""
    return {
        "question": row.question[:_KEPT_CHARS],
        "expected": " / ".join(row.expected)[:_KEPT_CHARS],
        "answer": row.answer[:_KEPT_CHARS],
        "right": row.right,
        "error": row.error,
    }


def _watch(session: Session, release: Release) -> Watch:
    spec = session.spec

    def pods() -> list[Object]:
        return release_pods(session.cluster, spec.namespace, spec.name, release.id)

    profile = accelerators.profile(spec.nodes.accelerator)
    return Watch(pods, release.replicas, profile, session.exporters)


def _lines(spec: Rollout) -> list[str]:
    name = spec.benchmark.workload.file
    if name is None:
        return []
    try:
        return Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            [f"benchmark.workload.file: {name} cannot be read ({error}); give a UTF-8 text file"]
        ) from error


@task(name="benchmark", **QUIET)
def benchmark(session: Session, release: Release, seen: Observed, plan: Plan) -> tuple[Round, ...]:
    """Rounds of load until every target is decided or the budget is spent."""
    spec, cluster = session.spec, session.cluster
    relative = any(target.versus_stable_percent is not None for target in spec.targets)
    stable = seen.state.stable
    with ExitStack() as stack:
        here = stack.enter_context(reach(cluster, spec, f"{spec.name}-candidate", release.id))
        # one /metrics answers for all of it only when one process serves
        one = release.replicas == 1
        own = partial(metrics.watch, f"{here.url}/metrics") if one else None
        candidate = bench.EngineTarget(here.url, release.served_name, watch=own)
        other = None
        if relative and stable and plan.strategy == "parallel" and seen.alive(stable.id):
            there = stack.enter_context(reach(cluster, spec, spec.name, stable.id))
            other = bench.EngineTarget(there.url, stable.served_name)
        watch = _watch(session, release)
        rounds = bench.measure(
            candidate,
            other,
            spec.benchmark,
            decide=lambda done: _decide(spec, done),
            out_dir=session.folder / "evalscope",
            on_progress=artifacts.ProgressArtifact("benchmark", "benchmark").tell,
            check=watch,
            lines=_lines(spec),
        )
    report.keep_rows(session.folder, rounds)
    session.record["benchmark"] = {
        "rounds": [_brief(item) for item in rounds],
        "requests": sum(len(item.rows) for item in rounds),
        "nodes_with_watched_cards": watch.watched,
        "files": str(session.folder / "evalscope"),
    }
    told.say(measured(spec, rounds))
    return rounds


def measured(spec: Rollout, rounds: Sequence[Round]) -> str:
    """How much was measured, and what it does not show."""
    rows = [row for item in rounds for row in item.rows]
    note = cache_note(rounds, cache_flattered(spec.benchmark.workload))
    said = f"{len(rounds)} rounds, {len(rows)} requests"
    if failed := sum(not row.ok for row in rows):
        said += f", {failed} of them failed"
    return f"{said}; {note}" if note else said


def _decide(spec: Rollout, rounds: Sequence[Round]) -> Decision:
    others = 1 if spec.quality is not None and not spec.quality.advisory else 0
    return judge.decide(rounds, spec.targets, spec.benchmark, others=others)


def _brief(item: Round) -> dict[str, Any]:
    """A round for the record; its rows stay in evalscope's database beside the record."""
    return {
        "index": item.index,
        "load": item.load,
        "release": item.release,
        "seed": item.seed,
        "requests": len(item.rows),
        "succeeded": sum(row.ok for row in item.rows),
        "window": item.window,
        "client": asdict(item.client),
        "server": asdict(item.server),
        "problems": item.problems,
    }


@task(name="judge", **QUIET)
def judge_rounds(
    session: Session, rounds: Sequence[Round], examined: TargetVerdict | None = None
) -> Decision:
    """The verdict by bounds, the exam's with it, checked once more by Great Expectations."""
    spec = session.spec
    decision = exam_verdict.merge(_decide(spec, rounds), examined)
    checked = gate.validate(decision, rounds, spec.targets, session.folder / "data-docs")
    verdict = gate.combine(decision, checked)
    record = session.record
    record["verdict"] = verdict.verdict
    record["targets"] = [asdict(item) for item in verdict.targets]
    record["gate"] = {
        "success": checked.success,
        "suite": checked.suite,
        "result": checked.result,
    }
    record["data_docs"] = str(checked.data_docs)
    columns = ("target", "limit", "measured", "bounds", "verdict")
    rows = [dict(zip(columns, row, strict=True)) for row in target_rows(record)]
    artifacts.table("verdict", rows, f"{verdict.verdict}: {verdict.reason}")
    told.say(f"{verdict.verdict}: {verdict.reason}")
    return verdict
