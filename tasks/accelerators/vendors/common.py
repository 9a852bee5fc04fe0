"""What several vendors' rows say alike."""

from __future__ import annotations

from typing import Any

from tasks.accelerators.types import ResourceKind, ResourcePattern

PTRACE = "SYS_PTRACE: the collective library maps memory between the worker processes"
UNCONFINED = "seccomp Unconfined: the compute driver uses calls the default profile refuses"
VIDEO = "group 44 (video): owns the device files"
HAMI = r"hami-.*device-plugin"
GPUSTACK = "gpustack/gpustack-operator docs/modules/devices/requests.md, read 2026-11"
PREREQUISITES = "gpustack/gpustack-operator docs, vendor prerequisites, read 2026-11"
HAMI_SOURCE = "Project-HAMi/HAMi docs and chart, 2026-08"
FLAGOS = "flagos-ai/release-info base/, 2026-08"
DROP_BUT_PTRACE = {"drop": ["ALL"], "add": ["SYS_PTRACE"]}


def by_release(minors: dict[str, range]) -> dict[tuple[int, int], str]:
    """{toolkit: minor releases of vLLM 0} the other way round, for Profile.toolkit_of_engine."""
    return {(0, minor): toolkit for toolkit, found in minors.items() for minor in found}


# parts of a card's compute, GB of its memory: 3g.40gb (NVIDIA), 2g.15gb (Hygon), 4u.4g48gb (T-Head)
_PROFILE = r"(?P<part>\d+)[gu][.-](\d+g)?(?P<gb>\d+)gb.*"


def gpustack_parts(
    base: str, whole: int = 0, per_card: int = 0, shares: int = 10
) -> tuple[ResourcePattern, ...]:
    """What GPUStack's operator adds to a vendor's name for parts of cards: shares of which nobody
    divides the memory, slices by software, partitions by hardware. A card that is not partitioned
    is offered whole, as shares and as slices at once. base: a regex. whole, per_card: as in
    ResourcePattern, of partitions. shares: of one card, 0 where another plugin has the name, too.
    Source: GPUSTACK.
    """

    def row(kind: ResourceKind, rest: str, **more: Any) -> ResourcePattern:
        return ResourcePattern(kind, rf"{base}\.{rest}", "gpustack", **more)

    return (
        row("split", "shared", counts=True, overlay=True, per_card=shares, apart=bool(shares)),
        row("dynamic", "sliced", counts=True, overlay=True, single=True),
        row("dynamic", r"sliced\.memory-mib", mib=1),
        row("dynamic", r"sliced\.memory-percentage", of_card=0.01),
        row("dynamic", r"(sliced|partitioned)\.(units|cores-percentage)"),
        row("dynamic", "partitioned", counts=True, single=True, unsized=True),
        row("split", rf"partitioned\.\w+-{_PROFILE}", whole=whole, per_card=per_card, single=True),
        row("split", r"partitioned\..+", per_card=per_card, single=True),
    )
