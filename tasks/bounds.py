"""Confidence bounds for few rounds of few requests. PURE. The reasoning is in docs/verdict.md.

All bounds are one-sided: `low` lies above the truth, and `high` below it, with probability at
most `alpha` each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]
Bounds = tuple[float, float]
UNKNOWN: Bounds = (-math.inf, math.inf)


def alpha_at(look: int, alpha: float) -> float:
    """What look number `look` (1, 2, ...) may spend: alpha / (look (look + 1)).

    The sum over any number of looks is at most alpha, so one may stop whenever one likes.
    """
    return alpha / (look * (look + 1))


def student(per_round: Sequence[float], alpha: float) -> Bounds:
    """A mean by batch means: one figure per round, Student's quantile; none below 2 rounds."""
    values = np.asarray(per_round, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        return UNKNOWN
    mean = float(values.mean())
    half = float(stats.t.ppf(1 - alpha, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return mean - half, mean + half


def share(hits: Sequence[int], sizes: Sequence[int], alpha: float) -> Bounds:
    """A proportion: exact binomial over all requests, at the sample size that rounds which differ
    more than chance leave (design effect)."""
    total, count = sum(sizes), sum(hits)
    if total == 0:
        return (0.0, 1.0)
    size = total / design_effect(hits, sizes)
    mean = count / total
    x = mean * size
    low = float(stats.beta.ppf(alpha, x, size - x + 1)) if x > 0 else 0.0
    high = float(stats.beta.ppf(1 - alpha, x + 1, size - x)) if x < size else 1.0
    return low, high


def design_effect(hits: Sequence[int], sizes: Sequence[int]) -> float:
    """How much more the shares of the rounds vary than independent requests would; at least 1."""
    used = [(h, n) for h, n in zip(hits, sizes, strict=True) if n > 0]
    total, count = sum(n for _, n in used), sum(h for h, _ in used)
    if len(used) < 2 or count in (0, total):
        return 1.0
    mean = count / total
    chi2 = sum((h - n * mean) ** 2 / (n * mean * (1 - mean)) for h, n in used)
    return max(1.0, float(chi2 / (len(used) - 1)))


def round_margin(rounds: Sequence[Values], alpha: float) -> float:
    """How far, in log, the level of all rounds together may lie from the level of all rounds to
    come: Student's bound on the rounds' log medians. Infinite below 2 rounds."""
    levels = []
    for values in rounds:
        finite = values[np.isfinite(values) & (values > 0)]
        if not len(finite):
            return math.inf
        levels.append(math.log(float(np.median(finite))))
    if len(levels) < 2:
        return math.inf
    spread = float(np.std(levels, ddof=1))
    return float(stats.t.ppf(1 - alpha, len(levels) - 1)) * spread / math.sqrt(len(levels))


def percentile(rounds: Sequence[Values], q: float, alpha: float) -> Bounds:
    """A quantile of positive times that may be infinite (failed requests).

    The wider of two bounds: of the requests (order statistics, exact binomial: `high <= limit` is
    the exact test that the share above the limit is at most 1 - q), and of the rounds (the
    empirical quantile, moved by `round_margin`), which rules where rounds differ by more than
    their requests explain.
    """
    pooled = np.sort(np.concatenate(list(rounds))) if rounds else np.empty(0)
    n = len(pooled)
    # half of alpha for the rounds: the medians know a little less of the tail than the tail does
    margin = round_margin(rounds, alpha / 2) if n else math.inf
    if not math.isfinite(margin):
        return UNKNOWN
    middle = float(pooled[max(0, math.ceil(q * n) - 1)])
    # of n requests, fewer than `below` or more than `above` lie at or below the true quantile
    # with probability at most alpha each
    below, above = int(stats.binom.ppf(alpha, n, q)), int(stats.binom.isf(alpha, n, q))
    low = float(pooled[below - 1]) if below >= 1 else -math.inf
    high = float(pooled[above]) if above < n else math.inf
    return min(low, middle * math.exp(-margin)), max(high, middle * math.exp(margin))


def ratio(pairs: Sequence[tuple[float, float]], alpha: float) -> Bounds:
    """Candidate over stable, from figures paired by round: Student's bound on the log ratios."""
    usable = [(c, s) for c, s in pairs if 0 < c < math.inf and 0 < s < math.inf]
    if len(usable) < len(pairs):
        return UNKNOWN
    low, high = student([math.log(c / s) for c, s in usable], alpha)
    return math.exp(low) if low > -700 else 0.0, math.exp(high) if high < 700 else math.inf
