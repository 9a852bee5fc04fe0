"""Configs of models with states, by lists of layers, and where they list none."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.nodes.memory import GIB, ModelShape, estimate
from tests.support.nodedata import make_spec

# Zyphra/Zamba2-7B: the fields that vllm/model_executor/models/zamba2.py reads
ZAMBA: dict[str, Any] = {
    "model_type": "zamba2",
    "hidden_size": 3584,
    "num_hidden_layers": 81,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "attention_head_dim": 224,
    "mamba_d_state": 64,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "n_mamba_heads": 112,
    "mamba_headdim": 64,
    "mamba_ngroups": 2,
    "vocab_size": 32000,
    "intermediate_size": 14336,
    "max_position_embeddings": 4096,
    "torch_dtype": "bfloat16",
}
HYBRID = [6, 11, 17, 23, 29, 35, 41, 47, 53, 59, 65, 71, 77]


@pytest.mark.parametrize(
    "listed",
    [
        {"hybrid_layer_ids": HYBRID},
        {"layers_block_type": ["hybrid" if at in HYBRID else "mamba" for at in range(81)]},
    ],
)
def test_zamba2_attends_in_its_hybrid_layers(listed: dict[str, Any]) -> None:
    shape = ModelShape.from_config({**ZAMBA, **listed}, 14 * GIB)
    assert shape.kv_bytes_per_token(1) == 13 * 2 * 32 * 224 * 2 and not shape.unknown
    spec = make_spec({"serving": {"max_model_len": 4096, "tensor_parallel_size": 1}})
    assert estimate(spec, shape, 24 * GIB).fits


@pytest.mark.parametrize("windows", [{}, {"sliding_window": 512}])
def test_states_without_a_list_are_no_opinion(windows: dict[str, Any]) -> None:
    """Constructed: neither "full everywhere" nor "one window" is believed of such a model."""
    config = {**ZAMBA, "model_type": "unheard_of", **windows}
    shape = ModelShape.from_config(config, 14 * GIB)
    assert "mamba_d_state" in shape.unknown
    verdict = estimate(make_spec(), shape, 24 * GIB)
    assert "SHAPE_UNKNOWN" in [reason.code for reason in verdict.reasons]


def test_figures_written_as_texts_are_figures() -> None:
    """Constructed."""
    plain = {
        name: ZAMBA[name]
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    }
    as_texts = {name: str(value) for name, value in plain.items()}
    one, two = (ModelShape.from_config(config, 1) for config in (plain, as_texts))
    assert (one.layers, one.heads, one.cached) == (two.layers, two.heads, two.cached)
