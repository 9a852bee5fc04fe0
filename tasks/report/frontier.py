"""Latency against throughput over the load points: what more load costs, and where it ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tasks.record.record import Record
from tasks.report.figures import points as data
from tasks.report.figures.plots import Cross, Curve, Plot, axis, draw, near
from tasks.report.figures.points import Load
from tasks.report.html import bounds_text, esc, number
from tasks.report.measured import MS, grid
from tasks.report.words.speech import t
from tasks.verdict import bounds

TAIL = 0.95
Figured = tuple[float, bounds.Bounds]  # a figure with its bounds


def frontier(record: Record, loads: Sequence[Load]) -> str:
    """Two figures under a heading of their own; empty where no two load points have both sides."""
    alpha = (1 - record.confidence_percent / 100) / 2
    plots = [
        drawn
        for title, of in (
            (t("TTFT p95 against throughput"), _tail),
            (t("TPOT mean against throughput"), _per_token),
        )
        if (drawn := _plot(title, loads, of, alpha))
    ]
    if not plots:
        return ""
    lead = t(
        "One point a load point, with the bounds of each figure by itself at {confidence} % "
        "confidence; a bound that is still open runs to the edge. Further right and further down "
        "is better.",
        confidence=f"{record.confidence_percent:g}",
    )
    heading = esc(t("Latency against throughput"))
    return f'<h3>{heading}</h3><p class="lead">{lead}</p>{grid(plots)}'


def _level(values: Sequence[float | None], alpha: float) -> Figured | None:
    known = [value for value in values if value is not None]
    return (sum(known) / len(known), bounds.level(known, alpha)) if known else None


def _rate(load: Load, alpha: float) -> Figured | None:
    return _level([load.figures(item).throughput for item in load.counted], alpha)


def _per_token(load: Load, alpha: float) -> Figured | None:
    return _level([load.figures(item).tpot_mean for item in load.counted], alpha)


def _tail(load: Load, alpha: float) -> Figured | None:
    value = data.spot("ttft", TAIL, load.counted, MS)
    if value is None:
        return None
    each = [np.sort(data.pooled("ttft", [item])) * MS for item in load.counted]
    return value, bounds.percentile([values for values in each if len(values)], TAIL, alpha)


def _plot(
    title: str,
    loads: Sequence[Load],
    of: Callable[[Load, float], Figured | None],
    alpha: float,
) -> str:
    crosses = []
    for load in loads:
        rate, time = _rate(load, alpha), of(load, alpha)
        if rate is None or time is None:
            continue
        across, along = _known(rate[1]), _known(time[1])
        said = t(
            "{load}: {rate} tok/s ({rate_bounds}), {time} ms ({time_bounds})",
            load=load.name,
            rate=number(rate[0]),
            rate_bounds=bounds_text(*across),
            time=number(time[0]),
            time_bounds=bounds_text(*along),
        )
        crosses.append(Cross(rate[0], time[0], load.name, said, across, along))
    if len(crosses) < 2:
        return ""
    line = Curve([(cross.x, cross.y) for cross in crosses], "line soft")
    x, y = (
        axis([*values, *near([v for end in ends for v in end if v is not None], values)])
        for values, ends in (
            ([cross.x for cross in crosses], [cross.across for cross in crosses]),
            ([cross.y for cross in crosses], [cross.along for cross in crosses]),
        )
    )
    alt = t(
        "{figure} against load: {values}",
        figure=title,
        values="; ".join(cross.title for cross in crosses),
    )
    return draw(Plot(title, alt, x, y, x_name="tok/s", y_name="ms", curves=[line], crosses=crosses))


def _known(found: bounds.Bounds) -> tuple[float | None, float | None]:
    low, high = (value if math.isfinite(value) else None for value in found)
    return low, high
