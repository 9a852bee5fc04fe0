"""What engines did between two looks, from their own counters.

Names are vLLM's, and http_requests_total is that of the instrumentator its server carries. A
counter that fell began anew, and its engine with it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tasks.measure.engine_view import (
    RUNNING,
    TOKENS,
    TTFT_COUNT,
    TTFT_SUM,
    WAITING,
    parse_metrics,
)

_ENDED = re.compile(r'^vllm:request_success_total\{[^}]*finished_reason="error"[^}]*\}\s+(\S+)')
_HTTP = re.compile(r"^http_requests_total\{([^}]*)\}\s+(\S+)")
_ASKED = re.compile(r'handler="/v1/[^"]*"')
_SERVERS = re.compile(r'status="5\w\w"')


@dataclass(frozen=True)
class Counters:
    """One engine's counters at one moment (s of the monotonic clock).

    begun: requests with a first token, which took ttft_s in all. errors: requests it failed.
    running, waiting: requests now. moved: when a token was last made, or none was asked for.
    """

    at: float
    begun: float
    ttft_s: float
    tokens: float
    errors: float = 0.0
    running: float = 0.0
    waiting: float = 0.0
    moved: float = -math.inf


@dataclass(frozen=True)
class Traffic:
    """What engines did between two looks.

    begun: requests that got their first token, in ttft_s on average (None without any); own: those
    of them that the one who looks has sent. errors: requests that were failed. waiting: the longest
    queue of one engine. stalled_s: longest time that an engine has had requests and made no token.
    again: engines whose counters began anew.
    """

    begun: int = 0
    own: int = 0
    errors: int = 0
    ttft_s: float | None = None
    tokens: int = 0
    waiting: float = 0.0
    stalled_s: float = 0.0
    again: tuple[str, ...] = ()

    @property
    def error_share(self) -> float:
        """Of all requests that came to an end or to a first token, those that failed."""
        return self.errors / (self.begun + self.errors) if self.errors else 0.0


def counters_of(text: str, at: float) -> Counters | None:
    """An engine's counters; None where the text has none of vLLM's."""
    found = parse_metrics(text)
    if not {TTFT_COUNT, TTFT_SUM, TOKENS} <= found.keys():
        return None
    return Counters(
        at=at,
        begun=found[TTFT_COUNT],
        ttft_s=found[TTFT_SUM],
        tokens=found[TOKENS],
        errors=_errors(text),
        running=found.get(RUNNING, 0.0),
        waiting=found.get(WAITING, 0.0),
        moved=at,
    )


def _errors(text: str) -> float:
    """Requests it failed: the engine and the server in front of it may count the same ones."""
    inside = outside = 0.0
    for line in text.splitlines():
        if match := _ENDED.match(line):
            inside += _number(match[1])
        elif (match := _HTTP.match(line)) and _ASKED.search(match[1]) and _SERVERS.search(match[1]):
            outside += _number(match[2])
    return max(inside, outside)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


def follow(before: Counters | None, now: Counters) -> Counters:
    """The later counters, knowing since when no token was made though there were requests."""
    busy = before is not None and before.running > 0 and now.running > 0
    if before is not None and busy and now.tokens == before.tokens:
        return replace(now, moved=before.moved)
    return now


def began_anew(before: Counters, now: Counters) -> bool:
    """Counters only grow while their process lives."""
    return now.begun < before.begun or now.tokens < before.tokens or now.errors < before.errors


def between(before: Mapping[str, Counters], now: Mapping[str, Counters]) -> Traffic:
    """What the engines did, by name; one that was not read before counts from the next look on."""
    again = tuple(n for n in sorted(now) if n in before and began_anew(before[n], now[n]))
    pairs = [(before[n], now[n]) for n in now if n in before and n not in again]
    begun = round(sum(b.begun - a.begun for a, b in pairs))
    spent = sum(b.ttft_s - a.ttft_s for a, b in pairs)
    return Traffic(
        begun=begun,
        errors=round(sum(b.errors - a.errors for a, b in pairs)),
        ttft_s=spent / begun if begun else None,
        tokens=round(sum(b.tokens - a.tokens for a, b in pairs)),
        waiting=max((item.waiting for item in now.values()), default=0.0),
        stalled_s=max((b.at - b.moved for _, b in pairs), default=0.0),
        again=again,
    )
