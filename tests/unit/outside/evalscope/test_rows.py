"""Rows from evalscope's database: what cannot be true never becomes a good row."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.measure.round import RequestRow
from tasks.outside.evalscope.rows import peak_in_flight, read_rows, row_of, rows_of, steady_window

GOOD: dict[str, Any] = {
    "request_id": "m1",
    "start_time": 100.0,
    "completed_time": 100.5,
    "latency": 0.5,
    "first_chunk_latency": 0.1,
    "inter_token_latencies": "[0.2, 0.2]",
    "prompt_tokens": 12,
    "completion_tokens": 3,
    "success": 1,
}


def test_a_good_record_is_a_good_row() -> None:
    assert row_of(GOOD) == RequestRow(100.0, 100.5, 0.1, (0.2, 0.2), 12, 3, True)


@pytest.mark.parametrize(
    "change",
    [
        {"first_chunk_latency": 0.0},
        {"first_chunk_latency": None},
        {"first_chunk_latency": -0.1},
        {"first_chunk_latency": math.nan},
        {"first_chunk_latency": math.inf},
        {"first_chunk_latency": 0.9},
        {"first_chunk_latency": "0.1"},
        {"inter_token_latencies": "[0.2, NaN]"},
        {"inter_token_latencies": "[0.2, -0.2]"},
        {"inter_token_latencies": "[9.0]"},
        {"inter_token_latencies": "[0.2"},
        {"inter_token_latencies": None},
        {"latency": 3.0},
        {"latency": math.inf},
        {"completed_time": 4000.5},
        {"success": 0},
        {"success": None},
        {"success": "yes"},
    ],
)
def test_what_cannot_be_true_is_no_good_row(change: dict[str, Any]) -> None:
    row = row_of({**GOOD, **change})
    assert row is not None
    assert (row.ok, row.ttft) == (False, None)
    assert row.error


@pytest.mark.parametrize(
    "change",
    [
        {"completed_time": 99.0},
        {"start_time": math.nan},
        {"start_time": -1.0},
        {"completed_time": None},
        {"start_time": math.inf, "completed_time": math.inf},
    ],
)
def test_a_row_without_a_place_in_time_makes_the_round_unsound(change: dict[str, Any]) -> None:
    read = rows_of([GOOD, {**GOOD, "request_id": "m2", **change}], {}, frozenset(), 2)
    assert len(read.rows) == 1
    assert any("no usable start and end" in problem for problem in read.problems)


_VALUE = st.one_of(
    st.none(), st.floats(), st.integers(-5, 5), st.text(max_size=4), st.booleans(), st.binary()
)


@given(
    st.fixed_dictionaries({name: st.one_of(st.just(value), _VALUE) for name, value in GOOD.items()})
)
def test_no_garbage_becomes_a_good_row(record: dict[str, Any]) -> None:
    row = row_of(record)
    if row is None:
        return
    assert math.isfinite(row.start) and row.end >= row.start
    assert row.prompt_tokens >= 0 and row.completion_tokens >= 0
    if row.ok:
        assert row.ttft is not None and 0 < row.ttft <= row.end - row.start + 0.03
        assert all(math.isfinite(gap) and gap >= 0 for gap in row.itl)
    else:
        assert row.error


def test_missing_and_doubled_rows_are_named() -> None:
    read = rows_of([GOOD, GOOD], {}, frozenset({"m7"}), 5)
    said = "\n".join(read.problems)
    assert "2 of 5 requests left no row" in said
    assert "1 requests were not sent" in said
    assert "same request id" in said


def test_the_reason_of_a_failure_is_kept() -> None:
    read = rows_of([{**GOOD, "success": 0}], {"m1": "HTTP 500"}, frozenset(), 1)
    assert read.rows[0].error == "HTTP 500"


def _database(path: Path, rows: int) -> Path:
    with sqlite3.connect(path) as link:
        link.execute(f"CREATE TABLE result({', '.join(GOOD)})")
        for index in range(rows):
            values = {**GOOD, "request_id": f"m{index}", "start_time": 100.0 - index / 100}
            values["completed_time"] = values["start_time"] + 0.5
            marks = ", ".join("?" * len(values))
            link.execute(f"INSERT INTO result VALUES ({marks})", list(values.values()))
    link.close()
    return path


def test_a_whole_database_reads_in_order_of_start(tmp_path: Path) -> None:
    read = read_rows(_database(tmp_path / "d.db", 9), errors={}, unsent=frozenset(), expected=9)
    assert read.problems == ()
    assert [row.start for row in read.rows] == sorted(row.start for row in read.rows)
    assert read.ids[0] == "m8"


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 0.9])
def test_a_truncated_database_is_a_problem(tmp_path: Path, keep: float) -> None:
    path = _database(tmp_path / "d.db", 400)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    read = read_rows(path, errors={}, unsent=frozenset(), expected=400)
    assert read.problems
    assert all(row.ok for row in read.rows)


def test_no_file_no_table_and_rubbish_are_problems(tmp_path: Path) -> None:
    rubbish = tmp_path / "r.db"
    rubbish.write_bytes(json.dumps(GOOD).encode() * 50)
    empty = tmp_path / "e.db"
    with sqlite3.connect(empty) as link:
        link.execute("CREATE TABLE other(x)")
    link.close()
    for path in (tmp_path / "none.db", rubbish, empty):
        read = read_rows(path, errors={}, unsent=frozenset(), expected=3)
        assert read.rows == () and read.problems, path


def _closed_loop(count: int, slots: int, latency: float) -> list[RequestRow]:
    rows = []
    for index in range(count):
        start = index % slots * latency / slots + index // slots * latency
        rows.append(RequestRow(start, start + latency, 0.1, (), 1, 2, True))
    return rows


def test_ramp_and_drain_of_a_closed_loop_are_cut_off() -> None:
    rows = _closed_loop(40, 4, 1.0)
    assert steady_window(rows, 4) == pytest.approx((0.75, 10.0))
    assert peak_in_flight(rows) == 4


def test_an_open_loop_is_steady_from_one_latency_on_to_the_last_arrival() -> None:
    rows = [RequestRow(i / 10, i / 10 + 1, 0.1, (), 1, 2, True) for i in range(50)]
    assert steady_window(rows, None) == pytest.approx((1.0, 4.9))


_ROWS = st.lists(
    st.tuples(st.floats(0, 1e5), st.floats(0, 100)).map(
        lambda pair: RequestRow(pair[0], pair[0] + pair[1], None, (), 0, 0, False, "x")
    ),
    max_size=30,
)


@given(_ROWS, st.one_of(st.none(), st.integers(1, 8)))
def test_the_window_lies_within_the_rows(rows: list[RequestRow], concurrency: int | None) -> None:
    start, end = steady_window(rows, concurrency)
    if not rows:
        assert (start, end) == (0.0, 0.0)
    else:
        assert min(r.start for r in rows) <= start <= end <= max(r.end for r in rows)
