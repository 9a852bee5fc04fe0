"""Every question of the exam once, before an hour of load: broken weights end here."""

from __future__ import annotations

from typing import Any

from tasks.measure.questions import ExamRow
from tasks.outside.evalscope import bench
from tasks.outside.evalscope import exam as evaluation
from tasks.outside.kubernetes.access import reach
from tasks.outside.prefect import artifacts
from tasks.record.parts import Exam, ExamAnswer
from tasks.run.findings import Candidate
from tasks.run.run import Run
from tasks.run.step import optional_step
from tasks.verdict import decide
from tasks.verdict.targets import TargetVerdict

# What the record keeps of an exam; all of it is in evalscope's files.
_KEPT_ROWS, _KEPT_CHARS = 500, 300


@optional_step
def exam(run: Run, candidate: Candidate) -> TargetVerdict:
    """Ask the candidate, and judge its answers."""
    spec, release = run.spec, candidate.release
    assert spec.quality is not None
    folder = run.folder / "exam"
    with reach(run.cluster, spec, f"{spec.name}-candidate", release.id) as here:
        rows = evaluation.take(
            bench.EngineTarget(here.url, release.served_name),
            evaluation.questions_of(spec),
            spec.quality,
            out_dir=folder,
            timeout_s=spec.benchmark.budget.seconds,
            on_progress=artifacts.ProgressArtifact(run.key("exam-progress"), "exam").tell,
        )
    found = decide.examined(rows, spec)
    run.record.exam = Exam(
        questions=str(spec.quality.questions),
        asked=len(rows),
        right=sum(row.right for row in rows),
        errors=sum(bool(row.error) for row in rows),
        verdict=found.verdict,
        reason=found.reason,
        rows=[ExamAnswer(**_answered(row)) for row in rows[:_KEPT_ROWS]],
        files=str(folder),
    )
    wrong = [_answered(row) for row in rows if not row.right][:_KEPT_ROWS]
    said = f"{found.verdict}: {found.reason}; what was not right"
    artifacts.table(run.key("exam"), wrong, said)
    run.say(f"{found.verdict}: {found.reason}")
    return found


def _answered(row: ExamRow) -> dict[str, Any]:
    """One question for the record, its answer cut to a bearable length."""
    return {
        "question": row.question[:_KEPT_CHARS],
        "expected": " / ".join(row.expected)[:_KEPT_CHARS],
        "answer": row.answer[:_KEPT_CHARS],
        "right": row.right,
        "error": row.error,
    }
