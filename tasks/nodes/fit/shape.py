"""What of a model decides its memory, read from config.json and the hub's listing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tasks.nodes.fit.attention import (
    Heads,
    Layer,
    head_dim_of,
    heads_by_layer,
    kv_heads_at,
    latent_of,
    layers_of,
)
from tasks.nodes.fit.fields import (
    DENSE,
    EXPERT_WIDTH,
    EXPERTS,
    HEAD_DIM,
    HEADS,
    HIDDEN,
    KV_HEADS,
    LAYERS,
    SHARED_EXPERTS,
    VOCABULARY,
    first,
    number,
    text_of,
)
from tasks.nodes.fit.files import Weights
from tasks.nodes.fit.kv import Cache, growth_bytes
from tasks.nodes.fit.layers import PURE, listed_layers, model_type, strange, unlisted_state
from tasks.nodes.fit.packing import Packing
from tasks.nodes.fit.positions import positions
from tasks.nodes.host_memory import runtime_gib

MOST_LAYERS = 10_000
MOST_ASIDE = 0.01  # of a text model's weights lies in norms and biases
# Fields that name the repository whose config and weights vLLM takes for the language model
# (vllm/transformers_utils/configs/ultravox.py).
ELSEWHERE = ("text_model_id",)
DTYPE_BYTES = {
    "float64": 8,
    "float32": 4,
    "float": 4,
    "float16": 2,
    "half": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
}


@dataclass(frozen=True)
class Experts:
    """Routed experts: how many a layer, in how many layers, and the three (or two) matrices of
    one: hidden x width each."""

    count: int
    layers: int
    hidden: int
    width: int
    matrices: int = 3

    @property
    def elements(self) -> int:
        """Weights of all of them."""
        return self.count * self.layers * self.hidden * self.width * self.matrices


@dataclass(frozen=True)
class ModelShape:
    """What decides a model's memory. weights_bytes: of the files that vLLM loads, 0 unknown.

    kv_layers: layers with a cache that grows (linear-attention layers keep none per token).
    latent: cached elements per token and layer of multi-head latent attention (DeepSeek V2/V3),
    0 without it. intermediate: width of the dense MLPs, of the widest layer; None without them.
    dtype: of the stored weights; quantized: weights_bytes is final. vocabulary: tokens, 0 unknown.
    cached: what each layer keeps; unknown: why that cannot be told. weights: which files were
    counted, or what is there instead. missing: files that the index names and that are not there.
    """

    layers: int
    kv_layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    latent: int
    intermediate: int | None
    max_positions: int | None
    dtype: str
    quantized: bool
    weights_bytes: int
    vocabulary: int = 0
    cached: tuple[Layer, ...] = ()
    unknown: str = ""
    experts: Experts | None = None
    shared_width: int = 0
    packing: Packing = field(default_factory=Packing)
    weights: str = ""
    missing: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        weights_bytes: int,
        weights: str = "",
        missing: tuple[str, ...] = (),
    ) -> ModelShape:
        """Read a config.json. weights_bytes: what files.weigh counted, 0 where it found nothing.

        Raises ValueError when it has no layers, heads or hidden size, or names another repository
        for them.
        """
        if other := next((config[name] for name in ELSEWHERE if config.get(name)), None):
            raise ValueError(f"its language model lies in another repository, {other}")
        text = text_of(config)
        layers, hidden = number(text, *LAYERS) or listed_layers(text), number(text, *HIDDEN)
        heads, told = number(text, *HEADS), number(text, *KV_HEADS) and number(text, *HEAD_DIM)
        attends = heads or told or model_type(text) in PURE
        if not layers or not attends or not (hidden or told):
            raise ValueError(
                "it tells no num_hidden_layers, num_attention_heads or hidden_size; "
                f"it has {', '.join(sorted(text)[:12])}"
            )
        if layers > MOST_LAYERS:
            raise ValueError(f"it tells {layers} layers; no model has {MOST_LAYERS}")
        cached = layers_of(text, layers)
        growing = [layer for layer in cached if layer.kind != "state"]
        packing = Packing.of(config)
        experts = _experts(text, layers)
        return cls(
            layers=layers,
            kv_layers=len(growing),
            hidden=hidden,
            heads=heads,
            kv_heads=max((x.heads for x in growing if x.heads), default=kv_heads_at(text, 0)),
            head_dim=head_dim_of(text),
            latent=latent_of(text),
            intermediate=_dense_width(text, experts, layers),
            max_positions=positions(config)[1],
            dtype=str(first(text, "dtype", "torch_dtype") or "bfloat16").removeprefix("torch."),
            quantized=bool(packing.method),
            weights_bytes=weights_bytes,
            vocabulary=number(text, *VOCABULARY),
            cached=cached,
            unknown=_unknown(text, cached, layers),
            experts=experts,
            shared_width=number(text, "shared_expert_intermediate_size", "share_expert_dim")
            or number(text, *SHARED_EXPERTS) * (experts.width if experts else 0),
            packing=packing,
            weights=weights,
            missing=missing,
            config=config,
        )

    @classmethod
    def from_files(cls, config: Mapping[str, Any], found: Weights) -> ModelShape:
        """As from_config, with what files.weigh found. Of far too few bytes for the parameters that
        the config tells (less than a bit each) nothing is believed: they are no whole weights."""
        shape = cls.from_config(config, found.bytes or 0, found.said, found.missing)
        least = shape.least_elements
        if not 0 < shape.weights_bytes < least / 8:
            return shape
        said = f"{found.said}: {shape.weights_bytes:,} bytes for {least:,} parameters or more"
        return replace(shape, weights_bytes=0, weights=said)

    def overridden(self, config: Mapping[str, Any]) -> ModelShape:
        """The same weights with another config."""
        if config == self.config:
            return self
        shape = ModelShape.from_config(config, self.weights_bytes, self.weights, self.missing)
        return replace(shape, dtype=self.dtype, quantized=self.quantized, packing=self.packing)

    @cached_property
    def tied(self) -> bool:
        """Whether input and output embedding are one."""
        told = first(text_of(self.config), "tie_word_embeddings")
        return bool(told if told is not None else self.config.get("tie_word_embeddings"))

    @cached_property
    def attending(self) -> Mapping[Heads, tuple[int, ...]]:
        """The layers (from 0) that attend, by their heads."""
        return heads_by_layer(text_of(self.config), self.layers)

    @property
    def least_elements(self) -> int:
        """Weights that a model of this shape has at the least: experts, MLPs, one embedding."""
        experts = self.experts.elements if self.experts else 0
        dense = self.layers - (self.experts.layers if self.experts else 0)
        return experts + self.hidden * (2 * dense * (self.intermediate or 0) + self.vocabulary)

    @property
    def embedding_elements(self) -> int:
        """Weights of the embeddings."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @cached_property
    def twice(self) -> int:
        """Weights of an output embedding that the files hold beside the input one that serves for
        both, and that vLLM does not load (Qwen3-0.6B): told by their size, of a plain text model
        in 16 or 32 bits; 0 where it is not so."""
        if not self.tied or self.quantized or self.experts or self.kv_layers < self.layers:
            return 0
        if any("vision" in name or "audio" in name for name in self.config):
            return 0
        ends = self.vocabulary * self.hidden
        inner = sum(
            len(layers) * self.hidden * (heads.query * 2 + heads.keys * 2) * heads.size
            for heads, layers in self.attending.items()
        )
        whole = ends + inner + 3 * self.layers * self.hidden * (self.intermediate or 0)
        held = self.weights_bytes / DTYPE_BYTES.get(self.dtype, 2)
        return ends if abs(held - whole - ends) <= MOST_ASIDE * whole < ends else 0

    def element_bytes(self, dtype: str) -> int:
        """Bytes of an activation or cache element. auto: float32 models are served in 16 bits."""
        if dtype == "auto":
            return min(2, DTYPE_BYTES.get(self.dtype, 2)) if not self.quantized else 2
        return DTYPE_BYTES[dtype]

    def weights_per_device(self, tensor_parallel: int, dtype: str = "auto") -> int:
        """Bytes of weights on one device; KV projections are replicated when heads run short."""
        size = float(self.weights_bytes - self.twice * DTYPE_BYTES.get(self.dtype, 2))
        if not self.quantized:
            size *= self.element_bytes(dtype) / DTYPE_BYTES.get(self.dtype, 2)
        return round(size / tensor_parallel + self.replicated(tensor_parallel, dtype))

    def replicated(self, tensor_parallel: int, dtype: str = "auto") -> float:
        """Bytes that KV projections take more than their share of the cut."""
        if self.latent or tensor_parallel <= self.kv_heads:
            return 0.0
        extra = 1 - self.kv_heads / tensor_parallel
        width = 2 * self.hidden * self.head_dim * self.element_bytes(dtype)
        return extra * width * self.kv_layers

    def cpu_runtime(self, tensor_parallel: int, dtype: str) -> tuple[float, float]:
        """(least, typical) memory of a worker on CPUs besides weights and cache, GiB."""
        element = self.element_bytes(dtype)
        converted = not self.quantized and element != DTYPE_BYTES.get(self.dtype, 2)
        embedding = self.vocabulary * self.hidden * element / tensor_parallel
        return runtime_gib(converted=converted, embedding_bytes=embedding)

    def kv_bytes_per_token(self, tensor_parallel: int, element: float = 2) -> int:
        """Bytes a further token of a long sequence holds in the cache of one device."""
        return growth_bytes(self.cached, Cache(tensor=tensor_parallel, element=element))


def _experts(text: Mapping[str, Any], layers: int) -> Experts | None:
    count = number(text, *EXPERTS)
    if not count and isinstance(text.get("block_configs"), list):
        blocks = [item for item in text["block_configs"] if isinstance(item, Mapping)]
        count = max((number(item, *EXPERTS) for item in blocks), default=0)
    width = number(text, *EXPERT_WIDTH) or number(text, *DENSE)
    if count <= 1 or not width:
        return None
    hidden = number(text, "moe_latent_size", "routed_expert_hidden_size") or number(text, *HIDDEN)
    two = model_type(text) in ("nemotron_h", "gpt_bigcode")
    return Experts(count, _expert_layers(text, layers), hidden, width, 2 if two else 3)


def _expert_layers(text: Mapping[str, Any], layers: int) -> int:
    frequency, types = text.get("moe_layer_freq"), text.get("mlp_layer_types")
    if isinstance(frequency, list):
        return sum(bool(item) for item in frequency)
    if isinstance(marked := text.get("is_moe_layer"), list):  # EXAONE
        return sum(bool(item) for item in marked)
    if "moe_layer_start_index" in text:  # ERNIE, whose end may be null
        first_at = number(text, "moe_layer_start_index")
        last = number(text, "moe_layer_end_index") or layers - 1
        each = number(text, "moe_layer_interval") or 1
        return sum((at + 1) % each == 0 for at in range(first_at, min(last, layers - 1) + 1))
    if listed := text.get("moe_layers_enum"):  # Step-3: "4,5,6"
        return len(listed if isinstance(listed, list) else str(listed).strip(" ,").split(","))
    if isinstance(types, list):
        return sum("sparse" in str(item) or "moe" in str(item) for item in types)
    pattern = first(text, "hybrid_override_pattern", "layers_block_type")
    if isinstance(pattern, (str, list)) and model_type(text) == "nemotron_h":
        return sum(item in ("E", "moe") for item in pattern)
    if period := number(text, "expert_layer_period"):
        offset = number(text, "expert_layer_offset")
        return sum(at % period == offset for at in range(layers))
    dense = number(text, "first_k_dense_replace", "moe_num_dense_layers", "num_dense_layers")
    only = text.get("mlp_only_layers")
    dense += len(only) if isinstance(only, list) else 0
    step = number(text, "decoder_sparse_step", "interleave_moe_layer_step") or 1
    return max(0, layers - dense) // step


def _dense_width(text: Mapping[str, Any], experts: Experts | None, layers: int) -> int | None:
    """The width of MLPs that are no experts; None where there are none."""
    width = number(text, "intermediate_size_mlp") or number(text, *DENSE)
    if experts is not None and (not number(text, *EXPERT_WIDTH) or experts.layers >= layers):
        return number(text, "intermediate_size_mlp") or None
    return width or None


def _unknown(text: Mapping[str, Any], cached: tuple[Layer, ...], layers: int) -> str:
    """Why a cache cannot be told; '' where it can."""
    types = text.get("layer_types")
    if text.get("compress_ratios") or (isinstance(types, list) and "compress" in str(types)):
        return "its layers compress the cache (compress_ratios) in a way not computed here"
    if name := strange(text):
        return f"a layer type {name!r} is not known here"
    if name := unlisted_state(text, layers):
        return f"it has states ({name}) and does not say in a way known here in which layers"
    if any(layer.kind == "state" and layer.state is None for layer in cached):
        return f"the size of a state of {model_type(text) or 'its layers'} is not known here"
    return ""
