"""The events of a streamed answer, in every spelling that servers use.

One reader for all who read a stream: the smoke test and the probes through tasks.outside.vllm, the
benchmark's child through tasks.outside.evalscope. Standard library only, and no clock: whoever
feeds it takes the time.

Servers differ in the frame (line ends, comments, a blank after "data:", one JSON over two lines),
in what may be null or absent (choices, delta, usage, the payload itself), in the name of a thought
(vLLM: reasoning_content up to 0.16, reasoning since 0.17; guidellm#835, genai-bench#205) and in how
an error comes inside HTTP 200. tests/field/streams holds a public example of each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

# Names of a delta's parts. Some servers send a thought under several at once: one counts.
SAID = ("content", "text", "refusal")
THOUGHT = ("reasoning", "reasoning_content", "reasoning_text", "thinking", "reasoning_details")
CALLED = ("tool_calls", "function_call")
# Where a part that is an object keeps its text, and which kinds of part are a thought.
_PART = ("text", "content", "thinking", "summary")
_THOUGHT_PARTS = ("thinking", "reasoning", "redacted_thinking")
# Events of other doors: /v1/messages, /v1/responses. Kind of event, name of the part.
_EVENTS = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning.delta": "reasoning",
    "response.function_call_arguments.delta": "function_call",
    "response.custom_tool_call_input.delta": "function_call",
    "response.mcp_call_arguments.delta": "function_call",
    "response.code_interpreter_call_code.delta": "function_call",
    "response.audio.transcript.delta": "content",
    "transcript.text.delta": "content",
}
_OBJECT = "chat.completion.chunk"
_ENDS = (
    *("[DONE]", "message_stop", "response.completed", "response.incomplete"),
    "transcript.text.done",
)
_FAILED = ("error", "response.failed")
# Reasons of an end that is none of the answer's (vllm/v1/engine/__init__.py FinishReason).
_CUT_OFF = ("abort", "error")
# A thought under any other name, as thinking_content, thinking_blocks, thought.
_THINKS = re.compile(r"think|thought|reason", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"
_NO_EVENT = re.compile(
    r"internal server error|bad gateway|service unavailable|<!doctype|<html|"
    r"upstream connect error|no healthy upstream",
    re.I,
)
_JSON = json.JSONDecoder(strict=False)  # a raw line end in a text is no reason to lose it
_LINE = re.compile(rb"\r\n|\n|\r")
_FIELDS = ("data", "event", "id", "retry", "error")


class Chunk(NamedTuple):
    """One event of a stream.

    said, thought: text it adds to the answer and to its reasoning. called: it adds to a tool call.
    tokens, prompt_tokens: as its usage counts them, None where it has none. finish: reason of the
    end. error: what the engine says went wrong. done: end of the stream. plain: the payload, where
    it is written the way OpenAI writes it.
    """

    said: str = ""
    thought: str = ""
    called: bool = False
    tokens: int | None = None
    prompt_tokens: int | None = None
    finish: str = ""
    error: str = ""
    done: bool = False
    plain: str = ""

    @property
    def text(self) -> str:
        """Thought and answer; one delta may end the first and begin the second."""
        return self.thought + self.said

    @property
    def output(self) -> bool:
        """Whether the model made something: a token was seen."""
        return bool(self.said or self.thought or self.called)


class Reader:
    """Takes the bytes of a stream as they come and gives its events."""

    def __init__(self) -> None:
        self._rest = b""  # of a line
        self._part = ""  # of a payload over several lines
        self._event = ""
        self._after_cr = False
        self._begun = False

    def feed(self, piece: bytes) -> list[Chunk]:
        """The events that a piece of the body completes; pieces may be cut anywhere."""
        if self._after_cr and piece[:1] == b"\n":
            piece = piece[1:]
        whole = self._rest + piece
        if not self._begun:
            if len(whole) < len(_BOM) and _BOM.startswith(whole):
                self._rest = whole
                return []
            self._begun, whole = True, whole.removeprefix(_BOM)
        *lines, self._rest = _LINE.split(whole)
        if piece:
            self._after_cr = piece[-1:] == b"\r"
        found: list[Chunk] = []
        for line in lines:
            if line or self._part or self._event:
                found.extend(self._line(line))
        # The last event of a stream need not end its line, and no token waits for a line's end.
        if self._rest.rstrip().endswith((b"}", b"[DONE]")) and self._rest.startswith(b"data:"):
            payload = _value(self._rest.decode("utf-8", "replace"))
            if payload == "[DONE]" or isinstance(_parsed(payload), dict):
                self._rest = b""
                found += self._payload(payload)
        return found

    def end(self) -> list[Chunk]:
        """What the end of the body completes; an error where that broke off inside an event."""
        found = [*self._line(self._rest), *self._line(b"")]
        self._rest = b""
        return found

    def _line(self, raw: bytes) -> Iterator[Chunk]:
        line = raw.decode("utf-8", "replace")
        name = line.partition(":")[0]
        if not line.strip():
            yield from self._broken()
            self._event = ""
        elif name == "data":
            yield from self._payload(_value(line))
        elif name == "error":
            yield Chunk(error=_words(_parsed(_value(line)) or _value(line)))
        elif name == "event":
            self._event = _value(line)
        elif name and name in _FIELDS:
            return
        elif self._part or line[0] == "{":
            yield from self._payload(line)
        elif _NO_EVENT.match(line.strip()):
            yield Chunk(error=line.strip()[:300])

    def _payload(self, text: str) -> Iterator[Chunk]:
        event, value = self._event, _parsed(text)
        if value is None and self._part:
            text = f"{self._part}\n{text}"
            value = _parsed(text)
        if value is None and "data:" in text:
            # Two frames that ran together: the first is lost.
            inner = text[text.rindex("data:") + 5 :]
            value, text = _parsed(inner), text if _parsed(inner) is None else inner
        if value is not None:
            self._part = self._event = ""
            chunk = _usual(value, text) or read(value, event)
            if chunk is not None:
                yield chunk if chunk.plain else _plain(chunk, value, text)
        elif text in _ENDS:
            self._part = ""
            yield Chunk(done=True)
        elif event in _FAILED or text.lower().startswith("error:") or _NO_EVENT.match(text):
            yield Chunk(error=text[:300])
        elif text[:1] == "{":
            self._part = text

    def _broken(self) -> Iterator[Chunk]:
        if self._part:
            part, self._part = self._part, ""
            yield Chunk(error=f"the stream broke off inside an event: {part[:100]}")


def _value(line: str) -> str:
    return line.partition(":")[2].strip(" ")


def _parsed(text: str) -> Any:
    try:
        return _JSON.decode(text)
    except ValueError:
        return None


def read(payload: Any, event: str = "") -> Chunk | None:
    """A payload; None where it is no event (null, a ping). event: the frame's own kind."""
    if not isinstance(payload, dict):
        return Chunk(error=_words(payload)) if payload and event in _FAILED else None
    wrapped = payload.get("data")
    if isinstance(wrapped, dict) and "choices" in wrapped and "choices" not in payload:
        payload = wrapped
    if error := _error(payload, event):
        return Chunk(error=error)
    kind = payload.get("type") or event
    said, thought, called, finish = "", "", False, ""
    for delta, reason in _deltas(payload, kind):
        more, reasoned = _spoken(delta)
        said, thought = said + more, thought + reasoned
        called = called or any(_call(delta.get(name)) for name in CALLED) or _heard(delta)
        finish = reason or finish
    inner = payload.get("response")
    usage = payload.get("usage") or (inner.get("usage") if isinstance(inner, dict) else None)
    cut = f"the engine broke the answer off (finish_reason {finish})"
    return Chunk(
        said,
        thought,
        called,
        _count(usage, "completion_tokens", "output_tokens"),
        _count(usage, "prompt_tokens", "input_tokens"),
        finish,
        cut if finish in _CUT_OFF else "",
        done=kind in _ENDS,
    )


def _deltas(payload: dict[str, Any], kind: str) -> Iterator[tuple[dict[str, Any], str]]:
    choices = payload.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict):
            # a server that does not stream answers with the whole message
            delta = choice.get("delta") or choice.get("message")
            if isinstance(delta, str):
                delta = {"text": delta}
            elif not isinstance(delta, dict):
                delta = {name: choice.get(name) for name in ("text", *THOUGHT)}
            if ids := choice.get("token_ids"):
                delta = {**delta, "token_ids": ids}
            yield delta, str(choice.get("finish_reason") or "")
    if kind in _EVENTS:
        yield {_EVENTS[kind]: payload.get("delta")}, ""
    elif kind in ("content_block_delta", "message_delta"):
        delta = payload.get("delta")
        if isinstance(delta, dict):
            call = delta.get("partial_json")
            yield {**delta, "function_call": call}, str(delta.get("stop_reason") or "")
    elif kind in ("response.completed", "transcript.text.done"):
        yield {}, "stop"
    elif kind == "response.incomplete":
        inner = payload.get("response")
        why = inner.get("incomplete_details") if isinstance(inner, dict) else None
        reason = why.get("reason") if isinstance(why, dict) else None
        yield {}, "length" if reason in (None, "max_output_tokens") else str(reason)


def _spoken(delta: dict[str, Any]) -> tuple[str, str]:
    """(said, thought) of a delta."""
    said, among = "", ""
    for name in SAID:
        said, among = _parts(delta.get(name))
        if said or among:
            break
    for name in THOUGHT:
        if thought := "".join(_parts(delta.get(name))):
            return said, among + thought
    others = (value for name, value in delta.items() if _THINKS.search(name))
    return said, among + next((text for value in others if (text := "".join(_parts(value)))), "")


def _heard(delta: dict[str, Any]) -> bool:
    """Whether a delta has output without a text: spoken aloud, or as numbers of tokens (vLLM's
    return_token_ids)."""
    if isinstance(ids := delta.get("token_ids"), list) and ids:
        return not any(_spoken(delta))
    audio = delta.get("audio")
    return isinstance(audio, dict) and any(audio.get(name) for name in ("data", "transcript"))


def _parts(value: Any) -> tuple[str, str]:
    """(said, thought) of a text, an object that holds one, or a list of such parts."""
    if isinstance(value, str):
        return value, ""
    if isinstance(value, dict):
        inner = next((value[name] for name in _PART if value.get(name)), None)
        said, thought = _parts(inner)
        is_thought = value.get("type") in _THOUGHT_PARTS
        return ("", said + thought) if is_thought else (said, thought)
    if isinstance(value, list):
        each = [_parts(part) for part in value]
        return "".join(said for said, _ in each), "".join(thought for _, thought in each)
    return "", ""


def _call(value: Any) -> bool:
    """Whether a tool call gains a name or arguments; an id alone is no token."""
    if isinstance(value, list):
        return any(_call(item) for item in value)
    if isinstance(value, dict):
        return any(
            _call(value.get(key)) for key in ("function", "name", "arguments", "custom", "input")
        )
    return isinstance(value, str) and value != ""


def _count(usage: Any, *names: str) -> int | None:
    if not isinstance(usage, dict):
        return None
    counts = (usage.get(name) for name in names)
    return next((n for n in counts if isinstance(n, int)), None)


def _error(payload: dict[str, Any], event: str) -> str:
    """What a payload says went wrong: '' where it is no error."""
    if error := payload.get("error"):
        return _words(error)
    if event in _FAILED or any(payload.get(name) in _FAILED for name in ("object", "type")):
        return _words(payload)
    base = payload.get("base_resp")  # MiniMax
    if isinstance(base, dict) and base.get("status_code"):
        return _words({"message": base.get("status_msg"), "code": base["status_code"]})
    # FastAPI's and gateways' own: {"detail": ...}, {"code": 500, "message": ...}
    bare = not (payload.get("type") or event or "choices" in payload or "usage" in payload)
    if bare and (text := payload.get("detail") or payload.get("message")):
        return _words({**payload, "message": text} if isinstance(text, str) else text)
    return ""


def _words(error: Any) -> str:
    """An error in one line."""
    text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    inner = error.get("response") if isinstance(error, dict) else None
    if isinstance(inner, dict) and isinstance(inner.get("error"), dict):
        error = inner["error"]
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        code = error.get("code") or error.get("type")
        text = error["message"] + (f" ({code})" if code else "")
    return " ".join(text.split())[:300] or "an error without a word"


def _plain(chunk: Chunk, payload: dict[str, Any], text: str) -> Chunk:
    """The chunk with its payload, where any client understands that."""
    choices = payload.get("choices")
    usage = payload.get("usage")
    if (
        chunk.error
        or not isinstance(choices, list)
        or not (usage is None or isinstance(usage, dict))
    ):
        return chunk
    for choice in choices:
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if not isinstance(delta, dict) or len(choices) > 1:
            return chunk
        spoken = [delta.get(name) for name in (*SAID, *THOUGHT)]
        if any(value is not None and not isinstance(value, str) for value in spoken):
            return chunk
        if chunk.output and not (chunk.called or delta.get("content") or delta.get("reasoning")):
            return chunk
    return chunk._replace(plain=text)


def _usual(payload: Any, text: str) -> Chunk | None:
    """What nearly every event is, read at once, since a benchmark's clock waits for it: one choice
    with a piece of content and nothing else."""
    try:
        (choice,) = payload["choices"]
        ((name, said),) = choice["delta"].items()
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    usual = name == "content" and type(said) is str and payload.get("object") == _OBJECT
    finish = choice.get("finish_reason") or ""
    if not usual or payload.get("usage") or payload.get("error") or finish in _CUT_OFF:
        return None
    return Chunk(said, finish=finish, plain=text) if said or "token_ids" not in choice else None
