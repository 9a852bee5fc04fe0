"""What an engine's /metrics say: once, or sampled while a round runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import httpx

from tasks.base import clock
from tasks.base.errors import OutsideError
from tasks.measure.engine_view import Held, Sample, held, parse_metrics
from tasks.measure.histograms import Histogram, histograms_of
from tasks.measure.traffic import Counters, counters_of

POLL_S = 0.5
ASK_S = 5.0
CONNECT_S = 2.0


def requests_at(url: str) -> Held:
    """Requests at the engine `url` (without a path), by its own counters.

    Raises OutsideError where it says none.
    """
    status, text = _asked(url)
    found = held(parse_metrics(text)) if status == 200 else None
    if found is None:
        raise OutsideError(
            f"{url}/metrics answered HTTP {status} without vLLM's counters of requests"
        )
    return found


@dataclass(frozen=True)
class EngineSaid:
    """One page of /metrics. histograms: by vLLM's names."""

    counters: Counters
    histograms: dict[str, Histogram]


def counters_at(url: str) -> Counters:
    """What the engine `url` (without a path) has counted so far.

    Raises OutsideError where it says nothing of it.
    """
    return said_at(url).counters


def said_at(url: str) -> EngineSaid:
    """The same, with its histograms. Raises OutsideError."""
    asked = clock.monotonic()
    status, text = _asked(url)
    between = (asked + clock.monotonic()) / 2
    found = counters_of(text, between) if status == 200 else None
    if found is None:
        raise OutsideError(
            f"{url}/metrics answered HTTP {status} without vLLM's counters of TTFT and tokens"
        )
    return EngineSaid(found, histograms_of(text))


@cache
def _http() -> httpx.Client:
    # made once: httpx reads every authority for each; a connection is for one look alone
    return httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


def _asked(url: str) -> tuple[int, str]:
    try:
        timeout = httpx.Timeout(ASK_S, connect=CONNECT_S)
        answer = _http().get(f"{url}/metrics", timeout=timeout)
    except httpx.HTTPError as error:
        raise OutsideError(f"{url}/metrics: {type(error).__name__}: {error}") from error
    return answer.status_code, answer.text


def fetch(url: str, http: httpx.Client) -> Sample | None:
    """One sample, timed half-way between asking and answer; None where there is none."""
    asked = clock.monotonic()
    try:
        answer = http.get(url)
        if answer.status_code != 200:
            return None
    except httpx.HTTPError:
        return None
    return Sample((asked + clock.monotonic()) / 2, parse_metrics(answer.text))


@contextmanager
def watch(url: str) -> Iterator[list[Sample]]:
    """Samples of `url`, taken in a thread every POLL_S while the `with` block runs."""
    samples: list[Sample] = []
    stop = threading.Event()

    def poll() -> None:
        with httpx.Client(timeout=2, trust_env=False) as http:
            while True:
                if sample := fetch(url, http):
                    samples.append(sample)
                if stop.wait(POLL_S):
                    return

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join(5)
