"""How what serves is judged again while it serves: when, at which load, what a miss leads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import ConfigDict, Field

from tasks.spec.base import WEEK_S, Strict
from tasks.spec.measure import Benchmark, LoadPoint, Target
from tasks.spec.starts.times import StartCron, StartZone

# figures of a load: at another one than they were asked for they say nothing
_OF_A_LOAD = ("output_throughput", "total_throughput", "request_throughput")


class Verify(Strict):
    """How what serves is judged again while it serves."""

    # `from` is a word of Python; states and forms may say either
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    cron: StartCron | None = Field(
        None, description="When, as in a schedule: 0 * * * *; default: only where somebody asks"
    )
    timezone: StartZone = Field("UTC", description="IANA time zone, such as Asia/Shanghai")
    load: str | LoadPoint | None = Field(
        None,
        description="Name of one of the benchmark's loads, or a small one of its own; default: the "
        "smallest of the benchmark's",
    )
    source: Literal["requests", "engine"] = Field(
        "requests",
        alias="from",
        description="requests: our own, at that load; engine: what its histograms say of the "
        "requests that came anyway",
    )
    seconds: float = Field(
        600, gt=0, le=WEEK_S, description="requests: measured for at most so long (s)"
    )
    window_s: float = Field(
        900, ge=10, le=WEEK_S, description="engine: between its first look and its last (s)"
    )
    interval_s: float = Field(
        2, ge=0.5, le=300, description="Between looks at what goes on beside it (s)"
    )
    on_miss: Literal["announce", "roll-back"] = Field(
        "announce",
        description="announce it; or also go back to the release before, where a second "
        "measurement misses a binding target, too, and others asked at neither",
    )
    confirm_after_s: float = Field(
        60, ge=0, le=WEEK_S, description="roll-back: until the second measurement (s)"
    )


def load_of(verify: Verify, bench: Benchmark) -> LoadPoint:
    """The load that is asked for. KeyError where it names none of the benchmark's."""
    if isinstance(verify.load, LoadPoint):
        return verify.load
    if verify.load is not None:
        return {load.name: load for load in bench.loads}[verify.load]
    # a rate says nothing of how much is in flight, so what says it comes first
    return min(bench.loads, key=lambda load: (load.concurrency is None, _size(load)))


def _size(load: LoadPoint) -> float:
    return load.concurrency or load.rate or 0.0


def told_by(verify: Verify, bench: Benchmark, targets: Sequence[Target]) -> list[Target]:
    """The targets that a verification says something of: those of its load, those of every one, and
    none against a stable release, which is the one that is measured. A load of its own, or whatever
    comes anyway, says nothing of throughput, which follows from it."""
    load = load_of(verify, bench)
    known = verify.source == "requests" and load in bench.loads
    return [
        item
        for item in targets
        if item.load in (None, load.name if known else None)
        and item.versus_stable_percent is None
        and (known or item.parsed.kind not in _OF_A_LOAD)
    ]


def verify_faults(verify: Verify, bench: Benchmark, targets: Sequence[Target]) -> list[str]:
    """What is wrong with it beside the benchmark and the targets of its spec, a line each."""
    names = [load.name for load in bench.loads]
    if isinstance(verify.load, str) and verify.load not in names:
        return [
            f"verify.load: '{verify.load}' is no load point; known are {', '.join(names)}, or "
            "write one of its own, as in {name: small, concurrency: 1}"
        ]
    if isinstance(verify.load, LoadPoint) and verify.load.name in names:
        return [
            f"verify.load: '{verify.load.name}' is a load of the benchmark; say that name alone, "
            "or call this one otherwise"
        ]
    asked = verify.model_fields_set - {"timezone"}
    if asked and all(item.advisory for item in told_by(verify, bench, targets)):
        return [
            "verify: no binding target says anything of what it measures, so nothing decides; name "
            "another load, or give a target without one"
        ]
    return []
