"""The section of the report that sets the candidate beside the stable release."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tasks.measure.round import Round
from tasks.record.parts import TargetJudged
from tasks.record.record import Record
from tasks.report.figures.bars import interval
from tasks.report.figures.plots import Mark
from tasks.report.figures.points import Load, RoundFigures
from tasks.report.html import (
    NOTHING,
    bounds_text,
    esc,
    is_number,
    metric_name,
    number,
    section,
    table,
)
from tasks.report.measured import bounds_of
from tasks.report.words.speech import t, ts
from tasks.spec.metrics import parse_metric
from tasks.verdict import bounds
from tasks.verdict.rounds import believable

Pairs = list[tuple[float, float]]
_OF: dict[str, Callable[[RoundFigures], float | None]] = {
    "ttft_mean_ms": lambda f: f.ttft_mean,
    "ttft_p95_ms": lambda f: f.ttft_p95,
    "tpot_mean_ms": lambda f: f.tpot_mean,
    "output_throughput_tok_s": lambda f: f.throughput,
}


def against_stable(record: Record, loads: Sequence[Load]) -> str:
    """Both releases side by side, with the difference; empty where the stable one was not
    measured."""
    judged = [item for item in record.targets if item.versus_stable_percent is not None]
    rows, shown = [], set()
    for load in loads:
        for name, of in _OF.items():
            pairs = _pairs(load, of)
            if pairs:
                found = next((i for i in judged if (i.metric, i.load) == (name, load.name)), None)
                shown.add((name, load.name))
                rows.append(_measured(name, load.name, pairs, found, record))
    rows += [_judged(item) for item in judged if (item.metric, item.load) not in shown]
    lead = t(
        "The mean over the rounds in which both were measured and count. The bar is where the "
        "difference lies, at {confidence} % confidence; its green side is no worse than the stable "
        "release, or, where a target says how much worse is allowed, no worse than that.",
        confidence=f"{record.confidence_percent:g}",
    )
    heads = ts("Figure", "Load", "Candidate", "Stable", "Difference", "Bounds of the difference")
    body = table(t("The candidate beside the stable release"), heads, rows, right=(2, 3, 4))
    return section("stable", t("Candidate against stable"), lead, body)


def _pairs(load: Load, of: Callable[[RoundFigures], float | None]) -> Pairs:
    """A figure of both releases in each round where both count."""
    other: dict[int, Round] = {item.index: item for item in load.stable if believable(item)}
    out = []
    for item in load.trusted:
        if item.index in other:
            ours, theirs = of(load.figures(item)), of(load.figures(other[item.index]))
            if ours is not None and theirs is not None:
                out.append((ours, theirs))
    return out


def _measured(
    name: str, load: str, pairs: Pairs, target: TargetJudged | None, record: Record
) -> list[str]:
    metric = parse_metric(name)
    unit = {"ms": "ms", "tok_s": "tok/s"}[metric.unit]
    ours, theirs = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    change = 100 * (ours / theirs - 1) if theirs > 0 else None
    low, high = bounds.ratio(pairs, (1 - record.confidence_percent / 100) / 2)
    ends = (
        100 * (low - 1) if low > 0 else None,
        100 * (high - 1) if math.isfinite(high) else None,
    )
    limit, word = 0.0, ""
    if target is not None and is_number(target.limit):
        # judged: the verdict's own figures
        change, ends = target.measured, bounds_of(target)
        limit, word = target.limit, target.verdict
    return _row(
        name, load, (number(ours), number(theirs), unit), change, ends, limit,
        word or _side(metric.direction, *ends),
    )  # fmt: skip


def _judged(target: TargetJudged) -> list[str]:
    """A row of what the record has of a target, without measured rows."""
    stable = target.stable_measured
    other = number(stable) if stable is not None else NOTHING
    unit = "" if stable is None else target.metric.rpartition("_")[2]
    return _row(
        target.metric,
        target.load,
        (NOTHING, other, unit if unit != "s" else ""),
        target.measured,
        bounds_of(target),
        target.limit or 0.0,
        target.verdict,
    )


def _side(direction: str, low: float | None, high: float | None) -> str:
    """The look of a difference that no target judges: better, worse, or neither shown."""
    better, worse = (high, low) if direction == "at_most" else (low, high)
    sign = 1 if direction == "at_most" else -1
    if better is not None and sign * better <= 0:
        return "pass"
    return "fail" if worse is not None and sign * worse > 0 else "inconclusive"


def _row(
    name: str,
    load: str,
    figures: tuple[str, str, str],
    change: float | None,
    ends: tuple[float | None, float | None],
    limit: float,
    look: str,
) -> list[str]:
    ours, theirs, unit = figures
    low, high = ends
    shown = f"{change:+.1f} %" if is_number(change) else NOTHING
    said = bounds_text(low, high, "percent")
    drawn = ""
    if is_number(change):
        alt = t(
            "{metric}: {change} against stable, bounds {bounds}",
            metric=metric_name(name),
            change=shown,
            bounds=said,
        )
        at_most = name.startswith(("ttft", "tpot", "itl", "latency"))
        drawn = interval(Mark("", limit, look, low, high, change), at_most=at_most, alt=alt)
    return [
        esc(metric_name(name)),
        esc(load or NOTHING),
        esc(f"{ours} {unit}" if ours != NOTHING else ours),
        esc(f"{theirs} {unit}" if theirs != NOTHING else theirs),
        f"<b>{esc(shown)}</b>",
        f'<div class="bar">{drawn}<small>{esc(said)}</small></div>',
    ]
