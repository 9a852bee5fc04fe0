"""Mistral's own format: a params.json in place of a config.json, read as vLLM reads it.

Source: vllm/transformers_utils/configs/mistral.py (2026-09). A repository that has a config.json,
too, is read by that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.nodes.fit.fields import section

NAME = "params.json"
# Mistral's name: the config.json's.
_NAMES = {
    "dim": "hidden_size",
    "n_kv_heads": "num_key_value_heads",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "hidden_dim": "intermediate_size",
    "tied_embeddings": "tie_word_embeddings",
}
_EXPERTS = {
    "num_experts": "n_routed_experts",
    "expert_hidden_dim": "moe_intermediate_size",
    "num_shared_experts": "n_shared_experts",
    "first_k_dense_replace": "first_k_dense_replace",
    "route_every_n": "moe_layer_freq",
}
_LENGTHS = ("max_position_embeddings", "max_seq_len")
DEFAULT_LENGTH = 128_000


def as_config(params: Mapping[str, Any]) -> dict[str, Any]:
    """What a config.json would say. Parts for images and sound are left out."""
    out = {_NAMES.get(name, name): value for name, value in params.items()}
    out.update({"model_type": out.get("model_type") or "transformer"})
    if not any(out.get(name) for name in _LENGTHS):
        out["max_position_embeddings"] = DEFAULT_LENGTH
    if experts := section(params, "moe"):
        out |= {_EXPERTS[name]: value for name, value in experts.items() if name in _EXPERTS}
    if yarn := section(params, "yarn"):
        out["rope_scaling"] = {"rope_type": "yarn", **yarn}
    stored = section(params, "quantization")
    if str(stored.get("qformat_weight", "")).startswith("fp8"):
        out["quantization_config"] = {"quant_method": "fp8"}
    elif stored.get("quant_method"):
        out["quantization_config"] = dict(stored)
    return out
