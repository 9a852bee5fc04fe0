"""Bounds hold as often as they say, whatever rounds do to each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.verdict import bounds

ALPHA = 0.05
RUNS = 400
# three standard errors of a proportion of 5 % over RUNS
SLACK = 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


def rounds_of(rng: np.random.Generator, count: int, size: int, noise: float) -> list[np.ndarray]:
    """Log-normal times with a level that differs between rounds."""
    return [np.exp(rng.normal(0, noise)) * np.exp(rng.normal(0, 0.3, size)) for _ in range(count)]


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("q", [0.5, 0.95])
def test_a_percentiles_bounds_miss_at_most_alpha(q: float, noise: float) -> None:
    rng = np.random.default_rng(int(q * 100 + noise * 1000))
    spread = math.hypot(noise, 0.3)
    truth = float(np.quantile(np.exp(rng.normal(0, spread, 1_000_000)), q))
    above = below = 0
    for _ in range(RUNS):
        low, high = bounds.percentile(rounds_of(rng, 4, 48, noise), q, ALPHA)
        above += low > truth
        below += high < truth
    assert above / RUNS <= ALPHA + SLACK and below / RUNS <= ALPHA + SLACK


@pytest.mark.parametrize("noise", [0.0, 0.15])
def test_a_means_bounds_miss_at_most_alpha(noise: float) -> None:
    rng = np.random.default_rng(7)
    truth = math.exp((noise**2 + 0.3**2) / 2)
    above = below = 0
    for _ in range(RUNS):
        values = [float(r.mean()) for r in rounds_of(rng, 4, 48, noise)]
        low, high = bounds.level(values, ALPHA)
        above += low > truth
        below += high < truth
    assert above / RUNS <= ALPHA + SLACK and below / RUNS <= ALPHA + SLACK


def test_a_share_is_the_exact_binomial() -> None:
    # none of 459 slow: 99 % are fast at 99 % confidence (MLPerf's early stopping)
    assert bounds.share([0], [459], 0.01)[1] <= 0.01 < bounds.share([0], [458], 0.01)[1]
    low, high = bounds.share([30], [32], ALPHA)
    assert 0 < low < 30 / 32 < high < 1
    assert bounds.share([], [], ALPHA) == (0.0, 1.0)
    assert bounds.share([32], [32], ALPHA)[1] == 1.0


def test_rounds_that_differ_more_than_chance_count_for_less() -> None:
    alike, apart = bounds.share([16, 16], [32, 32], ALPHA), bounds.share([0, 32], [32, 32], ALPHA)
    assert apart[0] < alike[0] and alike[1] < apart[1]
    assert bounds.design_effect([16, 16], [32, 32]) == 1.0
    assert bounds.design_effect([0, 32], [32, 32]) > 10


@given(st.lists(st.floats(0.01, 10), max_size=1))
def test_one_round_bounds_nothing(values: list[float]) -> None:
    assert bounds.level(values, ALPHA) == bounds.student(values, ALPHA) == bounds.UNKNOWN
    assert bounds.percentile([np.asarray(values)] if values else [], 0.5, ALPHA) == bounds.UNKNOWN


def test_what_is_not_a_number_bounds_nothing() -> None:
    for wrong in (math.nan, math.inf):
        assert bounds.level([1.0, wrong, 1.0], ALPHA) == bounds.UNKNOWN
    # a rate of nothing has no log, but a bound
    low, high = bounds.level([0.0, 1.0, 2.0], ALPHA)
    assert low < 0 < 1 < high < math.inf
    assert bounds.ratio([(1.0, 1.0), (0.0, 1.0)], ALPHA) == bounds.UNKNOWN
    low, high = bounds.ratio([(1.1, 1.0), (1.1, 1.0), (1.1, 1.0)], ALPHA)
    assert low == pytest.approx(1.1) and high == pytest.approx(1.1)


def test_rounds_too_far_apart_for_a_float_leave_the_bound_open() -> None:
    assert bounds.level([1e-3, 1e3], 1e-4) == (0.0, math.inf)
    rounds = [np.full(20, 1e-3), np.full(20, 1e3)]
    assert bounds.percentile(rounds, 0.95, 1e-4)[1] == math.inf
    assert bounds.ratio([(1e-3, 1.0), (1e3, 1.0)], 1e-4) == (0.0, math.inf)


def test_few_failures_leave_an_upper_bound_of_a_high_percentile_open() -> None:
    values = np.asarray([0.1] * 90 + [math.inf] * 10)
    assert bounds.percentile([values, values], 0.95, ALPHA)[1] == math.inf
    assert bounds.percentile([values, values], 0.5, ALPHA)[1] == pytest.approx(0.1)
