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


def test_a_loop_caches_windows_of_its_own() -> None:
    """IQuestLab/IQuest-Coder-V1-40B-Loop-Instruct (vllm#31575)."""
    config = {
        **{"hidden_size": 5120, "num_hidden_layers": 80, "num_attention_heads": 40},
        **{"num_key_value_heads": 8, "head_dim": 128, "loop_num": 2, "loop_window_size": 64},
    }
    shape = ModelShape.from_config(config, 1)
    assert Counter((layer.kind, layer.window) for layer in shape.cached) == {
        ("full", 0): 80,
        ("sliding", 64): 80,
    }
    assert shape.kv_bytes_per_token(1) == 80 * 4096


@pytest.mark.parametrize(
    ("config", "bytes_each"),
    [
        # BlinkDL's seventh generation, as converted for transformers: 12 heads of 64 x 64
        (
            {"model_type": "rwkv7", "hidden_size": 768, "num_hidden_layers": 12, "head_size": 64},
            768 * 64 * 4 + 2 * 768 * 2,
        ),
        # RWKV/rwkv-4-169m-pile by its class: three sums a channel
        (
            {"model_type": "rwkv", "hidden_size": 768, "num_hidden_layers": 12},
            768 * 3 * 4 + 2 * 768 * 2,
        ),
    ],
)
def test_a_state_and_no_tokens(config: dict[str, Any], bytes_each: int) -> None:
    shape = ModelShape.from_config(config, 1)
    assert [layer.kind for layer in shape.cached] == ["state"] * 12
    assert shape.kv_bytes_per_token(1) == 0
    state = shape.cached[0].state
    assert state is not None and state.page(1, 2, 0, 0) == bytes_each


def test_a_state_of_unknown_size_is_no_opinion() -> None:
    text = {"model_type": "gla", "hidden_size": 2048, "num_hidden_layers": 24, "num_heads": 4}
    assert "gla" in ModelShape.from_config(text, 1).unknown  # fla-hub/gla-1.3B-100B


def test_what_the_class_of_the_text_says() -> None:
    """Qwen/Qwen2-Audio-7B-Instruct: 32 layers, 32 heads, as its weights have."""
    text = {
        **{"intermediate_size": 11008, "max_position_embeddings": 8192, "model_type": "qwen2"},
        **{"sliding_window": 32768, "vocab_size": 156032},
    }
    shape = ModelShape.from_config({"model_type": "qwen2_audio", "text_config": text}, 1)
    assert (shape.layers, shape.kv_layers, shape.kv_heads, shape.head_dim) == (32, 32, 32, 128)
    assert (shape.hidden, shape.vocabulary, shape.max_positions) == (4096, 156032, 8192)


def test_a_layer_type_that_nobody_knows_is_no_opinion() -> None:
    shape = ModelShape.from_config({**BASE, "layer_types": ["jet", "attn"] * 8}, 1)  # Jet-Nemotron
    assert "'jet'" in shape.unknown


def test_nested_and_other_names() -> None:
    for outer in ("language_model", "lm_config", "llm_config"):
        assert ModelShape.from_config({"model_type": "x", outer: BASE}, 1).layers == 16
    thinker = {"model_type": "qwen2_5_omni", "thinker_config": {"text_config": BASE}}
    assert ModelShape.from_config(thinker, 1).kv_heads == 8
    bloom = {"n_embed": 4096, "n_layer": 30, "num_attention_heads": 32, "model_type": "bloom"}
    assert ModelShape.from_config(bloom, 1).hidden == 4096


def test_a_sharded_copy_of_another_precision_counts_once() -> None:
    files = {
        "model.safetensors": 5000,
        **{f"model.fp32-0000{n}-of-00002.safetensors": 5000 for n in (1, 2)},
    }
    assert weigh(files).bytes == 5000
