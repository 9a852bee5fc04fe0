"""An interval stands where its figures say, and far figures do not hide the others."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.report.figures.bars import interval
from tasks.report.figures.plots import Mark
from tasks.report.words.speech import spoken
from tests.support.reportdata import parse, position

finite = st.floats(-1e6, 1e6, allow_subnormal=False)


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


@pytest.mark.parametrize(
    ("mark", "shown"),
    [
        (Mark("", 320_000, "pass", 700, 900, 800), "320,000 →"),
        (Mark("", 400, "fail", -6, 2, -3), "400 →"),
        (Mark("", -400, "pass", -6, 2, -3), "← -400"),
    ],
)
def test_a_far_limit_is_named_at_the_edge(mark: Mark, shown: str) -> None:
    found = parse(interval(mark, at_most=True, alt="a"))
    texts = list(found.iter("text"))
    assert [str(e.text) for e in texts] == [shown]
    assert position(texts[0], "x") == (100 if "→" in shown else 0)
    line = next(e for e in found.iter("line") if "bound" in str(e.get("class")))
    assert position(line, "x2") - position(line, "x1") > 20


def test_a_far_bound_runs_to_the_edge_and_is_told_as_it_is() -> None:
    found = parse(interval(Mark("", 900, "inconclusive", 1, 45e6, 684), at_most=True, alt="a"))
    line = next(e for e in found.iter("line"))
    assert position(line, "x2") == 100
    assert 30 < position(next(found.iter("circle")), "cx") < 90
    assert "45,000,000" in ElementTree.tostring(line, "unicode")


def test_a_pointer_is_told_in_the_language_of_the_page() -> None:
    mark = Mark("", 900, "pass", 1, None, 684)
    english = interval(mark, at_most=True, alt="a")
    with spoken("zh"):
        assert interval(mark, at_most=True, alt="a") != english
    assert "at least 1, no upper bound yet" in english
