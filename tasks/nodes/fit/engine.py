"""What a spec asks of vLLM that changes what fits, and what its release decides: two readings.

least: what needs the least memory by any release that may be in the image; most: the most. A
rollout is refused by the least and warned of by the most. The release is read from the image's tag,
where that names vLLM's own (0.x.y).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tasks.nodes.fit.fields import merged, number, text_of
from tasks.nodes.fit.kv import BLOCK, LATENT_BLOCK, Cache
from tasks.nodes.fit.packing import kv_bits
from tasks.nodes.fit.shape import ModelShape
from tasks.nodes.host_memory import on_cpus
from tasks.spec import flags
from tasks.spec.images import vllm_release
from tasks.spec.parallel import Ranks
from tasks.spec.rollout import Rollout

GIB = 2**30
# Bytes of a cached element by the beginning of --kv-cache-dtype; a few scales lie beside some.
CACHE_TYPES = (
    *(("fp8", 1.0), ("nvfp4", 0.5625), ("int8", 1.02), ("int4", 0.55), ("turboquant", 0.5)),
    *(("ultraquant", 0.55), ("float32", 4.0), ("bfloat16", 2.0), ("float16", 2.0), ("half", 2.0)),
)
LATENT_TYPES = {"fp8_ds_mla": 656, "nvfp4_ds_mla": 352}  # bytes a token and layer, as a whole
# Default of --max-num-batched-tokens by the device's memory (vllm/engine/arg_utils.py), GiB.
BATCHED_BY_MEMORY = ((160, 16384), (70, 8192), (0, 2048))
# Where attention goes both ways over an image or a video, none is cut in two, and vLLM raises that
# default to the largest (vllm pull 43051; before, it refused to start: vllm#42687). Tokens by the
# beginning of model_type: a video of Gemma 4 has 32 frames of 70 + 8 (vLLM's gemma4_mm.py).
UNCUT_ITEMS = (("gemma4", 2496),)
SEQUENCES_BY_MEMORY = ((70, 1024), (0, 256))  # and of --max-num-seqs
WINDOWS_SINCE = (0, 11)  # the hybrid cache manager; before, sliding layers were full ones
LATENTS_SINCE = (0, 15)  # vllm pull 32614: GLM-4.7-Flash, in 0.14's fixes or not
IN_FLIGHT_TWICE_SINCE = (0, 26)  # vllm#47728: batches that are computed at once
YARN_SCALED_BEFORE = (0, 30)  # vllm#56446: from then on its factor is not applied
SHARE_SINCE = (0, 26)  # 0.92 was seen from here on
SHARES = (0.9, 0.92)


def _by_memory(table: tuple[tuple[int, int], ...], memory: int | None) -> int:
    gib = (memory or 0) / GIB
    return next(value for floor, value in table if gib >= floor)


def _uncut(config: Mapping[str, Any]) -> int:
    """Tokens of the largest item that may not be cut; 0 where any may be."""
    if text_of(config).get("use_bidirectional_attention") != "vision":
        return 0
    kind = str(config.get("model_type"))
    return next((size for name, size in UNCUT_ITEMS if kind.startswith(name)), 0)


@dataclass(frozen=True)
class EngineSetup:
    """What a spec asks of the engine. release: (0, minor) or None. batched: (least, most) tokens
    computed at once. sequences: at once, at most. speculative: tokens guessed a step; drafts:
    layers that guess them, draft: a model that does. offload: bytes of weights kept in host
    memory a device."""

    ranks: Ranks
    release: tuple[int, int] | None
    batched: tuple[int, int]
    sequences: int
    least: Cache
    most: Cache
    speculative: int
    drafts: int
    offload: int
    quantization: str
    draft: str = ""

    @classmethod
    def of(cls, spec: Rollout, shape: ModelShape, memory: int | None) -> EngineSetup:
        """Read a spec. memory: of one device, bytes, for the defaults that depend on it."""
        serving, args = spec.serving, spec.serving.extra_args
        release, ranks = vllm_release(serving.image), serving.ranks
        told = flags.number_of(args, flags.BATCHED)
        default = 2048 if on_cpus(spec) else _by_memory(BATCHED_BY_MEMORY, memory)
        batched = (int(told),) * 2 if told else (2048, max(default, _uncut(shape.config)))
        guess = flags.json_of(args, flags.SPECULATIVE)
        speculative = number(guess, "num_speculative_tokens")
        drafts = speculative and "mtp" in str(guess.get("method", ""))
        least, most = _caches(spec, shape, ranks, release, batched)
        return cls(
            ranks=ranks,
            release=release,
            batched=batched,
            sequences=serving.max_num_seqs or _by_memory(SEQUENCES_BY_MEMORY, memory),
            least=replace(least, speculative=speculative),
            most=replace(most, speculative=speculative),
            speculative=speculative,
            drafts=int(bool(drafts)),
            offload=int((flags.number_of(args, flags.OFFLOAD) or 0) * GIB),
            quantization=flags.value_of(args, flags.QUANTIZATION) or "",
            draft=str(guess.get("model") or ""),
        )

    def shares(self, spec: Rollout) -> tuple[float, float]:
        """(least, most) of the memory that vLLM takes."""
        if told := spec.serving.gpu_memory_utilization:
            return told, told
        if self.release is None:
            return SHARES
        share = SHARES[self.release >= SHARE_SINCE]
        return share, share


def overridden(spec: Rollout, shape: ModelShape) -> ModelShape:
    """The shape as the spec's --hf-overrides and --rope-scaling make it."""
    args = spec.serving.extra_args
    changes: dict[str, Any] = flags.json_of(args, flags.OVERRIDES)
    config: Mapping[str, Any] = merged(shape.config, changes) if changes else shape.config
    if rope := flags.json_of(args, flags.ROPE):
        config = {**config, **_with_rope(config, rope)}
    if config is shape.config:
        return shape
    try:
        return shape.overridden(config)
    except ValueError:
        return shape


def _with_rope(config: Mapping[str, Any], rope: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary settings where the language model's part has them."""
    for name, inner in config.items():
        if isinstance(inner, Mapping) and name in ("text_config", "llm_config", "language_config"):
            return {name: {**inner, "rope_scaling": dict(rope), "rope_parameters": None}}
    return {"rope_scaling": dict(rope), "rope_parameters": None}


def _caches(
    spec: Rollout,
    shape: ModelShape,
    ranks: Ranks,
    release: tuple[int, int] | None,
    batched: tuple[int, int],
) -> tuple[Cache, Cache]:
    args, serving = spec.serving.extra_args, spec.serving
    element = float(shape.element_bytes(serving.dtype))
    told = (flags.value_of(args, flags.CACHE_TYPE) or "auto").lower()
    stored = next((size for name, size in CACHE_TYPES if told.startswith(name)), element)
    low = stored
    if told == "auto" and kv_bits(shape.config) == 8:
        low = 1.0  # newer releases follow the checkpoint
    states = {"align": (2, 2), "none": (1, 1)}.get(
        flags.value_of(args, flags.STATE_MODE) or "", (1, 2)
    )
    block = int(flags.number_of(args, flags.BLOCK) or (LATENT_BLOCK if shape.latent else BLOCK))
    windows = not flags.is_on(args, flags.ONE_CACHE)
    floats = {"float32": 4, "float16": 2, "bfloat16": 2}
    common = Cache(
        tensor=ranks.tensor,
        element=low,
        latent_bytes=LATENT_TYPES.get(told, 0),
        block=block,
        in_flight=batched[0],
        windows=windows,
        state_blocks=states[0],
        state_element=shape.element_bytes(serving.dtype),
        state_bytes=floats.get(flags.value_of(args, flags.STATE_TYPE) or "", 0),
        decode=ranks.decode,
    )
    twice = release is None or release >= IN_FLIGHT_TWICE_SINCE
    new = release is not None and release >= WINDOWS_SINCE
    chunked = any(layer.kind == "chunked" for layer in shape.cached)
    return common, replace(
        common,
        element=stored,
        in_flight=batched[1] * (2 if twice else 1),
        windows=windows and new and not chunked,
        latents=release is not None and release >= LATENTS_SINCE,
        state_blocks=states[1],
    )
