"""Further spellings of what adds a token, and of what is an error. Constructed, but for the names:
thinking_blocks is LiteLLM's and Anthropic's, thought Gemini's, audio, custom tools and the events
of /v1/responses and transcriptions OpenAI's (openai/openai-openapi), token_ids and the reasons of
an end vLLM's (vllm/entrypoints/openai/protocol.py, v1/engine/__init__.py), detail FastAPI's,
"upstream connect error" Envoy's."""

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
        # return_token_ids: numbers where no text is made
        ({"delta": {"content": ""}, "token_ids": [5]}, "", ""),
        ({"delta": {"content": "hi"}, "token_ids": [5]}, "", "hi"),
        ({"delta": {"reasoning": "hm"}, "token_ids": [5]}, "hm", ""),
        ({"text": "", "token_ids": [5]}, "", ""),
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
        (b"upstream connect error or disconnect/reset before headers.", "upstream connect error"),
        (b"no healthy upstream", "no healthy upstream"),
        *(
            (
                framed({"object": o, "choices": [{"delta": d, "finish_reason": reason}]}),
                f"the engine broke the answer off (finish_reason {reason})",
            )
            for reason in ("abort", "error")
            for d in ({}, {"content": "hi"}, {"content": ""})
            for o in ("chat.completion.chunk", "")
        ),
        (
            framed(
                {
                    "type": "response.failed",
                    "response": {"error": {"code": "server_error", "message": "boom"}},
                }
            ),
            "boom (server_error)",
        ),
    ],
)
def test_an_error_in_anybodys_words(raw: bytes, word: str, size: int) -> None:
    errors = [chunk.error for chunk in read(raw, size) if chunk.error]
    assert len(errors) == 1 and errors[0].startswith(word)


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize(
    ("kind", "thought", "said"),
    [
        ("response.output_text.delta", "", "hi"),
        ("response.reasoning_text.delta", "hi", ""),
        ("response.reasoning.delta", "hi", ""),
        ("response.custom_tool_call_input.delta", "", ""),
        ("response.mcp_call_arguments.delta", "", ""),
        ("response.code_interpreter_call_code.delta", "", ""),
        ("response.audio.transcript.delta", "", "hi"),
        ("transcript.text.delta", "", "hi"),
    ],
)
@pytest.mark.parametrize(
    ("end", "finish", "tokens"),
    [
        ({"type": "response.completed", "response": {"usage": {"output_tokens": 3}}}, "stop", 3),
        (
            {
                "type": "response.incomplete",
                "response": {
                    "incomplete_details": {"reason": "max_output_tokens"},
                    "usage": {"output_tokens": 3},
                },
            },
            "length",
            3,
        ),
        ({"type": "transcript.text.done", "text": "hi"}, "stop", None),
    ],
)
def test_events_of_openais_other_doors(
    kind: str, thought: str, said: str, end: dict[str, Any], finish: str, tokens: int, size: int
) -> None:
    raw = "".join(
        f"event: {payload['type']}\ndata: {json.dumps(payload)}\n\n"
        for payload in ({"type": kind, "delta": "hi"}, end)
    )
    chunks = read(raw.encode(), size)
    assert [chunk.output for chunk in chunks] == [True, False] and chunks[-1].done
    assert (chunks[0].thought, chunks[0].said) == (thought, said)
    assert (chunks[-1].finish, chunks[-1].tokens) == (finish, tokens)
    assert not any(chunk.error for chunk in chunks)
