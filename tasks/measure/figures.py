"""What the metrics mean: formulas over the rows of a round. See docs/metrics.md.

Times in seconds inside, in the metric's own unit outside. TTFT, TPOT, ITL and latency are those
of evalscope; throughput counts the tokens whose chunks arrived inside the steady window, whichever
request they belong to, so that a stream cut by the window's edge counts for its part and no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tasks.measure.round import RequestRow, Round
from tasks.spec.metrics import Metric

Values = NDArray[np.float64]
SHARES = ("success_rate", "goodput")
RATES = ("output_throughput", "total_throughput", "request_throughput")


# A stream's chunks end with it, give or take the usage chunk and the clock's grain.
SLACK_S = 0.05
SLACK = 1.05
# Two requests of a closed loop follow each other within a latency; ten of them and this many
# seconds are no pause of the engine but a clock that jumped.
JUMP_S = 5.0


def rank(q: float, n: int) -> int:
    """Where the empirical quantile lies among n sorted values: at least a share q is at or below.

    0.07 * 100 is a little more than 7 in floating point, which must not move it on.
    """
    return max(0, math.ceil(q * n - 1e-9) - 1)


def sound(row: RequestRow) -> bool:
    """An answered request whose figures can be believed: finite, in order, with a token."""
    if not row.ok or row.ttft is None or row.completion_tokens <= 0 or row.prompt_tokens < 0:
        return False
    spent, streamed = row.end - row.start, row.ttft + math.fsum(row.itl)
    return (
        math.isfinite(row.start)
        and math.isfinite(row.end)
        and math.isfinite(streamed)
        and 0 < row.ttft <= spent + 1e-6
        and min(row.itl, default=0.0) >= 0
        and streamed <= spent * SLACK + SLACK_S
    )


def doubts(item: Round) -> list[str]:
    """Why the rows of a round can't all be true, whatever the model did."""
    out = []
    odd = sum(row.ok and not sound(row) for row in item.rows)
    if odd:
        out.append(f"{odd} answered requests have impossible times or no tokens")
    starts = [row.start for row in item.rows]
    if any(later < earlier for earlier, later in pairwise(starts)):
        out.append("requests are not in the order they were sent")
    elif item.client.asked_rate is None and len(starts) > 1 and not odd:
        longest = max(row.end - row.start for row in item.rows)
        gap = max(later - earlier for earlier, later in pairwise(starts))
        if not gap <= 10 * longest + JUMP_S:
            out.append(f"the clock jumped by {gap:.0f} s between two requests")
    return out


def tpot(row: RequestRow) -> float | None:
    """Time per output token after the first (s): (latency - TTFT) / (tokens - 1)."""
    if row.completion_tokens < 2 or row.ttft is None:
        return None
    return (row.end - row.start - row.ttft) / (row.completion_tokens - 1)


def _value(kind: str, row: RequestRow) -> float | None:
    if kind == "ttft":
        return row.ttft
    if kind == "tpot":
        return tpot(row)
    return row.end - row.start


def samples(kind: str, rows: Sequence[RequestRow]) -> Values:
    """One value (s) per request, in order of start; failed and unsound requests are infinite.

    itl gives one value per gap; a failed request counts as one infinite gap. A request of a single
    token has no TPOT and is left out of it.
    """
    out: list[float] = []
    for row in rows:
        if not sound(row):
            out.append(math.inf)
        elif kind == "itl":
            out.extend(row.itl)
        elif (value := _value(kind, row)) is not None:
            out.append(value)
    return np.asarray(out, dtype=np.float64)


def within(row: RequestRow, ttft_ms: float | None, tpot_ms: float | None) -> bool:
    """Goodput's question: did this request succeed within its TTFT and TPOT?"""
    if not sound(row) or row.ttft is None:
        return False
    if ttft_ms is not None and row.ttft * 1000 > ttft_ms:
        return False
    each = tpot(row)
    return tpot_ms is None or each is None or each * 1000 <= tpot_ms


def _tokens_between(row: RequestRow, start: float, end: float) -> float:
    """Output tokens of a stream whose chunks arrived in [start, end]; tokens spread over chunks."""
    if row.ttft is None:
        return 0.0
    times = row.start + row.ttft + np.concatenate(([0.0], np.cumsum(row.itl)))
    inside = int(((times >= start) & (times <= end)).sum())
    return row.completion_tokens * inside / len(times)


def rate(kind: str, item: Round) -> float | None:
    """Throughput of one round over its steady window (tok/s or requests/s); None without one.

    A request counts for requests/s and for its prompt tokens by the share of it inside the window.
    """
    start, end = item.window
    if not (math.isfinite(start) and math.isfinite(end)) or end <= start:
        return None
    rows = [row for row in item.rows if sound(row)]
    if not rows:
        return None
    total = 0.0
    for row in rows:
        share = max(0.0, min(end, row.end) - max(start, row.start)) / (row.end - row.start)
        if kind == "request_throughput":
            total += share
            continue
        total += _tokens_between(row, start, end)
        if kind == "total_throughput":
            total += row.prompt_tokens * share
    return total / (end - start)


def figure(metric: Metric, item: Round) -> float | None:
    """A round's value of a mean, a percentile or a rate, in base units (s, tok/s, ...).

    Means are over answered requests (a failed one has no time; the success rate judges it);
    percentiles count a failed request as infinitely slow. None without data.
    """
    if metric.kind in RATES:
        return rate(metric.kind, item)
    values = samples(metric.kind, item.rows)
    if metric.statistic == "mean":
        values = values[np.isfinite(values)]
        return float(values.mean()) if len(values) else None
    if metric.quantile is None or not len(values):
        return None
    return quantile(values, metric.quantile)


def quantile(values: Values, q: float) -> float:
    """The empirical quantile: the smallest value with at least a share q at or below it."""
    ordered = np.sort(values)
    return float(ordered[rank(q, len(ordered))])
