"""The part of the spec that says what follows from a verdict, and how the promoted release is
watched before what served before it stops."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.spec.base import DNS_LABEL, MANY, WEEK_S, YEAR_H, Strict

NoTraffic = Literal["probes", "hold", "roll-back"]


class Soaking(Strict):
    """How a promoted release is watched.

    Each look asks it for a few tokens through the Service and reads its engines' own counters. A
    bound that is left out follows from the targets, and where they say nothing from the benchmark.
    """

    duration_s: float = Field(60, ge=0, le=WEEK_S, description="From its first good answer (s)")
    interval_s: float = Field(2, ge=0.5, le=300, description="Between looks (s)")
    failures: int = Field(3, ge=1, le=MANY, description="Bad looks that take the promotion back")
    window: int = Field(
        10, ge=1, le=1000, description="They count among so many last looks that saw anything"
    )
    consecutive: bool = Field(False, description="Count only bad looks in a row, of any number")
    factor: float = Field(
        2, ge=1, le=MANY, description="How far above the targets, or the benchmark, a bound lies"
    )
    ttft_ms: float | None = Field(
        None,
        gt=0,
        le=WEEK_S * 1000,
        description="Longest TTFT of a probe, and of an engine's mean between two looks; default: "
        "factor times the highest ttft limit, or times the benchmark's p99 where there is none",
    )
    error_percent: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Requests that the engines may fail between two looks; default: what the "
        "success rate's target leaves, at least 1",
    )
    queue: float | None = Field(
        None,
        ge=0,
        le=MANY,
        description="Requests that may wait in one engine; default: factor times the benchmark's "
        "highest concurrency, or its longest queue if that was longer",
    )
    no_traffic: NoTraffic = Field(
        "probes",
        description="When no request but our own came: probes (they decide), hold (a person does), "
        "roll-back",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.consecutive and self.failures > self.window:
            raise ValueError(
                f"{self.failures} failures among the last {self.window} looks can never be; make "
                f"window at least {self.failures}, or set consecutive"
            )
        if self.no_traffic != "probes" and not self.duration_s:
            raise ValueError(
                f"no_traffic {self.no_traffic} with a duration_s of 0 leaves no time for traffic; "
                "give duration_s"
            )
        return self


class Promotion(Strict):
    """What happens with the verdict."""

    strategy: Literal["auto", "parallel", "replace"] = Field(
        "auto",
        description="auto: parallel where accelerators suffice; else what serves lends some of "
        "its replicas' seats, where it has two or more; else, where allow_interruption says so, "
        "replace; else refuse",
    )
    allow_interruption: bool = Field(
        False,
        description="auto may choose replace: stable is scaled down during the test. Also that the "
        "Service is led to fewer replicas than answer: without it that is refused",
    )
    leaves: list[str] = Field(
        default_factory=list,
        max_length=100,
        description="What else leads to pods of what serves and may lead nowhere after the switch: "
        "other Services by name, ports as SERVICE/PORT. Without it that is refused",
    )
    approval: Literal["none", "before-promote"] = Field(
        "none", description="before-promote: what passed waits for a person"
    )
    approval_hours: float = Field(
        72,
        gt=0,
        le=YEAR_H,
        description="How long a candidate that waits for a person may be approved (h)",
    )
    unproven_hours: float = Field(
        72,
        gt=0,
        le=YEAR_H,
        description="How long a release that serves unproven waits for a person (h)",
    )
    on_unproven: Literal["keep", "roll-back"] = Field(
        "keep",
        description="What the guard does with one that answers after that: keep it, or go back "
        "where the one before it answers still",
    )
    on_inconclusive: Literal["roll-back", "hold"] = Field(
        "roll-back", description="hold: a person decides"
    )
    soak: Soaking = Field(
        Soaking(), description="Watch the promoted release before the old one stops"
    )
    drain_s: float = Field(
        600,
        ge=1,
        le=WEEK_S,
        description="What served before runs on until it has ended its requests, at most so long "
        "after the Service has moved (s). A pod that is evicted has at most 120 s of it, or what "
        "--shutdown-timeout says in serving.extra_args",
    )
    tries: int | None = Field(
        None,
        ge=1,
        le=MANY,
        description="How often a schedule or an event starts a release that could not start, or "
        "ended inconclusive; default: once where what serves was stopped for it, else 3 times",
    )
    keep_previous: bool = Field(True, description="Keep the previous release, scaled to zero")
    history: int = Field(20, ge=1, le=200, description="Records kept in the cluster")

    @field_validator("leaves")
    @classmethod
    def _by_name(cls, value: list[str]) -> list[str]:
        for item in value:
            if not all(re.fullmatch(DNS_LABEL, part) for part in item.split("/", 1)):
                raise ValueError(
                    f"{item[:80]!r} names no Service and no port; give a Service's name, or "
                    "SERVICE/PORT with the port's name or number"
                )
        return value

    @model_validator(mode="before")
    @classmethod
    def _older_name(cls, data: Any) -> Any:
        """`soak_s` of older specs, and of the states they left in clusters."""
        if not isinstance(data, Mapping) or "soak_s" not in data:
            return data
        soak = data.get("soak")
        if isinstance(soak, Mapping) and "duration_s" in soak:
            raise ValueError(
                "soak_s is the older name of soak.duration_s, and both are given; remove soak_s"
            )
        if soak is not None and not isinstance(soak, Mapping):
            return data  # wrong in itself, and told as such
        rest = {key: value for key, value in data.items() if key != "soak_s"}
        return {**rest, "soak": {**(soak or {}), "duration_s": data["soak_s"]}}
