"""Streams of many servers, as they run over the wire, read the same by all who read them.

inputs: .sse the bytes; .chunks.json the pieces the socket gives, in hex. index.psv names for each
what is right, its server and its source (see README.md for what a source is).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tasks.base.errors import OutsideError
from tasks.measure.stream import Chunk, Reader
from tasks.outside.evalscope.bench_child import Events
from tasks.outside.vllm import engine as module
from tasks.outside.vllm.engine import Engine, smoke

HERE = Path(__file__).parent
CASES = HERE / "inputs" / "cases"


class Row(NamedTuple):
    file: str
    text: str
    outputs: str
    tokens: str
    finish: str
    error: str
    called: str
    server: str
    source: str


ROWS = [
    Row(*line.split(" | "))
    for line in (HERE / "index.psv").read_text().splitlines()
    if not line.startswith("#")
]


def pieces(file: str) -> list[bytes]:
    path = HERE / "inputs" / file
    if path.suffix == ".json":
        return [bytes.fromhex(piece) for piece in json.loads(path.read_text())]
    return [path.read_bytes()]


def read(parts: Sequence[bytes]) -> list[Chunk]:
    reader = Reader()
    return [chunk for part in parts for chunk in reader.feed(part)] + reader.end()


def told(chunks: Sequence[Chunk]) -> tuple[str, str, str, str, str, str]:
    tokens = [str(chunk.tokens) for chunk in chunks if chunk.tokens is not None]
    finish = [chunk.finish for chunk in chunks if chunk.finish]
    errors = [chunk.error for chunk in chunks if chunk.error]
    return (
        json.dumps("".join(chunk.text for chunk in chunks)),
        str(sum(chunk.output for chunk in chunks)),
        tokens[-1] if tokens else "-",
        finish[-1] if finish else "-",
        errors[0][:40] if errors else "-",
        "yes" if any(chunk.called for chunk in chunks) else "no",
    )


@pytest.mark.parametrize("row", ROWS, ids=[row.file for row in ROWS])
def test_a_real_stream(row: Row) -> None:
    parts = pieces(row.file)
    assert told(read(parts)) == row[1:7]
    # cut anywhere it is the same
    whole = b"".join(parts)
    assert told(read([whole[at : at + 1] for at in range(len(whole))])) == row[1:7]
    assert told(read([whole[at : at + 7] for at in range(0, len(whole), 7)])) == row[1:7]


REPORT = r"[\w.-]+/[\w.-]+(?:#| pull )\d+"


def test_a_source_is_a_report_or_says_that_there_is_none() -> None:
    form = re.compile(rf"constructed|(?:constructed after )?{REPORT}(?:, {REPORT})*")
    assert [row.source for row in ROWS if not form.fullmatch(row.source)] == []
    assert sum(not row.source.startswith("constructed") for row in ROWS) >= 60


def test_a_long_frame_with_a_character_cut_in_two() -> None:
    # vllm-project/vllm#38732: a 3-byte character at byte 65,527 of the frame
    frame = 'data: {"choices":[{"delta":{"content":"' + "x" * 65_477 + '修"}}]}\n\ndata: [DONE]\n\n'
    raw = frame.encode()
    at = raw.index("修".encode()) + 1
    chunks = read([raw[:at], raw[at:]])
    assert (len(chunks[0].text), chunks[-1].done) == (65_478, True)


class _Seen(httpx.SyncByteStream):
    def __init__(self, parts: Sequence[bytes]) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self.parts


def asked(parts: Sequence[bytes], monkeypatch: pytest.MonkeyPatch) -> Engine:
    real = httpx.Client

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"data": [{"id": "m"}]})
        return httpx.Response(200, stream=_Seen(parts))

    monkeypatch.setattr(
        module.httpx, "Client", lambda **o: real(transport=httpx.MockTransport(answer), **o)
    )
    return Engine("http://pod:8000")


@pytest.mark.parametrize("row", ROWS, ids=[row.file for row in ROWS])
def test_the_smoke_test_passes_where_a_token_was_seen(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = asked(pieces(row.file), monkeypatch)
    if row.error != "-":
        with pytest.raises(OutsideError):
            smoke(engine, "m", [])
        return
    _, tokens = smoke(engine, "m", [])
    assert tokens.ok == (row.outputs != "0")


@pytest.mark.parametrize("row", ROWS, ids=[row.file for row in ROWS])
def test_the_benchmark_counts_the_same_events(row: Row) -> None:
    """evalscope's reading of what our reader hands it: its own functions, on every stream."""
    api = pytest.importorskip("evalscope.perf.plugin.api.default_api")
    events, seen, text, failed = Events(), 0, "", False
    for part in [*pieces(row.file), b"\n\n"]:
        for message in events.add_chunk(part):
            payload = message.removeprefix("data:").strip()
            if payload == "[DONE]":
                continue
            data = json.loads(payload)
            failed = failed or data.get("error") is not None or data.get("object") == "error"
            if choices := data.get("choices"):
                said, output = api._parse_chat_delta(choices[0].get("delta", {}))
                seen, text = seen + output, text + said
    assert (str(seen), failed) == (row.outputs, row.error != "-")
    if row.called == "no":
        assert sorted(text) == sorted(json.loads(row.text))


# -- the cases


def test_c10_reasoning_is_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = (CASES / "c10_reasoning_stream.txt").read_bytes()
    engine = asked([raw], monkeypatch)
    _, tokens = smoke(engine, "m", [])
    assert tokens.ok and tokens.found.startswith("16 tokens") and "We need to greet" in tokens.found
    assert told(read([raw]))[1:4] == ("2", "16", "length")


@pytest.mark.parametrize("name", ["choices", "delta", "usage"])
def test_c10_null_is_no_crash(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = (CASES / "c10_null_choices_stream.txt").read_bytes()
    if name == "delta":
        raw = raw.replace(b'"choices":null', b'"choices":[{"index":0,"delta":null}]')
    if name == "usage":
        raw = raw.replace(b'"usage":{"completion_tokens":1}', b'"usage":null')
    _, tokens = smoke(asked([raw], monkeypatch), "m", [])
    assert tokens.ok and tokens.found.startswith("1 tokens")
