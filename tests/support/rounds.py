"""Rounds as the benchmark leaves them, made to order."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tasks.measure.round import ClientHealth, RequestRow, Round
from tasks.spec.measure import Benchmark, LoadPoint, Target
from tasks.verdict import targets as judge

BENCH = Benchmark(loads=[LoadPoint(name="c2", concurrency=2)], min_rounds=3, max_rounds=10)


def decide(rounds: Sequence[Round], targets: Sequence[Target], bench: Benchmark) -> judge.Decision:
    """What the targets come to where nothing else binds."""
    return judge.decide(rounds, targets, bench, max(1, judge.binding_count(targets, bench)))


def row(start: float, ttft: float = 0.2, gap: float = 0.03, tokens: int = 9) -> RequestRow:
    """An answered request."""
    itl = (gap,) * (tokens - 1)
    return RequestRow(start, start + ttft + gap * (tokens - 1), ttft, itl, 60, tokens, True)


def failed(start: float) -> RequestRow:
    """A request the engine refused."""
    return RequestRow(start, start + 0.1, None, (), 60, 0, False, "HTTP 500")


def make_round(
    index: int,
    count: int = 32,
    *,
    ttft: float = 0.2,
    sigma: float = 0.3,
    noise: float = 0.0,
    release: str = "candidate",
    load: str = "c2",
    seed: int = 0,
    rows: Sequence[RequestRow] = (),
    **changes: Any,
) -> Round:
    """A round of log-normal TTFT around `ttft` s, 30 ms a token, two requests at a time; or of the
    rows given, where there are any."""
    if not rows:
        rng = random.Random(f"{seed}/{index}/{release}/{load}")
        rows = _two_at_a_time(
            rng, 1000.0 * index, count, ttft * math.exp(rng.gauss(0, noise)), sigma
        )
    made = Round(
        index,
        load,
        release,
        seed,
        tuple(rows),
        (rows[0].start, rows[-1].end),
        ClientHealth(0.001, 0.1),
    )
    return replace(made, **changes)


def _two_at_a_time(
    rng: random.Random, at: float, count: int, ttft: float, sigma: float
) -> list[RequestRow]:
    rows = []
    for number in range(count):
        rows.append(row(at, ttft * rng.lognormvariate(-(sigma**2) / 2, sigma)))
        at += 0.5 if number % 2 else 0.01
    return rows


def some(count: int = 3, **options: Any) -> list[Round]:
    """Several rounds."""
    return [make_round(index, **options) for index in range(count)]


def target(metric: str, limit: float | None = None, **more: Any) -> Target:
    """A target."""
    return Target(metric=metric, limit=limit, **more)
