"""Latency against throughput: a point a load point, with bounds."""

from __future__ import annotations

from tasks.record.record import read
from tasks.report.figures.points import loads
from tasks.report.frontier import frontier
from tests.support import reportdata
from tests.support.reportdata import parse, position

RECORD = read(reportdata.record())


def test_a_point_for_every_load_in_its_order() -> None:
    measured = reportdata.rounds(6, 32)
    found = parse(f"<div>{frontier(RECORD, loads(measured, []))}</div>")
    figures = list(found.iter("figure"))
    assert len(figures) == 2
    for figure in figures:
        dots = list(figure.iter("circle"))
        # more in flight: more throughput, and longer waits
        assert len(dots) == 3
        assert [position(dot, "cx") for dot in dots] == sorted(position(d, "cx") for d in dots)
        heights = [position(dot, "cy") for dot in dots]
        assert heights == sorted(heights, reverse=True)
        assert sum(line.get("class") == "range" for line in figure.iter("line")) == 6


def test_after_one_round_every_bound_is_open() -> None:
    text = frontier(RECORD, loads(reportdata.rounds(1, 16), []))
    assert text.count("no bounds yet") >= 12
    lines = [e for e in parse(f"<div>{text}</div>").iter("line") if e.get("class") == "range"]
    assert {(position(e, "x1"), position(e, "x2")) for e in lines[::2]} == {(0, 100)}


def test_one_load_point_is_no_curve() -> None:
    one = [item for item in reportdata.rounds(2, 8) if item.load == "c8"]
    assert frontier(RECORD, loads(one, [])) == ""
