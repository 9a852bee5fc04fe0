"""What served is never refused, what vLLM refused is at least warned of.

Source unless said: llm-d-benchmark, config_explorer/empirical-vllm-memory-results.md (2025): one or
two H100 of 79.18 GiB, share 0.9, 1,024 sequences, 8,192 batched tokens.
"""

from __future__ import annotations

from typing import Any

import pytest

from tasks.nodes.memory import GIB, ModelShape, estimate
from tests.field.memory.table import config
from tests.support.nodedata import make_spec

H100 = round(79.18 * GIB)
FP8 = {"quantization_config": {"quant_method": "fp8"}}


@pytest.mark.parametrize(
    ("model", "files", "tp", "length", "left"),
    [
        ("gpt-oss-20b", 12.81, 1, 16_000, 50.28),
        ("gpt-oss-120b", 60.77, 1, 16_000, 3.33),  # at 0.95
        ("Qwen3-0.6B", 1.11, 1, 16_000, 64.45),
        ("Qwen3-32B", 61.02, 1, 16_000, 4.45),
        ("Qwen3-32B", 61.02, 2, 16_000, 34.49),
        ("Meta-Llama-3.1-70B", 67.66, 2, 16_000, 32.0),  # in FP8
        ("Llama-3-8B-mirror", 14.96, 1, 8_000, 51.38),  # its twin 3.1
    ],
)
def test_what_served_is_not_refused(
    model: str, files: float, tp: int, length: int, left: float
) -> None:
    told = {**config(model), **(FP8 if model == "Meta-Llama-3.1-70B" else {})}
    serving: dict[str, Any] = {
        "image": "vllm/vllm-openai:v0.11.0",
        "tensor_parallel_size": tp,
        "max_model_len": length,
        "gpu_memory_utilization": 0.95 if model == "gpt-oss-120b" else 0.9,
    }
    spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": serving})
    verdict = estimate(spec, ModelShape.from_config(told, round(files * GIB)), H100)
    assert verdict.fits
    promised = (verdict.sequences or 0) * verdict.sequence_bytes[0] / GIB
    assert promised == pytest.approx(left, abs=2.6)


@pytest.mark.parametrize(
    ("model", "files", "length"),
    [
        ("Meta-Llama-3.1-70B", 67.66, 16_000),  # in FP8: -1.44 GiB left
        ("Qwen3-32B", 61.02, 32_000),  # 7.8 GiB needed, 4.45 left
        ("gpt-oss-120b", 60.77, 131_072),  # vllm#23278, #27508
    ],
)
def test_what_was_refused_is_told_before(model: str, files: float, length: int) -> None:
    told = {**config(model), **(FP8 if model == "Meta-Llama-3.1-70B" else {})}
    serving = {"max_model_len": length, "gpu_memory_utilization": 0.9}
    spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": serving})
    verdict = estimate(spec, ModelShape.from_config(told, round(files * GIB)), H100)
    assert [r.code for r in verdict.reasons if r.code.startswith(("KV_", "WEIGHTS_"))]


@pytest.mark.parametrize(
    ("model", "files", "tp", "args", "memory", "length"),
    [
        # vllm recipes: four H200; four with data parallel
        ("Step-3.5-Flash", 370, 4, [], 139.8, 262_144),
        ("Step-3.5-Flash", 370, 1, ["-dp", "4", "--enable-expert-parallel"], 139.8, 262_144),
        # vllm PR 16104: 8 x H100, 1,280,000 tokens
        ("Llama-4-Scout-17B-16E-Instruct", 203, 8, [], 79.18, 1_280_000),
        # vllm recipes: 8 x H200
        ("Kimi-K2-Instruct", 960, 8, ["-dcp", "8"], 139.8, 131_072),
        # vllm#16259: 4 x H100, 132,560 tokens in the cache
        ("Meta-Llama-3.1-405B-AWQ-INT4", 202.2, 4, [], 79.18, 131_072),
        # NVIDIA blueprint PR 1649
        ("Nemotron-Nano-9B-v2", 16.6, 1, [], 47.5, 128_000),
        # jethac/dgx-spark-hijinks: 1.98 sequences beside a drafting model
        ("gemma-4-26B-A4B", 48.07, 1, [], 121, 262_144),
    ],
)
def test_recipes_are_not_refused(
    model: str, files: float, tp: int, args: list[str], memory: float, length: int
) -> None:
    serving = {"tensor_parallel_size": tp, "extra_args": args, "max_model_len": length}
    spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": serving})
    shape = ModelShape.from_config(config(model), round(files * GIB))
    assert estimate(spec, shape, round(memory * GIB)).fits
