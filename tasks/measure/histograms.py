"""What an engine's Prometheus histograms say of the time between two looks: bounds, no estimate.

A percentile lies somewhere in a bucket, and nobody knows where; a mean is exact, since the sum is
counted. Names are vLLM's (vllm/v1/metrics/loggers.py), the older one of a token's time as well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.measure.figures import rank

# by kind of metric, the first that the engine has
NAMES: Mapping[str, tuple[str, ...]] = {
    "ttft": ("vllm:time_to_first_token_seconds",),
    "tpot": ("vllm:request_time_per_output_token_seconds",),
    "itl": ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
    "latency": ("vllm:e2e_request_latency_seconds",),
}
_WANTED = frozenset(name for names in NAMES.values() for name in names)
_LINE = re.compile(r"^(vllm:\w+)_(bucket|sum)(?:\{(.*)\})?\s+(\S+)")
_EDGE = re.compile(r'(?:^|,)le="([^"]+)"')


@dataclass(frozen=True)
class Histogram:
    """counts: by upper edge (s, the last one infinite), how many were at most that. total: the sum
    of all (s)."""

    counts: Mapping[float, float] = field(default_factory=dict)
    total: float = 0.0

    @property
    def count(self) -> int:
        """How many there are."""
        return round(self.counts.get(math.inf, 0.0))

    @property
    def mean(self) -> float | None:
        """Exact (s); None without any."""
        return self.total / self.count if self.count else None

    def bounds(self, quantile: float) -> tuple[float, float] | None:
        """Above the first (s) and at most the second lies the percentile; None without any."""
        if not self.count:
            return None
        at, low = rank(quantile, self.count) + 1, 0.0
        for edge in sorted(self.counts):
            if self.counts[edge] >= at:
                return low, edge
            low = edge
        return low, math.inf


def histograms_of(text: str) -> dict[str, Histogram]:
    """The wanted ones of a Prometheus text by name, summed over their labels."""
    counts: dict[str, dict[float, float]] = {}
    sums: dict[str, float] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or match[1] not in _WANTED:
            continue
        edge = _EDGE.search(match[3] or "")
        try:
            value, at = float(match[4]), float(edge[1]) if edge else math.nan
        except ValueError:
            continue
        if match[2] == "sum":
            sums[match[1]] = sums.get(match[1], 0.0) + value
        elif not math.isnan(at):
            kept = counts.setdefault(match[1], {})
            kept[at] = kept.get(at, 0.0) + value
    return {
        name: Histogram(kept, sums.get(name, 0.0))
        for name, kept in counts.items()
        if math.inf in kept
    }


def grown(before: Histogram, now: Histogram) -> Histogram | None:
    """What came between two looks; None where it began anew, or has other buckets."""
    if before.counts.keys() != now.counts.keys() or now.total < before.total:
        return None
    counts = {edge: now.counts[edge] - before.counts[edge] for edge in now.counts}
    if min(counts.values()) < 0:
        return None
    return Histogram(counts, now.total - before.total)


def together(items: Iterable[Histogram]) -> Histogram | None:
    """Of several engines; None where their buckets differ, or there is none."""
    found = list(items)
    if not found or any(item.counts.keys() != found[0].counts.keys() for item in found):
        return None
    counts = {edge: sum(item.counts[edge] for item in found) for edge in found[0].counts}
    return Histogram(counts, sum(item.total for item in found))


HistogramPage = Mapping[str, Histogram]  # of one engine, by name


def of_kinds(looks: Sequence[tuple[HistogramPage, HistogramPage]]) -> dict[str, Histogram] | None:
    """What engines did between two looks at each, by kind of metric; a kind that one of them lacks
    is left out. None where one began anew: what it did before that is lost."""
    found = dict[str, Histogram]()
    for kind, names in NAMES.items():
        name = next((n for n in names if all(n in b and n in a for b, a in looks)), None)
        if name is None or not looks:
            continue
        each = [grown(before[name], now[name]) for before, now in looks]
        if None in each:
            return None
        if (summed := together(item for item in each if item is not None)) is not None:
            found[kind] = summed
    return found
