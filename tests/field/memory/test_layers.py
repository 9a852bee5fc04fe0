"""Which layers of real configs cache what: each spelling that models in use have."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tasks.nodes.memory import GIB, ModelShape, estimate
from tests.field.memory.table import HERE, config
from tests.support.nodedata import make_spec

# kinds of layers, and KV heads x (K + V) of the first and the last kind that has heads
EXPECTED: list[tuple[str, dict[str, int], set[tuple[int, int]]]] = [
    ("Qwen3-8B", {"full": 36}, {(8, 256)}),
    ("qwen2.5-7b-instruct", {"full": 28}, {(4, 256)}),  # use_sliding_window false
    ("gpt-oss-120b", {"sliding": 18, "full": 18}, {(8, 128)}),
    ("medgemma-27b-it", {"sliding": 52, "full": 10}, {(16, 256)}),  # layer_types
    ("gemma-3-27b-it", {"sliding": 52, "full": 10}, {(16, 256)}),  # by the model type alone
    ("gemma-3-12b-it", {"sliding": 40, "full": 8}, {(8, 512)}),  # sliding_window_pattern
    ("gemma-3n-E4B", {"sliding": 16, "full": 4}, {(2, 512)}),  # 15 of 35 share
    ("gemma-4-E4B-it", {"sliding": 20, "full": 4}, {(2, 512), (2, 1024)}),
    ("gemma-4-26B-A4B", {"sliding": 25, "full": 5}, {(8, 512), (2, 1024)}),
    ("Gemma-4-31B-IT-NVFP4", {"sliding": 50, "full": 10}, {(16, 512), (4, 1024)}),
    ("Step-3.5-Flash", {"sliding": 33, "full": 12}, {(8, 256)}),  # num_attention_groups
    ("Step-3.7-Flash-FP8", {"sliding": 33, "full": 12}, {(8, 256)}),
    ("MiMo-V2-Flash", {"sliding": 39, "full": 9}, {(4, 320), (8, 320)}),  # hybrid_layer_pattern
    ("Llama-4-Scout-17B-16E-Instruct", {"chunked": 36, "full": 12}, {(8, 256)}),
    ("Qwen3-Next-80B-A3B", {"state": 36, "full": 12}, {(2, 512)}),  # full_attention_interval
    ("Qwen3.5-35B-A3B", {"state": 30, "full": 10}, {(2, 512)}),
    ("Jamba-v0.1", {"state": 28, "full": 4}, {(8, 256)}),  # attn_layer_period
    ("Falcon-H1-1.5B-Deep", {"state": 24, "full": 24}, {(2, 256)}),  # both in each layer
    ("Nemotron-Nano-9B-v2", {"state": 27, "full": 4}, {(8, 256)}),  # hybrid_override_pattern
    ("Nemotron-H-56B-Base-8K", {"state": 54, "full": 10}, {(8, 256)}),
    ("NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16", {"state": 48, "full": 12}, {(2, 256)}),
    ("Llama-3_3-Nemotron-Super-49B-v1", {"full": 49}, {(8, 256)}),  # block_configs
    ("Kimi-Linear-48B-A3B", {"state": 20, "full": 7}, set()),  # linear_attn_config
    ("Kimi-K3", {"state": 69, "full": 24}, set()),
    ("DeepSeek-R1", {"full": 61}, set()),
    ("LongCat-Flash-Chat", {"full": 56}, set()),  # two attentions in each of 28 layers
    ("falcon-180B-chat", {"full": 80}, {(8, 128)}),  # num_kv_heads
    ("chatglm3-6b", {"full": 28}, {(2, 256)}),  # multi_query_group_num, kv_channels
    ("MiniMax-M2.7", {"full": 62}, {(8, 256)}),  # attn_type_list
]


@pytest.mark.parametrize(("name", "kinds", "heads"), EXPECTED, ids=[row[0] for row in EXPECTED])
def test_layers_by_kind(name: str, kinds: dict[str, int], heads: set[tuple[int, int]]) -> None:
    shape = ModelShape.from_config(config(name), 1)
    assert Counter(layer.kind for layer in shape.cached) == kinds
    assert {(x.heads, x.width) for x in shape.cached if x.heads} == heads
    if not heads:
        assert {x.latent for x in shape.cached if x.kind == "full"} == {576}


@pytest.mark.parametrize("path", sorted((HERE / "configs").glob("*.json")), ids=lambda p: p.stem)
@pytest.mark.parametrize("tp", [1, 8])
def test_no_config_crashes_and_all_get_a_figure_or_a_word(path: Any, tp: int) -> None:
    shape = ModelShape.from_config(config(path.stem), 40 * GIB)
    serving = {"tensor_parallel_size": tp, "max_model_len": 4096}
    spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": serving})
    verdict = estimate(spec, shape, 141 * GIB)
    low, high = verdict.sequence_bytes
    assert (0 < low <= high) != bool(shape.unknown)
    assert not shape.unknown or any("not judged" in line for line in verdict.lines)


BASE: dict[str, Any] = {
    "hidden_size": 4096,
    "num_hidden_layers": 12,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
}


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"sliding_window": 4096}, {"sliding": 12}),
        ({"sliding_window": None}, {"full": 12}),
        ({"sliding_window": 0}, {"full": 12}),
        ({"sliding_window": 4096, "model_type": "qwen2"}, {"full": 12}),
        (
            {"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 4},
            {"full": 4, "sliding": 8},
        ),
        ({"sliding_window": 4096, "sliding_window_pattern": "LLLG"}, {"full": 3, "sliding": 9}),
        ({"sliding_window": 4096, "_sliding_window_pattern": 4}, {"full": 3, "sliding": 9}),
        ({"sliding_window": 4096, "model_type": "gemma2"}, {"full": 6, "sliding": 6}),
        ({"sliding_window": 4096, "model_type": "cohere2"}, {"full": 3, "sliding": 9}),
        ({"sliding_window": [None, 512, 512, 512] * 3}, {"full": 3, "sliding": 9}),
        ({"attn_layer_indices": [5, 11], "mamba_d_state": 64}, {"full": 2, "state": 10}),
        ({"layer_group_size": 5}, {"full": 4, "state": 8}),  # the last two attend as well
        ({"layer_types": ["conv", "conv", "full_attention"]}, {"full": 4, "state": 8}),
        ({"layer_types": ["mamba"] * 11 + ["attention"]}, {"full": 1, "state": 11}),
        ({"block_types": ["recurrent", "recurrent", "attention"]}, {"full": 4, "state": 8}),
        ({"model_type": "bert"}, {}),
    ],
)
def test_further_spellings(change: dict[str, Any], kinds: dict[str, int]) -> None:
    shape = ModelShape.from_config({**BASE, **change}, 1)
    assert Counter(layer.kind for layer in shape.cached) == kinds


def test_what_a_config_leaves_out_its_class_says() -> None:
    """google/gemma-3-4b-it's config.json has no heads at all, llava-1.5-7b's no layers."""
    gemma = {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "sliding_window": 1024,
        },
    }
    shape = ModelShape.from_config(gemma, 1)
    assert (shape.heads, shape.kv_heads, shape.head_dim) == (8, 4, 256)
    assert shape.max_positions == 131072
    llava = {"model_type": "llava", "text_config": {"model_type": "llama", "vocab_size": 32064}}
    assert ModelShape.from_config(llava, 1).kv_bytes_per_token(1) == 32 * 2 * 4096 * 2
    window = {**BASE, "model_type": "mistral"}
    assert {x.kind for x in ModelShape.from_config(window, 1).cached} == {"sliding"}
    none = {**window, "sliding_window": None}
    assert {x.kind for x in ModelShape.from_config(none, 1).cached} == {"full"}


def test_layers_with_configs_of_their_own() -> None:
    """transformers 5.19 writes Gemma 4's wide heads as per_layer_config."""
    wide = {"05": {"head_dim": 512}, "11": {"head_dim": 512}}
    shape = ModelShape.from_config({**BASE, "per_layer_config": wide}, 1)
    assert Counter(layer.width for layer in shape.cached) == {256: 10, 1024: 2}


def test_layers_that_use_the_cache_of_others() -> None:
    """Hunyuan-Large shares a cache between two layers; Llama 3.2 Vision looks at images."""
    shared = {**BASE, "use_cla": True, "cla_share_factor": 2}
    assert len(ModelShape.from_config(shared, 1).cached) == 6
    crossing = {**BASE, "cross_attention_layers": [3, 8]}
    assert len(ModelShape.from_config(crossing, 1).cached) == 10


def test_models_without_attention() -> None:
    mamba = {"model_type": "mamba", "hidden_size": 2560, "num_hidden_layers": 64, "state_size": 16}
    shape = ModelShape.from_config({**mamba, "intermediate_size": 5120}, 1)
    assert Counter(x.kind for x in shape.cached) == {"state": 64}
    assert shape.kv_bytes_per_token(1) == 0


@pytest.mark.parametrize(
    ("change", "heads"),
    [
        ({"num_key_value_heads": [1, 2, 4, 8] * 3}, 8),
        ({"num_key_value_heads": None, "num_attention_groups": 4}, 4),
        ({"num_key_value_heads": None, "num_query_groups": 4}, 4),
        ({"num_key_value_heads": None, "num_key_value_heads_per_layer": [4] * 12}, 4),
        ({"num_key_value_heads": None, "attn_config": {"kv_n_heads": 8}}, 8),
        ({"num_key_value_heads": None, "multi_query": True}, 1),
        ({"n_head_kv": 8, "multi_query": True, "new_decoder_architecture": True}, 8),
        ({"num_key_value_heads": None}, 32),
    ],
)
def test_spellings_of_heads(change: dict[str, Any], heads: int) -> None:
    assert ModelShape.from_config({**BASE, **change}, 1).kv_heads == heads


ODD: tuple[Any, ...] = (None, 0, -1, "x", [], [1, 2], {}, {"a": 1}, True, [None], 10**12)


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize("name", ["Step-3.5-Flash", "gemma-4-26B-A4B", "Kimi-K3", "gpt-oss-20b"])
def test_a_field_of_any_kind_is_read_or_refused(name: str, odd: Any) -> None:
    whole = config(name)
    inner = whole.get("text_config", whole)
    spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}})
    for field in inner:
        text = {**inner, field: odd}
        told = {**whole, "text_config": text} if "text_config" in whole else text
        try:
            shape = ModelShape.from_config(told, GIB)
        except ValueError as error:
            assert "it tells" in str(error)
            continue
        assert estimate(spec, shape, 80 * GIB).lines


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hybrid_layer_pattern": [[1]]}, "none"),
        ({"hybrid_layer_pattern": [1, {"a": 1}, None]}, "none"),
        ({"attn_type_list": [[0], 1]}, "none"),
        ({"quantization_config": {"quant_method": "fp8", "weight_block_size": [0, 0]}}, ""),
        ({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, -1]}}, ""),
        ({"quantization_config": {"quant_method": "fp8", "weight_block_size": [None, "x"]}}, ""),
        ({"num_key_value_heads": 1e300}, ""),
        ({"num_experts": [1e300], "moe_intermediate_size": 768}, ""),
        ({"rope_scaling": {"rope_type": "linear", "factor": float("inf")}}, ""),
        ({"rope_scaling": {"rope_type": "yarn", "factor": float("nan")}}, ""),
        ({"rope_scaling": {"rope_type": "yarn", "factor": -4}}, ""),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 10**400}}, ""),
        ({"rope_scaling": {"type": [1], "factor": 2}}, ""),
        ({"rope_scaling": {"factor": 2, "original_max_position_embeddings": float("inf")}}, ""),
    ],
    ids=str,
)
def test_what_no_config_should_say_crashes_nothing(change: dict[str, Any], told: str) -> None:
    model = {**BASE, "intermediate_size": 11008, "max_position_embeddings": 8192, **change}
    serving = {"tensor_parallel_size": 2}
    spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": serving})
    shape = ModelShape.from_config(model, GIB)
    assert estimate(spec, shape, 80 * GIB).lines
    assert not told or len(shape.cached) < 12
