"""What the watcher remembers survives, and is read defensively."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.base.errors import Refused
from tasks.release.versions.memory import (
    AGAIN_S,
    JITTER,
    LOOK_S,
    MOST_S,
    SEEN,
    WatchMemory,
    looked_again_at,
    memory_name,
    remembered_watch,
    seen_before,
    told_again_at,
    watch_configmap,
    with_failure,
    with_seen,
    with_told,
    without_failure,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_it_survives_a_restart() -> None:
    memory = with_failure(with_told(with_seen(WatchMemory(), "c", "r"), "w", NOW), "down", NOW)
    body = watch_configmap("m", "models", memory)
    assert body["metadata"]["name"] == memory_name("m") == "rollout-m.watch"
    assert remembered_watch("m", body) == memory
    assert remembered_watch("m", None) == WatchMemory()


@pytest.mark.parametrize(
    "data", [None, {}, {"watch": "x"}, {"watch": "[]"}, {"watch": '{"schema": 2}'}, {"watch": "{}"}]
)
def test_what_cannot_be_read_is_nothing(data: Any) -> None:
    body = {**watch_configmap("m", "models", WatchMemory()), "data": data}
    assert remembered_watch("m", body) == WatchMemory()


def test_what_an_older_or_newer_version_wrote_is_read_as_far_as_it_is_known() -> None:
    text = json.dumps({"schema": 1, "told": "w", "times": "2", "colour": "red"})
    body = {**watch_configmap("m", "models", WatchMemory()), "data": {"watch": text}}
    assert remembered_watch("m", body) == WatchMemory(told="w", times=2)


def test_somebody_elses_is_not_taken() -> None:
    body = watch_configmap("other", "models", WatchMemory())
    with pytest.raises(Refused, match="not this rollout's"):
        remembered_watch("m", body)


def test_what_was_seen_is_kept_in_order_and_bounded() -> None:
    memory = WatchMemory()
    for number in range(SEEN + 5):
        memory = with_seen(memory, str(number))
    assert len(memory.seen) == SEEN and memory.seen[0] == str(SEEN + 4)
    again = with_seen(with_seen(with_seen(WatchMemory(), "a"), "b"), "a", "r")
    assert (again.seen, again.served) == (("a", "b"), ("r",))
    assert with_seen(again, "") == again
    assert seen_before(again, "a") == ("b",) and seen_before(again, "b") == ()
    assert seen_before(again, "never") == ()


def test_the_same_wish_is_counted_and_another_begins_anew() -> None:
    memory = with_told(with_told(WatchMemory(), "w", NOW), "w", NOW)
    assert memory.times == 2 and with_told(memory, "v", NOW).times == 1
    assert told_again_at(memory, "v", 0) is None


@pytest.mark.parametrize(
    ("times", "spread", "seconds"),
    [(1, 0, AGAIN_S), (2, 0, 2 * AGAIN_S), (1, 1, AGAIN_S * (1 + JITTER)), (99, 0, MOST_S)],
)
def test_what_is_told_waits_longer_each_time(times: int, spread: float, seconds: float) -> None:
    memory = WatchMemory(told="w", times=times, at=NOW.isoformat())
    assert told_again_at(memory, "w", spread) == NOW + timedelta(seconds=seconds)


def test_a_look_that_failed_waits_longer_each_time_and_one_that_did_not_ends_that() -> None:
    once = with_failure(WatchMemory(), "down", NOW)
    twice = with_failure(once, "down", NOW)
    assert looked_again_at(WatchMemory(), 0) is None
    assert looked_again_at(once, 0) == NOW + timedelta(seconds=LOOK_S)
    assert looked_again_at(twice, 0) == NOW + timedelta(seconds=2 * LOOK_S)
    assert without_failure(twice) == WatchMemory()
