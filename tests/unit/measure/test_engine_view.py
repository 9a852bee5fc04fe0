"""The engine's own view: parsed from vLLM's text, compared with the client's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.measure.engine_view import (
    DONE,
    HITS,
    QUERIES,
    RUNNING,
    SWAPPED,
    TOKENS,
    TTFT_COUNT,
    TTFT_SUM,
    WAITING,
    Held,
    Sample,
    cross_check,
    held,
    parse_metrics,
    token_times,
    view,
)
from tasks.measure.round import RequestRow, ServerView

# Two engine processes' series, as vLLM 0.1x writes them.
TEXT = """\
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="1",model_name="m"} 4.0
vllm:generation_tokens_total{engine="0",model_name="a b} c"} 1.5e+03 1700000000000
vllm:generation_tokens_created{engine="0",model_name="m"} 1.7e+09
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.1",model_name="m"} 7.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="m"} 0.75
vllm:time_to_first_token_seconds_count{engine="0",model_name="m"} 7.0
vllm:time_to_first_token_seconds_sum{engine="1",model_name="m"} NaN
vllm:time_to_first_token_seconds_count{engine="1" garbage
"""


def test_the_series_are_summed_over_engines() -> None:
    assert parse_metrics(TEXT) == {WAITING: 7.0, TOKENS: 1500.0, TTFT_SUM: 0.75, TTFT_COUNT: 7.0}


def test_what_an_engine_holds() -> None:
    none = {RUNNING: 0.0, WAITING: 0.0}
    assert held({**none, RUNNING: 2.0, WAITING: 1.0}) == Held(3, 0)
    assert held({**none, SWAPPED: 1.0}) == Held(1, 0)
    assert held({**none, TTFT_COUNT: 3.0, DONE: 2.0}) == Held(0, 5)
    # one that says half says nothing
    assert held({RUNNING: 0.0}) is None and held({WAITING: 0.0}) is None


@given(st.text())
def test_any_text_parses(text: str) -> None:
    parse_metrics(text + "\n" + TEXT[: len(text)])


def _sample(at: float, count: float, ttft: float = 0.1, waiting: float = 0.0) -> Sample:
    values = {TTFT_COUNT: count, TTFT_SUM: ttft * count, TOKENS: 10 * count, WAITING: waiting}
    return Sample(at, values)


def test_the_view_is_of_what_grew_inside_the_window() -> None:
    samples = [
        _sample(0, 5),
        _sample(1.5, 10),
        _sample(2, 18, waiting=9),
        _sample(3.5, 30),
        _sample(9, 50),
    ]
    seen, span = view(samples, (1, 4))
    assert span == (1.5, 3.5)
    assert (seen.requests, seen.generation_tokens, seen.waiting_max) == (20, 200, 9)
    assert seen.ttft_mean_s == pytest.approx(0.1)


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [_sample(2, 5)],
        [_sample(2, 5), Sample(3, {TOKENS: 1.0})],
        [_sample(2, 50), _sample(2.5, 3), _sample(3, 60)],  # the engine restarted
    ],
)
def test_no_view_without_whole_growing_samples(samples: list[Sample]) -> None:
    assert not view(samples, (1, 4))[0].available


def _rows(ttft: float, count: int = 40, ok: bool = True) -> list[RequestRow]:
    gaps = (0.02,) * 9
    return [
        RequestRow(i / 10, i / 10 + ttft + sum(gaps), ttft, gaps, 5, 10, True)
        if ok
        else RequestRow(i / 10, i / 10 + 0.1, None, (), 0, 0, False, "x")
        for i in range(count)
    ]


def test_what_the_prefix_cache_had_is_a_share_of_the_prompts() -> None:
    values = {TTFT_SUM: 1.0, TTFT_COUNT: 1.0, TOKENS: 1.0}
    samples = [
        Sample(1.0, {**values, QUERIES: 100.0, HITS: 10.0}),
        Sample(2.0, {**values, QUERIES: 300.0, HITS: 60.0}),
    ]
    assert view(samples, (0.0, 3.0))[0].cached_share == 0.25
    without = [Sample(at, values) for at in (1.0, 2.0)]
    assert view(without, (0.0, 3.0))[0].cached_share is None


def _seen(ttft: float, requests: int = 40, tokens: int = 400) -> ServerView:
    return ServerView(True, ttft, requests, tokens, 0.0)


SPAN = (0.0, 10.0)


def test_agreement_is_silent() -> None:
    assert cross_check(_seen(0.1), SPAN, _rows(0.104)) == []
    assert cross_check(_seen(2.0), SPAN, _rows(2.1)) == []
    assert cross_check(ServerView(False), SPAN, _rows(9.0)) == []


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (_seen(0.3), "mean TTFT"),
        (_seen(0.02), "mean TTFT"),
        (_seen(0.1, requests=60), "somebody else"),
        (_seen(0.1, requests=20), "somebody else"),
        (_seen(0.1, tokens=700), "generated tokens"),
        (_seen(0.1, tokens=0), "generated tokens"),
    ],
)
def test_disagreement_is_named(seen: ServerView, word: str) -> None:
    assert any(word in problem for problem in cross_check(seen, SPAN, _rows(0.1)))


def test_ttft_of_zeros_is_caught_by_the_engines_view() -> None:
    assert cross_check(_seen(0.1), SPAN, _rows(1e-9))


def test_failed_requests_may_have_begun_at_the_engine() -> None:
    rows = [*_rows(0.1, 30), *_rows(0.1, 10, ok=False)]
    assert cross_check(_seen(0.1, requests=40, tokens=350), SPAN, rows) == []


def test_token_times_are_start_ttft_and_gaps() -> None:
    row = RequestRow(1.0, 2.0, 0.5, (0.1, 0.2), 1, 3, True)
    assert token_times(row) == pytest.approx([1.5, 1.6, 1.8])
