"""Further spellings of what adds a token, and of what is an error. Constructed, but for the names:
thinking_blocks is LiteLLM's and Anthropic's, thought Gemini's, audio and custom tools OpenAI's,
detail FastAPI's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.measure.stream import Chunk, Reader


def read(raw: bytes, size: int) -> list[Chunk]:
    reader = Reader()
    parts = [raw[at : at + size] for at in range(0, len(raw), size)]
    return [chunk for part in parts for chunk in reader.feed(part)] + reader.end()


def framed(payload: Any) -> bytes:
    return f"data: {json.dumps(payload)}\n\ndata: [DONE]\n\n".encode()


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("opening", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("choice", "thought", "said"),
    [
        ({"delta": {"content": "hi"}}, "", "hi"),
        ({"delta": "hi"}, "", "hi"),
        ({"delta": {"thinking_content": "hm"}}, "hm", ""),
        ({"delta": {"thought": "hm", "content": "hi"}}, "hm", "hi"),
        ({"delta": {"thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}}, "hm", ""),
        ({"text": "hi", "reasoning": "hm"}, "hm", "hi"),
        ({"delta": {"audio": {"data": "AAAA"}}}, "", ""),
        ({"delta": {"tool_calls": [{"custom": {"name": "f", "input": "x"}}]}}, "", ""),
    ],
)
def test_a_token_under_any_name(
    choice: dict[str, Any], thought: str, said: str, opening: bytes, size: int
) -> None:
    for payload in ({"choices": [choice]}, {"data": {"choices": [choice]}}):
        chunks = read(opening + framed(payload), size)
        assert sum(chunk.output for chunk in chunks) == 1 and chunks[-1].done
        assert "".join(chunk.thought for chunk in chunks) == thought
        assert "".join(chunk.said for chunk in chunks) == said
        assert not any(chunk.error for chunk in chunks)


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (framed({"detail": "no such model"}), "no such model"),
        (framed({"code": 500, "message": "boom"}), "boom (500)"),
        (b'{"detail": "no such model"}', "no such model"),
        (b"data: Internal Server Error\n\n", "Internal Server Error"),
        (b"Internal Server Error", "Internal Server Error"),
        (b"<html><body>502 Bad Gateway</body></html>\n", "<html>"),
    ],
)
def test_an_error_in_anybodys_words(raw: bytes, word: str, size: int) -> None:
    errors = [chunk.error for chunk in read(raw, size) if chunk.error]
    assert len(errors) == 1 and errors[0].startswith(word)
