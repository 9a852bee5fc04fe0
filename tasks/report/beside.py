"""The section of the report that sets the candidate beside the stable release."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tasks.measure.round import Round
from tasks.record.parts import TargetJudged
from tasks.record.record import Record
from tasks.report.figures.bars import interval
from tasks.report.figures.plots import FAR, Axis, Mark, axis
from tasks.report.figures.points import Load, RoundFigures
from tasks.report.html import (
    NOTHING,
    bounds_text,
    esc,
    is_number,
    metric_name,
    quantity,
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


@dataclass(frozen=True)
class _Compared:
    """One figure of both releases, as text; the rest in percent of change, None where open."""

    metric: str
    load: str
    ours: str
    theirs: str
    change: float | None
    low: float | None
    high: float | None
    limit: float
    look: str


def against_stable(record: Record, loads: Sequence[Load]) -> str:
    """Both releases side by side, with the difference; empty where the stable one was not
    measured."""
    judged = [item for item in record.targets if item.versus_stable_percent is not None]
    found = []
    for load in loads:
        for name, of in _OF.items():
            pairs = _pairs(load, of)
            if pairs:
                target = next((i for i in judged if (i.metric, i.load) == (name, load.name)), None)
                found.append(_measured(name, load.name, pairs, target, record))
    shown = {(item.metric, item.load) for item in found}
    found += [_judged(item) for item in judged if (item.metric, item.load) not in shown]
    lead = t(
        "The mean over the rounds in which both were measured and count. The bar is where the "
        "difference lies, at {confidence} % confidence; its green side is no worse than the stable "
        "release, or, where a target says how much worse is allowed, no worse than that.",
        confidence=f"{record.confidence_percent:g}",
    )
    heads = ts("Figure", "Load", "Candidate", "Stable", "Difference", "Bounds of the difference")
    scale = _scale(found)
    rows = [_row(item, scale) for item in found]
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
) -> _Compared:
    metric = parse_metric(name)
    ours, theirs = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    shown = quantity(ours, metric.unit), quantity(theirs, metric.unit)
    if target is not None:  # judged: the verdict's own figures
        return replace(_judged(target), ours=shown[0], theirs=shown[1])
    change = 100 * (ours / theirs - 1) if theirs > 0 else None
    least, most = bounds.ratio(pairs, (1 - record.confidence_percent / 100) / 2)
    low = 100 * (least - 1) if least > 0 else None
    high = 100 * (most - 1) if math.isfinite(most) else None
    return _Compared(name, load, *shown, change, low, high, 0.0, _side(metric.direction, low, high))


def _judged(target: TargetJudged) -> _Compared:
    """What the record has of a target, without measured rows."""
    try:
        unit = parse_metric(target.metric).unit
    except ValueError:
        unit = ""
    return _Compared(
        target.metric,
        target.load,
        NOTHING,
        quantity(target.stable_measured, unit),
        target.measured if is_number(target.measured) else None,
        *bounds_of(target),
        target.limit if is_number(target.limit) else 0.0,
        target.verdict,
    )


def _side(direction: str, low: float | None, high: float | None) -> str:
    """The look of a difference that no target judges: better, worse, or neither shown."""
    better, worse = (high, low) if direction == "at_most" else (low, high)
    sign = 1 if direction == "at_most" else -1
    if better is not None and sign * better <= 0:
        return "pass"
    return "fail" if worse is not None and sign * worse > 0 else "inconclusive"


def _scale(found: Sequence[_Compared]) -> Axis:
    """One for all rows, so that they can be compared; bounds that are far run to its edges."""
    inner = [0.0, *(item.limit for item in found)]
    inner += [item.change for item in found if item.change is not None]
    reach = FAR * max(1.0, *map(abs, inner))
    ends = [end for item in found for end in (item.low, item.high) if end is not None]
    return axis([*inner, *(end for end in ends if abs(end) <= reach)], zero=False)


def _row(item: _Compared, scale: Axis) -> list[str]:
    shown = f"{item.change:+.1f} %" if item.change is not None else NOTHING
    said, drawn = bounds_text(item.low, item.high, "percent"), ""
    if item.change is not None:
        alt = t(
            "{metric}: {change} against stable, bounds {bounds}",
            metric=metric_name(item.metric),
            change=shown,
            bounds=said,
        )
        at_most = item.metric.startswith(("ttft", "tpot", "itl", "latency"))
        mark = Mark("", item.limit, item.look, item.low, item.high, item.change)
        drawn = interval(mark, at_most=at_most, alt=alt, scale=scale)
    return [
        esc(metric_name(item.metric)),
        esc(item.load or NOTHING),
        esc(item.ours),
        esc(item.theirs),
        f"<b>{esc(shown)}</b>",
        f'<div class="bar">{drawn}<small>{esc(said)}</small></div>',
    ]
