"""Cases cut down from public reports, each with the value that is right."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.nodes.memory import GIB, ModelShape, ShapeVerdict, estimate, weigh
from tasks.spec.rollout import Rollout
from tests.field.memory.table import config
from tests.support.nodedata import make_spec
from tests.support.shapes import codes

H100 = round(79.18 * GIB)
H200 = round(139.8 * GIB)


def serving(image: str = "vllm/vllm-openai:latest", **told: Any) -> Rollout:
    return make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": {"image": image, **told}})


def judged(name: dict[str, Any], weights: float, spec: Rollout, memory: int | None) -> ShapeVerdict:
    return estimate(spec, ModelShape.from_config(name, round(weights * GIB)), memory)


# vllm PR 30537: gpt-oss has the same weights again below original/ and metal/
GPT_OSS = {
    "config.json": 1_800,
    "model.safetensors.index.json": 36_400,
    "model-00000-of-00002.safetensors": 4_790_000_000,
    "model-00001-of-00002.safetensors": 4_800_000_000,
    "model-00002-of-00002.safetensors": 4_170_000_000,
    "original/model.safetensors": 13_800_000_000,
    "metal/model.bin": 13_800_000_000,
}
GPT_OSS_INDEX = {
    "model.safetensors.index.json": {
        "weight_map": {f"w{n}": f"model-0000{n}-of-00002.safetensors" for n in range(3)}
    }
}


@pytest.mark.parametrize("index", [GPT_OSS_INDEX, {}])
def test_c05b_the_copy_below_original_is_not_counted(index: dict[str, Any]) -> None:
    found = weigh(GPT_OSS, index)
    assert found.bytes is not None and found.bytes / GIB == pytest.approx(12.8, rel=0.01)
    shape = ModelShape.from_config(config("gpt-oss-20b"), found.bytes)
    verdict = estimate(serving(max_model_len=32768), shape, 24 * GIB)
    tables = 2 * 4096 * 32 * 64  # rotary, in 16 bits
    assert verdict.fits and verdict.weights_per_device == found.bytes + tables


def test_c05c_gguf_is_unknown_and_never_nothing() -> None:
    """vllm#8401."""
    files = {"config.json": 1_200, "m.Q4_K_M.gguf": 9_000_000_000, "m.Q8_0.gguf": 16_000_000_000}
    found = weigh(files)
    assert found.bytes is None and "2 .gguf file(s)" in found.said
    shape = ModelShape.from_config(config("Qwen3-8B"), found.bytes or 0, found.said)
    verdict = estimate(serving(max_model_len=4096), shape, 8 * GIB)
    assert codes(verdict) == ["WEIGHTS_UNKNOWN"] and verdict.fits
    assert not any("0.00 GiB" in line for line in verdict.lines)
    assert ".gguf" in verdict.reasons[0].found and verdict.kv_tokens is None


STEP_CUT: dict[str, Any] = {
    "model_type": "step3p5",
    "hidden_size": 4096,
    "num_hidden_layers": 4,
    "num_attention_heads": 64,
    "num_attention_groups": 8,
    "head_dim": 128,
    "intermediate_size": 11264,
    "sliding_window": 512,
    "layer_types": ["full_attention", *["sliding_attention"] * 3],
    "max_position_embeddings": 262144,
    "torch_dtype": "bfloat16",
}


def test_c06_step35flash_fits() -> None:
    """vllm recipes: tensor parallel 4 on four H200 serves.

    12 of 45 layers attend to all, 0, 4, ... 44: the list begins with one, as the case's own cut of
    four layers does. The case's text has 11, the whole fours in 45, which is a count short.
    """
    model = config("Step-3.5-Flash")
    verdict = judged(model, 370, serving(tensor_parallel_size=4), H200)
    assert verdict.reasons == ()
    assert (
        len([layer for layer in ModelShape.from_config(model, 1).cached if layer.kind == "full"])
        == 12
    )
    low, high = (size / GIB for size in verdict.sequence_bytes)
    assert low == pytest.approx(3.0, rel=0.1) and high == pytest.approx(11.25, rel=0.01)
    cut = ModelShape.from_config(STEP_CUT, 1)
    assert (cut.kv_heads, cut.kv_bytes_per_token(4)) == (8, 2 * 2 * 128 * 2)


def test_c06_gemma3_27b_is_a_range() -> None:
    """62 GiB where windows are not counted (V0), 11 to 18 where they are."""
    model = config("gemma-3-27b-it")
    verdict = judged(model, 51.1, serving(max_model_len=131072), 80 * GIB)
    assert verdict.fits and codes(verdict) == ["KV_CACHE_TIGHT"]
    low, high = (size / GIB for size in verdict.sequence_bytes)
    assert low < 13.7 < high and high == pytest.approx(62, rel=0.01)
    told = serving("vllm/vllm-openai:v0.14.0", max_model_len=131072, max_num_seqs=64)
    newer = judged(model, 51.1, told, 80 * GIB)
    assert newer.reasons == () and newer.sequence_bytes[1] / GIB == pytest.approx(14.2, rel=0.01)


def test_c07_nemotron_nano_fits_on_48_gb() -> None:
    """NVIDIA blueprint PR 1649: 4 of 56 layers attend, 16 KiB a token, 128,000 tokens."""
    model = config("Nemotron-Nano-9B-v2")
    cut = {key: value for key, value in model.items() if not key.startswith(("mamba", "ssm"))}
    spec = serving(max_model_len=128_000, max_num_seqs=16)
    for told in (model, cut):
        verdict = judged(told, 16.6, spec, 48 * GIB)
        assert verdict.reasons == () and verdict.kv_bytes_per_token == 16 * 1024
        assert verdict.sequence_bytes[0] / GIB == pytest.approx(2.0, rel=0.1)


def test_c08_a_cut_through_fp8_blocks_is_refused() -> None:
    """vllm#25292, #17569: 768 / 4 = 192, and the crash's own words are of block_n = 128."""
    model = config("Qwen3-30B-A3B-FP8")
    spec = serving(tensor_parallel_size=4, max_model_len=8192)
    verdict = judged(model, 29, spec, H100)
    assert [(r.severity, r.code) for r in verdict.reasons] == [("error", "TENSOR_PARALLEL")]
    reason = verdict.reasons[0]
    assert "768 of an expert / 4 = 192" in reason.found and "1, 2, " in reason.action
    assert "--enable-expert-parallel" in reason.action
    whole = serving(
        tensor_parallel_size=4, max_model_len=8192, extra_args=["--enable-expert-parallel"]
    )
    assert judged(model, 29, whole, H100).reasons == ()


YARN = (
    '{"rope_parameters": {"rope_type": "yarn", "factor": 4.0, '
    '"original_max_position_embeddings": 32768, "rope_theta": 1000000}}'
)
SCALING = '{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32768}'


@pytest.mark.parametrize(
    "args",
    [
        [f"--hf-overrides={YARN}"],
        ["--hf_overrides", YARN],
        [f"--hf-over={YARN}"],
        [
            "--hf-overrides.rope_parameters.rope_type=yarn",
            "--hf-overrides.rope_parameters.factor=4.0",
            "--hf-overrides.rope_parameters.original_max_position_embeddings=32768",
        ],
        [f"--rope-scaling={SCALING}"],
        ["--rope_scaling", SCALING],
        ['--hf-overrides={"max_position_embeddings": 131072}'],
    ],
)
def test_c09_yarn_by_flags_is_allowed(args: list[str]) -> None:
    """vLLM's page on context extension; the config itself allows 40,960 tokens."""
    model = config("Qwen3-8B")
    spec = serving("vllm/vllm-openai:v0.14.0", max_model_len=131_072, extra_args=args)
    assert judged(model, 15.3, spec, None).reasons == ()
    longer = serving("vllm/vllm-openai:v0.14.0", max_model_len=131_073, extra_args=args)
    assert codes(judged(model, 15.3, longer, None)) == ["CONTEXT_TOO_LONG"]


def test_c09_newer_releases_read_yarn_otherwise_and_that_is_a_warning() -> None:
    """vllm#56446: the factor is not applied to max_position_embeddings any more."""
    for image in ("vllm/vllm-openai:v0.32.0", "vllm/vllm-openai:latest"):
        spec = serving(image, max_model_len=131_072, extra_args=[f"--hf-overrides={YARN}"])
        verdict = judged(config("Qwen3-8B"), 15.3, spec, None)
        assert codes(verdict) == ["CONTEXT_TOO_LONG"] and verdict.fits
    plain = serving("vllm/vllm-openai:v0.14.0", max_model_len=131_072)
    assert not judged(config("Qwen3-8B"), 15.3, plain, None).fits


def test_c11_a_list_of_widths_is_read() -> None:
    """gemma3n: intermediate_size is a list, and the last 15 of 35 layers share a cache."""
    cut = {
        "model_type": "gemma3n",
        "text_config": {
            "model_type": "gemma3n_text",
            "hidden_size": 2048,
            "intermediate_size": [16384, 16384],
            "num_hidden_layers": 2,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "head_dim": 256,
            "max_position_embeddings": 32768,
        },
    }
    for model in (cut, config("gemma-3n-E4B")):
        assert judged(model, 14, serving(), 24 * GIB).reasons == ()
    odd = {**cut, "text_config": {**cut["text_config"], "intermediate_size": [16384, 16385]}}  # type: ignore[dict-item]
    assert codes(judged(odd, 14, serving(tensor_parallel_size=2), None)) == ["TENSOR_PARALLEL"]


def test_c18_eight_data_parallel_ranks_take_eight_devices() -> None:
    """vLLM recipes, DeepSeek-V3/R1 and Step-3.5-Flash: one node, tensor parallel 1."""
    args = ["--data-parallel-size=8", "--enable-expert-parallel"]
    assert serving(tensor_parallel_size=1, accelerators=8, extra_args=args).devices == 8
    assert serving(extra_args=args).devices == 8
    with pytest.raises(ValueError, match="data parallel 8 does not match the 4 accelerators"):
        serving(accelerators=4, extra_args=args)
    verdict = judged(config("DeepSeek-R1"), 641.3, serving(extra_args=args), H200)
    assert verdict.fits  # of 671 billion weights 654 are experts, which are divided
    assert verdict.weights_per_device / GIB == pytest.approx(641.3 / 8 + 17 * 7 / 8, rel=0.05)


@pytest.mark.parametrize(
    ("extra", "length", "expected"),
    [
        # vllm#23278: 65.97 GiB loaded, -2.14 left
        ({}, None, "KV_CACHE_TIGHT"),
        # vllm#27508: 1.71 GiB left at 0.95, 4.79 needed
        (
            {"gpu_memory_utilization": 0.95, "extra_args": ["--max-num-batched-tokens=1024"]},
            131_072,
            "KV_CACHE_TIGHT",
        ),
        # served on two
        ({"tensor_parallel_size": 2}, 131_072, None),
    ],
)
def test_c27_gpt_oss_120b_on_one_card_of_80_gb(
    extra: dict[str, Any], length: int | None, expected: str | None
) -> None:
    spec = serving("vllm/vllm-openai:v0.11.0", max_model_len=length, **extra)
    verdict = judged(config("gpt-oss-120b"), 60.77, spec, H100)
    assert codes(verdict) == ([expected] if expected else []) and verdict.fits
