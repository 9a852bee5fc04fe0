"""Figures of the rounds as few points to draw, however many requests there were."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tasks.measure.figures import Values, figure, quantile, samples, sound
from tasks.measure.round import RequestRow, Round
from tasks.record.parts import RoundMeasured
from tasks.report.html import is_number
from tasks.report.words.speech import t
from tasks.spec.metrics import parse_metric
from tasks.verdict.rounds import believable

CURVE_POINTS = 160
ROUND_POINTS = 50
BINS = 48
MOST_CURVES = 24
THROUGHPUT = parse_metric("output_throughput_tok_s")


@dataclass(frozen=True)
class Load:
    """One load point: its name, what it is in words, its rounds by release."""

    name: str
    words: str
    candidate: tuple[Round, ...]
    stable: tuple[Round, ...]

    @cached_property
    def trusted(self) -> tuple[Round, ...]:
        """The candidate's rounds that the verdict rests on."""
        return tuple(item for item in self.candidate if believable(item))

    @property
    def counted(self) -> tuple[Round, ...]:
        """The rounds to draw: those that count, and where none does, all of them."""
        return self.trusted or self.candidate

    @cached_property
    def _figures(self) -> dict[int, RoundFigures]:
        return {id(item): round_figures(item) for item in (*self.candidate, *self.stable)}

    def figures(self, item: Round) -> RoundFigures:
        """The figures of one of this load point's rounds, computed once."""
        return self._figures[id(item)]


def ordinal(item: Round | RoundMeasured) -> int:
    """The number of a round for a reader, who counts from 1."""
    return item.index + 1


def loads(rounds: Sequence[Round], points: Sequence[Mapping[str, Any]]) -> list[Load]:
    """The load points that were measured, in the spec's order, then in order of appearance."""
    names = [str(point.get("name")) for point in points]
    names += [item.load for item in rounds]
    words = {str(point.get("name")): _words(point) for point in points}
    out = []
    for name in dict.fromkeys(names):
        mine = [item for item in rounds if item.load == name]
        if mine:
            sides = {
                side: tuple(r for r in mine if r.release == side)
                for side in ("candidate", "stable")
            }
            out.append(Load(name, words.get(name, ""), sides["candidate"], sides["stable"]))
    return out


def _words(point: Mapping[str, Any]) -> str:
    if is_number(point.get("concurrency")):
        return t("{n} in flight", n=point["concurrency"])
    if is_number(point.get("rate")):
        return t("{n} arrivals/s", n=f"{point['rate']:g}")
    return ""


def pooled(kind: str, rounds: Sequence[Round]) -> Values:
    """All samples of a metric (s), failed requests infinite."""
    parts = [samples(kind, item.rows) for item in rounds]
    return np.concatenate(parts) if parts else np.zeros(0)


def ecdf(values: Values, factor: float, most: int = CURVE_POINTS) -> list[tuple[float, float]]:
    """(value * factor, share at or below it), at most about `most` points, tails kept.

    A failed request is infinitely slow: the curve then ends below 1.
    """
    ordered = np.sort(values)
    count = len(ordered)
    if not count:
        return []
    if count <= most:
        picks = np.arange(1, count + 1)
    else:
        picks = np.unique(np.ceil(np.linspace(0, 1, most) * (count - 1)).astype(int) + 1)
    return [
        (float(ordered[i - 1]) * factor, float(i / count))
        for i in picks.tolist()
        if math.isfinite(float(ordered[i - 1]))
    ]


def share_at(values: Values, value: float) -> float:
    """The share of the samples at or below `value`."""
    return float((values <= value).mean()) if len(values) else 0.0


def evenly(items: Sequence[Round], most: int = MOST_CURVES) -> list[Round]:
    """At most `most` rounds, evenly picked."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(i * step)] for i in range(most)]


def spot(kind: str, q: float, rounds: Sequence[Round], factor: float) -> float | None:
    """A quantile over all requests of the rounds; None without data, or where it is infinite."""
    values = pooled(kind, rounds)
    if not len(values):
        return None
    found = quantile(values, q) * factor
    return found if math.isfinite(found) else None


@dataclass(frozen=True)
class RoundFigures:
    """One round in figures: times in ms, throughput in tok/s; None where there is none."""

    ttft_mean: float | None
    ttft_p5: float | None
    ttft_p95: float | None
    tpot_mean: float | None
    throughput: float | None


def round_figures(item: Round) -> RoundFigures:
    """The figures of one round, by the definitions the verdict uses."""

    def ms(name: str) -> float | None:
        value = figure(parse_metric(name), item)
        return value * 1000 if value is not None and math.isfinite(value) else None

    rate = figure(THROUGHPUT, item)
    return RoundFigures(
        ms("ttft_mean_ms"),
        ms("ttft_p5_ms"),
        ms("ttft_p95_ms"),
        ms("tpot_mean_ms"),
        rate if rate is not None and math.isfinite(rate) else None,
    )


@dataclass(frozen=True)
class Flow:
    """Tokens a second over the time of a round. span, window: seconds from its first request."""

    span: float
    window: tuple[float, float]
    rates: tuple[float, ...]
    width: float

    def points(self) -> list[tuple[float, float]]:
        """(middle of the bin, tok/s)."""
        return [((i + 0.5) * self.width, rate) for i, rate in enumerate(self.rates)]


def bin_width(rounds: Sequence[Round]) -> float:
    """One width (s) for all rounds of a load point, so that their curves can be compared."""
    spans = [_span(item)[1] - _span(item)[0] for item in rounds if item.rows]
    longest = max((s for s in spans if math.isfinite(s)), default=0.0)
    return longest / BINS if longest > 0 else 1.0


def _span(item: Round) -> tuple[float, float]:
    good = [row for row in item.rows if math.isfinite(row.start) and math.isfinite(row.end)]
    if not good:
        return (0.0, 0.0)
    return min(row.start for row in good), max(row.end for row in good)


def token_times(row: RequestRow) -> Values:
    """When the chunks of a request arrived, in the rows' clock."""
    if row.ttft is None or not sound(row):
        return np.zeros(0)
    return row.start + row.ttft + np.concatenate(([0.0], np.cumsum(row.itl)))


def flow(item: Round, width: float) -> Flow | None:
    """Throughput over the time of a round in bins of `width` seconds; None without data."""
    start, end = _span(item)
    if end <= start or width <= 0:
        return None
    count = max(1, min(4 * BINS, math.ceil((end - start) / width - 1e-9)))
    tokens = np.zeros(count)
    for row in item.rows:
        times = token_times(row)
        if len(times):
            at = np.clip(((times - start) / width).astype(int), 0, count - 1)
            tokens += np.bincount(at, minlength=count) * (row.completion_tokens / len(times))
    first, last = item.window
    window = (
        (first - start, last - start)
        if math.isfinite(first) and math.isfinite(last) and last > first
        else (0.0, end - start)
    )
    return Flow(end - start, window, tuple((tokens / width).tolist()), width)


def average(flows: Sequence[Flow]) -> list[tuple[float, float]]:
    """Mean tok/s over the rounds that last into a bin, where at least half of them do."""
    if not flows:
        return []
    longest = max(len(item.rates) for item in flows)
    out = []
    for i in range(longest):
        known = [item.rates[i] for item in flows if i < len(item.rates)]
        if 2 * len(known) >= len(flows):
            out.append(((i + 0.5) * flows[0].width, sum(known) / len(known)))
    return out


def middle(values: Sequence[float]) -> float:
    """The median; 0 without values."""
    return float(np.median(values)) if values else 0.0
