"""What is drawn stands where the figures say."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.measure.figures import quantile, rate, samples
from tasks.measure.round import RequestRow, Round
from tasks.report.figures import points as data
from tasks.report.figures.bars import interval
from tasks.report.figures.plots import Axis, Curve, Mark, Plot, axis, draw, nice_ticks
from tests.support import reportdata

finite = st.floats(-1e6, 1e6, allow_subnormal=False)


def parse(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def position(element: ElementTree.Element, key: str) -> float:
    return float(str(element.get(key)).rstrip("%"))


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


def test_an_interval_stands_left_of_the_limit_it_meets() -> None:
    text = interval(Mark("", 800, "pass", 500, 700, 600), at_most=True, alt="a")
    found = parse(text)
    line = next(e for e in found.iter("line") if "bound" in str(e.get("class")))
    limit = next(e for e in found.iter("svg") if e.get("class") == "over")
    allowed = next(e for e in found.iter("rect") if e.get("class") == "allowed")
    dot = next(found.iter("circle"))
    assert position(line, "x1") < position(dot, "cx") < position(line, "x2")
    assert position(line, "x2") < position(limit, "x")
    assert position(allowed, "x") == 0
    assert position(allowed, "width") == pytest.approx(position(limit, "x"))


def test_an_open_bound_runs_to_the_edge_and_no_data_has_no_dot() -> None:
    found = parse(interval(Mark("", 800, "inconclusive", None, None, 600), at_most=True, alt="a"))
    line = next(e for e in found.iter("line"))
    assert (position(line, "x1"), position(line, "x2")) == (0, 100)
    assert not list(parse(interval(Mark("", 8, "fail"), at_most=False, alt="a")).iter("circle"))


@given(
    st.lists(st.none() | finite, min_size=3, max_size=3), finite, st.booleans(),
    st.sampled_from([100.0, math.inf]),
)  # fmt: skip
def test_any_interval_can_be_drawn(
    sides: list[float | None], limit: float, at_most: bool, most: float
) -> None:
    text = interval(Mark("", limit, "pass", *sides), at_most=at_most, alt="a", most=most)
    parse(text)
    assert "nan" not in text
    assert all(0 <= float(x) <= 100 for x in re.findall(r'"(-?[\d.]+)%"', text))


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
