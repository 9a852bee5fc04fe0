"""The cache's arithmetic by itself, and what a release and a config are read as."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tasks.nodes.fit.attention import Layer, LinearState
from tasks.nodes.fit.fields import merged
from tasks.nodes.fit.kv import Cache, growth_bytes, sequence_bytes

FULL = Layer("full", heads=8, width=256)
SLIDING = Layer("sliding", heads=8, width=256, window=1024)
MAMBA = Layer("state", state=LinearState(8192, 8, 128, 4, 128 * 64 * 128, 4))


@given(st.integers(1, 80), st.integers(1, 100_000), st.sampled_from([1, 2, 4, 8]))
def test_layers_all_alike_are_the_plain_product(count: int, length: int, tp: int) -> None:
    cache = Cache(tensor=tp)
    token = count * 8 // tp * 256 * 2
    assert growth_bytes([FULL] * count, cache) == token
    assert sequence_bytes([FULL] * count, length, cache) == token * math.ceil(length / 16) * 16


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 200_000), st.integers(1, 200_000))
def test_a_longer_sequence_needs_no_less(full: int, window: int, one: int, other: int) -> None:
    for rest in (SLIDING, MAMBA):
        layers = [FULL] * full + [rest] * window
        short, long = (sequence_bytes(layers, n, Cache()) for n in sorted((one, other)))
        assert 0 < short <= long


def test_windows_that_are_not_counted_are_full() -> None:
    both = [FULL, SLIDING]
    assert sequence_bytes(both, 99_200, Cache(windows=False)) == sequence_bytes(
        [FULL, FULL], 99_200, Cache()
    )
    assert sequence_bytes(both, 99_200, Cache()) < sequence_bytes([FULL, FULL], 99_200, Cache())


def test_the_block_grows_until_a_state_fits() -> None:
    """Nemotron-3-Super-120B with three guessed tokens, cache in 8 bits: its log says 8432."""
    attention = Layer("full", heads=2, width=256)
    cache = Cache(element=1, speculative=3)
    need = sequence_bytes([attention] * 9 + [MAMBA] * 40, 131_072, cache)
    assert need == 9 * 4_317_184 * (math.ceil(131_072 / 8_432) + 5 * 4)


def test_context_parallel_ranks_share_a_sequence() -> None:
    """Kimi-K2 on eight ranks that share each sequence's tokens holds eight times as many."""
    latent = [Layer("full", latent=576)] * 61
    whole = sequence_bytes(latent, 131_072, Cache(tensor=8))
    assert sequence_bytes(latent, 131_072, Cache(tensor=8, decode=8)) * 8 == whole


def test_overrides_merge_into_nested_configs_and_replace_the_rest() -> None:
    config = {"text_config": {"a": 1, "b": 2}, "rope_scaling": {"type": "linear"}, "c": 3}
    changes = {"text_config": {"b": 5}, "rope_scaling": {"type": "yarn", "factor": 4}}
    assert merged(config, changes) == {
        "text_config": {"a": 1, "b": 5},
        "rope_scaling": {"type": "yarn", "factor": 4},
        "c": 3,
    }
