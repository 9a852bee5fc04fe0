"""The rules of a round: steady warm-up, a tired client, forced lengths, the budget."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.measure.protocol import (
    Spent,
    cache_note,
    client_health,
    early_ends,
    ramp,
    requests_of_round,
    row_problems,
    stagger,
    steady,
    tpot,
)
from tasks.measure.round import RequestRow, Round, ServerView
from tasks.measure.workload import Prompt
from tasks.spec.measure import Budget, LoadPoint
from tests.support.rounds import some


def _row(start: float, ttft: float, gap: float = 0.02, tokens: int = 11) -> RequestRow:
    end = start + ttft + gap * (tokens - 1)
    return RequestRow(start, end, ttft, (gap,) * (tokens - 1), 5, tokens, True)


def _batch(ttft: float, gap: float = 0.02, noise: float = 0.0, seed: int = 0) -> list[RequestRow]:
    rng = random.Random(seed)
    return [_row(i, ttft * (1 + noise * rng.uniform(-1, 1)), gap) for i in range(12)]


FAILED = [RequestRow(0, 1, None, (), 0, 0, False, "x")]


def test_equal_batches_are_steady_and_a_warming_engine_is_not() -> None:
    assert steady(_batch(0.1), _batch(0.1))
    assert steady(_batch(0.5, noise=0.3, seed=1), _batch(0.5, noise=0.3, seed=2))
    assert not steady(_batch(0.9), _batch(0.1))
    assert not steady(_batch(0.1, gap=0.06), _batch(0.1, gap=0.02))


def test_a_batch_without_answers_is_never_steady() -> None:
    assert not steady(FAILED, FAILED)
    assert not steady(_batch(0.1), FAILED)
    assert not steady([], [])


def test_one_token_answers_can_be_steady() -> None:
    rows = [_row(i, 0.1, tokens=1) for i in range(8)]
    assert tpot(rows[0]) is None
    assert steady(rows, rows)


def test_tpot_is_evalscopes() -> None:
    assert tpot(_row(3.0, 0.1)) == pytest.approx(0.02)


WINDOW = (0.0, 10.0)
CPU = [(float(i), 0.1 * i) for i in range(11)]


def _lags(late: float, share: float = 1.0) -> list[tuple[float, float]]:
    return [(i / 100, late if i % 100 < 100 * share else 0.0003) for i in range(1000)]


def test_a_rested_client_is_not_saturated() -> None:
    health = client_health(_batch(0.1), WINDOW, _lags(0.0004), CPU, None)
    assert not health.saturated
    assert health.cpu_share == pytest.approx(0.1)
    assert health.lag_p99_s == pytest.approx(0.0004)


@pytest.mark.parametrize(
    ("lags", "cpu", "rate", "word"),
    [
        (_lags(0.004), CPU, None, "on average"),
        (_lags(0.08, 0.02), CPU, None, "p99"),
        (_lags(0.0004), [(at, 9.5 * used) for at, used in CPU], None, "of its core"),
        (_lags(0.0004), CPU, 3.0, "asked for"),
        ([], CPU, None, "too few samples"),
    ],
)
def test_each_sign_of_a_tired_client_is_enough(
    lags: list[tuple[float, float]], cpu: list[tuple[float, float]], rate: float | None, word: str
) -> None:
    health = client_health(_batch(0.1), WINDOW, lags, cpu, rate)
    assert health.saturated
    assert any(word in reason for reason in health.reasons)


def test_what_happens_outside_the_window_does_not_tire_the_client() -> None:
    late = [*_lags(0.0004), *[(20.0 + i, 0.5) for i in range(50)]]
    assert not client_health(_batch(0.1), WINDOW, late, CPU, None).saturated


def test_a_long_ttft_bears_more_lag() -> None:
    assert client_health(_batch(0.1), WINDOW, _lags(0.004), CPU, None).saturated
    assert not client_health(_batch(2.0), WINDOW, _lags(0.004), CPU, None).saturated


def test_the_asked_rate_is_met_when_arrivals_keep_up() -> None:
    rows = [_row(i / 5, 0.1) for i in range(50)]
    health = client_health(rows, WINDOW, _lags(0.0004), CPU, 5.0)
    assert not health.saturated
    assert health.achieved_rate == pytest.approx(5.0, rel=0.05)


def test_a_round_has_enough_requests_for_a_steady_part() -> None:
    assert requests_of_round(10, LoadPoint(name="c", concurrency=32)) == 128
    assert requests_of_round(500, LoadPoint(name="c", concurrency=32)) == 500
    assert requests_of_round(10, LoadPoint(name="r", rate=4)) == 10
    assert ramp(LoadPoint(name="c", concurrency=32)) == 32
    assert ramp(LoadPoint(name="r", rate=4)) == 0


@given(st.integers(1, 60), st.integers(1, 4000))
def test_a_ramp_spreads_the_ends_evenly(count: int, tokens: int) -> None:
    lengths = [p.output_tokens for p in stagger([Prompt("x", 1, tokens, "english")] * count)]
    assert lengths == sorted(lengths)
    assert lengths[-1] == tokens and lengths[0] >= 1
    if tokens >= count:
        steps = [b - a for a, b in pairwise(lengths)]
        assert not steps or max(steps) - min(steps) <= 1


def test_short_answers_are_named_where_the_length_was_forced() -> None:
    rows = _batch(0.1)
    assert early_ends(rows, [11] * len(rows)) == []
    assert "ended early" in early_ends(rows, [12] * len(rows))[0]


def test_useless_rows_are_named() -> None:
    assert "no request was measured" in row_problems([])
    assert "none of 1 requests succeeded" in row_problems(FAILED)[0]
    blind = [RequestRow(0, 1, 0.1, (), 0, 0, True)]
    assert "without usage" in row_problems(blind)[0]
    assert row_problems(_batch(0.1)) == []


@pytest.mark.parametrize(
    ("error", "says_nothing"),
    [
        ("ClientConnectorError: Cannot connect to host 10.0.0.1:8000 ssl:default", True),
        ("ClientConnectorDNSError: Cannot connect to host m.models:8000", True),
        ("ConnectionTimeoutError: Connection timeout to host http://10.0.0.1:8000", True),
        # it was reached, and did this
        ("ServerDisconnectedError: Server disconnected", False),
        ("ClientPayloadError: Response payload is not completed", False),
        ("500 Internal Server Error", False),
    ],
)
def test_a_way_of_asking_that_fails_is_no_failure_of_the_engine(
    error: str, says_nothing: bool
) -> None:
    good = _batch(0.1)
    found = row_problems([*good, replace(good[0], ok=False, error=error)])
    assert any("did not reach the engine" in text for text in found) is says_nothing


def test_the_budget_says_which_part_is_spent() -> None:
    budget = Budget(seconds=60, requests=100, tokens=1000)
    assert Spent(59, 99, 999).over(budget) == ""
    assert "60 s" in Spent(60, 1, 1).over(budget)
    assert "100 requests" in Spent(1, 100, 1).over(budget)
    assert "1000 tokens" in Spent(1, 1, 1000).over(budget)


def test_a_prefix_cache_that_helped_is_named() -> None:
    def cached(share: float | None) -> list[Round]:
        return [replace(r, server=ServerView(True, cached_share=share)) for r in some(2)]

    assert cache_note(cached(0.3), False) == ""
    assert cache_note(cached(None), False) == cache_note([], False) == ""
    assert "80% of the prompts' tokens" in cache_note(cached(0.8), False)
    assert "every request asked the same" in cache_note(cached(None), True)
