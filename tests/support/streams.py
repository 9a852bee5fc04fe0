"""Clients of a Service that notice whatever is lost or cut: long streams, and kept connections."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.client import parse_headers
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx

TIMEOUT_S = 90.0
# Of http:// addresses alone; made once, since httpx reads all authorities anew for each connection.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


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
    with httpx.stream(
        "POST", url, json=body, timeout=TIMEOUT_S, trust_env=False, verify=NO_TLS
    ) as answer:
        answer.raise_for_status()
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    found = sum(bool(json.loads(line)["choices"]) for line in lines if line != "[DONE]")
    if lines[-1:] != ["[DONE]"] or found != tokens:
        raise Broken(f"{found} of {tokens} tokens, and then {lines[-1:]}")


class Idle(Exception):
    """A connection ended, and nobody can have taken what was asked over it."""


class Kept:
    """A client that keeps its connection, and opens it anew where the server closed it idle.

    A close may cross the next request on its way, and what was taken must not be asked twice
    (RFC 9112, 9.3.1). So the head of a request goes alone (`Expect: 100-continue`): where a kept
    connection ends before the server said a word, it never had the request, which is asked anew.
    Whatever ends later is broken.
    """

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self._open: tuple[socket.socket, BinaryIO] | None = None

    def post(self, url: str, body: Any) -> None:
        """Raises Broken, OSError."""
        kept = self._open is not None
        try:
            self._once(url, body)
        except Idle as error:
            self.close()
            if not kept:
                raise Broken(f"a new connection ended before any answer: {error}") from error
            self.seen.reopened += 1
            try:
                self._once(url, body)
            except Idle as again:
                raise Broken(f"a connection made anew ended as well: {again}") from again
        except (Broken, OSError):
            self.close()
            raise

    def close(self) -> None:
        """End its connection."""
        for part in (self._open or ())[::-1]:
            part.close()
        self._open = None

    def _once(self, url: str, body: Any) -> None:
        to, data = urlsplit(url), json.dumps(body).encode()
        if self._open is None:
            plain = socket.create_connection((to.hostname, to.port), timeout=TIMEOUT_S)
            self._open = plain, plain.makefile("rb")
        connection, answers = self._open
        head = (
            f"POST {to.path} HTTP/1.1\r\nHost: {to.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\nExpect: 100-continue\r\n\r\n"
        )
        try:
            connection.sendall(head.encode())
            first = answers.readline()
        except ConnectionError as error:
            raise Idle(repr(error)) from error
        if not first:
            raise Idle("it was closed")
        status, headers = _head(first, answers)
        if status == 100:
            connection.sendall(data)
            status, headers = _head(answers.readline(), answers)
        if status != 200 or "Content-Length" not in headers:
            raise Broken(f"HTTP {status} with {headers.items()}")
        found = answers.read(wanted := int(headers["Content-Length"]))
        if len(found) < wanted:
            raise Broken(f"{len(found)} of {wanted} bytes of an answer")


def _head(line: bytes, answers: BinaryIO) -> tuple[int, Message]:
    """Status and headers of an answer. Raises Broken."""
    version, _, rest = line.partition(b" ")
    if not (version.startswith(b"HTTP/1.") and line.endswith(b"\n")):
        raise Broken(f"an answer begins with {line!r}")
    return int(rest[:3]), parse_headers(answers)


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
    connection anew each time; a kept one that runs nothing there; `kept_chats` that do.
    every_s: the pause of the two that stream nothing.

    What has begun when the block ends is waited for.
    """
    seen, stop, lock = Seen(), threading.Event(), threading.Lock()
    short = chat(model, 4, stream=False)
    completions, models = f"{address}/v1/chat/completions", f"{address}/v1/models"
    counted = {"model": model, "prompt": "Say something."}

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
        asked = httpx.get(models, timeout=TIMEOUT_S, trust_env=False, verify=NO_TLS)
        asked.raise_for_status()

    idle = Kept(seen)
    chats = [Kept(seen) for _ in range(kept_chats)]
    jobs: list[tuple[str, float, Callable[[], None]]] = [
        ("anew", every_s, anew),
        ("kept", every_s, lambda: idle.post(f"{address}/tokenize", counted)),
        *(("stream", 0.0, lambda: streamed(completions, model, tokens)) for _ in range(streams)),
        *(("kept chat", 0.2, lambda k=k: k.post(completions, short)) for k in chats),
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
            kept.close()
