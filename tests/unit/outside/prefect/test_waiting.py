"""A server that is about to start is waited for, and none that says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from tasks.base import clock
from tasks.base.clock import FakeClock
from tasks.outside.prefect import waiting
from tasks.outside.prefect.waiting import START_S, wait_for

API = "http://model-rollout-server:4200/api"
REFUSED = httpx.ConnectError("[Errno 111] Connection refused")


def status(code: int) -> httpx.HTTPStatusError:
    asked = httpx.Request("GET", f"{API}/health")
    answer = httpx.Response(code, request=asked)
    return httpx.HTTPStatusError(f"HTTP {code}", request=asked, response=answer)


@dataclass
class Server:
    """How it answers from which second on; the last holds."""

    says: dict[float, Exception | None] = field(default_factory=dict)
    asked: list[float] = field(default_factory=list)

    def api_healthcheck(self) -> Exception | None:
        self.asked.append(clock.monotonic())
        return [said for since, said in self.says.items() if since <= clock.monotonic()][-1]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, time: FakeClock) -> Server:
    found = Server()

    @contextmanager
    def asking(api: str) -> Iterator[Server]:
        assert api == API
        yield found

    monkeypatch.setattr(waiting, "asking", asking)
    return found


@pytest.mark.parametrize("away", [REFUSED, httpx.ReadTimeout("slow"), status(503)])
def test_one_that_starts_is_waited_for_and_told_of_once(server: Server, away: Exception) -> None:
    server.says = {0: away, 40: None}
    said: list[str] = []
    wait_for(API, said.append)
    assert server.asked == [0, 1, 3, 7, 15, 30, 45]
    assert said == [f"{API} does not answer yet ({away}); waiting for 180 s at most"]


def test_one_that_never_comes_is_left_to_who_asks_next(server: Server) -> None:
    server.says = {0: REFUSED}
    wait_for(API)
    assert server.asked[-1] == START_S


@pytest.mark.parametrize("answer", [None, status(401), status(404), ValueError("no address")])
def test_one_that_answers_whatever_it_says_is_not_waited_for(
    server: Server, answer: Exception | None
) -> None:
    server.says = {0: answer}
    said: list[str] = []
    wait_for(API, said.append)
    assert server.asked == [0] and said == []
