"""The verdict goes on record with its second witness, who must agree."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.run.measuring import judged as module
from tasks.run.run import Run
from tasks.steps.judge import judge
from tasks.verdict.targets import Decision, TargetVerdict
from tasks.verdict.witness import Witness
from tests.support.cluster.actor_world import world
from tests.support.cluster.runs import run_of
from tests.support.rounds import some

EXAM = TargetVerdict(
    "exam", "exam", 70, "percent", "at_least", 90, 80, 95, 60, 1, "pass", "54 of 60 right"
)


def judged(
    monkeypatch: pytest.MonkeyPatch, witness: Witness, *, exam: Any = None, limit: int = 1000
) -> tuple[Run, Decision]:
    asked: list[Any] = []

    def validate(alone: Decision, rounds: Any, targets: Any, folder: Path) -> Any:
        asked.append((alone.verdict, len(rounds), len(targets), folder.name))
        return SimpleNamespace(
            success=witness.success, suite={"a": 1}, result={"b": 2}, data_docs=Path("/r/docs.html")
        )

    monkeypatch.setattr(module.gate, "validate", validate)
    monkeypatch.setattr(module.gate, "witness", lambda checked: witness)
    run = run_of(
        world(),
        benchmark={"loads": [{"name": "c2", "concurrency": 2}], "min_rounds": 3},
        targets={"ttft_mean_ms": limit},
    )
    with run.step("judge"):
        found = judge.function(run, some(6), exam)
    assert asked == [("pass" if limit == 1000 else "fail", 6, 2, "data-docs")]
    return run, found


@pytest.mark.parametrize(("limit", "word"), [(1000, "pass"), (10, "fail")])
def test_a_verdict_that_the_witness_shares(
    limit: int, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, found = judged(monkeypatch, Witness(word == "pass"), limit=limit)
    kept = run.record.judge
    assert found.verdict == word and kept is not None and kept.verdict == word
    assert run.measured is not None and run.measured.keys() == {"ttft_s"}
    assert [target.metric for target in kept.targets] == [t.metric for t in found.targets]
    assert kept.gate is not None and kept.gate.success is (word == "pass")
    assert (kept.gate.suite, kept.gate.result, kept.data_docs) == (
        {"a": 1},
        {"b": 2},
        "/r/docs.html",
    )
    assert run.record.steps[0].sentence == f"{word}: {found.reason}"


def test_a_witness_that_disagrees_makes_it_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    run, found = judged(monkeypatch, Witness(False, ("ttft at c2 is 1200",)))
    assert found.verdict == "inconclusive" and "ttft at c2 is 1200" in found.reason
    assert run.record.judge is not None and run.record.judge.verdict == "inconclusive"


def test_the_exam_is_one_target_more(monkeypatch: pytest.MonkeyPatch) -> None:
    run, found = judged(monkeypatch, Witness(True), exam=EXAM)
    assert found.verdict == "pass" and EXAM in found.targets
    assert run.record.judge is not None
    assert "exam" in [target.metric for target in run.record.judge.targets]
