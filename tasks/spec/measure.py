"""The part of the spec that says how a candidate is asked, measured and judged."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.spec.base import DNS_LABEL, MANY, TOKENS, WEEK_S, Strict
from tasks.spec.metrics import Metric, parse_metric

# What the exam's result is called among the targets; no target can ask for it by name.
EXAM_METRIC = "exam_correct_percent"
CONFIDENCE = 0.95


class SmokePrompt(Strict):
    """One question and what its answer must contain (case-insensitive)."""

    prompt: str = Field(min_length=1, description="The user's message")
    contains: list[str] = Field(
        default_factory=list, description="Texts that must occur in the answer, each of them"
    )
    max_tokens: int = Field(64, ge=1, le=MANY, description="Tokens of the answer at most")


class Lengths(Strict):
    """A distribution of token counts, drawn per request."""

    kind: Literal["fixed", "uniform", "lognormal"] = Field("fixed", description="Its shape")
    mean: int = Field(ge=1, le=TOKENS, description="Tokens")
    spread: float = Field(
        0.0, ge=0, le=10, description="uniform: +- share of the mean; lognormal: sigma of the log"
    )
    maximum: int | None = Field(None, ge=1, le=TOKENS, description="Tokens at most")


class Workload(Strict):
    """What is asked of the engine."""

    profile: Literal["chat", "rag", "code", "long-context", "field-report", "custom", "file"] = (
        Field("chat", description="Lengths of prompts and answers; custom: those given here")
    )
    file: str | None = Field(
        None, description="profile 'file': one prompt a line, or JSON lines with 'prompt'"
    )
    input_tokens: Lengths | None = Field(None, description="Of prompts; default: the profile's")
    output_tokens: Lengths | None = Field(None, description="Of answers; default: the profile's")
    ignore_eos: bool = Field(True, description="Force the output length; false: natural length")
    temperature: float = Field(0.0, ge=0, le=100, description="Of sampling")

    @model_validator(mode="after")
    def _needs(self) -> Self:
        if self.profile == "file" and not self.file:
            raise ValueError("profile 'file' needs 'file'")
        if self.profile == "custom" and not (self.input_tokens and self.output_tokens):
            raise ValueError("profile 'custom' needs 'input_tokens' and 'output_tokens'")
        return self


class LoadPoint(Strict):
    """One load: closed loop by concurrency, or open loop by Poisson rate."""

    name: str = Field(pattern=DNS_LABEL, description="Targets name it in load")
    concurrency: int | None = Field(None, ge=1, le=4096, description="Requests in flight")
    rate: float | None = Field(None, ge=1e-4, le=MANY, description="Arrivals per second (Poisson)")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.concurrency is None) == (self.rate is None):
            raise ValueError("give exactly one of 'concurrency' and 'rate'")
        return self


class Budget(Strict):
    """When measuring stops whatever is known by then."""

    seconds: float = Field(1800, gt=0, le=WEEK_S, description="Of measuring, all rounds (s)")
    requests: int = Field(20000, ge=1, le=100 * MANY, description="Of all rounds")
    tokens: int | None = Field(
        None, ge=1, le=1000 * TOKENS, description="In and out, of all rounds"
    )


class Benchmark(Strict):
    """The protocol of the measurement."""

    workload: Workload = Workload()
    loads: list[LoadPoint] = Field(
        default_factory=lambda: [LoadPoint(name="c8", concurrency=8)], min_length=1
    )
    requests_per_round: int = Field(64, ge=1, le=MANY, description="Measured requests of one round")
    min_rounds: int = Field(3, ge=1, le=10_000, description="Before the first look at the data")
    max_rounds: int = Field(30, ge=1, le=10_000, description="After which it stays open")
    warmup_requests: int | None = Field(None, ge=0, le=MANY, description="Default: detected")
    budget: Budget = Budget()
    confidence: float = Field(
        CONFIDENCE, gt=0.5, lt=1, description="For the rollout, over all targets"
    )
    seed: int | None = Field(None, ge=0, lt=1 << 63, description="Default: fresh, and recorded")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [load.name for load in self.loads]
        if len(set(names)) != len(names):
            raise ValueError(f"two load points share a name in {names}")
        if self.max_rounds < self.min_rounds:
            raise ValueError(f"max_rounds {self.max_rounds} is below min_rounds {self.min_rounds}")
        return self


class Quality(Strict):
    """A small exam before the benchmark, so that a fast model with broken weights does not pass."""

    questions: str = Field(
        "basic",
        min_length=1,
        description="'basic' (60 shipped English questions), or a file of JSON lines with "
        "'question' and 'answer' (a text or a list of accepted texts)",
    )
    minimum_percent: float = Field(
        gt=0, le=100, description="Right answers at least, as a share of all questions (percent)"
    )
    max_tokens: int = Field(
        64,
        ge=1,
        le=MANY,
        description="Tokens of one answer; a model that thinks aloud needs 1024 and more",
    )
    concurrency: int = Field(4, ge=1, le=256, description="Questions asked at the same time")
    advisory: bool = Field(False, description="Report, never block")


class Target(Strict):
    """One demand on a measured figure."""

    metric: str = Field(description="<metric>[_<statistic>]_<unit>, such as ttft_p95_ms")
    limit: float | None = Field(
        None, le=1e15, description="In the metric's unit; at most for times, at least for rates"
    )
    versus_stable_percent: float | None = Field(
        None,
        ge=-MANY,
        le=MANY,
        description="Instead of limit: how much worse than the stable release is allowed",
    )
    load: str | None = Field(None, description="Load point; default: every one")
    advisory: bool = Field(False, description="Report, never block")
    goodput_ttft_ms: float | None = Field(
        None, gt=0, le=WEEK_S * 1000, description="goodput: TTFT within this"
    )
    goodput_tpot_ms: float | None = Field(
        None, gt=0, le=WEEK_S * 1000, description="goodput: TPOT within this"
    )

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == EXAM_METRIC:
            raise ValueError(f"'{value}' is set by quality.minimum_percent; remove the target")
        parse_metric(value)
        return value

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.limit is None) == (self.versus_stable_percent is None):
            raise ValueError("give exactly one of 'limit' and 'versus_stable_percent'")
        metric = self.parsed
        if self.limit is not None and self.limit < 0:
            raise ValueError(f"limit {self.limit:g} of {self.metric} is negative")
        if metric.unit == "ratio" and (self.limit or 0) > 1:
            raise ValueError(f"limit {self.limit:g} of {self.metric} is above 1")
        if metric.unit == "percent" and (self.limit or 0) > 100:
            raise ValueError(f"limit {self.limit:g} of {self.metric} is above 100 percent")
        if metric.kind == "goodput" and not (self.goodput_ttft_ms or self.goodput_tpot_ms):
            raise ValueError("goodput needs goodput_ttft_ms, goodput_tpot_ms or both")
        return self

    @property
    def parsed(self) -> Metric:
        """The metric's parts."""
        return parse_metric(self.metric)
