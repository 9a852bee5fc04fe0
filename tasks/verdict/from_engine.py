"""The verdict from what engines counted themselves, between two looks at them.

Every request is in it, so there is no chance to bound: what is not known is where in a bucket a
percentile lies. A target passes or fails only where the whole bucket is on one side of its limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tasks.measure.histograms import Histogram
from tasks.measure.traffic import Traffic
from tasks.spec.measure import Target
from tasks.verdict.targets import (
    FAILED_SHARE,
    IMPLIED,
    LEAST_REQUESTS,
    Decision,
    TargetVerdict,
    Word,
    conclude,
    say,
)

TRAFFIC = "traffic"  # in the place of a load's name


def judge_engine(
    targets: Sequence[Target], seen: Mapping[str, Histogram], traffic: Traffic
) -> Decision:
    """The targets by histograms of their kinds, and by how many requests failed. An engine says
    nothing of goodput, and its throughput follows from what it is asked: those are left out."""
    told = [item for item in targets if item.parsed.kind in (*seen, "success_rate")]
    if not any(item.parsed.kind == "success_rate" and not item.advisory for item in told):
        told.append(Target(metric=IMPLIED, limit=100.0))
    found = [_judged(item, seen.get(item.parsed.kind), traffic) for item in told]
    return conclude(found, told)


def _judged(target: Target, seen: Histogram | None, traffic: Traffic) -> TargetVerdict:
    metric, limit = target.parsed, float(target.limit or 0.0)
    base = limit / metric.factor
    if metric.kind == "success_rate":
        requests = traffic.begun + traffic.errors
        share = 1 - traffic.error_share
        low = high = share
        word = _success(target, share, base)
    else:
        requests = seen.count if seen else 0
        low, high = _between(target, seen)
        word = _side(low, high, base, exact=metric.quantile is None)
    reason = say(word, metric.direction, limit, metric.unit)
    if requests < LEAST_REQUESTS:
        word = "inconclusive"
        reason = f"{requests} requests came, at least {LEAST_REQUESTS} are needed"
    known = requests > 0
    return TargetVerdict(
        metric=target.metric,
        load=TRAFFIC,
        limit=limit,
        unit=metric.unit,
        direction=metric.direction,
        measured=low * metric.factor if known and low == high else None,
        low=low * metric.factor if known else None,
        high=high * metric.factor if known and math.isfinite(high) else None,
        n_requests=requests,
        n_rounds=1,
        verdict=word,
        reason=reason,
        advisory=target.advisory,
    )


def _between(target: Target, seen: Histogram | None) -> tuple[float, float]:
    metric = target.parsed
    if seen is None or seen.mean is None:
        return 0.0, math.inf
    if metric.quantile is None:
        return seen.mean, seen.mean
    return seen.bounds(metric.quantile) or (0.0, math.inf)


def _side(low: float, high: float, limit: float, *, exact: bool) -> Word:
    """Of a time, at most: it is above `low`, or exactly that, and at most `high`."""
    if high <= limit:
        return "pass"
    return "fail" if low > limit or (not exact and low >= limit) else "inconclusive"


def _success(target: Target, share: float, limit: float) -> Word:
    if target.metric == IMPLIED and limit >= 1.0 and share < 1.0:
        return "fail" if share < 1 - FAILED_SHARE else "inconclusive"
    return "pass" if share >= limit else "fail"
