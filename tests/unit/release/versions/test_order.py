"""Which version is older, and which tag the newest."""

from __future__ import annotations

import pytest

from tasks.release.versions.order import newest_tag, order_of, order_of_tags

TAGS = ["v1.9.0", "v1.10.0", "v2.0.0-rc1", "nightly", "1.10.1", "chat-v3", "chat-v12", "x"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", "1.10.1"),
        ("v1.*", "v1.10.0"),  # by version, not by letters
        ("v*", "v1.10.0"),
        ("chat-v*", "chat-v12"),
        ("v1.9.0", "v1.9.0"),
        ("night*", None),
        ("v7*", None),
    ],
)
def test_the_newest_tag_by_version(pattern: str, found: str | None) -> None:
    assert newest_tag(TAGS, pattern) == found


@pytest.mark.parametrize(
    ("tags", "pattern", "found"),
    [
        # a date with hyphens is no version, and yet it is later
        (["2025-06-01", "2025-12-31", "2024-12-31"], "2025-*", "2025-12-31"),
        (["v20250601", "v20251231", "latest"], "v2025*", "v20251231"),
        (["2025-06-01", "20250602", "2025.05.30"], "*", "20250602"),
        (["2025-06-01", "2025-06-01-2", "2025-06-01.10"], "*", "2025-06-01.10"),
        (["chat-2025-06-01", "chat-2025-06-09", "code-2026-01-01"], "chat-*", "chat-2025-06-09"),
        # one of them is no date: versions
        (["v20250601", "v20990101000000"], "v*", "v20990101000000"),
        (["2025-06-01", "v1.2"], "*", "v1.2"),
        # no day of the calendar
        (["2025-02-30", "2025-02-01"], "*", "2025-02-01"),
        (["20251399", "20250601"], "*", "20251399"),
    ],
)
def test_the_newest_tag_by_date(tags: list[str], pattern: str, found: str) -> None:
    assert newest_tag(tags, pattern) == found


@pytest.mark.parametrize(
    ("found", "serves", "age"),
    [
        ("2025-06-02", "2025-06-01", "newer"),
        ("v20250601", "v20250602", "older"),
        ("chat-2025-06-01-2", "chat-2025-06-01", "newer"),
        ("2025-06-01", "20250601", None),  # the same day: the log says
        ("chat-2025-06-02", "code-2025-06-01", None),
        ("2025-06-02", "main", None),
    ],
)
def test_tags_are_ordered_by_their_dates(found: str, serves: str, age: str | None) -> None:
    order = order_of_tags(found, serves)
    assert (order.age if order else None) == age


def test_prereleases_only_where_they_are_asked_for() -> None:
    assert newest_tag(TAGS, "*", prereleases=True) == "v2.0.0-rc1"
    assert newest_tag(["v2.0rc1"], "*") is None


LOG = ["d", "c", "b", "a"]


@pytest.mark.parametrize(
    ("found", "serves", "log", "known", "head", "age", "said"),
    [
        ("d", "b", LOG, (), True, "newer", "after what serves in the hub's log"),
        ("c", "b", LOG, (), False, "newer", "after"),  # an event's, though the branch is further
        ("a", "b", LOG, (), False, "older", "before what serves in the hub's log"),
        ("b", "b", None, (), True, "same", "it serves"),
        ("a", None, None, (), False, "newer", "nothing serves"),
        # a branch that was written anew
        ("e", "z", ["e", "a"], (), True, "unknown", "does not have what serves"),
        ("q", "b", LOG, (), False, "unknown", "does not have it"),
        ("q", "b", LOG, ("q",), False, "older", "was there before"),
        # a hub without a log
        ("d", "b", None, (), True, "newer", "moved to it, and it was never seen"),
        ("a", "b", None, ("a",), True, "older", "was there before"),
        ("c", "b", None, (), False, "unknown", "keeps no log"),
    ],
)
def test_how_a_commit_stands_to_what_serves(
    found: str,
    serves: str | None,
    log: list[str] | None,
    known: tuple[str, ...],
    head: bool,
    age: str,
    said: str,
) -> None:
    order = order_of(found, serves, log, known, head=head)
    assert order.age == age and said in order.why


def test_tags_are_ordered_by_their_versions_where_both_name_one() -> None:
    newer, older = order_of_tags("v1.10", "v1.9"), order_of_tags("v1.9", "v1.10")
    assert newer is not None and (newer.age, newer.why) == (
        "newer",
        "v1.10 is a higher version than v1.9",
    )
    assert older is not None and older.age == "older"
    assert order_of_tags("v1.0", "1.0") is None  # a tag that moved: the log says
    assert order_of_tags("v1.0", "master") is None
