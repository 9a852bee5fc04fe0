"""What one benchmark round leaves behind, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RequestRow:
    """One request as the client saw it. Times in seconds of one monotonic clock.

    start, end: when it was sent and when its last byte came.
    ttft: from `start` to the first chunk that carries a token (reasoning tokens count, an empty
    first chunk does not); None when no token came.
    itl: gaps between consecutive token chunks.
    prompt_tokens, completion_tokens: as counted by the engine's usage, 0 where unknown.
    ok: answered completely. error: why not, in one line.
    """

    start: float
    end: float
    ttft: float | None
    itl: tuple[float, ...]
    prompt_tokens: int
    completion_tokens: int
    ok: bool
    error: str = ""


@dataclass(frozen=True)
class ClientHealth:
    """Whether the load generator kept up; a tired client must not make the model look slow.

    lag_p99_s: event-loop or scheduling lag. cpu_share: CPU seconds per wall second per core used.
    asked_rate, achieved_rate: requests per second in open loop, else None.
    saturated: the generator was the bottleneck; reasons say which sign showed it.
    """

    lag_p99_s: float | None = None
    cpu_share: float | None = None
    asked_rate: float | None = None
    achieved_rate: float | None = None
    saturated: bool = False
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServerView:
    """The engine's own figures over the same window, from its /metrics (vLLM names).

    ttft_mean_s: mean of vllm:time_to_first_token_seconds over the window. requests: its count.
    generation_tokens: increase of the generation token counter. waiting_max: longest queue seen.
    cached_share: of the prompts' tokens, those that the prefix cache had (0 to 1).
    available is False where the engine shows no such metrics.
    """

    available: bool
    ttft_mean_s: float | None = None
    requests: int | None = None
    generation_tokens: int | None = None
    waiting_max: float | None = None
    cached_share: float | None = None


@dataclass(frozen=True)
class Round:
    """One round at one load point.

    release: which release answered ('candidate' or 'stable' in an A/B run).
    window: (start, end) of the steady state in the rows' clock; ramp and drain lie outside.
    rows: every measured request, warm-up excluded, in order of start.
    problems: why this round can't be trusted; empty for a sound one.
    """

    index: int
    load: str
    release: str
    seed: int
    rows: tuple[RequestRow, ...]
    window: tuple[float, float]
    client: ClientHealth = field(default_factory=ClientHealth)
    server: ServerView = field(default_factory=lambda: ServerView(available=False))
    problems: tuple[str, ...] = ()
