"""The check as a Great Expectations suite, with Data Docs a person can open. THIN.

The judge computes the bounds; the suite, generated from the targets, states once more and in the
open what they must satisfy, and what the measured rows must look like to be data at all. Verdict
and suite must agree, or nothing is promoted.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tasks.errors import OutsideError
from tasks.figures import sound
from tasks.judge import Decision, TargetVerdict, believable
from tasks.rows import Round
from tasks.spec_measure import Target

SUITES = ("targets", "requests", "rounds")


@dataclass(frozen=True)
class GateResult:
    """success: every expectation held. suite, result: JSON-able, by table. data_docs: a page."""

    success: bool
    suite: dict[str, Any]
    result: dict[str, Any]
    data_docs: Path


def validate(
    decision: Decision, rounds: Sequence[Round], targets: Sequence[Target], out_dir: Path
) -> GateResult:
    """Run the suites on the tables of targets, requests and rounds; writes only below `out_dir`.

    Raises OutsideError when Great Expectations itself fails.
    """
    # before its import: it reads the setting once, and would otherwise call home
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx  # takes seconds: only when a verdict is near
    import pandas as pd

    named = {target.metric for target in targets}
    tables = {
        "targets": pd.DataFrame([_bounds_row(decision.targets)]),
        "requests": pd.DataFrame(_request_rows(rounds), columns=_REQUEST_COLUMNS),
        "rounds": pd.DataFrame(_round_rows(rounds), columns=_ROUND_COLUMNS),
    }
    wanted = {
        "targets": _target_expectations(gx, decision.targets, named),
        "requests": _request_expectations(gx),
        "rounds": _round_expectations(gx),
    }
    try:
        return _run(gx, tables, wanted, out_dir)
    except Exception as error:
        raise OutsideError(
            f"Great Expectations failed below {out_dir} ({type(error).__name__}: {error}); "
            "the rollout is not promoted without its check"
        ) from error


def _run(
    gx: Any, tables: dict[str, Any], wanted: dict[str, list[Any]], out_dir: Path
) -> GateResult:
    out_dir.mkdir(parents=True, exist_ok=True)
    context = gx.get_context(mode="file", project_root_dir=str(out_dir))
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_or_update_pandas(name="rollout")
    suites: dict[str, Any] = {}
    results: dict[str, Any] = {}
    definitions = []
    frames: dict[str, Any] = {}
    for name in SUITES:
        asset = source.add_dataframe_asset(name=name)
        batch = asset.add_batch_definition_whole_dataframe(name)
        suite = context.suites.add_or_update(gx.ExpectationSuite(name=name))
        for expectation in wanted[name]:
            suite.add_expectation(expectation)
        suite.save()
        suites[name] = suite.to_json_dict()
        definition = gx.ValidationDefinition(name=name, data=batch, suite=suite)
        definitions.append(context.validation_definitions.add_or_update(definition))
        frames[name] = tables[name]
    success = True
    for name, definition in zip(SUITES, definitions, strict=True):
        outcome = definition.run(batch_parameters={"dataframe": frames[name]})
        success = success and bool(outcome.success)
        results[name] = outcome.to_json_dict()
    context.build_data_docs()
    pages = sorted(out_dir.rglob("data_docs/local_site/index.html"))
    return GateResult(success, suites, results, pages[0] if pages else out_dir)


def combine(decision: Decision, gate: GateResult) -> Decision:
    """The final verdict: judge and suite agree, or it is inconclusive."""
    if gate.success == (decision.verdict == "pass"):
        return decision
    failed = [
        str(item["expectation_config"]["kwargs"].get("column", item["expectation_config"]["type"]))
        for result in gate.result.values()
        for item in result.get("results", [])
        if not item.get("success")
    ]
    said = f"does not hold for {', '.join(failed)}" if failed else "holds"
    if decision.verdict == "inconclusive":
        return decision
    reason = (
        f"the judge says {decision.verdict} ({decision.reason}), but the Great Expectations "
        f"suite {said}; they must agree"
    )
    return replace(decision, verdict="inconclusive", reason=reason)


# -- tables -----------------------------------------------------------------------------------

_REQUEST_COLUMNS = ["load", "release", "round", "start_s", "end_s", "ttft_s", "tokens", "ok"]
_ROUND_COLUMNS = ["load", "release", "round", "requests", "succeeded", "believable"]


def _column(item: TargetVerdict) -> str:
    """The bound that decides a target: its high side for times, its low side for rates."""
    return f"{item.metric} at {item.load}: {'high' if item.direction == 'at_most' else 'low'}"


def _bounds_row(verdicts: Sequence[TargetVerdict]) -> dict[str, float | None]:
    return {
        _column(item): _finite(item.high if item.direction == "at_most" else item.low)
        for item in verdicts
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _request_rows(rounds: Sequence[Round]) -> list[list[Any]]:
    """Answered requests of the rounds that count; a failed one is judged by the success rate."""
    return [
        [r.load, r.release, r.index, x.start, x.end, x.ttft, x.completion_tokens, sound(x)]
        for r in rounds
        if believable(r)
        for x in r.rows
        if x.ok
    ]


def _round_rows(rounds: Sequence[Round]) -> list[list[Any]]:
    return [
        [r.load, r.release, r.index, len(r.rows), sum(x.ok for x in r.rows), int(believable(r))]
        for r in rounds
    ]


# -- expectations -----------------------------------------------------------------------------


def _target_expectations(gx: Any, verdicts: Sequence[TargetVerdict], named: set[str]) -> list[Any]:
    out = []
    for item in verdicts:
        if item.advisory:
            continue
        column = _column(item)
        origin = "the spec's target" if item.metric in named else "implied: no request may fail"
        words = f"{origin}; {item.reason}"
        limit = item.limit
        if item.metric not in named:
            # the implied rule is on the requests themselves, the bound only follows n
            limit = 0.0
        out.append(gx.expectations.ExpectColumnValuesToNotBeNull(column=column, notes=words))
        sides = {"max_value": limit} if item.direction == "at_most" else {"min_value": limit}
        out.append(
            gx.expectations.ExpectColumnValuesToBeBetween(column=column, notes=words, **sides)
        )
    return out


def _request_expectations(gx: Any) -> list[Any]:
    e = gx.expectations
    return [
        e.ExpectTableRowCountToBeBetween(min_value=1, notes="no data is never a pass"),
        e.ExpectColumnValuesToNotBeNull(column="ttft_s", notes="an answered request has a TTFT"),
        e.ExpectColumnValuesToBeBetween(
            column="ttft_s", min_value=0, strict_min=True, max_value=86400, notes="seconds"
        ),
        e.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="end_s", column_B="start_s", notes="the clock goes forward"
        ),
        e.ExpectColumnValuesToBeBetween(column="tokens", min_value=1),
        e.ExpectColumnValuesToBeInSet(column="ok", value_set=[True]),
    ]


def _round_expectations(gx: Any) -> list[Any]:
    e = gx.expectations
    return [
        e.ExpectTableRowCountToBeBetween(min_value=2, notes="one round has no spread"),
        e.ExpectColumnValuesToBeBetween(column="requests", min_value=1),
        e.ExpectColumnMeanToBeBetween(
            column="believable", min_value=0.5, notes="at least half of the rounds can be believed"
        ),
    ]
