"""Confidence bounds for few rounds of few requests. The reasoning is in docs/verdict.md.

All bounds are one-sided: `low` lies above the truth, and `high` below it, with probability at
most `alpha` each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tasks.measure.figures import Values, rank

Bounds = tuple[float, float]
UNKNOWN: Bounds = (-math.inf, math.inf)
# Thresholds at which a percentile's share is tested; more data is tested at every so many values.
GRID = 512


@lru_cache(maxsize=4096)
def _t(degrees: int, alpha: float) -> float:
    """Student's quantile at 1 - alpha."""
    return float(special.stdtrit(degrees, 1 - alpha))


def student(per_round: Sequence[float], alpha: float) -> Bounds:
    """A mean by batch means: one figure per round, Student's quantile; none below 2 rounds."""
    values = np.asarray(per_round, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        return UNKNOWN
    mean, half = float(values.mean()), _half_width(values, alpha)
    return mean - half, mean + half


def _half_width(values: Values, alpha: float) -> float:
    """Of Student's one-sided bounds; at least two values."""
    return _t(len(values) - 1, alpha) * float(values.std(ddof=1)) / math.sqrt(len(values))


def level(per_round: Sequence[float], alpha: float) -> Bounds:
    """The mean of positive figures, one per round, whose rounds differ by factors (neighbours,
    clocks): Student's t on their logs.

    The mean of a log-normal law lies half its variance above its median. The low side leaves that
    out and the high side takes it twice, since where rounds look alike by luck it is too small:
    without it 5.8 % of candidates on the limit were promoted at 15 % noise, with it 4.7 %
    (simulated, 20 rounds at most, looks as in spending.py). Figures of 0 or below: `student`.
    """
    if any(not value > 0 for value in per_round):
        return student(per_round, alpha)
    low, high = student([math.log(value) for value in per_round], alpha)
    if not math.isfinite(high):
        return UNKNOWN
    return _exp(low), _exp(high + float(np.var(np.log(per_round), ddof=1)))


def _exp(value: float) -> float:
    """What is too large for a float is no bound; math.exp would raise."""
    return math.exp(value) if value < 700 else math.inf


def share(hits: Sequence[int], sizes: Sequence[int], alpha: float) -> Bounds:
    """A proportion: exact binomial over all requests, at the sample size that rounds which differ
    more than chance leave (design effect)."""
    total, count = sum(sizes), sum(hits)
    if total == 0:
        return (0.0, 1.0)
    size = total / design_effect(hits, sizes)
    x = count / total * size
    low = float(special.betaincinv(x, size - x + 1, alpha)) if count > 0 else 0.0
    high = float(special.betaincinv(x + 1, size - x, 1 - alpha)) if count < total else 1.0
    return low, high


def design_effect(hits: Sequence[int], sizes: Sequence[int]) -> float:
    """How much more the shares of the rounds vary than independent requests would; at least 1."""
    found = _design_effects(np.asarray(hits, dtype=np.float64)[:, None], np.asarray(sizes))
    return float(found[0])


def _design_effects(hits: Values, sizes: NDArray[np.int_]) -> Values:
    """The same for many thresholds: hits [round, threshold], sizes [round]."""
    used = sizes > 0
    count, n = hits[used], sizes[used].astype(np.float64)[:, None]
    share_of_all = count.sum(axis=0) / max(1.0, float(n.sum()))
    inside = (share_of_all > 0) & (share_of_all < 1)
    out = np.ones(hits.shape[1])
    if len(n) > 1 and inside.any():
        mean = share_of_all[inside]
        chi2 = ((count[:, inside] - n * mean) ** 2 / (n * mean * (1 - mean))).sum(axis=0)
        out[inside] = np.maximum(1.0, chi2 / (len(n) - 1))
    return out


def round_margin(rounds: Sequence[Values], q: float, alpha: float) -> float:
    """How far, in log, a quantile of all rounds together may lie from that of all rounds to come:
    Student's bound on the rounds' log medians. Infinite below 2 rounds.

    Medians know less of a tail than the tail does, and slow rounds weigh more in it than quick ones
    while few rounds may lack them: for a tail less of alpha is used and the variance added (for a
    p95 at 15 % noise 6 % of candidates on the limit were promoted without, 4.5 % with it).
    """
    levels = []
    for values in rounds:
        finite = values[np.isfinite(values) & (values > 0)]
        if not len(finite):
            return math.inf
        levels.append(math.log(float(np.median(finite))))
    if len(levels) < 2:
        return math.inf
    logs, tail = np.asarray(levels), min(1.0, abs(float(special.ndtri(q))))
    return _half_width(logs, alpha / (2 + tail)) + tail * float(logs.std(ddof=1)) ** 2


def percentile(
    rounds: Sequence[Values], q: float, alpha: float, independent: int | None = None
) -> Bounds:
    """A quantile of positive times that may be infinite (failed requests).

    rounds: the values of each round, sorted. independent: how many of all values may count as
    independent (gaps of one stream are not); default all.

    The wider of two bounds: of the requests (`high <= limit` is the exact binomial test, with the
    design effect of the rounds at that limit, that the share above the limit is at most 1 - q), and
    of the rounds (the empirical quantile, moved by `round_margin`), which rules where no slow
    request was seen yet although rounds differ.
    """
    n = sum(len(values) for values in rounds)
    margin = round_margin(rounds, q, alpha) if n else math.inf
    if not math.isfinite(margin):
        return UNKNOWN
    low, high, middle = _order_statistics(rounds, q, alpha, min(1.0, (independent or n) / n))
    return min(low, middle * math.exp(-margin)), max(high, middle * _exp(margin))


def _order_statistics(
    rounds: Sequence[Values], q: float, alpha: float, weight: float
) -> tuple[float, float, float]:
    """(low, high, empirical quantile): the thresholds beyond which the share is proven.

    high: the least value from which on the share at or below it is surely at least q.
    low: the greatest value before which the share is surely below q.
    """
    # merging sorted runs, which the stable sort does, beats sorting anew
    pooled = np.sort(np.concatenate(list(rounds)), kind="stable")
    n = len(pooled)
    middle = rank(q, n)
    step = max(1, math.ceil(n / GRID))
    ranks = np.unique(np.append(np.arange(step - 1, n, step), [middle, n - 1]))
    at = pooled[ranks]
    counts = np.stack([np.searchsorted(values, at, side="right") for values in rounds])
    sizes = np.asarray([len(values) for values in rounds])
    total = counts.sum(axis=0)
    size = n * weight / np.maximum(_design_effects(counts.astype(np.float64), sizes) * weight, 1.0)
    x = total / n * size
    # Clopper-Pearson's bounds lie beyond q exactly when these tails are at most alpha
    enough = special.betainc(x, size - x + 1, q) <= alpha
    with np.errstate(invalid="ignore"):
        short = (total < n) & (special.betainc(x + 1, size - x, q) >= 1 - alpha)
    doubtful = np.flatnonzero(~enough)
    first = int(doubtful[-1]) + 1 if len(doubtful) else 0
    high = float(at[first]) if first < len(at) else math.inf
    open_from = int(np.flatnonzero(~short)[0])
    # a limit below the next greater value holds no more requests than were proven short
    low = float(pooled[total[open_from - 1]]) if open_from else -math.inf
    return low, high, float(pooled[middle])


def ratio(pairs: Sequence[tuple[float, float]], alpha: float) -> Bounds:
    """Candidate over stable, from figures paired by round: Student's bound on the log ratios."""
    usable = [(c, s) for c, s in pairs if 0 < c < math.inf and 0 < s < math.inf]
    if len(usable) < len(pairs):
        return UNKNOWN
    low, high = student([math.log(c / s) for c, s in usable], alpha)
    return _exp(low), _exp(high)
