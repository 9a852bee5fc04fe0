"""How much each layer of a model caches: heads, widths, latents, and the states of linear layers.

Source: the attention layers' get_kv_cache_spec and mamba_utils.py of vLLM 0.32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tasks.nodes.fit.fields import (
    HEAD_DIM,
    HEADS,
    HIDDEN,
    KV_HEADS,
    first,
    number,
    section,
    whole,
)
from tasks.nodes.fit.layers import PURE, kinds, model_type, window_of

ATTENDING = ("full", "sliding", "chunked", "both")

# Model types whose latent attention vLLM does not cache as a latent.
NOT_LATENT = ("minicpm3",)
# And those it cached as a latent only from a later release on (engine.LATENTS_SINCE).
LATENT_LATER = ("glm4_moe_lite",)
_STATE_FLOATS = {"float32": 4, "float16": 2, "bfloat16": 2}
INDEX_SCALE = 4  # bytes of an indexer's scale beside its fp8 key


@dataclass(frozen=True)
class LinearState:
    """A linear layer's memory of one sequence, in elements before the cut by tensor parallelism.

    inner: channels of the convolution that are cut; groups x width: those of its shared parts,
    groups are padded to the cut. kernel: its length. size: of the recurrent state. bytes: of an
    element of that state, 0: as the model's.
    """

    inner: int
    groups: int
    width: int
    kernel: int
    size: int
    bytes: int = 0

    def page(self, tp: int, element: int, state_bytes: int, speculative: int) -> int:
        """Bytes of one sequence on one rank."""
        channels = self.inner / tp + 2 * math.ceil(self.groups / tp) * self.width
        short = channels * (self.kernel - 1 + speculative) * element
        return math.ceil(short + self.size / tp * (state_bytes or self.bytes or element))


@dataclass(frozen=True)
class Layer:
    """What one layer caches. heads: KV heads; width: elements of K and V of one of them. latent:
    elements a token that are not cut (heads beside it: what older releases cached instead). index:
    bytes a token of a sparse indexer. window: tokens. cross: tokens of the encoder that a decoder
    layer caches."""

    kind: str
    heads: int = 0
    width: int = 0
    latent: int = 0
    index: int = 0
    window: int = 0
    state: LinearState | None = None

    def token_bytes(self, tp: int, element: float, latent_bytes: int = 0) -> int:
        """Bytes a token on one rank. latent_bytes: of a whole latent where its format fixes it."""
        if self.latent:
            return math.ceil(latent_bytes or self.latent * element) + self.index
        return math.ceil(max(1, self.heads // tp) * self.width * element) if self.heads else 0


@dataclass(frozen=True)
class Heads:
    """Attention heads of a layer before the cut. query, keys: how many; size: elements of a query
    or key, value: of a value; spread: of both that a latent is spread to, 0 without one."""

    query: int
    keys: int
    size: int
    value: int
    spread: int = 0


def heads_by_layer(text: Mapping[str, Any], count: int) -> dict[Heads, tuple[int, ...]]:
    """The layers (from 0) that attend, by their heads. count: the model's layers."""
    out: dict[Heads, tuple[int, ...]] = {}
    for at, kind in enumerate(kinds(text, count)):
        if kind in ATTENDING:
            heads = heads_of(text, at, "full" if kind == "both" else kind)
            out[heads] = (*out.get(heads, ()), at)
    return out


def heads_of(text: Mapping[str, Any], at: int, kind: str) -> Heads:
    """The heads of one layer that attends."""
    text = _of_layer(text, at)
    query, keys = number(text, *HEADS), kv_heads_at(text, at)
    value = number(text, "v_head_dim")
    if number(text, "kv_lora_rank") and text.get("use_mla") is not False:
        plain = number(text, "qk_nope_head_dim")
        size = plain + number(text, "qk_rope_head_dim")
        return Heads(query, keys, size, value or size, plain + (value or size))
    told = text.get("head_dim")
    size = (whole(told[at % len(told)]) or 0) if isinstance(told, list) and told else 0
    size = size or head_dim_of(text)
    value = value or size
    if kind == "full":
        keys = number(text, "num_global_key_value_heads") or keys
        if wide := number(text, "global_head_dim"):
            size = value = wide
    else:
        other = section(text, "attention_other_setting")
        query = number(text, "swa_num_attention_heads") or number(other, *HEADS) or query
        keys = number(text, "swa_num_key_value_heads") or number(other, *KV_HEADS) or keys
        if narrow := number(text, "swa_head_dim") or number(other, "head_dim"):
            size, value = narrow, number(text, "swa_v_head_dim") or narrow
    return Heads(query, keys, size, value)


def layers_of(text: Mapping[str, Any], count: int) -> tuple[Layer, ...]:
    """Every layer that caches something. count: the model's layers."""
    out: list[Layer] = []
    for at, kind in enumerate(kinds(text, count)):
        if kind in ("state", "both"):
            out.append(Layer("state", state=state_of(text)))
        if kind in ATTENDING:
            out.append(_attending(text, at, "full" if kind == "both" else kind))
    # IQuest's further loops (vllm#31575) cache a window of their own
    loops, window = number(text, "loop_num"), number(text, "loop_window_size")
    if loops > 1:
        kind = "sliding" if window else "full"
        out += [replace(item, kind=kind, window=window) for item in out if item.heads] * (loops - 1)
    if frames := number(text, "max_source_positions") if "decoder_layers" in text else 0:
        out += [Layer("cross", item.heads, item.width, window=frames) for item in out]
    return tuple(out)


def _of_layer(text: Mapping[str, Any], at: int) -> Mapping[str, Any]:
    """The config of one layer: `per_layer_config` has a list, or numbers such as "05"."""
    told = text.get("per_layer_config")
    if isinstance(told, Mapping):
        told = {int(key): item for key, item in told.items() if str(key).isdigit()}.get(at)
    elif isinstance(told, list):
        told = told[at] if at < len(told) else None
    return {**text, **told} if isinstance(told, Mapping) else text


def _attending(text: Mapping[str, Any], at: int, kind: str) -> Layer:
    text, heads = _of_layer(text, at), heads_of(text, at, kind)
    window = window_of(text, kind) if kind != "full" else 0
    # what is not cached as a latent has K and V as wide as the query
    width = 2 * heads.size if heads.spread else heads.size + heads.value
    if latent := latent_of(text):
        before = (heads.keys, width) if model_type(text) in LATENT_LATER else (0, 0)
        return Layer(kind, *before, latent=latent, window=window, index=_index(text, at))
    return Layer(kind, heads.keys, width, window=window)


def latent_of(text: Mapping[str, Any]) -> int:
    """Cached elements a token of multi-head latent attention; 0 without it."""
    rank = number(text, "kv_lora_rank")
    if not rank or model_type(text) in NOT_LATENT or text.get("use_mla") is False:
        return 0
    return rank + number(text, "qk_rope_head_dim")


def _index(text: Mapping[str, Any], at: int) -> int:
    """Bytes a token of a sparse attention's indexer in this layer."""
    size = number(text, "index_head_dim")
    if not size:
        return 0
    types, each = text.get("indexer_types"), number(text, "index_topk_freq")
    if isinstance(types, list) and types:
        own = at < len(types) and "full" in str(types[at])
    else:
        own = each <= 1 or (at - number(text, "index_skip_topk_offset")) % each == 0
    return size + INDEX_SCALE if own else 0


def kv_heads_at(text: Mapping[str, Any], at: int) -> int:
    """KV heads of one layer, before the cut."""
    heads = number(text, *HEADS)
    blocks = text.get("block_configs")
    if isinstance(blocks, list) and blocks:
        block = blocks[at % len(blocks)]
        attention = section(block, "attention") if isinstance(block, Mapping) else {}
        if group := number(attention, "n_heads_in_group"):
            return max(1, heads // group)
    if text.get("multi_query_attention") is False:
        return heads
    if text.get("multi_query") and not text.get("new_decoder_architecture"):
        return 1
    told = first(text, *KV_HEADS)
    if isinstance(told, list) and told:
        told = told[at % len(told)]
    return whole(told) or heads


def head_dim_of(text: Mapping[str, Any]) -> int:
    """Elements of one attention head."""
    heads, hidden = number(text, *HEADS) or 1, number(text, *HIDDEN)
    if model_type(text).startswith("zamba"):  # attends to two streams side by side
        return number(text, "attention_head_dim") or 2 * hidden // heads
    return number(text, *HEAD_DIM) or hidden // heads


def state_of(text: Mapping[str, Any]) -> LinearState | None:
    """The state of a linear layer; None where the config does not tell its size."""
    hidden, heads = number(text, *HIDDEN), number(text, *HEADS)
    if model_type(text).startswith("rwkv"):  # two tokens shifted, and a square a head
        size = number(text, *HEAD_DIM) or 64
        if model_type(text) == "rwkv":  # the fourth has three sums a channel
            size, hidden = 3, number(text, "attention_hidden_size") or hidden
        return LinearState(hidden, 0, 0, 3, hidden * size, 4)
    floats = _STATE_FLOATS.get(
        str(first(text, "mamba_ssm_cache_dtype", "mamba_ssm_dtype")).removeprefix("torch."), 0
    )
    if values := number(text, "linear_num_value_heads"):
        keys, key = number(text, "linear_num_key_heads"), number(text, "linear_key_head_dim")
        value = number(text, "linear_value_head_dim")
        kernel = number(text, "linear_conv_kernel_dim") or 4
        return LinearState(values * value, keys, key, kernel, values * value * key, floats)
    if linear := section(text, "linear_attn_config"):
        count, size = number(linear, "num_heads"), number(linear, "head_dim")
        kernel = number(linear, "short_conv_kernel_size") or 4
        return LinearState(count * size, count, size, kernel, count * size * size, 4)
    nemotron = model_type(text) == "nemotron_h"
    width = number(text, "ssm_state_size", "mamba_d_state", "state_size") or 128 * nemotron
    if width:
        count = number(text, "mamba_num_heads", "mamba_n_heads", "n_mamba_heads") or 128 * nemotron
        size = number(text, "mamba_head_dim", "mamba_d_head", "mamba_headdim") or 64 * nemotron
        grown = int(hidden * (number(text, "mamba_expand", "expand") or 2))
        if model_type(text) in PURE:  # Falcon-Mamba's goes before expand
            grown = number(text, "intermediate_size") or grown
        inner = number(text, "mamba_d_ssm", "mamba_intermediate_size") or count * size or grown
        kernel = number(text, "conv_kernel", "mamba_d_conv", "conv_kernel_size") or 4
        groups = number(text, "n_groups", "mamba_n_groups", "mamba_ngroups") or 8 * nemotron
        if not count:  # Mamba 1 has no heads, and nothing shared in its convolution
            return LinearState(inner, 0, 0, kernel, inner * width, floats)
        floats = floats or 4 * nemotron
        return LinearState(inner, groups or 1, width, kernel, inner * width, floats)
    if short := number(text, "conv_L_cache"):
        return LinearState(number(text, "conv_dim") or hidden, 0, 0, short, 0)
    if heads and model_type(text) not in PURE:  # lightning attention: a square a head
        size = head_dim_of(text)
        return LinearState(0, 0, 0, 1, heads * size * size, 4)
    return None
