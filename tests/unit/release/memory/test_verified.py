"""What verifications came to is remembered apart, in a bounded ConfigMap of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import Refused
from tasks.release.memory.verified import (
    KEEP,
    LETTERS,
    decided,
    entries_of,
    news,
    verified_configmap,
    verified_name,
    with_entry,
)
from tests.support.reportdata import JUNK


def entry(outcome: str, *missed: str, release: str = "r") -> dict[str, Any]:
    targets = [{"metric": name, "load": "c2", "verdict": "fail"} for name in missed]
    return {
        "outcome": outcome,
        "sentence": "s",
        "resolve_model": {"release": release},
        "judge": {"targets": targets},
    }


def test_it_is_read_as_it_was_written() -> None:
    body = verified_configmap("m", "models", [entry("earned")])
    assert body["metadata"]["name"] == verified_name("m") == "rollout-m.verify"
    assert entries_of("m", body) == [entry("earned")]
    assert entries_of("m", None) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 9, "entries": [{}]}', "nonsense"])
def test_what_cannot_be_read_is_nothing(text: str) -> None:
    body = verified_configmap("m", "models", [])
    body["data"]["verify"] = text
    assert entries_of("m", body) == []


@given(st.dictionaries(st.sampled_from(sorted(entry("missed"))), JUNK) | JUNK)
def test_what_somebody_wrote_in_is_left_out_or_compared(changed: Any) -> None:
    wrong = {**entry("missed", "a"), **changed} if isinstance(changed, dict) else changed
    body = verified_configmap("m", "models", [entry("earned")])
    body["data"]["verify"] = json.dumps({"schema": 1, "entries": [wrong, entry("earned")]})
    for before in (found := entries_of("m", body)):
        news(entry("missed", "a"), before)
    assert found[-1] == entry("earned")


def test_somebody_elses_is_not_touched() -> None:
    body = verified_configmap("m", "models", [])
    body["metadata"]["labels"] = {}
    with pytest.raises(Refused):
        entries_of("m", body)


def test_it_is_bounded() -> None:
    kept: list[Any] = []
    for _ in range(KEEP + 3):
        kept = with_entry(kept, {**entry("earned"), "sentence": "x" * (LETTERS + 1)})
    assert len(kept) == KEEP and len(kept[0]["sentence"]) == LETTERS


@pytest.mark.parametrize(
    ("new", "before", "told"),
    [
        (entry("missed", "ttft"), None, "missed"),
        (entry("missed", "ttft"), entry("earned"), "missed"),
        (entry("missed", "ttft"), entry("missed", "ttft"), ""),
        (entry("missed", "ttft", "tpot"), entry("missed", "ttft"), "missed"),
        (entry("missed", "ttft"), entry("missed", "ttft", release="q"), "missed"),
        (entry("earned"), entry("missed", "ttft"), "earned"),
        (entry("earned"), entry("missed", "ttft", release="q"), ""),
        (entry("earned"), None, ""),
        (entry("inconclusive"), entry("earned"), ""),
    ],
)
def test_what_is_news(new: Any, before: Any, told: str) -> None:
    assert news(new, before) == told


def test_what_was_open_says_nothing_of_the_one_before() -> None:
    assert decided([entry("inconclusive"), entry("missed"), entry("earned")]) == entry("missed")
    assert decided([]) is None
