"""What engines did between two looks."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import OutsideError
from tasks.measure.traffic import Counters, Traffic, between, counters_of, follow
from tasks.outside.vllm.metrics import counters_at
from tests.exact_engine import Behaviour, in_thread

LABEL = 'engine="0",model_name="m"'
TEXT = f"""
vllm:time_to_first_token_seconds_sum{{{LABEL}}} 2.5
vllm:time_to_first_token_seconds_count{{{LABEL}}} 10
vllm:generation_tokens_total{{{LABEL}}} 400
vllm:num_requests_running{{{LABEL}}} 2
vllm:num_requests_waiting{{{LABEL}}} 3
vllm:request_success_total{{engine="0",finished_reason="stop",model_name="m"}} 9
vllm:request_success_total{{engine="0",finished_reason="abort",model_name="m"}} 5
vllm:request_success_total{{engine="0",finished_reason="error",model_name="m"}} 2
http_requests_total{{handler="/v1/chat/completions",method="POST",status="2xx"}} 9
http_requests_total{{handler="/v1/chat/completions",method="POST",status="4xx"}} 7
http_requests_total{{handler="/v1/chat/completions",method="POST",status="5xx"}} 3
http_requests_total{{handler="/v1/completions",method="POST",status="500"}} 1
http_requests_total{{handler="/health",method="GET",status="5xx"}} 50
"""


def test_one_engines_counters() -> None:
    """Who leaves, and who asks wrongly, is no error of the engine's."""
    found = counters_of(TEXT, 7.0)
    assert found == Counters(7.0, 10, 2.5, 400, errors=4, running=2, waiting=3, moved=7.0)


@pytest.mark.parametrize("text", ["", "<html>", "vllm:generation_tokens_total 4", "up nan"])
def test_no_counters_of_vllms(text: str) -> None:
    assert counters_of(text, 0.0) is None


def at(seconds: float, begun: float, **more: float) -> Counters:
    return Counters(seconds, begun, begun * 0.5, begun * 10, moved=seconds, **more)


def test_what_grew_is_summed_over_engines() -> None:
    before = {"a": at(0, 4), "b": at(0, 6, errors=1), "gone": at(0, 99)}
    now = {"a": at(2, 5, waiting=3), "b": at(2, 9, errors=3, waiting=7), "new": at(2, 50)}
    assert between(before, now) == Traffic(begun=4, errors=2, ttft_s=0.5, tokens=40, waiting=7)


def test_counters_that_fell_are_an_engine_that_began_anew() -> None:
    found = between({"a": at(0, 4), "b": at(0, 6)}, {"a": at(2, 5), "b": at(2, 2)})
    assert found == Traffic(begun=1, ttft_s=0.5, tokens=10, again=("b",))


def test_an_engine_that_makes_no_token_though_it_has_requests() -> None:
    first = at(0, 4, running=2)
    second = follow(first, at(2, 4, running=2))
    third = follow(second, at(5, 4, running=2))
    assert between({"a": second}, {"a": third}).stalled_s == 5
    assert between({"a": second}, {"a": follow(second, at(5, 5, running=2))}).stalled_s == 0
    assert between({"a": second}, {"a": follow(second, at(5, 4))}).stalled_s == 0
    assert follow(None, first) == first


pairs = st.dictionaries(
    st.sampled_from("abcd"), st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=4
)


@given(pairs)
def test_nothing_that_is_told_is_less_than_nothing(engines: dict[str, tuple[int, int]]) -> None:
    """Whatever restarts."""
    before = {name: at(0, one) for name, (one, _) in engines.items()}
    now = {name: at(2, two) for name, (_, two) in engines.items()}
    found = between(before, now)
    assert found.begun >= 0 and found.tokens >= 0 and 0 <= found.error_share <= 1
    assert found.begun == sum(max(0, two - one) for one, two in engines.values())
    assert set(found.again) == {name for name, (one, two) in engines.items() if two < one}


def test_an_engine_is_asked() -> None:
    with in_thread(Behaviour(error_share=1.0)) as (_, url):
        body = {"model": "exact", "messages": [], "max_tokens": 1}
        before = counters_at(url)
        httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60, trust_env=False)
        found = between({"a": before}, {"a": counters_at(url)})
    assert (found.begun, found.errors, found.error_share) == (0, 1, 1.0)
    with (
        in_thread(Behaviour(metrics=False)) as (_, url),
        pytest.raises(OutsideError, match="HTTP 404 without vLLM's counters"),
    ):
        counters_at(url)
    with pytest.raises(OutsideError, match="ConnectError"):
        counters_at("http://127.0.0.1:9")
