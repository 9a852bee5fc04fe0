"""Candidate and stable release side by side, by the rounds in which both count."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from tasks.measure.round import Round
from tasks.record.record import read
from tasks.report.beside import against_stable
from tasks.report.figures.points import loads
from tests.support import reportdata


def drawn(rounds: tuple[Round, ...], *targets: dict[str, Any]) -> str:
    record = reportdata.record()
    record["judge"]["targets"] = list(targets)
    return against_stable(read(record), loads(rounds, [{"name": "c8", "concurrency": 8}]))


BOTH = tuple(item for item in reportdata.rounds(6, 16, ab=True) if item.load == "c8")


def test_four_figures_with_their_difference_and_its_bounds() -> None:
    text = drawn(BOTH)
    assert text.count('scope="row"') == 4 and text.count('class="interval"') == 4
    for name in ("TTFT mean", "TTFT p95", "TPOT mean", "Output throughput"):
        assert name in text
    # the stable release of these data is a tenth slower
    assert re.findall(r"<b>([+-])\d", text) == ["-", "-", "-", "+"]


def test_a_round_that_does_not_count_is_in_neither() -> None:
    slow = [replace(item, problems=("restart",)) for item in BOTH if item.index > 1]
    spoiled = (*(item for item in BOTH if item.index <= 1), *slow)
    assert drawn(spoiled) == drawn(tuple(item for item in BOTH if item.index <= 1))


def test_what_a_target_judged_is_told_as_it_was_judged() -> None:
    judged = {
        "metric": "ttft_mean_ms", "load": "c8", "limit": 10, "unit": "percent", "measured": 12.5,
        "low": 3.5, "high": None, "direction": "at_most", "verdict": "inconclusive",
        "versus_stable_percent": 10, "stable_measured": 297.25,
    }  # fmt: skip
    text = drawn(BOTH, judged)
    assert "+12.5 %" in text and "at least 3.5 %, no upper bound yet" in text
    # without measured rows, too
    alone = drawn((), judged)
    assert "+12.5 %" in alone and "297 ms" in alone and alone.count('scope="row"') == 1


def test_without_a_stable_release_there_is_no_section() -> None:
    assert drawn(tuple(item for item in BOTH if item.release == "candidate")) == ""
    assert drawn(()) == ""


def test_one_round_has_no_bounds_yet() -> None:
    assert "no bounds yet" in drawn(tuple(item for item in BOTH if item.index == 0))
