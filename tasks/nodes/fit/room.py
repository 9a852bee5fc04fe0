"""What one device's memory allows: the budget, what is left for the cache, and what that is judged.

On accelerators the two readings are the least and the typical need of the engine; on CPUs they are
those of host_memory.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.nodes.fit.engine import GIB, EngineSetup
from tasks.nodes.fit.load import RUNTIME_LEAST_GIB, runtime_typical_gib
from tasks.nodes.fit.shape import ModelShape
from tasks.nodes.host_memory import (
    CPU_UTILIZATION,
    CpuMemory,
    explicit_cache,
    is_vllm,
    on_cpus,
    stated_cache,
)
from tasks.nodes.reasons import Reason, error, warning
from tasks.spec.rollout import Rollout

WIDER = "raise tensor_parallel_size or gpu_memory_utilization"


def gib(size: float) -> str:
    """A size as a person reads it."""
    return f"{size / GIB:.2f} GiB"


def span(least: float, most: float) -> str:
    """One figure, or two where they differ by what a person would see."""
    return gib(least) if gib(least) == gib(most) else f"{gib(least)} to {gib(most)}"


@dataclass(frozen=True)
class Need:
    """What one device must hold, (least, most). growth: bytes a token; plain: layers all alike."""

    weights: tuple[int, int]
    cache: tuple[int, int]
    growth: int
    length: int
    lines: tuple[str, ...]
    plain: bool


@dataclass(frozen=True)
class DeviceRoom:
    """Memory of one device, bytes. budget: (low, high) share that vLLM takes; runtime: (least,
    typical) besides weights and cache; stated: the cache, where the spec states it itself."""

    memory: int
    budget: tuple[float, float]
    runtime: tuple[float, float]
    stated: int | None
    cpu: bool
    line: str

    @classmethod
    def of(
        cls, spec: Rollout, shape: ModelShape, engine: EngineSetup, need: Need, memory: int
    ) -> DeviceRoom:
        """The room that a device of so much memory has."""
        cpu, told = on_cpus(spec), spec.serving.gpu_memory_utilization
        if cpu:
            shares = (told or CPU_UTILIZATION,) * 2
            found = shape.cpu_runtime(engine.ranks.tensor, spec.serving.dtype)
        else:
            shares = engine.shares(spec)
            found = RUNTIME_LEAST_GIB, runtime_typical_gib(shape, engine)
        least, typical = (size * GIB for size in found)
        low, high = (share * memory for share in shares)
        stated = explicit_cache(spec) if cpu else stated_cache(spec)
        share = f"{shares[0]:g}" if low == high else f"{shares[0]:g} to {shares[1]:g}"
        what = "memory" if cpu else "device"
        line = f"budget: {share} x {gib(memory)} of {what} = {span(low, high)}"
        if stated is not None:
            low = high = need.weights[1] + typical + stated
            least = typical if cpu else least
            line = f"budget: {gib(low)}, by {gib(stated)} of KV cache that the spec states"
        return cls(memory, (low, high), (least, typical), stated, cpu, line)

    def most(self, need: Need) -> float:
        """What is left for the cache by the reading that needs the least."""
        if self.stated is not None and not self.cpu:
            return float(self.stated)
        return self.budget[1] - need.weights[0] - self.runtime[0]

    def left(self, need: Need) -> float:
        """What is left for the cache by the reading that needs the most."""
        return self.budget[0] - need.weights[1] - self.runtime[1]


def in_memory(
    spec: Rollout, shape: ModelShape, engine: EngineSetup, need: Need, memory: int
) -> tuple[list[Reason], list[str], float | None]:
    """Reasons and lines of what a device's memory allows, and the bytes left for the cache."""
    room = DeviceRoom.of(spec, shape, engine, need, memory)
    if not shape.weights_bytes:
        return _cache_alone(need, memory), [room.line], None
    left = room.left(need)
    lines = [
        room.line,
        f"left for the KV cache: {gib(room.budget[0])} - {gib(need.weights[1])} weights - "
        f"{gib(room.runtime[1])} runtime = {gib(left)}{_held(need, left)}",
    ]
    reasons: list[Reason] = []
    whole = CpuMemory.of(spec, memory, need.weights[1] + room.runtime[1] + need.cache[1])
    if room.cpu and is_vllm(spec):
        more, line = whole.beside_reasons(spec, room.budget[0] * whole.ranks)
        reasons += more
        lines.append(line)
    advice = whole.advice(spec) if room.cpu else WIDER
    return [*reasons, *_reasons(room, need, advice)], lines, left


def _held(need: Need, left: float) -> str:
    """How many tokens and full sequences that is."""
    if not need.cache[1]:
        return ""
    if not need.plain:
        return f" = {max(0.0, left) / need.cache[1]:.1f} full sequences"
    tokens = max(0, int(left // need.growth))
    return f" = {tokens:,} tokens = {tokens / need.length:.1f} full sequences"


def _reasons(room: DeviceRoom, need: Need, advice: str) -> list[Reason]:
    """Whether weights and one sequence fit."""
    most, left = room.most(need), room.left(need)
    of = "memory" if room.cpu else "device memory"
    stated = room.stated is not None and not room.cpu
    needed = "room for a KV cache"
    if need.cache[1]:
        needed = f"{span(*need.cache)}: one sequence of {need.length:,} tokens"

    def sum_of(end: int) -> str:
        budget = room.budget[1 - end]
        runtime = gib(room.runtime[end])
        return f"{gib(budget)} budget - {gib(need.weights[end])} weights - {runtime} runtime"

    if most <= 0 or (stated and need.weights[0] + room.runtime[0] > room.memory):
        found = f"{sum_of(0)} = {gib(most)} of {of}"
        action = advice if room.cpu else f"{advice}, or use a quantized model"
        return [error("WEIGHTS_TOO_LARGE", found, "room for the weights and a KV cache", action)]
    if most < need.cache[0]:
        found = f"{sum_of(0)} = {gib(most)} of {of} for the KV cache"
        action = f"lower max_model_len, or {advice}"
        return [error("KV_CACHE_TOO_SMALL", found, needed, action)]
    if left < need.cache[1] or (stated and room.budget[0] > room.memory):
        found = f"{sum_of(1)} = {gib(left)} for the cache"
        action = "the engine may refuse to start; lower max_model_len to be safe"
        action += f", or {advice}" if room.cpu else ""
        return [warning("KV_CACHE_TIGHT", found, needed, action)]
    return []


def _cache_alone(need: Need, memory: int) -> list[Reason]:
    """What can be said where the size of the weights is unknown."""
    if need.cache[0] < memory:
        return []
    return [
        error(
            "KV_CACHE_TOO_SMALL",
            f"{gib(memory)} of memory, before any weights",
            f"{gib(need.cache[0])}: one sequence of {need.length:,} tokens",
            f"lower max_model_len, or {WIDER}",
        )
    ]
