"""The verdict, with Great Expectations as second witness."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.measure.round import Round
from tasks.release.soak_rules import benchmarked
from tasks.run.measuring.judged import judged
from tasks.run.run import Run
from tasks.run.step import step
from tasks.verdict.targets import Decision, TargetVerdict


@step
def judge(run: Run, rounds: Sequence[Round], exam: TargetVerdict | None) -> Decision:
    """Bounds for every target, the exam's with them, and a suite that must agree."""
    found = judged(run.record, run.spec, rounds, exam, run.folder, run.key("verdict"))
    run.measured = benchmarked(rounds)
    run.say(f"{found.verdict}: {found.reason}")
    return found
