"""The engine's own view of a round, from what its /metrics said.

Names are vLLM's (vllm/v1/metrics/loggers.py): the histogram vllm:time_to_first_token_seconds, the
counters vllm:generation_tokens_total and vllm:prefix_cache_hits_total and _queries_total (tokens),
the gauges vllm:num_requests_waiting and _running.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import accumulate, pairwise

from tasks.measure.round import RequestRow, ServerView

TTFT_SUM = "vllm:time_to_first_token_seconds_sum"
TTFT_COUNT = "vllm:time_to_first_token_seconds_count"
TOKENS = "vllm:generation_tokens_total"
WAITING = "vllm:num_requests_waiting"
RUNNING = "vllm:num_requests_running"
SWAPPED = "vllm:num_requests_swapped"  # until 0.8: set aside for others, and still to be answered
NEEDED = (TTFT_SUM, TTFT_COUNT, TOKENS)
DONE = "vllm:request_success_total"
HITS = "vllm:prefix_cache_hits_total"
QUERIES = "vllm:prefix_cache_queries_total"
WANTED = frozenset((*NEEDED, WAITING, RUNNING, SWAPPED, DONE, HITS, QUERIES))

# Client and engine take their times in different places: between them lie the network, HTTP and
# the engine's front end. More than this plus a tenth is no longer explained by them.
TTFT_SLACK_S = 0.025
TTFT_SLACK_SHARE = 0.10
COUNT_SLACK_SHARE = 0.05

_LINE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{.*\})?\s+(\S+)(?:\s+-?\d+)?$")


@dataclass(frozen=True)
class Sample:
    """/metrics at one moment (s of the monotonic clock), summed over label sets."""

    at: float
    values: dict[str, float]


# begins to sample an engine; the list grows until the `with` block ends
MetricsWatch = Callable[[], AbstractContextManager[list[Sample]]]


def parse_metrics(text: str) -> dict[str, float]:
    """The wanted series of a Prometheus text, summed over their labels; bad lines are skipped."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and match[1] in WANTED:
            try:
                value = float(match[2])
            except ValueError:
                continue
            if math.isfinite(value):
                found[match[1]] = found.get(match[1], 0.0) + value
    return found


@dataclass(frozen=True)
class Held:
    """What an engine says of its requests. open: running and waiting. answered: so far."""

    open: int
    answered: int


def held(values: Mapping[str, float]) -> Held | None:
    """An engine's requests; None where it does not say."""
    if RUNNING not in values or WAITING not in values:
        return None
    inside = values[RUNNING] + values[WAITING] + values.get(SWAPPED, 0.0)
    return Held(math.ceil(inside), int(values.get(TTFT_COUNT, 0) + values.get(DONE, 0)))


def view(
    samples: Sequence[Sample], window: tuple[float, float]
) -> tuple[ServerView, tuple[float, float]]:
    """The engine's figures between the outermost samples inside `window`, and that span.

    available is False where fewer than two whole samples lie inside, or where a counter fell
    (a restart, or an address that answers for another replica each time).
    """
    nothing = ServerView(available=False), window
    inside = [
        s for s in samples if window[0] <= s.at <= window[1] and all(n in s.values for n in NEEDED)
    ]
    if len(inside) < 2:
        return nothing
    for before, after in pairwise(inside):
        if any(after.values[name] < before.values[name] for name in NEEDED):
            return nothing
    first, last = inside[0], inside[-1]
    grown = {name: last.values[name] - first.values[name] for name in NEEDED}
    count = round(grown[TTFT_COUNT])
    waiting = [s.values[WAITING] for s in inside if WAITING in s.values]
    found = ServerView(
        available=True,
        ttft_mean_s=grown[TTFT_SUM] / count if count else None,
        requests=count,
        generation_tokens=round(grown[TOKENS]),
        waiting_max=max(waiting, default=None),
        cached_share=_cached_share(first, last),
    )
    return found, (first.at, last.at)


def _cached_share(first: Sample, last: Sample) -> float | None:
    asked, hit = (last.values.get(n, 0.0) - first.values.get(n, 0.0) for n in (QUERIES, HITS))
    return min(1.0, max(0.0, hit / asked)) if asked > 0 else None


def token_times(row: RequestRow) -> list[float]:
    """When each token chunk of a row came (s)."""
    if row.ttft is None:
        return []
    return list(accumulate(row.itl, initial=row.start + row.ttft))


def cross_check(
    seen: ServerView, span: tuple[float, float], rows: Sequence[RequestRow]
) -> list[str]:
    """Where client and engine disagree beyond what queueing and the network explain.

    Compared over `span`, which must lie in the steady part of the rows: mean TTFT of requests
    whose first token came inside, their number, and generated tokens. Bounds: TTFT 25 ms and
    10 % of the engine's figure, plus what one request more or less at each edge can move;
    counts 5 %, as much as one edge of requests holds, and what failed requests may have begun.
    Queueing is in both figures: the engine counts from arrival.
    """
    if not seen.available:
        return []
    problems = []
    first = [r for r in rows if r.ttft is not None and span[0] <= r.start + r.ttft <= span[1]]
    ttfts = [r.ttft for r in first if r.ttft is not None]
    count, failed = len(ttfts), sum(not row.ok for row in rows)
    if seen.requests is not None and (
        abs(seen.requests - count) > 2 + failed + COUNT_SLACK_SHARE * count
    ):
        problems.append(
            f"the engine began {seen.requests} answers where the client saw {count}; does "
            "somebody else use the candidate?"
        )
    if seen.ttft_mean_s is not None and ttfts:
        mean = sum(ttfts) / count
        edge = 2 * max(abs(ttft - mean) for ttft in ttfts) / count
        bound = TTFT_SLACK_S + TTFT_SLACK_SHARE * seen.ttft_mean_s + edge
        if abs(mean - seen.ttft_mean_s) > bound:
            problems.append(
                f"mean TTFT is {mean * 1000:.1f} ms at the client and "
                f"{seen.ttft_mean_s * 1000:.1f} ms at the engine, more than the "
                f"{bound * 1000:.1f} ms apart that network and queueing explain"
            )
    if seen.generation_tokens is not None:
        tokens = 0.0
        for row in rows:
            times = token_times(row)
            share = sum(span[0] <= at <= span[1] for at in times) / max(1, len(times))
            tokens += share * row.completion_tokens
        longest = max((row.completion_tokens for row in rows), default=0)
        if (
            abs(seen.generation_tokens - tokens)
            > (2 + failed) * longest + COUNT_SLACK_SHARE * tokens
        ):
            problems.append(
                f"the engine counted {seen.generation_tokens} generated tokens where the client "
                f"saw {tokens:.0f}"
            )
    return problems
