"""The check as a Great Expectations suite, with Data Docs a person can open.

The judge computes the bounds; the suite, generated from the targets, states once more and in the
open what they must satisfy, and what the measured rows must look like to be data at all. It is a
second witness: tasks.verdict.decide has both agree, or nothing is promoted.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.base.errors import OutsideError
from tasks.measure.figures import sound
from tasks.measure.round import Round
from tasks.spec.measure import Target
from tasks.verdict.rounds import believable
from tasks.verdict.targets import Decision, TargetVerdict
from tasks.verdict.witness import Witness

SUITES = ("targets", "requests", "rounds")
_ONE_AT_A_TIME = threading.Lock()


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

    from tasks.outside.great_expectations import expectations

    verdicts = _named(decision.targets)
    tables = {
        "targets": pd.DataFrame(_target_rows(verdicts), columns=TARGET_COLUMNS),
        "requests": pd.DataFrame(_request_rows(rounds), columns=REQUEST_COLUMNS),
        "rounds": pd.DataFrame(_round_rows(rounds), columns=ROUND_COLUMNS),
    }
    wanted = {
        "targets": expectations.of_targets(verdicts, targets),
        "requests": expectations.of_requests(verdicts),
        "rounds": expectations.of_rounds(),
    }
    try:
        # it keeps its current context in one place per process
        with _ONE_AT_A_TIME:
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


def witness(gate: GateResult) -> Witness:
    """What the suites say, for the verdict."""
    failed = tuple(
        _expectation(item)
        for result in gate.result.values()
        for item in result.get("results", [])
        if not item.get("success")
    )
    return Witness(gate.success, failed)


def _expectation(item: dict[str, Any]) -> str:
    """One expectation's type, and what it looked at."""
    config = item["expectation_config"]
    about = config.get("notes") or config["kwargs"].get("column", "")
    return f"{config['type']} ({about})" if about else str(config["type"])


# -- tables -----------------------------------------------------------------------------------

# limit, measured, low, high in `unit`; missing where there is no figure or no bound
TARGET_COLUMNS = [
    "target",
    "metric",
    "load",
    "direction",
    "limit",
    "measured",
    "low",
    "high",
    "unit",
    "requests",
    "rounds",
    "binding",
    "verdict",
]
# start_s, end_s: the rows' clock; the rest as in docs/metrics.md
REQUEST_COLUMNS = [
    "load",
    "release",
    "round",
    "start_s",
    "end_s",
    "ttft_s",
    "latency_s",
    "tokens",
    "outcome",
    "sound",
]
ROUND_COLUMNS = ["load", "release", "round", "requests", "succeeded", "believable"]


def _named(verdicts: Sequence[TargetVerdict]) -> dict[str, TargetVerdict]:
    """The targets by a name of their own, such as `ttft_p95_ms at c2 <= 1000`."""
    out: dict[str, TargetVerdict] = {}
    for item in verdicts:
        sign = "<=" if item.direction == "at_most" else ">="
        name = f"{item.metric} at {item.load} {sign} {item.limit:g}"
        out[name if name not in out else f"{name} ({len(out) + 1})"] = item
    return out


def _target_rows(verdicts: Mapping[str, TargetVerdict]) -> list[list[Any]]:
    return [
        [
            name,
            item.metric,
            item.load,
            item.direction,
            item.limit,
            *(_finite(value) for value in (item.measured, item.low, item.high)),
            item.unit,
            item.n_requests,
            item.n_rounds,
            "no" if item.advisory else "yes",
            item.verdict,
        ]
        for name, item in verdicts.items()
    ]


def _finite(value: float | None) -> float:
    """A float column stays one: what is missing is NaN, which Great Expectations takes as null."""
    return value if value is not None and math.isfinite(value) else math.nan


def _request_rows(rounds: Sequence[Round]) -> list[list[Any]]:
    """Every request of the rounds that can be believed."""
    return [
        [
            r.load,
            r.release,
            r.index + 1,  # as a reader counts
            x.start,
            x.end,
            x.ttft,
            x.end - x.start,
            x.completion_tokens,
            "answered" if x.ok else "failed",
            "yes" if sound(x) else "no",
        ]
        for r in rounds
        if believable(r)
        for x in r.rows
    ]


def _round_rows(rounds: Sequence[Round]) -> list[list[Any]]:
    return [
        [r.load, r.release, r.index + 1, len(r.rows), sum(x.ok for x in r.rows), int(believable(r))]
        for r in rounds
    ]
