"""Shapes of models."""

from __future__ import annotations

from typing import Any

from tasks.nodes.memory import ModelShape

SMOLLM2: dict[str, Any] = {
    "dtype": "bfloat16",
    "head_dim": 64,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "max_position_embeddings": 8192,
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
}


def shape(config: dict[str, Any], weights: int = 1, **changes: Any) -> ModelShape:
    return ModelShape.from_config({**config, **changes}, weights)


def codes(verdict: Any) -> list[str]:
    return [r.code for r in verdict.reasons]
