"""Judge a host's CPU, memory and disk as the probe saw them."""

from __future__ import annotations

import math

from tasks.accelerators.types import Profile
from tasks.nodes.document import ProbeDoc
from tasks.nodes.facts import quantity
from tasks.nodes.reasons import Reason, error, warning
from tasks.nodes.rules_host import Hardware, unknown
from tasks.nodes.units.form import Units
from tasks.spec.rollout import Rollout
from tasks.weights.disk import KeepFree

GIB = 2**30


def engine_memory(
    spec: Rollout, profile: Profile, doc: ProbeDoc, hardware: Hardware, units: Units | None = None
) -> int | None:
    """Bytes that vLLM's memory share is taken of; None unknown.

    A unit's memory, a card's where nothing is known of units; on CPUs one NUMA node's, or the
    pod's limit if that is less (vllm/utils/cpu_resource_utils.py, 0.32).
    """
    if profile.has_devices:
        if units is not None and units.memory_bytes:
            return units.memory_bytes
        if units is not None and units.kind not in ("card", "board"):
            told = spec.nodes.device_memory_gib  # no part has the card's memory
            return None if told is None else int(told * GIB)
        return None if hardware.memory_mib is None else int(hardware.memory_mib * 2**20)
    limit = spec.serving.resources.memory
    sizes = [doc.cpu.memory_bytes, *doc.cpu.numa_bytes]
    return min([*sizes, *([int(quantity(limit))] if limit else [])]) or None


def cpu_reasons(spec: Rollout, profile: Profile, doc: ProbeDoc, hardware: Hardware) -> list[Reason]:
    """Instruction sets and memory where the engine runs on the CPU."""
    if not profile.cpu_flags:
        return []
    if "cpu" in doc.errors:
        return [unknown("CPU", doc.errors["cpu"])]
    out = []
    rule = profile.cpu_flags.get(doc.kernel.machine or "x86_64")
    missing = [f for f in rule.required if f not in doc.cpu.flags] if rule else []
    if rule is None or missing:
        found = f"{doc.cpu.model or doc.kernel.machine} without {', '.join(missing)}"
        known = ", ".join(sorted(profile.cpu_flags))
        out.append(
            error(
                "CPU_FLAGS_MISSING",
                found if rule else f"architecture {doc.kernel.machine}",
                "instruction sets the engine was built for"
                if rule
                else f"an architecture the engine was built for ({known})",
                "use a newer CPU: the engine would die with an illegal instruction",
            )
        )
    share = spec.serving.gpu_memory_utilization
    base = engine_memory(spec, profile, doc, hardware) or 0
    wanted = share * base if share else 0
    if wanted > doc.cpu.memory_available_bytes:
        out.append(
            warning(
                "HOST_BUSY",
                f"{doc.cpu.memory_available_bytes / GIB:.1f} GiB of memory available",
                f"{wanted / GIB:.1f} GiB: gpu_memory_utilization {share:g} of {base / GIB:.1f} GiB",
                "free memory, or lower serving.gpu_memory_utilization",
            )
        )
    return out


def disk_reasons(spec: Rollout, doc: ProbeDoc, bytes_needed: int | None) -> list[Reason]:
    """Room for what is still to fetch, and what the spec keeps free."""
    if "store" in doc.errors:
        return [unknown(f"store {spec.store.path}", doc.errors["store"])]
    kept = KeepFree(spec.store.keep_free_gib, spec.store.eviction_percent)
    total = doc.store.total_bytes
    keep = kept.bytes_of(total)
    need = (bytes_needed or 0) + (keep if bytes_needed != 0 else 0)
    if doc.store.free_bytes >= need:
        return []
    what = (
        f"{(bytes_needed or 0) / GIB:.1f} GiB of weights and {_up(keep)} GiB to keep free "
        f"({kept.why(total)})"
    )
    return [
        error(
            "DISK_FULL",
            f"{doc.store.free_bytes / GIB:.1f} GiB of disk free of "
            f"{doc.store.total_bytes / GIB:.1f} GiB at {spec.store.path}",
            f"{_up(need)} GiB: {what}",
            "remove old versions from the store, choose another store.path, or set these fields as "
            "the node's disk and kubelet are",
        )
    ]


def _up(size: float) -> str:
    """GiB, rounded up: what is asked for is never shown as less."""
    return f"{math.ceil(size / GIB * 10) / 10:.1f}"
