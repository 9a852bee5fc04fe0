"""What vLLM's release or its own defaults change: by logs of the releases before and after."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.nodes.memory import GIB, ModelShape, estimate
from tests.support.nodedata import make_spec

# google/gemma-4-12B-it, its size fields
GEMMA: dict[str, Any] = {
    "model_type": "gemma4_unified",
    "dtype": "bfloat16",
    "text_config": {
        "model_type": "gemma4_unified_text",
        "use_bidirectional_attention": "vision",
        "num_hidden_layers": 48,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "num_global_key_value_heads": 1,
        "attention_k_eq_v": True,
        "head_dim": 256,
        "global_head_dim": 512,
        "sliding_window": 1024,
        "hidden_size": 3840,
        "intermediate_size": 15360,
        "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 8,
    },
}
# zai-org/GLM-4.7-Flash, its size fields
GLM: dict[str, Any] = {
    "model_type": "glm4_moe_lite",
    "dtype": "bfloat16",
    "hidden_size": 2048,
    "num_hidden_layers": 47,
    "num_attention_heads": 20,
    "num_key_value_heads": 20,
    "q_lora_rank": 768,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 192,
    "qk_rope_head_dim": 64,
    "v_head_dim": 256,
}
DEVICE = 24 * GIB


def sequence(
    config: dict[str, Any], length: int, tag: str, *args: str, device: int = DEVICE
) -> tuple[float, ...]:
    """(least, most) GiB of one sequence."""
    spec = make_spec(
        {
            "nodes": {"accelerator": "nvidia-gpu"},
            "serving": {
                "image": f"vllm/vllm-openai:{tag}",
                "max_model_len": length,
                "extra_args": list(args),
            },
        }
    )
    found = estimate(spec, ModelShape.from_config(config, 0), device).sequence_bytes
    return tuple(size / GIB for size in found)


@pytest.mark.parametrize(("length", "logged"), [(65536, 11.13 / 3.92), (16384, 2.104)])
def test_a_batch_holds_the_largest_item_that_may_not_be_cut(length: int, logged: float) -> None:
    """A10, 24 GiB, no --max-num-batched-tokens: 11.13 GiB are 3.92 x 65,536 tokens, or 86,664
    tokens at 16,384 each (public log, 2026-08). vllm-project/vllm pull 43051 raises 2,048 to 2,496.
    """
    least, most = sequence(GEMMA, length, "v0.26.0")
    assert most == pytest.approx(logged, rel=0.02) and least < most


def test_only_the_default_is_raised_and_only_where_items_are_not_cut() -> None:
    """vllm-project/vllm pull 43051: prefix-LM models alone, and not what is asked for."""
    raised = sequence(GEMMA, 65536, "v0.26.0")[1]
    assert sequence(GEMMA, 65536, "v0.26.0", "--max-num-batched-tokens=2496")[1] == raised
    assert sequence(GEMMA, 65536, "v0.26.0", "--max-num-batched-tokens=2048")[1] < raised
    text = {**GEMMA["text_config"], "use_bidirectional_attention": None}
    assert sequence({**GEMMA, "text_config": text}, 65536, "v0.26.0")[1] < raised
    # H100: the default is larger anyway
    large = sequence(GEMMA, 65536, "v0.26.0", device=80 * GIB)[1]
    assert large == sequence(GEMMA, 65536, "v0.26.0", "--max-num-batched-tokens=8192")[1]


def test_latents_that_early_releases_did_not_cache_as_such() -> None:
    """intel/llm-scaler pull 334: 3.67 GiB for 4,096 tokens with 0.14, until vllm-project/vllm pull
    32614. Refused by the least, warned of by the most."""
    latent = 47 * (512 + 64) * 2 * 4096 / GIB
    least, most = sequence(GLM, 4096, "v0.14.1")
    assert (least, most) == (pytest.approx(latent), pytest.approx(3.67, rel=0.01))
    assert sequence(GLM, 4096, "v0.15.0") == (pytest.approx(latent), pytest.approx(latent))
    assert sequence(GLM, 4096, "latest")[1] == most  # no release is told


def test_other_latents_are_of_every_release() -> None:
    least, most = sequence({**GLM, "model_type": "deepseek_v3"}, 4096, "v0.14.1")
    assert least == most
