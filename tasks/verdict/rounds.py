"""A round as the judge sees it: believable or not, and its figures worked out once."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from tasks.measure.figures import SHARES, Values, doubts, figure, samples, sound, within
from tasks.measure.round import Round
from tasks.spec.measure import Target


def believable(item: Round) -> bool:
    """A round whose measurement went right, whatever it says about the model."""
    return not why_not(item)


def why_not(item: Round) -> list[str]:
    """Why a round can't be believed; [] for a sound one."""
    if not item.rows:
        return [*item.problems, "no request was measured"]
    saturated = [*item.client.reasons] or ["the load generator was saturated"]
    return [*item.problems, *(saturated if item.client.saturated else []), *doubts(item)]


class SeenRound:
    """One round and what was worked out of it, which every look at it needs again."""

    def __init__(self, item: Round) -> None:
        self.item = item
        self.requests = len(item.rows)
        self.failed = sum(not row.ok for row in item.rows)
        self._values: dict[str, Values] = {}
        self._figures: dict[str, float | None] = {}
        self._hits: dict[tuple[float | None, float | None], int] = {}

    @cached_property
    def why_not(self) -> list[str]:
        """Why it can't be believed; [] for a sound one."""
        return why_not(self.item)

    @cached_property
    def sound(self) -> int:
        """Requests with figures that can be believed."""
        return sum(sound(row) for row in self.item.rows)

    def values(self, kind: str) -> Values:
        """Sorted times (s) of its requests, failed ones infinite."""
        if kind not in self._values:
            self._values[kind] = np.sort(samples(kind, self.item.rows))
        return self._values[kind]

    def hits(self, target: Target) -> int:
        """Requests that succeeded, or for goodput: within their TTFT and TPOT."""
        if target.parsed.kind != "goodput":
            return self.sound
        key = (target.goodput_ttft_ms, target.goodput_tpot_ms)
        if key not in self._hits:
            self._hits[key] = sum(within(row, *key) for row in self.item.rows)
        return self._hits[key]

    def figure(self, target: Target) -> float | None:
        """The round's own figure in base units; None without data or where it is not finite."""
        metric = target.parsed
        if metric.kind in SHARES:
            return self.hits(target) / self.requests if self.requests else None
        if metric.name not in self._figures:
            found = figure(metric, self.item)
            finite = found is not None and math.isfinite(found)
            self._figures[metric.name] = found if finite else None
        return self._figures[metric.name]
