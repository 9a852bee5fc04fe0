"""The OpenAI endpoint of a release: is it the model asked for, does it really answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx

from tasks.base import clock
from tasks.base.errors import OutsideError
from tasks.base.scrub import hold
from tasks.measure.stream import Chunk, Reader
from tasks.spec.rollout import SmokePrompt

CONNECT_S = 10.0


class _ErrorInStream(ValueError):
    """What the engine itself says of a stream that it ends."""


class Answered(OutsideError):
    """Something at the address answered, with an error: it was reached, and is not well."""


class Late(OutsideError):
    """Something at the address took a request, and answered nothing for waited_s."""

    def __init__(self, message: str, waited_s: float) -> None:
        super().__init__(message)
        self.waited_s = waited_s


@dataclass(frozen=True)
class Answer:
    """One streamed chat answer. Times in seconds; chunks counts events that carried a token of the
    answer, of its reasoning or of a tool call (called: there was one)."""

    text: str
    chunks: int
    ttft_s: float
    seconds: float
    completion_tokens: int | None
    called: bool = False


@dataclass(frozen=True)
class SmokeCheck:
    """One smoke check and what came of it."""

    name: str
    ok: bool
    found: str
    expected: str


class Engine:
    """A client for one OpenAI-compatible endpoint, `url` without /v1."""

    def __init__(self, url: str, *, api_key: str | None = None, timeout_s: float = 120) -> None:
        hold(api_key)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.url = url.rstrip("/")
        # trust_env=False: a site's proxy must not stand between us and a pod
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_S),
            trust_env=False,
        )

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def _failed(self, what: str, began: float, error: Exception) -> OutsideError:
        after = clock.monotonic() - began
        said = (
            f"the engine at {self.url} did not answer {what} after {after:.1f} s "
            f"({_in_words(error)}); see its pod's log"
        )
        answered = isinstance(error, httpx.HTTPStatusError | _ErrorInStream)
        return Answered(said) if answered else OutsideError(said)

    def models(self) -> list[str]:
        """Names the endpoint serves. Raises OutsideError."""
        began = clock.monotonic()
        try:
            answer = self._http.get("/v1/models")
            answer.raise_for_status()
            return [str(item["id"]) for item in answer.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise self._failed("/v1/models", began, error) from error

    def chat(self, model: str, prompt: str, max_tokens: int) -> Answer:
        """Stream one chat answer at temperature 0. Raises OutsideError."""
        body = {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        began = clock.monotonic()
        try:
            with self._http.stream("POST", "/v1/chat/completions", json=body) as answer:
                if answer.status_code != 200:
                    detail = answer.read()[:300].decode(errors="replace")
                    raise Answered(
                        f"the engine at {self.url} refused a chat request with HTTP "
                        f"{answer.status_code}: {detail}"
                    )
                return _read_stream(answer, began)
        except httpx.ReadTimeout as error:
            waited = clock.monotonic() - began
            raise Late(str(self._failed("a chat request", began, error)), waited) from error
        except (httpx.HTTPError, ValueError) as error:
            raise self._failed("a chat request", began, error) from error


def _in_words(error: Exception) -> str:
    """In one line: httpx tells of a status in two, the second an address that explains HTTP."""
    if isinstance(error, httpx.HTTPStatusError):
        detail = " ".join(error.response.text[:300].split())
        return f"HTTP {error.response.status_code}" + (f": {detail}" if detail else "")
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _read_stream(answer: httpx.Response, began: float) -> Answer:
    reader = Reader()
    parts: list[str] = []
    first: float | None = None
    tokens: int | None = None
    called = False
    for chunk in _chunks(answer, reader):
        if chunk.error:
            raise _ErrorInStream(f"the stream carried an error: {chunk.error}")
        tokens = tokens if chunk.tokens is None else chunk.tokens
        called = called or chunk.called
        if chunk.output:
            first = first if first is not None else clock.monotonic()
            parts.append(chunk.text)
        if chunk.done:
            break
    end = clock.monotonic()
    waited = (first or end) - began
    return Answer("".join(parts), len(parts), waited, end - began, tokens, called)


def _chunks(answer: httpx.Response, reader: Reader) -> Iterator[Chunk]:
    for piece in answer.iter_bytes():
        yield from reader.feed(piece)
    yield from reader.end()


def smoke(engine: Engine, served_name: str, prompts: Sequence[SmokePrompt]) -> list[SmokeCheck]:
    """Ask the candidate; an empty list of prompts still asks one, since silence is no answer.

    Raises OutsideError where the engine does not answer at all.
    """
    names = engine.models()
    checks = [SmokeCheck("model", served_name in names, ", ".join(names) or "none", served_name)]
    if not checks[0].ok:
        return checks
    for item in prompts or [SmokePrompt(prompt="Say hello.", max_tokens=16)]:
        answer = engine.chat(served_name, item.prompt, item.max_tokens)
        shown = " ".join(answer.text.split())[:120] or "(a tool call)" * answer.called
        checks.append(
            SmokeCheck(
                "tokens",
                answer.called or answer.text.strip() != "",
                f"{answer.completion_tokens or answer.chunks} tokens, TTFT "
                f"{answer.ttft_s * 1000:.0f} ms: {shown!r}",
                "a streamed answer with text",
            )
        )
        lowered = answer.text.lower()
        checks += [
            SmokeCheck("answer", text.lower() in lowered, repr(shown), f"contains {text!r}")
            for text in item.contains
        ]
    return checks
