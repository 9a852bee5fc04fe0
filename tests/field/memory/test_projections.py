"""Groups and blocks of attention's projections against the tensor parallel cut.

projections.json: [format, group or block, heads, KV heads, elements of a query, of a value, tensor
parallel size, served]. Recorded with vLLM 0.32's own QKVParallelLinear and RowParallelLinear, its
methods of that format and its kernels for an NVIDIA card of capability 8.0, in float16 and
bfloat16: made for every rank and fed with a checkpoint's scales. served: none refused, and every
rank came to hold the scales of its own part. "pack-quantized" and "compressed-tensors" are the
latter's integers in groups and its float8 in blocks.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tasks.nodes.memory import GIB, ModelShape, estimate
from tests.field.memory.table import HERE, config
from tests.support.nodedata import make_spec

RECORDED: list[list[Any]] = json.loads((HERE / "projections.json").read_text())
QWEN_SMALL: dict[str, Any] = {  # Qwen2.5-0.5B
    "model_type": "qwen2",
    "hidden_size": 896,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "intermediate_size": 4864,
    "max_position_embeddings": 32768,
}


def stored(method: str, unit: int) -> dict[str, Any]:
    """A config's quantization."""
    if method == "fp8":
        return {"quant_method": method, "weight_block_size": [unit, unit]}
    if method == "compressed-tensors":
        told: dict[str, Any] = {"num_bits": 8, "type": "float", "strategy": "block"}
        weights = {**told, "block_structure": [unit, unit]}
    elif method == "pack-quantized":
        weights = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": unit}
    else:
        return {"quant_method": method, "bits": 4, "group_size": unit}
    group = {"targets": ["Linear"], "weights": weights}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}


def faults(model: dict[str, Any], tp: int, *args: str) -> list[tuple[str, str]]:
    """Severity and finding of what does not divide."""
    serving = {"tensor_parallel_size": tp, "extra_args": list(args), "max_model_len": 2048}
    spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": serving})
    verdict = estimate(spec, ModelShape.from_config(model, GIB), None)
    return [(r.severity, r.found) for r in verdict.reasons if r.code == "TENSOR_PARALLEL"]


def test_the_rule_answers_as_vllm_does() -> None:
    """The MLP's width is none that a cut goes through."""
    wrong = []
    for method, unit, heads, keys, size, value, tp, served in RECORDED:
        model = {
            "model_type": "llama",
            "hidden_size": 8192,
            "num_hidden_layers": 2,
            "num_attention_heads": heads,
            "num_key_value_heads": keys,
            "head_dim": size,
            "v_head_dim": value,
            "intermediate_size": 128 * 32,
            "quantization_config": stored(method, unit),
        }
        if (not faults(model, tp)) is not served:
            wrong.append((method, unit, heads, keys, size, value, tp, served))
    assert wrong == []
    assert {served for *_, served in RECORDED} == {True, False}


@pytest.mark.parametrize(
    ("method", "unit", "tp", "fine"),
    [
        # auto-round#643, in SGLang, whose layers are vLLM's: at groups of 128 AWQ does not start on
        # two and GPTQ answers garbage, each is right on one, and at groups of 32 GPTQ on two
        ("awq", 128, 2, False),
        ("gptq", 128, 2, False),
        ("awq", 128, 1, True),
        ("gptq", 128, 1, True),
        ("gptq", 32, 2, True),
    ],
)
def test_qwen_half_a_billion_on_two(method: str, unit: int, tp: int, fine: bool) -> None:
    found = faults({**QWEN_SMALL, "quantization_config": stored(method, unit)}, tp)
    what = f"14 heads of 64 / 2 into o_proj = 448, stored in groups of {unit}"
    assert found == ([] if fine else [("error", what)])


def test_expert_parallel_does_not_help_attention() -> None:
    quant = stored("fp8", 128)
    model = {**config("Qwen3-30B-A3B"), "head_dim": 64, "quantization_config": quant}
    assert any("KV heads" in what for _, what in faults(model, 4, "--enable-expert-parallel"))


def test_models_that_load_their_own_blocks() -> None:
    """MiMo-V2-Flash serves on four and eight (vllm recipes) with one key of 192 a rank."""
    assert faults(config("MiMo-V2-Flash"), 4) == faults(config("MiMo-V2-Flash"), 8) == []


def test_a_latent_is_spread_to_heads() -> None:
    """DeepSeek: 128 heads of 192 out of q_b_proj; 64 of them on one rank do not end on a block."""
    assert faults(config("DeepSeek-R1"), 16) == []
    found = [what for _, what in faults({**config("DeepSeek-R1"), "intermediate_size": 2**15}, 128)]
    assert any("128 heads of 192 / 128 out of q_proj = 192" in what for what in found)


ALL = [f"model.layers.{at}.self_attn" for at in range(24)]


@pytest.mark.parametrize(
    ("quant", "fine"),
    [
        ({"modules_to_not_convert": ["self_attn"]}, True),
        ({"modules_to_not_convert": ALL}, True),
        ({"modules_to_not_convert": ALL[:-1]}, False),
        ({"modules_to_not_convert": [f"{name}.o_proj" for name in ALL]}, True),
        ({"modules_to_not_convert": [f"{name}.k_proj" for name in ALL]}, False),
        ({"modules_to_not_convert": ["visual.blocks.0.attn", "lm_head", "gate"]}, False),
        ({"modules_to_not_convert": ["re:.*self_attn.*"]}, True),
        ({"modules_in_block_to_quantize": [["mlp.up_proj"], ["mlp.down_proj"]]}, True),
        ({"modules_in_block_to_quantize": [["self_attn.o_proj"]]}, False),
        ({"dynamic": {r"-:.*\.self_attn\..*": {}}}, True),
        ({"dynamic": {r"+:.*\.o_proj": {"bits": 4, "group_size": 32}}}, True),
        ({"extra_config": {f"{name}.o_proj": {"bits": 16} for name in ALL}}, True),
    ],
)
def test_what_stays_as_it_was_is_not_judged(quant: dict[str, Any], fine: bool) -> None:
    model = {**QWEN_SMALL, "quantization_config": {**stored("gptq", 128), **quant}}
    assert (faults(model, 2) == []) is fine


@pytest.mark.parametrize(
    ("targets", "fine"),
    [(["Linear"], False), (["re:.*mlp.experts.*"], True), (["re:.*self_attn.o_proj"], False)],
)
def test_targets_of_compressed_tensors(targets: list[str], fine: bool) -> None:
    quant = stored("pack-quantized", 128)
    quant["config_groups"]["group_0"]["targets"] = targets
    assert (faults({**QWEN_SMALL, "quantization_config": quant}, 2) == []) is fine


def test_of_a_format_that_is_not_known_it_is_a_warning() -> None:
    model = {**QWEN_SMALL, "quantization_config": stored("hqq", 128)}
    assert {severity for severity, _ in faults(model, 2)} == {"warning"}


ODD = (None, 0, -1, 7, 1e300, "x", "64", [], [64, None], {}, {"a": [1]}, True, [[128, 128]])


def _mutated(value: Any, dice: random.Random) -> Any:
    """The value with something in it replaced."""
    if isinstance(value, dict) and value and dice.random() < 0.95:
        name = dice.choice(sorted(value))
        return {**value, name: _mutated(value[name], dice)}
    return dice.choice(ODD)


def test_no_config_breaks_the_rule() -> None:
    """Fields of every size and kind: only a config without a shape is refused, as one."""
    dice = random.Random(10)
    plain = [config(path.stem) for path in sorted((HERE / "configs").glob("*.json"))]
    methods = ("fp8", "compressed-tensors", "pack-quantized", "gptq", "awq")
    for turn in range(1500):
        model = dice.choice(plain)
        if turn % 2:
            model = {**model, "quantization_config": stored(dice.choice(methods), 128)}
        for _ in range(dice.randint(1, 3)):
            model = _mutated(model, dice) if isinstance(model, dict) else {}
        try:
            shape = ModelShape.from_config(model if isinstance(model, dict) else {}, GIB)
        except ValueError:
            continue
        serving = {"tensor_parallel_size": dice.choice((1, 2, 8)), "max_model_len": 2048}
        spec = make_spec({"nodes": {"accelerator": "nvidia-gpu"}, "serving": serving})
        assert estimate(spec, shape, 80 * GIB).lines
