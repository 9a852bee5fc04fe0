"""Bytes of weights on one device, and what the engine takes besides.

Weights by what the files hold, cut as vLLM cuts: experts by tensor x data parallel size, layers by
pipeline stages, the rest by the tensor parallel size; rotary tables are kept whole. What else a
device holds was logged on an H100 of 79.18 GiB with 1,024 sequences (llm-d-benchmark,
config_explorer, 2025): peak activation 4.76 GiB at a vocabulary of 128,256, 5.56 and 5.64 at
151,936, 7.38 at 201,088 whatever the model: 38.7 bytes a sequence and token of the vocabulary,
which is the sampler's; outside torch 0.13 GiB on one device and 0.55 on each of two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tasks.nodes.fit.attention import Layer
from tasks.nodes.fit.engine import GIB, EngineSetup
from tasks.nodes.fit.fields import number, text_of
from tasks.nodes.fit.packing import MARLIN_HIDDEN, MARLIN_WIDTH, ONLINE, padded
from tasks.nodes.fit.positions import rotary_elements
from tasks.nodes.fit.shape import ModelShape

RUNTIME_LEAST_GIB = 0.44  # vllm#13061
RUNTIME_TYPICAL_GIB = 1.5  # Qwen3-8B on an A100 of 40 GB, 256 sequences
SAMPLER_BYTES = 38.7  # a sequence and token of the vocabulary
OUTSIDE_TORCH_GIB = (0.15, 0.55)  # one device, several
UNKNOWN_VOCABULARY = 32_000
PARTITION = "VLLM_PP_LAYER_PARTITION"


def runtime_typical_gib(shape: ModelShape, engine: EngineSetup) -> float:
    """GiB that activations, graphs and libraries take on an accelerator."""
    sequences = min(engine.sequences, engine.batched[1])
    vocabulary = shape.vocabulary or UNKNOWN_VOCABULARY
    sampler = sequences * vocabulary * SAMPLER_BYTES / GIB
    width = 4 * shape.hidden + 2 * (shape.intermediate or 0) / engine.ranks.tensor
    forward = engine.batched[1] * width * 2 / GIB
    outside = OUTSIDE_TORCH_GIB[engine.ranks.tensor * engine.ranks.pipeline > 1]
    return max(RUNTIME_TYPICAL_GIB, outside + max(sampler, forward))


def stages(shape: ModelShape, engine: EngineSetup, env: Mapping[str, str]) -> list[tuple[int, int]]:
    """(first, end) layer of each pipeline stage; what does not divide goes to the stages before
    the last (vllm/distributed/utils.py get_pp_indices)."""
    count, layers = engine.ranks.pipeline, shape.layers
    sizes = [layers // count] * count
    for at in range(2, layers % count + 2):
        sizes[-at] += 1
    told = env.get(PARTITION, "").split(",")
    if len(told) == count and all(part.strip().isdigit() for part in told):
        sizes = [int(part) for part in told]
    ends = [sum(sizes[: at + 1]) for at in range(count)]
    return [(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def cached_by_stage(
    shape: ModelShape, engine: EngineSetup, env: Mapping[str, str]
) -> list[tuple[Layer, ...]]:
    """What the layers of each pipeline stage cache, drafting layers on the last."""
    if engine.drafts and (full := [x for x in shape.cached if x.kind == "full"]):
        shape_cached = (*shape.cached, *[full[-1]] * engine.drafts)
    else:
        shape_cached = shape.cached
    spans = stages(shape, engine, env)
    if len(spans) == 1:
        return [shape_cached]
    share = len(shape_cached) / max(1, shape.layers)
    ends = [0, *(round(end * share) for _, end in spans)]
    ends[-1] = len(shape_cached)
    return [tuple(shape_cached[a:b]) for a, b in pairwise(ends)]


def weights_on_device(
    shape: ModelShape, engine: EngineSetup, dtype: str, env: Mapping[str, str]
) -> tuple[int, int]:
    """(least, most) bytes of weights on the fullest device; (0, 0) where they are unknown."""
    if not shape.weights_bytes:
        return 0, 0
    ranks = engine.ranks
    size = float(shape.weights_per_device(1, dtype))
    experts = min(_expert_bytes(shape), 0.98 * size)
    if not shape.quantized and (bits := ONLINE.get(engine.quantization)):
        element = shape.element_bytes(dtype)
        kept = min(size, shape.embedding_elements * element)
        if engine.quantization == "experts_int8":
            kept = size - experts
        experts *= bits / 8 / element
        size = kept + (size - kept) * bits / 8 / element
    fullest = max(end - start for start, end in stages(shape, engine, env))
    part = 1.0
    if ranks.pipeline > 1:
        ends = min(size, shape.embedding_elements / 2 * shape.element_bytes(dtype))
        part = (ends + (size - ends) * fullest / shape.layers) / size
    rest = (size - experts) * part / ranks.tensor
    least = rest + experts * part / ranks.cut + shape.replicated(ranks.tensor, dtype)
    more = _padding(shape, engine) * part
    kept_out = min(engine.offload, 0.9 * least)
    beside = rotary_bytes(shape, dtype) - kept_out
    return round(least + beside), round(least + more + beside)


def rotary_bytes(shape: ModelShape, dtype: str) -> int:
    """Bytes of the rotary tables, which every device keeps whole; vLLM counts them as weights."""
    return rotary_elements(shape.config, shape.head_dim) * shape.element_bytes(dtype)


def _expert_bytes(shape: ModelShape) -> float:
    if shape.experts is None:
        return 0.0
    bits = shape.packing.bits if shape.quantized else 8.0 * shape.element_bytes("auto")
    found = shape.experts
    # the files hold those of the layers that guess ahead, too
    more = number(text_of(shape.config), "num_nextn_predict_layers", "mtp_num_hidden_layers")
    return found.elements * (1 + more / max(1, found.layers)) * bits / 8


def _padding(shape: ModelShape, engine: EngineSetup) -> float:
    """Bytes a device that MXFP4 experts grow by when they are padded to Marlin's tiles."""
    found = shape.experts
    if found is None or shape.packing.method != "mxfp4":
        return 0.0
    ranks = engine.ranks
    cut = 1 if ranks.experts else ranks.cut
    here = math.ceil(found.count / (ranks.cut if ranks.experts else 1))
    width = found.width / cut
    grown = padded(found.hidden, MARLIN_HIDDEN) * padded(width, MARLIN_WIDTH)
    weights = here * found.layers * found.matrices * (grown - found.hidden * width)
    return weights * shape.packing.bits / 8


def said(layers: Sequence[Layer]) -> str:
    """The layers by kind, as a person counts them."""
    words = {"state": "with a fixed state", "cross": "of the encoder's output"}
    counts: dict[str, int] = {}
    for layer in layers:
        window = f" {layer.window:,}" if layer.kind in ("sliding", "chunked") else ""
        name = words.get(layer.kind, layer.kind) + window
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
