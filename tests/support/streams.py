"""Clients of a Service that notice whatever is lost or cut: long streams, and kept connections."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

TIMEOUT_S = 90.0


@dataclass
class Seen:
    """What the clients saw. answered: whole answers by kind of client. reopened: kept connections
    that their server closed between two requests, which clients may expect. broken: why, of each
    that was lost or cut; spans: when it began and broke (monotonic seconds)."""

    answered: Counter[str] = field(default_factory=Counter)
    reopened: int = 0
    broken: list[str] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    longest_s: float = 0.0

    @property
    def requests(self) -> int:
        """All that were asked."""
        return self.answered.total() + len(self.broken)


class Broken(Exception):
    """An answer that is not whole."""


def chat(model: str, tokens: int, *, stream: bool) -> dict[str, Any]:
    """A request for exactly so many tokens of the exact engine."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": "Say something."}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": stream,
    }


def streamed(url: str, model: str, tokens: int) -> None:
    """One stream over a connection of its own. Raises Broken, httpx.HTTPError."""
    body = chat(model, tokens, stream=True)
    with httpx.stream("POST", url, json=body, timeout=TIMEOUT_S, trust_env=False) as answer:
        answer.raise_for_status()
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    found = sum(bool(json.loads(line)["choices"]) for line in lines if line != "[DONE]")
    if lines[-1:] != ["[DONE]"] or found != tokens:
        raise Broken(f"{found} of {tokens} tokens, and then {lines[-1:]}")


class Kept:
    """A client that keeps its connection, and opens it anew where the server closed it idle."""

    def __init__(self, seen: Seen) -> None:
        # one connection, which does not expire at our end
        limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
        self.http = httpx.Client(timeout=TIMEOUT_S, trust_env=False, limits=limits)
        self.seen = seen
        self.at: object = ""

    def send(self, method: str, url: str, body: Any = None) -> None:
        """Raises httpx.HTTPError."""
        try:
            answer = self.http.request(method, url, json=body)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # it ended before a byte of the answer: clients ask again
            answer = self.http.request(method, url, json=body)
        answer.raise_for_status()
        here: object = None
        with suppress(OSError):  # closed right behind the answer
            here = answer.extensions["network_stream"].get_extra_info("client_addr")
        self.seen.reopened += self.at not in ("", here)
        self.at = here or ""


@contextmanager
def clients(
    address: str,
    *,
    model: str = "tiny",
    streams: int = 3,
    tokens: int = 160,
    kept_chats: int = 0,
    every_s: float = 0.1,
) -> Iterator[Seen]:
    """Ask all the while: `streams` at once of `tokens` tokens, one after the other; a client with a
    connection anew each time; a kept one that asks nothing of the engine; `kept_chats` that do.
    every_s: the pause of the two that stream nothing.

    What has begun when the block ends is waited for.
    """
    seen, stop, lock = Seen(), threading.Event(), threading.Lock()
    short = chat(model, 4, stream=False)
    completions, models = f"{address}/v1/chat/completions", f"{address}/v1/models"

    def ask(kind: str, pause: float, once: Callable[[], None]) -> None:
        while not stop.is_set():
            begun = time.monotonic()
            try:
                once()
            except Exception as error:
                with lock:
                    now = time.monotonic()
                    # whoever reads the first, by its number, finds the second
                    seen.spans.append((begun, now))
                    seen.broken.append(f"{kind} after {now - begun:.1f} s: {error!r}")
                stop.wait(0.2)  # what is refused is refused at once
            else:
                with lock:
                    seen.answered[kind] += 1
                    seen.longest_s = max(seen.longest_s, time.monotonic() - begun)
            stop.wait(pause)

    def anew() -> None:
        httpx.get(models, timeout=TIMEOUT_S, trust_env=False).raise_for_status()

    idle = Kept(seen)
    chats = [Kept(seen) for _ in range(kept_chats)]
    jobs: list[tuple[str, float, Callable[[], None]]] = [
        ("anew", every_s, anew),
        ("kept", every_s, lambda: idle.send("GET", models)),
        *(("stream", 0.0, lambda: streamed(completions, model, tokens)) for _ in range(streams)),
        *(("kept chat", 0.2, lambda k=k: k.send("POST", completions, short)) for k in chats),
    ]
    threads = [threading.Thread(target=ask, args=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join(TIMEOUT_S)
        for kept in (idle, *chats):
            kept.http.close()
