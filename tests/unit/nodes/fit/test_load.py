"""What a device holds of a model beside its files, and what of the files it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.nodes.fit.positions import rotary_elements
from tasks.nodes.fit.shape import ModelShape

PLAIN = {"max_position_embeddings": 4096, "num_hidden_layers": 2}
TIED: dict[str, Any] = {  # Qwen3-0.6B
    **{"model_type": "qwen3", "hidden_size": 1024, "num_hidden_layers": 28, "head_dim": 128},
    **{"num_attention_heads": 16, "num_key_value_heads": 8, "intermediate_size": 3072},
    **{"vocab_size": 151936, "tie_word_embeddings": True},
}


@pytest.mark.parametrize(
    ("told", "rows"),
    [
        ({}, 0),
        ({"rope_theta": 1e4}, 4096),
        ({"rope_scaling": None}, 4096),
        ({"rope_scaling": {"rope_type": "linear", "factor": 8.0}}, 8 * 4096),
        (
            {"rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 8}},
            32,
        ),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 4096),
        ({"rope_scaling": {"type": "mrope", "mrope_section": [1, 1]}}, 4 * 4096),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, 2048),
        # Gemma 3 before transformers 5: the scaled one, and that of the layers with a window
        (
            {
                "model_type": "gemma3_text",
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            },
            9 * 4096,
        ),
    ],
)
def test_rotary_tables(told: dict[str, Any], rows: int) -> None:
    """rows: of a whole head."""
    assert rotary_elements({**PLAIN, **told}, 64) == rows * 64


@pytest.mark.parametrize(
    ("size", "loaded"),
    [
        (1_503_264_768, 1_192_099_840),  # as its file is: the embedding twice
        (1_192_099_840, 1_192_099_840),
        (1_400_000_000, 1_400_000_000),  # neither: nothing is said of it
    ],
)
def test_an_output_embedding_that_is_not_loaded(size: int, loaded: int) -> None:
    assert ModelShape.from_config(TIED, size).weights_per_device(1) == loaded
    other = {**TIED, "tie_word_embeddings": False}
    assert ModelShape.from_config(other, size).weights_per_device(1) == size


@pytest.mark.parametrize("told", ["4,5,6", " 4, 5,6,", [4, 5, 6]])
def test_step_lists_the_layers_with_experts(told: Any) -> None:
    model = {**TIED, "moe_num_experts": 48, "moe_intermediate_size": 512, "moe_layers_enum": told}
    experts = ModelShape.from_config(model, 1).experts
    assert experts is not None and experts.layers == 3
