"""What is drawn stands where the figures say."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.measure.figures import quantile, rate, samples
from tasks.measure.round import RequestRow, Round
from tasks.report.figures import points as data
from tasks.report.figures.plots import (
    Axis,
    Bar,
    Cross,
    Curve,
    Mark,
    Plot,
    axis,
    draw,
    near,
    nice_ticks,
    spread_axis,
)
from tests.support import reportdata
from tests.support.reportdata import parse, position

finite = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(finite, st.floats(1e-3, 1e6))
def test_ticks_are_inside_even_and_few(low: float, span: float) -> None:
    high = low + span
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 9
    slack = 1e-6 * span
    assert all(low - slack <= t <= high + slack for t in ticks)
    gaps = {round((b - a) / span, 6) for a, b in pairwise(ticks)}
    assert len(gaps) <= 1 or max(gaps) - min(gaps) < 1e-5


@given(st.lists(finite, min_size=1))
def test_an_axis_holds_its_values(values: list[float]) -> None:
    for zero in (True, False):
        scale = axis([*values, math.nan, math.inf], zero=zero)
        assert all(scale.holds(v) for v in values)
        assert scale.high > scale.low


def test_the_steady_window_and_the_targets_are_where_they_should_be() -> None:
    plot = Plot(
        "t", "alt & <text>", Axis(0, 200), Axis(0, 1),
        curves=[Curve([(0, 0), (100, 0.5), (200, 1)], "line data")],
        shade=(50, 150, "steady"),
        upright=[Mark("p95 ≤ 80", 80, "fail", 90, 160, 120, 0.95), Mark("far", 900, "pass")],
    )  # fmt: skip
    found = parse(draw(plot))
    shade = next(e for e in found.iter("rect") if e.get("class") == "steady")
    assert (position(shade, "x"), position(shade, "width")) == (25, 50)
    limits = [e for e in found.iter("line") if str(e.get("class")).startswith("limit")]
    assert [position(e, "x1") for e in limits] == [40]
    bound = next(e for e in found.iter("line") if str(e.get("class")).startswith("bound"))
    assert [position(bound, k) for k in ("x1", "x2", "y1")] == [45, 80, 5]
    assert next(found.iter("path")).get("d") == "M0 1000L500 500L1000 0"
    assert any("far →" in str(e.text) for e in found.iter("text"))
    assert next(e for e in found.iter("svg")).get("aria-label") == "alt & <text>"


def test_a_far_limit_is_an_arrow_at_the_edge_with_its_value() -> None:
    curve = Curve([(0, 1), (1, 500)], "line data")
    plot = Plot(
        "t", "a", Axis(0, 1), axis([500.0, *near([180_000, 900], [500])]), curves=[curve],
        level=[Mark("≥ 180,000", 180_000, "fail", 400, 600, 500), Mark("≤ 900", 900, "pass")],
    )  # fmt: skip
    found = parse(draw(plot))
    texts = [str(e.text) for e in found.iter("text")]
    assert "≥ 180,000 ↑" in texts and "≤ 900" in texts
    assert [e.get("class") for e in found.iter("line") if "limit" in str(e.get("class"))] == [
        "limit pass"
    ]
    # its bounds are drawn all the same, and the curve keeps more than half of the height
    assert any("band" in str(e.get("class")) for e in found.iter("rect"))
    top = min(int(y) for y in re.findall(r"[ML]\d+ (\d+)", str(next(found.iter("path")).get("d"))))
    assert top < 500


@pytest.mark.parametrize(
    ("ends", "below"),
    [
        ((5.5, 5.5), True),  # a dot where the label would be
        ((5.5, 9), True),
        ((4, 9), False),  # a bar through both places
        ((9, 9), False),
        ((4, 4), False),
    ],
)
def test_the_label_of_a_level_keeps_clear_of_the_last_dot(
    ends: tuple[float, float], below: bool
) -> None:
    bars = [Bar(0, 5.2, 5.2, 5.2, "far to the left"), Bar(9, *ends, ends[0], "the last")]
    level = [Mark("≥ 5", 5, "pass")]
    found = parse(draw(Plot("t", "a", Axis(0, 10), Axis(0, 10), bars=bars, level=level)))
    (label,) = (e for e in found.iter("text") if e.text == "≥ 5")
    assert (float(label.get("dy", 0)) > 0) is below


@pytest.mark.parametrize("limits", [[], [1e9], [5_000.0, 0.001]])
def test_a_distribution_is_not_pressed_flat_by_limits(limits: list[float]) -> None:
    for low, high in ((10.0, 300.0), (40.0, 44.0)):
        scale = spread_axis(low, high, limits)
        assert scale.holds(low) and scale.holds(high)
        assert scale.at(high) - scale.at(low) > 20


def test_a_limit_that_is_near_is_on_the_scale() -> None:
    assert spread_axis(10, 300, [700]).holds(700)
    assert spread_axis(40, 44, [48, 36]).holds(48) and spread_axis(40, 44, [48, 36]).holds(36)


def test_a_point_shows_its_bounds_on_both_axes_and_an_open_one_runs_to_the_edge() -> None:
    cross = Cross(50, 5, "c8", "told", across=(40, None), along=(None, 8))
    found = parse(draw(Plot("t", "a", Axis(0, 100), Axis(0, 10), crosses=[cross])))
    across, along = [e for e in found.iter("line") if e.get("class") == "range"]
    assert [position(across, k) for k in ("x1", "x2", "y1")] == [40, 100, 50]
    assert [position(along, k) for k in ("y1", "y2", "x1")] == [100, 20, 50]
    assert any(e.text == "c8" for e in found.iter("text"))


def test_labels_at_the_right_end_do_not_overlap() -> None:
    curves = [Curve([(0, 1), (1, y)], "line", label=f"c{y}") for y in (5.0, 5.01, 5.02)]
    found = parse(draw(Plot("t", "a", Axis(0, 1), Axis(0, 10), curves=curves, height=200)))
    at = sorted(position(e, "y") for e in found.iter("text") if e.get("class") == "name")
    assert all(b - a >= 6.49 for a, b in pairwise(at))


@given(st.lists(st.floats(0.001, 100) | st.just(math.inf), min_size=1, max_size=400))
def test_a_thinned_distribution_is_the_distribution(values: list[float]) -> None:
    found = data.ecdf(np.asarray(values), 1000.0, most=50)
    known = [v for v in values if math.isfinite(v)]
    assert len(found) <= 51
    assert found == sorted(found)
    for at, share in found:
        assert sum(v * 1000 <= at for v in known) / len(values) >= share
        assert quantile(np.asarray(values), share - 1e-9) * 1000 == pytest.approx(at)
    if known and len(values) <= 50:
        assert found[-1][1] == pytest.approx(len(known) / len(values))


def test_throughput_over_time_adds_up_to_the_tokens() -> None:
    for item in reportdata.rounds(1, 40):
        found = data.flow(item, data.bin_width([item]))
        assert found is not None
        whole = sum(found.rates) * found.width
        assert whole == pytest.approx(sum(row.completion_tokens for row in item.rows))
        a, b = found.window
        inside = [r for x, r in found.points() if a <= x <= b]
        # the bins of the steady window average to the rate that the verdict is on
        assert sum(inside) / len(inside) == pytest.approx(rate("output_throughput", item), rel=0.12)


def test_rounds_that_are_not_believed_are_set_apart() -> None:
    measured = reportdata.rounds(6, 16)
    c8 = next(x for x in data.loads(measured, [{"name": "c8", "concurrency": 8}]) if x.name == "c8")
    assert c8.words == "8 in flight"
    assert [item.index for item in c8.candidate] == [0, 1, 2, 3, 4, 5]
    assert [item.index for item in c8.trusted] == [0, 1, 2, 4, 5]


def test_load_points_come_in_the_spec_s_order_and_unknown_ones_last() -> None:
    measured = reportdata.rounds(1, 4)
    points = [{"name": "c32", "rate": 2.5}, {"name": "gone"}]
    assert [x.name for x in data.loads(measured, points)] == ["c32", "c1", "c8"]
    assert data.loads(measured, points)[0].words == "2.5 arrivals/s"


def test_a_round_without_a_sound_row_has_no_flow() -> None:
    bad = RequestRow(0.0, 1.0, None, (), 0, 0, False, "no")
    item = Round(0, "c1", "candidate", 1, (bad,), (0.0, 1.0))
    found = data.flow(item, 0.1)
    assert found is not None
    assert set(found.rates) == {0.0}
    assert data.ecdf(samples("ttft", item.rows), 1.0) == []
    assert data.flow(Round(0, "c1", "candidate", 1, (), (0.0, 0.0)), 0.1) is None
