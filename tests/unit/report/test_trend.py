"""The last releases beside this one: silent where nothing is known of them."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.record.record import read
from tasks.report.trend import MOST, trend
from tests.support import reportdata
from tests.support.reportdata import EVIL


def target(measured: float | None, **changes: Any) -> dict[str, Any]:
    given = {
        "metric": "ttft_p95_ms", "load": "c8", "limit": 800, "unit": "ms", "measured": measured,
        "low": 700, "high": None, "direction": "at_most", "verdict": "pass",
    }  # fmt: skip
    return given | changes


def before(rollout: str, *targets: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"rollout": rollout, "finished": "2026-11-22T10:37:12+00:00", "outcome": "promoted",
            "deployment": f"qwen-{rollout}", "targets": list(targets)} | changes  # fmt: skip


def drawn(*earlier: dict[str, Any], own: tuple[dict[str, Any], ...] = (target(750),)) -> str:
    record = reportdata.record(earlier=list(earlier))
    record["judge"]["targets"] = list(own)
    return trend(read(record))


def test_figures_and_a_row_for_each_release() -> None:
    text = drawn(before("b", target(760)), before("a", target(1_234), outcome="failed"))
    assert text.count("<figure") == 1 and text.count("<tr") == 4
    rows = [text.index(word) for word in ("qwen-7cf96bea02", "qwen-b", "qwen-a")]
    assert rows == sorted(rows)
    for word in ("1,234", "760", "Rolled back", "2026-11-22 10:37", "−2", "now", "≤ 800 ms"):
        assert word in text
    assert "at least 700 ms, no upper bound yet" in text


@pytest.mark.parametrize(
    "past",
    [
        (),
        (before("a"),),
        (before("a", target(None)),),
        (before("a", target(5, load="c1")),),
        (before("a", target(5, unit="s")),),
        (before("a", target(5, versus_stable_percent=10)),),
        # itself, after it was drawn again
        (before("20261123T101500-29e2b0", target(5)),),
    ],
)
def test_nothing_to_set_beside_it_is_no_section(past: tuple[dict[str, Any], ...]) -> None:
    assert drawn(*past) == ""


def test_what_does_not_bind_has_no_figure() -> None:
    implied = target(100, metric="success_rate_percent", limit=100, unit="percent")
    own = (target(1, advisory=True), implied, target(2, versus_stable_percent=5))
    assert drawn(before("a", target(5), implied), own=own) == ""


def test_there_are_as_many_figures_as_a_page_can_hold() -> None:
    own = tuple(target(700 + i, load=f"c{i}") for i in range(2 * MOST))
    assert drawn(before("a", *own), own=own).count("<figure") == MOST


def test_nothing_of_the_history_becomes_html() -> None:
    bad = before(EVIL, target(5, load="c8"), finished=EVIL, outcome=EVIL, deployment=EVIL)
    assert "<script" not in drawn(bad) and "&lt;script" in drawn(bad)
