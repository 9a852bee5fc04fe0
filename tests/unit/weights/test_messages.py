"""Lines of a fetch Job: the same at both ends, and to a flow of another version."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.weights.messages import (
    Done,
    Failed,
    Message,
    Said,
    Transfer,
    Verified,
    line_of,
    message_of,
)


@pytest.mark.parametrize(
    "message",
    [
        Transfer(1, 4, 2, "a.safetensors"),
        Said("waiting for another fetch"),
        Verified("config.json"),
        Failed("disk", "no room"),
        Done("/store/m", "c", "sha256:d", 7, 1.5, ("README.md",), 3),
    ],
)
def test_what_is_said_is_heard(message: Message) -> None:
    line = line_of(message)
    assert "\n" not in line
    heard = message_of(line)
    assert heard is not None and line_of(heard) == line


def test_another_versions_fields_are_no_trouble() -> None:
    newer = json.dumps({"event": "done", "bytes_fetched": 5, "checked_by": "blake3"})
    assert message_of(newer) == Done(bytes_fetched=5)
    assert message_of('{"event": "progress", "done": 1, "total": 2}') == Transfer(1, 2)
    assert message_of('{"event": "progress", "done": 1}') is None
    assert message_of('{"event": "sang"}') is None


@given(st.text() | st.recursive(st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_other_line_is_none(line: str) -> None:
    assert message_of(line) is None
