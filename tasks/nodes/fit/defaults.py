"""What a config.json leaves out because the class of its model type says it.

Source: configuration classes of transformers 5.19 and 5.23 (2026-09); the same in earlier releases
as far as they have the model type. Only types whose published configs lean on them. Keys: model
type without `_text`; a field counts only where the config does not have it at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_GEMMA: Mapping[str, Any] = {"head_dim": 256, "tie_word_embeddings": True}
_LLAMA: Mapping[str, Any] = {
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "intermediate_size": 11008,
}
_QWEN: Mapping[str, Any] = {
    **_LLAMA,
    "num_key_value_heads": 32,
    "intermediate_size": 22016,
    "vocab_size": 151936,
}
_LINEAR: Mapping[str, Any] = {
    "full_attention_interval": 4,
    "head_dim": 256,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "llama": _LLAMA,
    "mistral": {
        **_LLAMA,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "sliding_window": 4096,
    },
    "mixtral": {
        **_LLAMA,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "num_local_experts": 8,
    },
    "gemma": {**_GEMMA, "num_attention_heads": 16, "num_key_value_heads": 16},
    "gemma2": {
        **_GEMMA,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "sliding_window": 4096,
    },
    "gemma3": {
        **_GEMMA,
        "num_hidden_layers": 26,
        "hidden_size": 2304,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "intermediate_size": 9216,
        "sliding_window": 4096,
        "max_position_embeddings": 131072,
        "vocab_size": 262208,
    },
    "gemma3n": {
        **_GEMMA,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "sliding_window": 512,
        "max_position_embeddings": 32768,
        "vocab_size": 262400,
    },
    "gemma4": {
        **_GEMMA,
        "global_head_dim": 512,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "sliding_window": 512,
        "vocab_size": 262144,
    },
    "cohere": {"tie_word_embeddings": True},
    "cohere2": {"sliding_window": 4096, "tie_word_embeddings": True},
    "exaone4": {"sliding_window": 4096, "sliding_window_pattern": 4},
    "gpt_oss": {"num_key_value_heads": 8, "head_dim": 64, "sliding_window": 128},
    "qwen2": _QWEN,
    "qwen2_moe": {
        "num_hidden_layers": 24,
        "hidden_size": 2048,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "intermediate_size": 5632,
        "num_experts": 60,
        "moe_intermediate_size": 1408,
    },
    "qwen3": {**_QWEN, "head_dim": 128},
    "phi": {**_LLAMA, "num_hidden_layers": 24, "hidden_size": 2048, "intermediate_size": 8192},
    "phi3": {**_LLAMA, "hidden_size": 3072, "intermediate_size": 8192},
    "opt": {
        "num_hidden_layers": 12,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "ffn_dim": 3072,
        "tie_word_embeddings": True,
    },
    "rwkv": {"num_hidden_layers": 32, "hidden_size": 4096},
    "qwen3_vl": {"head_dim": 128},
    "qwen3_next": _LINEAR,
    "qwen3_5": _LINEAR,
    "qwen3_5_moe": _LINEAR,
    "llama4": {"num_key_value_heads": 8, "head_dim": 128, "attention_chunk_size": 8192},
    "minimax_m2": {"head_dim": 128, "num_local_experts": 256},
    "nemotron_h": {
        "head_dim": 128,
        "mamba_num_heads": 128,
        "mamba_head_dim": 64,
        "ssm_state_size": 128,
        "n_groups": 8,
        "conv_kernel": 4,
    },
    "jamba": {
        "attn_layer_period": 8,
        "attn_layer_offset": 4,
        "mamba_d_state": 16,
        "mamba_d_conv": 4,
        "mamba_expand": 2,
    },
    "falcon_h1": {
        "mamba_d_state": 256,
        "mamba_d_conv": 4,
        "mamba_n_heads": 128,
        "mamba_d_head": 8,
        "mamba_n_groups": 1,
    },
    "granitemoehybrid": {
        "mamba_d_state": 256,
        "mamba_d_conv": 4,
        "mamba_n_heads": 128,
        "mamba_d_head": 64,
        "mamba_n_groups": 1,
    },
    "bamba": {"mamba_d_state": 256, "mamba_n_heads": 128, "mamba_d_head": 64},
    "lfm2": {"conv_L_cache": 3},
    "afmoe": {"head_dim": 128, "sliding_window": 1024},
    "deepseek_v3": {"kv_lora_rank": 512, "qk_rope_head_dim": 64},
    "longcat_flash": {"kv_lora_rank": 512, "qk_rope_head_dim": 64},
    "glm_moe_dsa": {"kv_lora_rank": 512, "qk_rope_head_dim": 64},
    "recurrent_gemma": {
        "head_dim": 256,
        "attention_window_size": 2048,
        "block_types": ["recurrent", "recurrent", "attention"],
    },
}


def with_defaults(text: Mapping[str, Any]) -> dict[str, Any]:
    """A language model's config with what its class says of fields that it does not have."""
    kind = str(text.get("model_type") or "").removesuffix("_text")
    return {**DEFAULTS.get(kind, {}), **text}
