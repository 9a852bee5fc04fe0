"""The rules of a soak: from its spec, and from what the benchmark saw where the spec sets no limit.

What the benchmark saw is kept in the cluster's state, so that whoever goes on with a promotion
(`rollout promote`, the guard, a recovery) watches by the very same bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from tasks.measure.figures import rank, samples
from tasks.measure.round import Round
from tasks.release.soaking import Rules, SoakBounds
from tasks.spec.measure import Target
from tasks.spec.rollout import Rollout

# Short of it one request among a hundred is a breach, whatever the targets say of success.
LEAST_ERROR_SHARE = 0.01
# A probe is one request: what the slowest load's slowest ones took is no news.
QUANTILE = 0.99

TTFT_S, QUEUE = "ttft_s", "queue"


def benchmarked(rounds: Sequence[Round]) -> dict[str, float]:
    """What the candidate did in the benchmark: p99 of TTFT at the slowest load (s), longest queue.

    A figure that nobody measured is missing.
    """
    mine = [item for item in rounds if item.release == "candidate"]
    slowest = []
    for load in sorted({item.load for item in mine}):
        rows = [row for item in mine if item.load == load for row in item.rows]
        # a failed request has no time
        values = sorted(float(t) for t in samples("ttft", rows) if math.isfinite(t))
        if values:
            slowest.append(values[rank(QUANTILE, len(values))])
    queues = [item.server.waiting_max for item in mine if item.server.waiting_max is not None]
    found = {TTFT_S: max(slowest, default=None), QUEUE: max(queues, default=None)}
    return {name: float(value) for name, value in found.items() if value is not None}


def rules_of(spec: Rollout, measured: Mapping[str, float]) -> Rules:
    """How a promoted release of this spec is watched. measured: as `benchmarked` gives it."""
    soak = spec.promotion.soak
    return Rules(
        duration_s=soak.duration_s,
        interval_s=soak.interval_s,
        failures=soak.failures,
        window=soak.window,
        consecutive=soak.consecutive,
        no_traffic=soak.no_traffic,
        bounds=_bounds(spec, measured),
    )


def _bounds(spec: Rollout, measured: Mapping[str, float]) -> SoakBounds:
    soak = spec.promotion.soak
    asked = _above(soak.factor, _limits(spec.targets, "ttft"))
    ttft = asked or _above(soak.factor, [measured.get(TTFT_S)])
    loads = [load.concurrency for load in spec.benchmark.loads]
    queue = _above(soak.factor, [*loads, measured.get(QUEUE)])
    left = [1 - share for share in _limits(spec.targets, "success_rate")]
    errors = max([LEAST_ERROR_SHARE, *left])
    return SoakBounds(
        ttft_s=soak.ttft_ms / 1000 if soak.ttft_ms is not None else ttft,
        error_share=soak.error_percent / 100 if soak.error_percent is not None else errors,
        waiting=soak.queue if soak.queue is not None else queue,
    )


def _limits(targets: Iterable[Target], kind: str) -> list[float]:
    """The absolute limits of the binding targets of a kind, in base units (s, ratio)."""
    return [
        target.limit / target.parsed.factor
        for target in targets
        if target.parsed.kind == kind and target.limit is not None and not target.advisory
    ]


def _above(factor: float, values: Iterable[float | None]) -> float | None:
    """The highest of those that are known, times the factor; 0 is no bound."""
    highest = max((value for value in values if value is not None), default=0.0)
    return factor * highest or None
