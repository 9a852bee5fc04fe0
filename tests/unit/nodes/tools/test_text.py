"""JSON that is not whole, and what tools say where they fail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.nodes.tools.text import find_json, last_words
from tasks.nodes.tools.words import said

DOCUMENTS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.integers() | st.text(max_size=4) | st.none() | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    min_size=1,
    max_size=4,
)


def within(part: Any, whole: Any) -> bool:
    """Whether what was read is what stands in the whole, and no half of a value."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) <= len(whole) and all(map(within, part, whole))
    return bool(part == whole)


@given(DOCUMENTS, st.data())
def test_the_beginning_of_a_document_holds_nothing_false(
    document: dict[str, Any], data: st.DataObject
) -> None:
    text = json.dumps(document)
    end = data.draw(st.integers(1, len(text)))
    found, whole = find_json(text[:end])
    if end == len(text):
        assert (found, whole) == (document, True)
    else:
        assert found is None or (not whole and within(found, document))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": "1""b": "2"}', {"a": "1", "b": "2"}),
        ('{"a": 1 "b": {"c": 2} "d": [1 2]}', {"a": 1, "b": {"c": 2}, "d": [1, 2]}),
        ('{"a": 1,, "b": 2,}', {"a": 1, "b": 2}),
        ('{"a": N/A, "b": NaN_x}', None),
        ('{"a": N/A, "b": 2}', {"a": None, "b": 2}),
        ("Warning: [x] not read\n" + '{"a": 1}', {"a": 1}),
        ('[{"gpu": 0}]\n[{"gpu": 0}, {"gpu": 1}]', [{"gpu": 0}, {"gpu": 1}]),
        ("[" * 5000, None),
        ('{"a": [' * 2000, None),
        ("{}", None),
        ('{"a": @ x, "b": {"c": 1}}', {"a": None, "b": {"c": 1}}),
        # what stands before the part that can be read is no document, or a broken one
        ('{"a": [@], "b": {"c": 1}}', {"c": 1}),
    ],
)
def test_documents_that_are_mended(text: str, found: Any) -> None:
    assert find_json(text)[0] == found


@pytest.mark.parametrize(
    ("text", "whole"),
    [('[x] {"a": 1}', True), ('{"a": @, "b": {"c": 1}}', False), ('{"a": 1} [{"b": ', False)],
)
def test_what_is_not_whole_is_said(text: str, whole: bool) -> None:
    assert find_json(text)[1] is whole


def test_last_words() -> None:
    assert last_words("a\n\n---\nthe end\n====\n") == "the end"
    assert last_words(" \n--\n") == "nothing was printed"


@pytest.mark.parametrize(
    ("text", "meaning", "card"),
    [
        (
            "Unable to determine the device handle for GPU 0000:C1:00.0: GPU is lost.  Reboot",
            "lost",
            "0000:C1:00.0",
        ),
        (
            "Unable to determine the device handle for gpu 0000:02:00.0: Unknown Error",
            "lost",
            "0000:02:00.0",
        ),
        ("Unable to determine the device handle for GPU3: Unknown Error", "lost", "3"),
        (
            "Unable to determine the device handle for GPU 0: Insufficient Permissions",
            "blind",
            "",
        ),
        ("GPU#1 MXC550 bus Not Available(MetaX Sysfs File Unaccessible)", "lost", "1"),
        ("Failed to initialize NVML: Driver/library version mismatch", "broken", ""),
        ("Failed to initialize NVML: Unknown Error", "blind", ""),
        ("NVIDIA-SMI has failed because it couldn't communicate with the driver", "blind", ""),
    ],
)
def test_sayings(text: str, meaning: str, card: str) -> None:
    (found,) = said([f"x\n{text}\n", text])
    assert (found.meaning, found.card) == (meaning, card)


def test_a_table_says_nothing() -> None:
    assert said(["| 0  NVIDIA A100  On | 00000000:07:00.0 Off | 0 |\n| N/A   34C    P0 |"]) == []
