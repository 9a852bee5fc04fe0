"""The verdict, with Great Expectations as second witness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from tasks.measure.round import Round
from tasks.outside.great_expectations import gate
from tasks.outside.prefect import artifacts
from tasks.record.outcome import target_rows
from tasks.record.parts import Gate, Judge, TargetJudged
from tasks.release.soak_rules import benchmarked
from tasks.run.run import Run
from tasks.run.step import step
from tasks.verdict import decide
from tasks.verdict.targets import Decision, TargetVerdict


@step
def judge(run: Run, rounds: Sequence[Round], exam: TargetVerdict | None) -> Decision:
    """Bounds for every target, the exam's with them, and a suite that must agree."""
    spec = run.spec
    alone = decide.verdict(rounds, exam, spec)
    checked = gate.validate(alone, rounds, spec.targets, run.folder / "data-docs")
    found = decide.agreed(alone, gate.witness(checked))
    run.measured = benchmarked(rounds)
    run.record.judge = Judge(
        verdict=found.verdict,
        targets=[TargetJudged(**asdict(item)) for item in found.targets],
        gate=Gate(success=checked.success, suite=checked.suite, result=checked.result),
        data_docs=str(checked.data_docs),
    )
    columns = ("target", "limit", "measured", "bounds", "verdict")
    rows = [dict(zip(columns, row, strict=True)) for row in target_rows(run.record)]
    artifacts.table(run.key("verdict"), rows, f"{found.verdict}: {found.reason}")
    run.say(f"{found.verdict}: {found.reason}")
    return found
