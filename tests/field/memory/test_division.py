"""What divides and what does not, with the flags as real commands give them."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.nodes.fit.packing import Packing
from tasks.nodes.memory import GIB, ModelShape, ShapeVerdict, estimate
from tests.field.memory.table import config
from tests.support.nodedata import make_spec
from tests.support.shapes import codes


def judged(model: dict[str, Any], tp: int, args: list[str], files: float = 50) -> ShapeVerdict:
    serving = {"tensor_parallel_size": tp, "extra_args": args, "max_model_len": 2048}
    spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": serving})
    return estimate(spec, ModelShape.from_config(model, round(files * GIB)), None)


def grouped(width: int, group: int = 128, method: str = "gptq") -> dict[str, Any]:
    quant = {"quant_method": method, "bits": 4, "group_size": group}
    return {
        "hidden_size": 8192,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "intermediate_size": width,
        "quantization_config": quant,
    }


EP = "--enable-expert-parallel"


@pytest.mark.parametrize(
    ("model", "tp", "args", "fine"),
    [
        # vllm#25292, #17569: 768 / 4 = 192; 768 / 2 = 384
        ("Qwen3-30B-A3B-FP8", 2, [], True),
        ("Qwen3-30B-A3B-FP8", 4, [], False),
        ("Qwen3-30B-A3B-FP8", 4, ["--enable_expert_parallel"], True),
        ("Qwen3-30B-A3B-FP8", 4, ["-ep"], True),
        ("Qwen3-30B-A3B-FP8", 4, [EP, "--no-enable-expert-parallel"], False),
        # experts are cut by tensor x data parallel size
        ("Qwen3-30B-A3B-FP8", 1, ["-dp", "4"], False),
        ("Qwen3-30B-A3B-FP8", 1, ["-dp=4", EP], True),
        ("Qwen3-30B-A3B", 4, [], True),  # 16 bits have no blocks
        # 1536: 384 on four, 192 on eight
        ("Qwen3-235B-A22B-FP8", 4, [], True),
        ("Qwen3-235B-A22B-FP8", 8, [], False),
        ("Qwen3-235B-A22B-FP8", 8, [EP], True),
        ("DeepSeek-R1", 8, [], True),
        ("DeepSeek-R1", 16, [], True),
        ("GLM-5.2-FP8", 8, [], True),
        # MXFP4 is padded, never refused: 2880 / 8 = 360
        ("gpt-oss-120b", 8, [], True),
        ("Meta-Llama-3.1-405B-AWQ-INT4", 4, [], True),
        ("MiMo-V2-Flash", 4, [], True),
    ],
)
def test_blocks_of_experts(model: str, tp: int, args: list[str], fine: bool) -> None:
    verdict = judged(config(model), tp, args)
    assert verdict.fits is fine
    assert fine or set(codes(verdict)) == {"TENSOR_PARALLEL"}


def test_qwen3_coder_480b_fp8_needs_data_or_expert_parallel_on_eight() -> None:
    """vllm recipes: 2560 / 8 = 320 is no multiple of 128."""
    quant = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    model = {**config("Qwen3-Coder-480B-A35B-Instruct"), "quantization_config": quant}
    assert judged(model, 4, []).fits and not judged(model, 8, []).fits
    assert judged(model, 8, [EP]).fits and judged(model, 1, ["-dp", "8", EP]).fits


@pytest.mark.parametrize(
    ("width", "group", "tp", "fine"),
    [
        # Qwen2-72B: 29568 = 231 x 128 (QwenLM/Qwen3#578), padded to 29696 by its makers
        (29568, 128, 1, True),
        (29568, 128, 2, False),
        (29568, 128, 8, False),
        (29696, 128, 8, True),
        # Qwen1.5-32B: 27392 / 4 (lmdeploy#1560)
        (27392, 128, 4, False),
        (27392, 64, 4, True),
        # Qwen2.5-0.5B's width alone: 4864 / 2 is 19 x 128; its attention: test_projections.py
        (4864, 128, 2, True),
        (4864, 128, 4, False),
        (4864, -1, 4, True),
    ],
)
def test_groups_of_dense_layers(width: int, group: int, tp: int, fine: bool) -> None:
    for method in ("gptq", "awq"):
        verdict = judged(grouped(width, group, method), tp, [])
        assert verdict.fits is fine
        assert fine or "whole groups of 128" in verdict.reasons[0].expected


@pytest.mark.parametrize("name", ["shared_expert_intermediate_size", "share_expert_dim"])
def test_shared_experts_that_are_cut_through_blocks_are_a_warning(name: str) -> None:
    """sgl-project/sglang#26107: Step-3.5's share_expert_dim of 1280 in FP8 at TP 4, experts divided
    whole; Qwen3-Next has the other word. The config about it is constructed."""
    blocks = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    experts = {"num_experts": 64, "num_experts_per_tok": 8, "moe_intermediate_size": 1280}
    model = grouped(4096) | experts | {name: 1280, "quantization_config": blocks}
    (reason,) = judged(model, 4, [EP]).reasons
    assert (reason.severity, reason.code) == ("warning", "TENSOR_PARALLEL")
    assert "width 1280 of shared experts / 4" in reason.found


@pytest.mark.parametrize(
    ("kv_heads", "tp", "shared", "found"),
    [
        # MiniMax-M2.7, notes of 2026-05: "tensor parallel size 4 must be greater than total num kv
        # heads 8 when enable decode context parallel for GQA/MQA"; the others by vLLM 0.32's checks
        (8, 4, 2, "8 KV heads"),
        (8, 8, 8, "8 KV heads"),
        (8, 1, 2, "tensor parallel size 1"),
        (4, 8, 4, "4 KV heads"),
        (4, 8, 2, ""),
        (2, 8, 4, ""),
        (1, 8, 8, ""),
        (8, 8, 1, ""),
    ],
)
def test_ranks_share_tokens_where_they_would_hold_the_same_heads(
    kv_heads: int, tp: int, shared: int, found: str
) -> None:
    model = grouped(28672) | {"num_key_value_heads": kv_heads, "quantization_config": None}
    verdict = judged(model, tp, [f"--decode-context-parallel-size={shared}"], files=8)
    faults = [reason for reason in verdict.reasons if reason.code == "TENSOR_PARALLEL"]
    assert [found in fault.found for fault in faults] == [True] * bool(found)
    for fault in faults:
        assert "leave --decode-context-parallel-size out" in fault.action


@pytest.mark.parametrize(
    ("tp", "args", "devices"),
    [
        # vllm-project/recipes: DeepSeek-V3, Qwen3.5, MiMo-V2-Flash, MiniMax-M2, Kimi-K2, Step-3.5
        (1, ["--data-parallel-size", "8", EP], 8),
        (1, ["-dp", "8", EP], 8),
        (2, ["-dp=4", EP], 8),
        (2, ["--data_parallel_size=2"], 4),
        (4, [EP], 4),
        (8, ["--decode-context-parallel-size", "8"], 8),
        (8, ["-dcp=8"], 8),
        (4, ["-pp", "2"], 8),
        (2, ["--pipeline-parallel-size=2", "--data-parallel-size=2"], 8),
        # the pod's part of a larger deployment
        (1, ["-dp", "16", "--data-parallel-size-local", "8"], 8),
        (1, ["-dp=16", "-dpl=8"], 8),
        (4, ["--data-parallel-size=4", "--data-parallel-rank=1"], 4),
        (2, [], 2),
    ],
)
def test_devices_are_ranks(tp: int, args: list[str], devices: int) -> None:
    serving = {"tensor_parallel_size": tp, "extra_args": args}
    for told in ({}, {"accelerators": devices}):
        spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": {**serving, **told}})
        assert spec.devices == devices
    wrong = {**serving, "accelerators": devices + 1}
    with pytest.raises(ValueError, match="make them equal"):
        make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": wrong})


def test_pipeline_stages_hold_their_layers() -> None:
    """Qwen3-30B-A3B on two stages: half the cache, half the weights, the fullest stage decides."""
    whole, halved = (
        judged(config("Qwen3-30B-A3B"), 1, []),
        judged(config("Qwen3-30B-A3B"), 1, ["--pipeline-parallel-size=2"]),
    )
    assert halved.kv_bytes_per_token * 2 == whole.kv_bytes_per_token
    assert halved.weights_per_device == pytest.approx(whole.weights_per_device / 2, rel=0.05)


@pytest.mark.parametrize(
    ("args", "factor"),
    [
        ([], 1),
        (["--kv-cache-dtype=fp8"], 0.5),
        (["--kv_cache_dtype", "fp8_e4m3"], 0.5),
        (["--kv-cache-dtype=auto"], 1),
        (["--kv-cache-dtype=nvfp4"], 0.28125),
    ],
)
def test_the_type_of_the_cache(args: list[str], factor: float) -> None:
    plain = judged(config("Qwen3-8B"), 1, []).kv_bytes_per_token
    assert judged(config("Qwen3-8B"), 1, args).kv_bytes_per_token == plain * factor


@pytest.mark.parametrize(
    ("quant", "bits", "group", "block"),
    [
        ({"quant_method": "mxfp4"}, 4.25, 0, None),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 8.002, 0, (128, 128)),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, 4.156, 128, None),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32}, 4.625, 32, None),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, 8, 0, None),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 4.156, 128, None),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 4.5, 16, None),
        ({"quant_method": "modelopt", "quant_algo": "MXFP8"}, 8.25, 32, None),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4.5, 0, None),
        ({"quant_method": "something-new"}, 8, 0, None),
    ],
)
def test_bits_of_a_weight_with_its_scales(
    quant: dict[str, Any], bits: float, group: int, block: tuple[int, int] | None
) -> None:
    packing = Packing.of({"num_hidden_layers": 1, "quantization_config": quant})
    assert packing.bits == pytest.approx(bits, abs=0.001)
    assert (packing.group, packing.block) == (group, block)


def test_packing_of_compressed_tensors() -> None:
    """Kimi-K2.5 (INT4, groups of 32), Kimi-K3 (MXFP4), Llama 4 Scout (FP8 a channel)."""
    found = [
        (Packing.of(config(name)).bits, Packing.of(config(name)).group)
        for name in ("Kimi-K2.5", "Kimi-K3", "llama-4-scout-17b-16e-instruct-fp8-dynamic")
    ]
    assert found == [(4.5, 32), (4.25, 32), (8.0, 0)]


def test_experts_of_gpt_oss_are_what_their_files_hold() -> None:
    """120b: 60.77 GiB on disk, of which 4.0 are no experts."""
    shape = ModelShape.from_config(config("gpt-oss-120b"), round(60.77 * GIB))
    assert shape.experts is not None
    assert shape.experts.elements * shape.packing.bits / 8 / GIB == pytest.approx(56.73, abs=0.01)


def test_a_cache_that_the_spec_states_counts_instead_of_the_share() -> None:
    model = config("Qwen3-8B")
    for told, expected in (("8G", []), ("4G", ["KV_CACHE_TOO_SMALL"]), ("70G", ["KV_CACHE_TIGHT"])):
        args = [f"--kv-cache-memory-bytes={told}"]
        serving = {"extra_args": args, "max_model_len": 40960, "max_num_seqs": 64}
        spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": serving})
        shape = ModelShape.from_config(model, round(15.26 * GIB))
        assert codes(estimate(spec, shape, 79 * GIB)) == expected


def test_offload_and_quantization_while_loading() -> None:
    model = {**config("Qwen3-8B"), "vocab_size": 151936}
    plain = judged(model, 1, [], 15.26)
    less = judged(model, 1, ["--cpu-offload-gb", "5"], 15.26)
    assert plain.weights_per_device - less.weights_per_device == 5 * GIB
    # logged for this kind: vllm#7878 (fp8), vllm#5569 (bitsandbytes): linear layers shrink alone
    online = judged(model, 1, ["--quantization=fp8"], 15.26).weights_per_device
    assert online / plain.weights_per_device == pytest.approx(0.577, rel=0.01)
    four = judged(model, 1, ["-q", "bitsandbytes"], 15.26).weights_per_device
    assert four / plain.weights_per_device == pytest.approx(0.391, rel=0.01)
    dtype = judged(config("gpt-oss-120b"), 1, ["--quantization=fp8"], 60.77)
    tables = 2 * 4096 * 32 * 64  # rotary, in 16 bits
    assert dtype.weights_per_device == round(60.77 * GIB) + tables  # stored packed: as it is


def test_a_drafting_model_is_said_not_to_be_counted() -> None:
    args = ['--speculative-config={"model": "owner/draft", "num_speculative_tokens": 3}']
    assert any("owner/draft" in line for line in judged(config("Qwen3-8B"), 1, args).lines)
    dotted = ["--speculative-config.model=owner/draft", "--speculative_config.method", "eagle3"]
    assert any("owner/draft" in line for line in judged(config("Qwen3-8B"), 1, dotted).lines)


def test_overrides_reach_the_part_they_name() -> None:
    """Qwen3.5's recipe: rope settings of text_config; the rest of it stays."""
    model = config("Qwen3.5-35B-A3B")
    args = [
        '--hf-overrides={"text_config": {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, '
        '"original_max_position_embeddings": 262144}}}'
    ]
    serving = {"extra_args": args, "max_model_len": 1_000_000, "image": "vllm:v0.19.0"}
    spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": serving})
    assert estimate(spec, ModelShape.from_config(model, GIB), None).reasons == ()
    fewer = ['--hf-overrides={"text_config": {"num_hidden_layers": 20}}']
    whole = judged(model, 1, []).kv_bytes_per_token
    assert judged(model, 1, fewer).kv_bytes_per_token * 2 == whole
