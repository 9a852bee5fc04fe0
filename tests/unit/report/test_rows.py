"""Rows kept beside a record come back as they were."""

from __future__ import annotations

import copy
import gzip
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import SpecError
from tasks.measure.round import ClientHealth, RequestRow, Round, ServerView
from tasks.record.record import read
from tasks.report.page import render
from tasks.report.rows import dump, load
from tests.support import reportdata

numbers = st.floats(allow_nan=False)
maybe = st.none() | numbers
texts = st.text(max_size=8)
rows = st.builds(
    RequestRow,
    start=numbers,
    end=numbers,
    ttft=maybe,
    itl=st.lists(numbers, max_size=3).map(tuple),
    prompt_tokens=st.integers(0, 9),
    completion_tokens=st.integers(0, 9),
    ok=st.booleans(),
    error=texts,
)
client = st.builds(ClientHealth, lag_p99_s=maybe, reasons=st.lists(texts, max_size=2).map(tuple))
server = st.builds(ServerView, available=st.booleans(), ttft_mean_s=maybe, waiting_max=maybe)
rounds = st.builds(
    Round,
    index=st.integers(0, 99),
    load=texts,
    release=st.sampled_from(["candidate", "stable"]),
    seed=st.integers(0, 2**63),
    rows=st.lists(rows, max_size=3).map(tuple),
    window=st.tuples(numbers, numbers),
    client=client,
    server=server,
    problems=st.lists(texts, max_size=2).map(tuple),
)


@given(st.lists(rounds, max_size=3).map(tuple))
def test_every_round_comes_back_to_the_last_bit(measured: tuple[Round, ...]) -> None:
    assert load(dump(measured)) == measured


def test_a_window_that_is_no_number_survives() -> None:
    item = Round(0, "c1", "candidate", 1, (), (math.nan, math.inf))
    start, end = load(dump([item]))[0].window
    assert math.isnan(start)
    assert end == math.inf


def test_the_same_rounds_are_the_same_bytes() -> None:
    measured = reportdata.rounds(2, 8)
    assert dump(measured) == dump(list(measured))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not gzip",
        gzip.compress(b"{", mtime=0),
        gzip.compress(b"[]", mtime=0),
        gzip.compress(b'{"schema": 2, "rounds": []}', mtime=0),
        gzip.compress(b'{"schema": 1, "rounds": [{"index": 0}]}', mtime=0),
        dump(reportdata.rounds(1, 4))[:-9],
        gzip.compress(b"\xff\xfe", mtime=0),
    ],
)
def test_anything_else_is_said_to_be_so(data: bytes) -> None:
    with pytest.raises(SpecError, match="rounds"):
        load(data)


JUNK: list[Any] = [None, [], {}, "x", -1, 1e308, 10**400, "<script>", [[1]]]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value of a document lies; of lists the first three items."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:3])
    for key, item in inner:
        yield (*at, key)
        if isinstance(item, dict | list):
            yield from places(item, (*at, key))


BODY = json.loads(gzip.decompress(dump(reportdata.rounds(1, 4))))


@pytest.mark.parametrize("place", [*places(BODY)], ids=str)
def test_a_bad_value_is_said_to_be_so_or_drawn(place: tuple[Any, ...]) -> None:
    record = read(reportdata.record(reportdata.rounds(1, 4)))
    for junk in JUNK:
        body = copy.deepcopy(BODY)
        holder = body
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = junk
        try:
            rounds = load(gzip.compress(json.dumps(body).encode()))
        except SpecError as error:
            assert "rounds" in str(error)
            continue
        assert "<script>" not in render(record, rounds)
