"""Fields of a config.json under every name that models in use give them.

Source: vllm/transformers_utils/model_arch_config_convertor.py (vLLM 0.32) and the configs named
in tests/field/memory/configs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tasks.nodes.fit.defaults import with_defaults

LAYERS = (
    *("decoder_layers", "num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    *("num_decoder_layers", "num_transformer_layers"),
)
HEADS = (
    *("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"),
    *("num_query_heads", "num_head"),
)
HIDDEN = ("hidden_size", "n_embd", "n_embed", "d_model", "model_dim", "dim")
KV_HEADS = (
    *("n_head_kv", "num_kv_heads", "num_key_value_heads", "num_key_value_heads_per_layer"),
    *("multi_query_group_num", "num_attention_groups", "num_query_groups", "n_kv_heads"),
    *("kv_n_heads", "num_kv_head", "n_kv_head"),
)
HEAD_DIM = ("head_dim", "hidden_size_per_head", "attention_head_dim", "kv_channels", "head_size")
DENSE = ("intermediate_size", "ffn_hidden_size", "n_inner", "inner_size", "ffn_dim")
EXPERTS = (
    *("num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts"),
    *("num_moe_experts", "ffn_num_experts"),
)
SHARED_EXPERTS = (
    *("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert"),
)
EXPERT_WIDTH = ("moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size")
POSITIONS = (
    *("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length"),
    *("max_target_positions", "max_sequence_length", "max_seq_length", "seq_len"),
)
MOST_COUNT = 10**15  # layers, heads, widths, tokens: more is a mistake
VOCABULARY = ("vocab_size", "padded_vocab_size", "n_vocab")
_INNER = (
    *("text_config", "language_config", "llm_config", "thinker_config", "language_model_config"),
    *("text_model_config", "decoder", "decoder_config", "language_model", "lm_config"),
)


def first(config: Mapping[str, Any], *names: str) -> Any:
    """The first of these fields that says something."""
    return next((config[name] for name in names if config.get(name) is not None), None)


def section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A nested object; empty where there is none."""
    found = config.get(name)
    return found if isinstance(found, Mapping) else {}


def whole(value: Any) -> int | None:
    """A count, of -1 ("none") 0; of a list with a value a layer the largest. None where it is no
    number, or one that nothing has."""
    if isinstance(value, (list, tuple)):
        return max((n for item in value if (n := whole(item)) is not None), default=None)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return max(0, int(value)) if math.isfinite(value) and value < MOST_COUNT else None


def number(config: Mapping[str, Any], *names: str) -> int:
    """The first of these fields that is a count; 0 where none is."""
    found = (whole(config.get(name)) for name in names)
    return next((value for value in found if value is not None), 0)


def text_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's part of a config, flat: an older nesting of attention is lifted."""
    for name in _INNER:
        inner = config.get(name)
        if isinstance(inner, Mapping) and inner:
            found = text_of({**_shared(config), **inner})
            if number(found, *LAYERS):
                return found
    return with_defaults(
        {**config, **section(config, "attn_config"), **_renamed(section(config, "ffn_config"))}
    )


def _shared(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a part says only through the whole."""
    kept = {"dtype": first(config, "dtype", "torch_dtype"), "model_type": config.get("model_type")}
    kept["tie_word_embeddings"] = config.get("tie_word_embeddings")
    return {name: value for name, value in kept.items() if value is not None}


def _renamed(ffn: Mapping[str, Any]) -> dict[str, Any]:
    return {name: ffn[name] for name in ("moe_num_experts", "ffn_hidden_size") if name in ffn}


def quantization(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """How the stored weights are quantized; empty where they are not."""
    for place in (config, text_of(config)):
        for name in ("quantization_config", "compression_config"):
            if found := section(place, name):
                return found
    return {}


def merged(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A config with vLLM's --hf-overrides: a nested config is merged, anything else replaced."""
    out = dict(config)
    for name, value in overrides.items():
        inner = out.get(name)
        nested = name.endswith("config") and isinstance(inner, Mapping)
        out[name] = merged(inner, value) if nested and isinstance(value, Mapping) else value  # type: ignore[arg-type]
    return out
