"""Prompts: distinct, unknown to any prefix cache, of the lengths asked for."""

from __future__ import annotations

import random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.measure.workload import (
    FIELD_REPORT,
    NONCE_CHARS,
    PROFILES,
    TokenRates,
    cache_flattered,
    count_units,
    derive_seed,
    draw_length,
    make_prompts,
)
from tasks.spec.measure import Lengths, Workload

CUSTOM = Workload(
    profile="custom",
    input_tokens=Lengths(kind="uniform", mean=120, spread=0.5),
    output_tokens=Lengths(kind="lognormal", mean=40, spread=0.4, maximum=90),
)
NAMED = [name for name in PROFILES if name not in ("field-report", "custom", "file")]


@given(
    base=st.integers(0, 2**63),
    rounds=st.tuples(st.integers(0, 300), st.integers(0, 300)),
    loads=st.tuples(st.sampled_from(["c1", "c8"]), st.sampled_from(["c1", "c8"])),
    purposes=st.tuples(
        st.sampled_from(["measured", "ramp"]), st.sampled_from(["measured", "ramp"])
    ),
)
@settings(max_examples=60)
def test_no_two_uses_share_the_beginning_of_a_prompt(
    base: int, rounds: tuple[int, int], loads: tuple[str, str], purposes: tuple[str, str]
) -> None:
    uses = sorted(set(zip(rounds, loads, purposes, strict=True)))
    seen: set[str] = set()
    for use in uses:
        for prompt in make_prompts(CUSTOM, derive_seed(base, *use), 6):
            seen.add(prompt.text[:NONCE_CHARS])
    assert len(seen) == 6 * len(uses)


@pytest.mark.parametrize("name", NAMED)
def test_a_profile_meets_its_input_lengths(name: str) -> None:
    rates = TokenRates(word=1.3, char=1.7)
    prompts = make_prompts(Workload(profile=name), 7, 40, rates=rates)  # type: ignore[arg-type]
    assert {p.language for p in prompts} == set(PROFILES[name].languages)
    for prompt in prompts:
        tokens = count_units(prompt.text, prompt.language) * rates.of(prompt.language)
        # the opening and the question alone may be longer than a very short target
        assert prompt.input_tokens_target - 2 <= tokens <= max(prompt.input_tokens_target + 2, 90)


@given(
    st.sampled_from(["fixed", "uniform", "lognormal"]),
    st.integers(1, 5000),
    st.floats(0, 2),
    st.integers(1, 5000),
    st.integers(),
)
def test_lengths_stay_in_bounds(kind: str, mean: int, spread: float, top: int, seed: int) -> None:
    lengths = Lengths(kind=kind, mean=mean, spread=spread, maximum=top)  # type: ignore[arg-type]
    assert 1 <= draw_length(lengths, random.Random(seed)) <= top


@pytest.mark.parametrize("kind", ["fixed", "uniform", "lognormal"])
def test_lengths_have_the_mean_they_name(kind: str) -> None:
    lengths = Lengths(kind=kind, mean=300, spread=0.5)  # type: ignore[arg-type]
    rng = random.Random(1)
    assert fmean(draw_length(lengths, rng) for _ in range(8000)) == pytest.approx(300, rel=0.03)


def test_the_same_seed_gives_the_same_prompts() -> None:
    assert make_prompts(CUSTOM, 5, 9) == make_prompts(CUSTOM, 5, 9)
    assert make_prompts(CUSTOM, 5, 9) != make_prompts(CUSTOM, 6, 9)
    assert derive_seed(1, 2, "c1", "ramp") == derive_seed(1, 2, "c1", "ramp")


def test_the_field_reports_prompt_is_one_and_flagged() -> None:
    workload = Workload(profile="field-report")
    assert {p.text for p in make_prompts(workload, 3, 4)} == {FIELD_REPORT}
    assert cache_flattered(workload)
    assert not cache_flattered(CUSTOM)


def test_a_file_gives_its_lines_each_with_its_own_beginning() -> None:
    workload = Workload(profile="file", file="x", output_tokens=Lengths(mean=9))
    lines = ["plain words here", '{"prompt": "from JSON"}', "", "{not json}"]
    prompts = make_prompts(workload, 2, 6, lines=lines)
    bodies = [p.text.split("\n", 1)[1] for p in prompts]
    assert sorted(set(bodies)) == ["from JSON", "plain words here", "{not json}"]
    assert len({p.text[:NONCE_CHARS] for p in prompts}) == 6
    with pytest.raises(ValueError, match="holds no prompt"):
        make_prompts(workload, 2, 1, lines=[" "])
