"""A small OpenAI-compatible engine whose times are known exactly.

Hand-written HTTP/1.1 over asyncio: the engine must cost less than what it measures. It stands in
for vLLM in tests and calibrates the benchmark; it computes nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.exact_engine.laws import Behaviour, Law, Source, Truth
from tests.exact_engine.metrics import Meter

_TOKEN = re.compile(r"[\u3400-\u9fff]|\w+|[^\w\s]")
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
_REASONS |= {500: "Error", 503: "Service Unavailable"}
TEMPLATE_TOKENS = 8
ANSWERED_S = 5.0


def count_tokens(text: str) -> int:
    """One token a word, Han character or mark, plus the chat template's."""
    return len(_TOKEN.findall(text)) + TEMPLATE_TOKENS


class ExactEngine:
    """The engine; `serve` binds it, `port` says where."""

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        model: str = "exact",
        max_model_len: int | None = None,
        truth: Path | None = None,
        die: Callable[[], None] | None = None,
    ) -> None:
        self.behaviour = behaviour
        self.model = behaviour.model_name or model
        self.max_model_len = max_model_len
        self.port = 0
        self.truths: list[Truth] = []
        self.meter = Meter(self.model)
        self._die = die or (lambda: os._exit(1))
        self._ttft = Source(behaviour.ttft, behaviour.seed)
        self._itl = Source(behaviour.itl, behaviour.seed + 1)
        self._fate = Source(behaviour.ttft, behaviour.seed + 2)._rng
        self._slots = asyncio.Semaphore(behaviour.slots) if behaviour.slots else None
        self._count = 0
        self._sick = self._draining = self._closing = False
        self._began = time.perf_counter()
        self._truth_file = truth.open("a", encoding="utf-8") if truth else None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._busy: set[asyncio.StreamWriter] = set()  # from a request's head to its answer
        self._runs: set[asyncio.StreamWriter] = set()  # of these, whose tokens are made or queued

    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one."""
        self._server = await asyncio.start_server(self._connection, host, port, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def drain(self, timeout_s: float) -> None:
        """End as vLLM does with --shutdown-timeout: nothing new, what runs ends or is cut, then all
        close. What needs no token is answered all the same, as by uvicorn."""
        self._draining = True
        until = time.perf_counter() + timeout_s
        while self.meter.running + self.meter.waiting and time.perf_counter() < until:
            await asyncio.sleep(0.02)
        self._closing = True  # whoever is idle now, and others behind the answer they wait for
        for writer in self._runs:
            writer.transport.abort()
        for writer in self._writers - self._busy:
            writer.close()
        until = max(until, time.perf_counter() + ANSWERED_S)
        while self._busy - self._runs and time.perf_counter() < until:
            await asyncio.sleep(0.02)
        if time.perf_counter() < until:
            for writer in (left := list(self._writers)):
                writer.close()  # what is written still goes out
            closed = (writer.wait_closed() for writer in left)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*closed, return_exceptions=True), 2)
        await self.close()

    async def close(self) -> None:
        """Stop listening, drop connections, write the truth out."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        if self._truth_file is not None:
            self._truth_file.close()
            self._truth_file = None

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                received = time.perf_counter()
                request, *lines = head.split("\r\n")
                method, target, _ = request.split(" ", 2)
                headers = {
                    name.strip().lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines if line)
                }
                self._busy.add(writer)
                try:
                    if self._draining:
                        headers[":late"] = "yes"  # no client can send a header of this name
                    if headers.get("expect") == "100-continue":
                        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    body = await reader.readexactly(int(headers.get("content-length", 0)))
                    goes_on = await self._route(method, target, headers, body, writer, received)
                finally:
                    self._busy.discard(writer)
                if not goes_on or self._closing:
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, ValueError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _route(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes,
        writer: asyncio.StreamWriter,
        received: float,
    ) -> bool:
        path = target.split("?", 1)[0]
        if method == "GET" and path == "/health":
            await asyncio.sleep(self.behaviour.health_delay_s)
            return _send(writer, 200, b"", "text/plain")
        if method == "GET" and path == "/metrics" and self.behaviour.metrics:
            return _send(writer, 200, self.meter.text().encode(), "text/plain; version=0.0.4")
        key = self.behaviour.api_key
        if key is not None and headers.get("authorization") != f"Bearer {key}":
            return _error(writer, 401, "invalid API key")
        if self._sick:
            return self._fail(writer, 500, "the engine is sick on purpose")
        if method == "GET" and path == "/v1/models":
            model = {"id": self.model, "object": "model", "max_model_len": self.max_model_len}
            return _json(writer, 200, {"object": "list", "data": [model]})
        if method == "POST" and path == "/tokenize":
            return _json(writer, 200, {"count": count_tokens(str(json.loads(body)["prompt"]))})
        if method == "POST" and path in ("/v1/chat/completions", "/v1/completions"):
            return await self._complete(
                path.endswith("chat/completions"), headers, body, writer, received
            )
        return _error(writer, 404, f"no {method} {path} here")

    async def _complete(
        self,
        chat: bool,
        headers: dict[str, str],
        body: bytes,
        writer: asyncio.StreamWriter,
        received: float,
    ) -> bool:
        if ":late" in headers:
            return self._fail(writer, 503, "the engine shuts down")
        asked: dict[str, Any] = json.loads(body)
        self._count += 1
        number, does = self._count, self.behaviour
        truth = Truth(headers.get("x-request-id", f"cmpl-{number}"), received)
        if asked.get("model") != self.model:
            return _error(writer, 404, f"The model `{asked.get('model')}` does not exist.")
        text = (
            " ".join(_text(message.get("content")) for message in asked.get("messages", []))
            if chat
            else str(asked.get("prompt", ""))
        )
        if text == does.sick_on:
            self._sick = True
            return self._fail(writer, 500, "the engine is sick on purpose")
        if text == does.slow_on:
            self._ttft = Source(Law(mean=does.slow_s), does.seed)
        truth.prompt_tokens = count_tokens(text)
        limit = self.max_model_len or 1 << 30
        words = does.answers.get(text, does.answer).split() or ["token"]
        length = self._length(asked, limit - truth.prompt_tokens, len(words))
        if truth.prompt_tokens + int(asked.get("max_tokens") or 1) > limit:
            return _error(writer, 400, f"This model's maximum context length is {limit} tokens.")
        if does.wedge_after is not None and number >= does.wedge_after:
            await asyncio.Event().wait()
        draw = self._fate.random()
        if draw < does.error_share:
            return self._fail(writer, 500, "the engine failed on purpose")
        draw -= does.error_share
        fate = ""
        for name in ("no_data", "cut", "half"):
            share = getattr(does, f"{name}_share")
            if not fate and 0 <= draw < share:
                fate = name
            draw -= share
        if does.die_after is not None and number >= does.die_after:
            fate = "die"
        self.meter.waiting += 1
        self._runs.add(writer)
        if self._slots is not None:
            await self._slots.acquire()
        self.meter.waiting -= 1
        self.meter.running += 1
        truth.admitted = time.perf_counter() if self._slots is not None else received
        truth.outcome = fate or "ok"
        try:
            if asked.get("stream"):
                return await self._stream(chat, asked, words, length, truth, fate, writer)
            return await self._whole(chat, asked, words, length, truth, writer)
        finally:
            self.meter.running -= 1
            self._runs.discard(writer)
            if self._slots is not None:
                self._slots.release()
            self.truths.append(truth)
            if self._truth_file is not None:
                self._truth_file.write(json.dumps(asdict(truth)) + "\n")

    def _fail(self, writer: asyncio.StreamWriter, status: int, message: str) -> bool:
        self.meter.failed += 1
        return _error(writer, status, message)

    def _length(self, asked: dict[str, Any], room: int, words: int) -> int:
        most = int(asked.get("max_tokens") or asked.get("max_completion_tokens") or room)
        natural = most if asked.get("ignore_eos") else words
        length = min(most, max(natural, int(asked.get("min_tokens") or 0)))
        early = self.behaviour.early_eos
        return max(1, length if early is None else min(length, early))

    def _schedule(self, truth: Truth, length: int) -> Iterator[float]:
        at = truth.admitted + self._ttft.draw(truth.admitted - self._began)
        for index in range(length):
            if index:
                at += self._itl.draw(at - self._began)
            truth.scheduled.append(at)
            yield at

    async def _stream(
        self,
        chat: bool,
        asked: dict[str, Any],
        words: list[str],
        length: int,
        truth: Truth,
        fate: str,
        writer: asyncio.StreamWriter,
    ) -> bool:
        does = self.behaviour
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        if fate == "no_data":
            writer.write(b"0\r\n\r\n")
            return True
        kind = "chat.completion.chunk" if chat else "text_completion"
        head = f'data: {{"id":"{truth.id}","object":"{kind}","model":"{self.model}","choices":'
        if does.empty_first_chunk_s is not None:
            await _until(truth.admitted + does.empty_first_chunk_s)
            _chunk(writer, head + _choice(chat, "", "content", role=True))
        for index, at in enumerate(self._schedule(truth, length)):
            await _until(at)
            word = words[index % len(words)]
            last = index + 1 == length
            name = does.reasoning_name if index < does.reasoning_tokens else "content"
            _chunk(writer, head + _choice(chat, word + " ", name, last, asked, length))
            now = time.perf_counter()
            truth.written.append(now)
            self.meter.token(now - truth.received if index == 0 else None)
            if writer.transport.is_closing():
                truth.outcome = "client left"
                return False
            if fate and index + 1 >= max(1, length // 2):
                if fate == "die":
                    self._die()
                if fate == "half":
                    writer.write(b"0\r\n\r\n")
                return fate == "half"
        if not does.no_usage and (asked.get("stream_options") or {}).get("include_usage"):
            _chunk(writer, f'{head}[],"usage":{_usage(truth, length)}}}\n\n')
        _chunk(writer, "data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        self.meter.finished(truth.prompt_tokens)
        return True

    async def _whole(
        self,
        chat: bool,
        asked: dict[str, Any],
        words: list[str],
        length: int,
        truth: Truth,
        writer: asyncio.StreamWriter,
    ) -> bool:
        for at in self._schedule(truth, length):
            await _until(at)
            now = time.perf_counter()
            truth.written.append(now)
            self.meter.token(now - truth.received if len(truth.written) == 1 else None)
        said = [words[i % len(words)] for i in range(length)]
        thought = min(length, self.behaviour.reasoning_tokens)
        text = " ".join(said[thought:] if chat else said)
        choice: dict[str, Any] = {"index": 0, "finish_reason": _finish(asked, length)}
        if chat:
            message = {"role": "assistant", "content": text}
            if thought:
                message[self.behaviour.reasoning_name] = " ".join(said[:thought])
            choice["message"] = message
        else:
            choice["text"] = text
        self.meter.finished(truth.prompt_tokens)
        answer = {
            "id": truth.id,
            "object": "chat.completion" if chat else "text_completion",
            "model": self.model,
            "choices": [choice],
            "usage": json.loads(_usage(truth, length)),
        }
        return _json(writer, 200, answer)


async def _until(at: float) -> None:
    wait = at - time.perf_counter()
    if wait > 0:
        await asyncio.sleep(wait)


def _text(content: object) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def _choice(
    chat: bool,
    text: str,
    name: str,
    last: bool = False,
    asked: dict[str, Any] | None = None,
    length: int = 0,
    role: bool = False,
) -> str:
    finish = _finish(asked, length) if last else None
    ending = f'"finish_reason":{json.dumps(finish)}}}]}}\n\n'
    if not chat:
        return f'[{{"index":0,"text":{json.dumps(text)},{ending}'
    start = '"role":"assistant",' if role else ""
    part = [{"type": "thinking", "thinking": text}] if name == "parts" else text
    name = "content" if name == "parts" else name
    return f'[{{"index":0,"delta":{{{start}"{name}":{json.dumps(part)}}},{ending}'


def _finish(asked: dict[str, Any] | None, length: int) -> str:
    most = int((asked or {}).get("max_tokens") or 0)
    return "length" if 0 < most <= length else "stop"


def _usage(truth: Truth, length: int) -> str:
    total = truth.prompt_tokens + length
    return (
        f'{{"prompt_tokens":{truth.prompt_tokens},"completion_tokens":{length},'
        f'"total_tokens":{total}}}'
    )


def _chunk(writer: asyncio.StreamWriter, text: str) -> None:
    data = text.encode()
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


def _send(writer: asyncio.StreamWriter, status: int, body: bytes, kind: str) -> bool:
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return True


def _json(writer: asyncio.StreamWriter, status: int, value: object) -> bool:
    return _send(writer, status, json.dumps(value).encode(), "application/json")


def _error(writer: asyncio.StreamWriter, status: int, message: str) -> bool:
    detail = {"message": message, "type": "ExactEngineError", "code": status}
    return _json(writer, status, {"error": detail})
