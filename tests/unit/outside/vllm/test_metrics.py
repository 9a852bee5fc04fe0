"""Samples of an engine's /metrics: each with its time, and none that was no answer."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tasks.base.clock import FakeClock
from tasks.measure.engine_view import TOKENS, TTFT_COUNT
from tasks.outside.vllm import metrics
from tests.exact_engine import Behaviour, in_thread

TEXT = f"# HELP x y\n{TTFT_COUNT} 3.0\n{TOKENS} 40.0\n"


def client(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(answer))


def test_a_sample_is_of_the_middle_between_asking_and_answer(time: FakeClock) -> None:
    time.sleep(10)

    def slow(_: httpx.Request) -> httpx.Response:
        time.sleep(3)
        return httpx.Response(200, text=TEXT)

    with client(slow) as http:
        sample = metrics.fetch("http://pod/metrics", http)
    assert sample is not None and sample.at == 11.5
    assert (sample.values[TTFT_COUNT], sample.values[TOKENS]) == (3, 40)


def lost(_: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("timed out")


@pytest.mark.parametrize("answer", [lost, lambda _: httpx.Response(404)], ids=["lost", "404"])
def test_no_answer_is_no_sample(answer: Callable[[httpx.Request], httpx.Response]) -> None:
    with client(answer) as http:
        assert metrics.fetch("http://pod/metrics", http) is None


def test_an_engine_is_watched_while_the_block_runs() -> None:
    with in_thread(Behaviour()) as (_, url):
        with metrics.watch(f"{url}/metrics") as samples:
            pass
        assert len(samples) == 1 and samples[0].values[TTFT_COUNT] == 0
    with metrics.watch(f"{url}/metrics") as samples:  # it is gone
        pass
    assert samples == []
