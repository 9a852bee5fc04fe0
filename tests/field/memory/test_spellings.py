"""Layers under further names: constructed, each with the field that the model named beside it
uses; sizes and lists are not that model's."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tasks.nodes.fit.files import weigh
from tasks.nodes.memory import ModelShape

BASE: dict[str, Any] = {
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
}


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        # LiquidAI/LFM2 as first published
        (
            {"model_type": "lfm2", "conv_L_cache": 3, "full_attn_idxs": [2, 5, 8, 10, 12, 14]},
            {"full": 6, "state": 10},
        ),
        # openbmb/MiniCPM-SALA
        ({"mixer_types": (["minicpm4"] + ["lightning-attn"] * 3) * 4}, {"full": 4, "state": 12}),
        # pfnet/plamo-2
        ({"mamba_step": 2, "mamba_d_state": 64, "sliding_window": 2048}, {"full": 8, "state": 8}),
        (
            {"interleaved_sliding_window": [None, 512, 512, 512] * 4},
            {"full": 4, "sliding": 12},
        ),
        ({"total_ut_steps": 4, "model_type": "ouro"}, {"full": 64}),  # ByteDance/Ouro
        ({"use_mla": False, "kv_lora_rank": 512, "qk_rope_head_dim": 64}, {"full": 16}),
    ],
)
def test_layers_by_kind(change: dict[str, Any], kinds: dict[str, int]) -> None:
    shape = ModelShape.from_config({**BASE, **change}, 1)
    assert Counter(layer.kind for layer in shape.cached) == kinds
    assert {layer.token_bytes(1, 2) for layer in shape.cached if layer.heads} == {2048}


def test_a_layer_type_that_nobody_knows_is_no_opinion() -> None:
    shape = ModelShape.from_config({**BASE, "layer_types": ["jet", "attn"] * 8}, 1)  # Jet-Nemotron
    assert "'jet'" in shape.unknown


def test_nested_and_other_names() -> None:
    for outer in ("language_model", "lm_config"):
        assert ModelShape.from_config({"model_type": "x", outer: BASE}, 1).layers == 16
    bloom = {"n_embed": 4096, "n_layer": 30, "num_attention_heads": 32, "model_type": "bloom"}
    assert ModelShape.from_config(bloom, 1).hidden == 4096


def test_a_sharded_copy_of_another_precision_counts_once() -> None:
    files = {
        "model.safetensors": 5,
        **{f"model.fp32-0000{n}-of-00002.safetensors": 5 for n in (1, 2)},
    }
    assert weigh(files).bytes == 5
