"""What a benchmark round must hold to be believed: the protocol's rules."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Protocol

from tasks.measure.figures import rank, tpot
from tasks.measure.round import ClientHealth, RequestRow, Round
from tasks.measure.workload import Prompt
from tasks.spec.measure import Budget, LoadPoint

# A round has at least so many times the concurrency in requests, so that a steady part is left
# when the first and the last of each slot are cut off.
MIN_WAVES = 4
WARMUP_BATCHES = 6
WARMUP_BATCH = 8
STEADY_SHARE = 0.15
STEADY_S = 0.005

# Signs of a tired client. A request waits for the client's event loop when it is sent and when its
# first token comes, so the error of TTFT grows by about twice the mean lag over what an idle client
# and loopback cost. tests/bench/calibration.py, 2 cores shared with the engine, 16 rounds at
# concurrency 1 to 192: error 0.9 to 24 ms, within 1.2 ms of this line below 5 ms.
CLIENT_BASE_S, LAG_FACTOR = 0.0006, 2.3
TTFT_ERROR_S, TTFT_ERROR_SHARE = 0.002, 0.02
LAG_P99_S = 0.025
CPU_SHARE = 0.85
RATE_SHARE = 0.95
MIN_SAMPLES = 5
CACHED_SHARE = 0.5


class AfterRound(Protocol):
    """What the judge says after a round."""

    @property
    def stop(self) -> bool:
        """Whether every target is decided."""

    @property
    def reason(self) -> str:
        """Why, in one sentence."""


Decide = Callable[[Sequence[Round]], AfterRound]


def requests_of_round(asked: int, load: LoadPoint) -> int:
    """Measured requests of one round: as asked, yet enough for a steady part."""
    return max(asked, MIN_WAVES * (load.concurrency or 1))


def ramp(load: LoadPoint) -> int:
    """Unmeasured requests in front of every round: one a slot in closed loop.

    evalscope hands slots over one by one without a pause (perf/core/strategies/closed_loop.py),
    so they also take connection set-up and the burst of the first wave out of the measurement.
    """
    return load.concurrency or 0


def stagger(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Spread the output lengths of a ramp evenly, so that its slots come free one after another.

    With equal lengths all slots would end together and the measured requests would burst, too.
    """
    count = len(prompts)
    return [
        replace(prompt, output_tokens=max(1, math.ceil(prompt.output_tokens * (i + 1) / count)))
        for i, prompt in enumerate(prompts)
    ]


def steady(before: Sequence[RequestRow], after: Sequence[RequestRow]) -> bool:
    """Whether two successive warm-up batches agree, so that the engine is warm.

    They do when the medians of TTFT and of TPOT differ by at most 15 %, or 5 ms (TPOT: 1 ms), or
    twice the standard error of the difference, whichever is largest. A batch without any answer
    never agrees.
    """
    pairs = [
        ([r.ttft for r in batch if r.ttft is not None] for batch in (before, after)),
        ([t for r in batch if (t := tpot(r)) is not None] for batch in (before, after)),
    ]
    for (old, new), floor in zip(pairs, (STEADY_S, STEADY_S / 5), strict=True):
        if not old and not new and floor < STEADY_S:
            continue  # one-token answers have no TPOT
        if not old or not new:
            return False
        a, b = median(old), median(new)
        error = math.hypot(_error_of_median(old), _error_of_median(new))
        if abs(a - b) > max(STEADY_SHARE * max(a, b), floor, 2 * error):
            return False
    return True


def _error_of_median(values: Sequence[float]) -> float:
    """1.25 sigma / sqrt(n), sigma by the median absolute deviation (normal laws)."""
    middle = median(values)
    sigma = 1.4826 * median([abs(value - middle) for value in values])
    return 1.2533 * sigma / math.sqrt(len(values))


def client_health(
    rows: Sequence[RequestRow],
    window: tuple[float, float],
    lags: Sequence[tuple[float, float]],
    cpu: Sequence[tuple[float, float]],
    asked_rate: float | None,
) -> ClientHealth:
    """Whether the load generator kept up inside `window`.

    lags: (moment, how late the client's event loop woke), both s. cpu: (moment, CPU seconds
    used so far). Saturated: the lag explains a TTFT error above 2 ms and 2 % of the mean TTFT,
    the loop is 25 ms late at p99 (or the same 2 %), the core is busy, or arrivals fall behind.
    """
    late = sorted(lag for at, lag in lags if window[0] <= at <= window[1])
    used = [(at, seconds) for at, seconds in cpu if window[0] <= at <= window[1]]
    reasons = []
    ttfts = [row.ttft for row in rows if row.ttft is not None]
    p99: float | None = None
    if len(late) >= MIN_SAMPLES:
        mean, p99 = fmean(late), late[rank(0.99, len(late))]
        bound = max(TTFT_ERROR_S, TTFT_ERROR_SHARE * fmean(ttfts) if ttfts else 0.0)
        added = CLIENT_BASE_S + LAG_FACTOR * mean
        if added > bound:
            reasons.append(
                f"the client's event loop is {mean * 1000:.1f} ms late on average, which adds "
                f"about {added * 1000:.1f} ms to TTFT, above {bound * 1000:.1f} ms"
            )
        if p99 > max(LAG_P99_S, bound):
            reasons.append(f"its event loop is {p99 * 1000:.1f} ms late at p99")
    elif ttfts:
        reasons.append("too few samples of the client's event loop to know that it kept up")
    share: float | None = None
    if len(used) >= 2 and used[-1][0] > used[0][0]:
        share = (used[-1][1] - used[0][1]) / (used[-1][0] - used[0][0])
        if share > CPU_SHARE:
            reasons.append(f"the client used {share:.0%} of its core")
    achieved: float | None = None
    if asked_rate is not None and len(rows) >= 2:
        starts = [row.start for row in rows]
        # evalscope scales its arrivals so that the n-th comes n / rate after the first's clock
        achieved = (len(rows) - 1) / max(1e-9, max(starts) - min(starts))
        expected = asked_rate * (len(rows) - 1) / len(rows)
        if achieved < RATE_SHARE * expected:
            reasons.append(f"asked for {asked_rate:g} requests/s, sent {achieved:.3g}")
    return ClientHealth(p99, share, asked_rate, achieved, bool(reasons), tuple(reasons))


def early_ends(rows: Sequence[RequestRow], asked: Sequence[int]) -> list[str]:
    """Problems of rows whose length was forced (ignore_eos): answers that are shorter."""
    short = sum(
        row.ok and 0 < row.completion_tokens < length
        for row, length in zip(rows, asked, strict=True)
    )
    if not short:
        return []
    return [
        f"{short} of {len(rows)} answers ended early although ignore_eos was set; the engine "
        "does not honour it, so output lengths are not what was asked"
    ]


# aiohttp's words for a request that found nobody: no route, refused, no such name, no answer to it
_UNREACHED = re.compile(r"ClientConnector\w*Error|ConnectionTimeoutError|Cannot connect to host")


def row_problems(rows: Sequence[RequestRow]) -> list[str]:
    """What makes a set of rows useless for some figures."""
    answered = [row for row in rows if row.ok]
    blind = sum(row.completion_tokens == 0 for row in answered)
    problems = []
    if blind:
        problems.append(
            f"{blind} of {len(answered)} answers came without usage, so their tokens are unknown"
        )
    lost = [row.error for row in rows if _UNREACHED.search(row.error)]
    if rows and not answered and len(lost) < len(rows):
        problems.append(f"none of {len(rows)} requests succeeded; the first: {rows[0].error}")
    if lost:
        problems.append(
            f"{len(lost)} of {len(rows)} requests did not reach the engine, which says nothing of "
            f"it; the first: {lost[0]}; look at the way there (access.mode) and at the pod"
        )
    if not rows:
        problems.append("no request was measured")
    return problems


def cache_note(rounds: Sequence[Round], flattered: bool) -> str:
    """What must be said of a prefix cache beside the figures, or ''.

    flattered: the workload asks for what a cache can know (workload.cache_flattered). Else it is
    said where the cache had more than half of the candidate's prompts: a long chat template before
    short prompts, or a file whose prompts share their beginning.
    """
    if flattered:
        return (
            "every request asked the same: a prefix cache knows the prompt, so TTFT says little "
            "about other prompts"
        )
    shares = [r.server.cached_share or 0.0 for r in rounds if r.release == "candidate"]
    mean = fmean(shares) if shares else 0.0
    if mean <= CACHED_SHARE:
        return ""
    return (
        f"{mean:.0%} of the prompts' tokens came from the engine's prefix cache: TTFT holds for "
        "prompts that share as much of their beginning"
    )


@dataclass(frozen=True)
class Spent:
    """What measuring has used up: seconds, requests sent, tokens in and out."""

    seconds: float = 0.0
    requests: int = 0
    tokens: int = 0

    def over(self, budget: Budget) -> str:
        """Which part of the budget is spent, or ''."""
        if self.seconds >= budget.seconds:
            return f"the budget of {budget.seconds:g} s is spent"
        if self.requests >= budget.requests:
            return f"the budget of {budget.requests} requests is spent"
        if budget.tokens is not None and self.tokens >= budget.tokens:
            return f"the budget of {budget.tokens} tokens is spent"
        return ""
