"""Figures against values worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.measure.figures import doubts, figure, quantile, rate, samples, sound, tpot, within
from tasks.measure.round import Round
from tasks.spec.metrics import parse_metric
from tests.support.rounds import failed, make_round, row


def one(*rows: object, window: tuple[float, float] = (0.0, 1.0)) -> Round:
    return Round(0, "c2", "candidate", 0, rows, window)  # type: ignore[arg-type]


def test_times_of_one_request() -> None:
    item = row(0.0, ttft=0.2, gap=0.1, tokens=5)
    assert tpot(item) == pytest.approx(0.1)
    assert figure(parse_metric("ttft_mean_ms"), one(item)) == pytest.approx(0.2)
    assert figure(parse_metric("latency_mean_s"), one(item)) == pytest.approx(0.6)
    assert figure(parse_metric("itl_p50_ms"), one(item)) == pytest.approx(0.1)
    assert tpot(row(0.0, tokens=1)) is None


def test_throughput_counts_the_part_of_a_stream_inside_the_window() -> None:
    # chunks at 0.2, 0.3, 0.4, 0.5, 0.6: three of five lie in [0.25, 0.55]
    item = row(0.0, ttft=0.2, gap=0.1, tokens=5)
    cut = one(item, window=(0.25, 0.55))
    assert rate("output_throughput", cut) == pytest.approx(3 / 0.3)
    share = (0.55 - 0.25) / 0.6
    assert rate("request_throughput", cut) == pytest.approx(share / 0.3)
    assert rate("total_throughput", cut) == pytest.approx((3 + 60 * share) / 0.3)
    assert rate("output_throughput", one(item, window=(1.0, 1.0))) is None
    assert rate("output_throughput", one(failed(0.0))) is None


def test_two_halves_of_a_window_make_the_whole() -> None:
    item = make_round(0, 64)
    start, end = item.window
    middle = (start + end) / 2
    halves = [
        (rate("output_throughput", replace(item, window=w)) or 0) * (w[1] - w[0])
        for w in ((start, middle), (middle + 1e-9, end))
    ]
    whole = (rate("output_throughput", item) or 0) * (end - start)
    assert sum(halves) == pytest.approx(whole)


def test_failed_requests_are_infinitely_slow_in_percentiles_and_absent_from_means() -> None:
    rows = [row(i, ttft=0.1) for i in range(9)] + [failed(9)]
    item = one(*rows)
    assert figure(parse_metric("ttft_p50_ms"), item) == pytest.approx(0.1)
    assert figure(parse_metric("ttft_p95_ms"), item) == math.inf
    assert figure(parse_metric("ttft_mean_ms"), item) == pytest.approx(0.1)
    assert figure(parse_metric("ttft_mean_ms"), one(failed(0))) is None
    assert len(samples("ttft", rows)) == 10


def test_goodput_needs_both() -> None:
    item = row(0.0, ttft=0.2, gap=0.05)
    assert within(item, 250, 60) and not within(item, 150, 60) and not within(item, 250, 40)
    assert not within(failed(0), None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"end": math.nan},
        {"end": math.inf},
        {"start": -math.inf},
        {"end": -1.0},
        {"ttft": None},
        {"ttft": -0.1},
        {"ttft": math.nan},
        {"ttft": 99.0},
        {"itl": (math.nan,)},
        {"itl": (-0.1,)},
        {"itl": (1e6,)},
        {"completion_tokens": 0},
        {"prompt_tokens": -1},
    ],
)
def test_impossible_rows_are_not_sound_and_their_round_is_doubted(
    change: dict[str, object],
) -> None:
    odd = replace(row(0.0), **change)  # type: ignore[arg-type]
    assert not sound(odd) and sound(row(0.0))
    assert any("impossible" in line for line in doubts(one(odd)))


def test_a_clock_that_jumps_is_noticed() -> None:
    rows = [row(i * 0.3) for i in range(20)]
    assert doubts(one(*rows)) == []
    later = [replace(r, start=r.start + 1e4, end=r.end + 1e4) for r in rows[10:]]
    assert "jumped" in doubts(one(*rows[:10], *later))[0]
    assert "order" in doubts(one(*rows[::-1]))[0]


@given(
    st.lists(st.floats(0.001, 100), min_size=1, max_size=60),
    st.floats(0.01, 0.99),
)
def test_a_quantile_has_its_share_at_or_below_it(values: list[float], q: float) -> None:
    found = quantile(np.asarray(values), q)
    below = sum(v <= found for v in values) / len(values)
    assert found in values and below >= q - 1e-9
    assert sum(v < found for v in values) / len(values) < q


def test_a_quantile_does_not_move_on_by_rounding() -> None:
    # 0.07 * 100 and 0.57 * 100 are a little more than 7 and 57 in floating point
    values = np.arange(1.0, 101.0)
    assert [quantile(values, q) for q in (0.07, 0.57, 0.95, 1.0)] == [7, 57, 95, 100]
