"""Rows from evalscope's database, and the steady part of a round.

evalscope perf 1.14.1 writes one row a request to table `result` (perf/utils/db_util.py): times in
seconds of time.perf_counter, which on Linux is the machine's monotonic clock. Nothing it says is
believed unchecked: a figure that cannot be true makes the row a failed one, and a row that cannot
be placed in time is left out and named as a problem of the round.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from tasks.measure.round import RequestRow

COLUMNS = (
    "request_id, start_time, completed_time, latency, first_chunk_latency, "
    "inter_token_latencies, prompt_tokens, completion_tokens, success"
)
# Times of one row are taken microseconds apart; more than this between them is a clock's jump.
SLACK_S = 0.01
CONTRADICT = "its times contradict each other (clock jump?)"


@dataclass(frozen=True)
class RowsRead:
    """Rows in order of start, the id of each, and why the set is not whole."""

    rows: tuple[RequestRow, ...]
    ids: tuple[str, ...]
    problems: tuple[str, ...]


def read_rows(
    database: Path, *, errors: Mapping[str, str], unsent: frozenset[str], expected: int
) -> RowsRead:
    """Read the rows of one run.

    errors: why a request failed, by its id. unsent: ids that never left the client. expected:
    how many requests were to be sent. Never raises for a bad database: it becomes a problem.
    """
    if not database.is_file():
        return RowsRead((), (), (f"evalscope left no database {database.name}",))
    records: list[tuple[Any, ...]] = []
    problems: list[str] = []
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as link:
            for record in link.execute(f"SELECT {COLUMNS} FROM result"):  # noqa: S608
                records.append(record)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        problems.append(f"evalscope's database is damaged ({error}); {len(records)} rows were read")
    names = [name.strip() for name in COLUMNS.split(",")]
    return rows_of(
        [dict(zip(names, r, strict=True)) for r in records], errors, unsent, expected, problems
    )


def rows_of(
    records: Sequence[Mapping[str, Any]],
    errors: Mapping[str, str],
    unsent: frozenset[str],
    expected: int,
    problems: Sequence[str] = (),
) -> RowsRead:
    """Check every record; the columns are those of COLUMNS."""
    found: list[tuple[RequestRow, str]] = []
    lost = 0
    for record in records:
        name = str(record.get("request_id") or "")
        if name in unsent:
            continue
        row = row_of(record, errors.get(name, ""))
        if row is None:
            lost += 1
        else:
            found.append((row, name))
    found.sort(key=lambda item: item[0].start)
    said = list(problems)
    if lost:
        said.append(f"{lost} rows have no usable start and end; they were left out")
    if unsent:
        said.append(f"{len(unsent)} requests were not sent, because those before them all failed")
    missing = expected - len(found) - lost - len(unsent)
    if missing > 0:
        said.append(f"{missing} of {expected} requests left no row")
    names = [name for _, name in found]
    if len(set(names)) < len(names):
        said.append("two rows carry the same request id")
    jumps = sum(row.error == CONTRADICT for row, _ in found)
    if jumps:
        said.append(f"the times of {jumps} rows contradict each other, as after a clock jump")
    return RowsRead(tuple(row for row, _ in found), tuple(names), tuple(said))


def row_of(record: Mapping[str, Any], error: str = "") -> RequestRow | None:
    """One record as a row; None where it cannot be placed in time."""
    start, end = _time(record.get("start_time")), _time(record.get("completed_time"))
    if start is None or end is None or end < start:
        return None
    prompt, completion = (
        _count(record.get("prompt_tokens")),
        _count(record.get("completion_tokens")),
    )
    if record.get("success") != 1:
        why = error or "failed; evalscope kept no reason"
        return RequestRow(start, end, None, (), prompt, completion, False, why)
    latency, ttft = _time(record.get("latency")), _time(record.get("first_chunk_latency"))
    itl = _gaps(record.get("inter_token_latencies"))
    fault = ""
    if latency is None or itl is None:
        fault = "latency or token gaps are no numbers"
    elif ttft is None or ttft <= 0:
        fault = f"TTFT is {record.get('first_chunk_latency')!r}, no positive time"
    elif abs(end - start - latency) > SLACK_S or ttft + sum(itl) > latency + SLACK_S:
        fault = CONTRADICT
    if fault or itl is None:
        return RequestRow(start, end, None, (), prompt, completion, False, fault)
    return RequestRow(start, end, ttft, itl, prompt, completion, True)


def _time(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def _count(value: object) -> int:
    number = _time(value)
    return int(number) if number is not None else 0


def _gaps(value: object) -> tuple[float, ...] | None:
    try:
        gaps = json.loads(str(value))
    except ValueError:
        return None
    if not isinstance(gaps, list):
        return None
    times = [_time(gap) for gap in gaps]
    return None if None in times else tuple(time for time in times if time is not None)


def steady_window(rows: Sequence[RequestRow], concurrency: int | None) -> tuple[float, float]:
    """(start, end) of the steady part of a round, in the rows' clock.

    Closed loop: from the first to the last moment at which as many measured requests as ever
    (at most `concurrency`) were in flight; before it, warm-up requests still hold slots, after
    it slots fall empty. Open loop (concurrency None): one median latency after the first start,
    when the line has filled, to the last start, when arrivals end. Where nothing is left, the
    whole span; (0, 0) without rows.
    """
    if not rows:
        return (0.0, 0.0)
    whole = (min(row.start for row in rows), max(row.end for row in rows))
    if concurrency is None:
        latencies = sorted(row.end - row.start for row in rows)
        start = whole[0] + latencies[len(latencies) // 2]
        end = max(row.start for row in rows)
        return (start, end) if end > start else whole
    levels = _levels(rows)
    peak = min(concurrency, max(level for _, level in levels))
    at_peak = [i for i, (_, level) in enumerate(levels) if level >= peak]
    start, end = levels[at_peak[0]][0], levels[min(at_peak[-1] + 1, len(levels) - 1)][0]
    return (start, end) if end > start else whole


def peak_in_flight(rows: Sequence[RequestRow]) -> int:
    """The most requests that were in flight at once."""
    return max((level for _, level in _levels(rows)), default=0)


def _levels(rows: Sequence[RequestRow]) -> list[tuple[float, int]]:
    # an end before a start at the same instant: a slot handed over is not two in flight
    moments = sorted([(row.start, 1) for row in rows] + [(row.end, -1) for row in rows])
    return list(
        zip((at for at, _ in moments), accumulate(step for _, step in moments), strict=True)
    )
