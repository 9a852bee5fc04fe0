"""A verdict on record, with Great Expectations as second witness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tasks.base.progress import Progress, emit
from tasks.measure.round import Round
from tasks.outside.great_expectations import gate
from tasks.outside.prefect import artifacts
from tasks.record.outcome import target_rows
from tasks.record.parts import Gate, Judge, TargetJudged
from tasks.record.record import Record
from tasks.spec.rollout import Rollout
from tasks.verdict import decide
from tasks.verdict.targets import Decision, TargetVerdict


def judged(
    record: Record,
    spec: Rollout,
    rounds: Sequence[Round],
    exam: TargetVerdict | None,
    folder: Path,
    key: str = "verdict",
) -> Decision:
    """Bounds for every target, the exam's with them, and a suite that must agree; its part is put
    on record. folder: of the record. key: of the artifact."""
    alone = decide.verdict(rounds, exam, spec)
    checked = gate.validate(alone, rounds, spec.targets, folder / "data-docs")
    found = decide.agreed(alone, gate.witness(checked))
    witness = Gate(success=checked.success, suite=checked.suite, result=checked.result)
    put_on_record(record, found, key, gate=witness, data_docs=str(checked.data_docs))
    return found


def put_on_record(
    record: Record, found: Decision, key: str, *, gate: Gate | None = None, data_docs: str = ""
) -> None:
    """A decision, in the record and as a table in Prefect."""
    record.judge = Judge(
        verdict=found.verdict,
        targets=[TargetJudged(**asdict(item)) for item in found.targets],
        gate=gate,
        data_docs=data_docs,
    )
    emit(Progress("judge", "running", targets=decide.so_far(found)))
    columns = ("target", "limit", "measured", "bounds", "verdict")
    rows = [dict(zip(columns, row, strict=True)) for row in target_rows(record)]
    artifacts.table(key, rows, f"{found.verdict}: {found.reason}")
