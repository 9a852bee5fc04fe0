"""Laws of time whose truth is known, and what the exact engine may do wrong."""

from __future__ import annotations

import json
import math
import random
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

Kind = Literal["constant", "lognormal", "bimodal", "drifting", "ar1"]


@dataclass(frozen=True)
class Law:
    """A law of waiting times (s).

    constant: `mean`. lognormal: arithmetic `mean`, `sigma` of the log. bimodal: `mean`, but a
    `share` of the draws is `high`. drifting: from `mean` to `high` over `over_s` seconds, then
    `high`. ar1: `mean` plus a stationary AR(1) with deviation `sigma` (s) and step `rho`.
    """

    kind: Kind = "constant"
    mean: float = 0.1
    sigma: float = 0.0
    high: float = 0.0
    share: float = 0.0
    over_s: float = 0.0
    rho: float = 0.0

    def expected(self) -> float:
        """The mean of one draw (drifting: of one at time 0; ar1: before the cut at zero)."""
        if self.kind == "bimodal":
            return (1 - self.share) * self.mean + self.share * self.high
        return self.mean


class Source:
    """Draws from one law with its own seed; ar1 remembers the last draw."""

    def __init__(self, law: Law, seed: int) -> None:
        self.law = law
        self._rng = random.Random(seed)
        self._last: float | None = None

    def draw(self, elapsed: float = 0.0) -> float:
        """One waiting time (s), never negative; `elapsed` seconds drive a drift."""
        law, rng = self.law, self._rng
        match law.kind:
            case "lognormal":
                return rng.lognormvariate(math.log(law.mean) - law.sigma**2 / 2, law.sigma)
            case "bimodal":
                return law.high if rng.random() < law.share else law.mean
            case "drifting":
                part = min(1.0, elapsed / law.over_s) if law.over_s > 0 else 1.0
                return law.mean + part * (law.high - law.mean)
            case "ar1":
                step = rng.gauss(0.0, law.sigma)
                if self._last is None:
                    self._last = step
                else:
                    self._last = law.rho * self._last + math.sqrt(1 - law.rho**2) * step
                return max(0.0, law.mean + self._last)
        return law.mean


@dataclass(frozen=True)
class Behaviour:
    """Everything that an exact engine does.

    ttft, itl: from admission to the first token, and between tokens. slots: requests served at
    once, the rest wait in line (0: no limit). answer: the words that are streamed, over and over
    when the length is forced; `answers` has other words for prompts it knows. early_eos: ends after
    so many tokens whatever was asked. reasoning_tokens: so many leading tokens come as
    reasoning_name, or as `parts` of the content. empty_first_chunk: a role chunk without text comes
    `empty_first_chunk_s` after admission, before the first token.
    Failures: error_share (HTTP 500), no_data_share (200 and an empty stream), cut_share (the
    connection ends half-way), half_share (the stream ends politely half-way, no finish reason, no
    usage), die_after (the process ends in the middle of that request, counted from 1),
    wedge_after (from that request on nothing is answered, /health stays 200), sick_on (once it was
    asked this prompt, it answers HTTP 500 to all but /health and /metrics), slow_on (once it was
    asked this prompt, each first token takes slow_s), model_name (serves another name than asked
    for), health_delay_s, no_usage, api_key (demanded).
    """

    ttft: Law = Law("constant", 0.1)
    itl: Law = Law("constant", 0.02)
    seed: int = 0
    slots: int = 0
    answer: str = "The capital of France is Paris."
    answers: dict[str, str] = field(default_factory=dict)
    early_eos: int | None = None
    reasoning_tokens: int = 0
    reasoning_name: str = "reasoning_content"
    empty_first_chunk_s: float | None = None
    error_share: float = 0.0
    no_data_share: float = 0.0
    cut_share: float = 0.0
    half_share: float = 0.0
    die_after: int | None = None
    wedge_after: int | None = None
    sick_on: str | None = None
    slow_on: str | None = None
    slow_s: float = 5.0
    model_name: str | None = None
    health_delay_s: float = 0.0
    no_usage: bool = False
    api_key: str | None = None
    metrics: bool = True

    def dumps(self) -> str:
        """As JSON, for EXACT_ENGINE or exact_engine.json."""
        return json.dumps(asdict(self))


def loads(text: str) -> Behaviour:
    """Read a Behaviour; ValueError names keys that do not exist."""
    raw: dict[str, Any] = json.loads(text)
    known = {item.name for item in fields(Behaviour)}
    if extra := sorted(set(raw) - known):
        raise ValueError(f"unknown keys {extra}; known are {sorted(known)}")
    for name in ("ttft", "itl"):
        if name in raw:
            raw[name] = Law(**raw[name])
    return Behaviour(**raw)


@dataclass
class Truth:
    """What really happened to one request; times of the machine's monotonic clock (s)."""

    id: str
    received: float
    admitted: float = 0.0
    scheduled: list[float] = field(default_factory=list)
    written: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    outcome: str = ""
