"""Which of two versions is the older one, and which tag is the newest: only what is known to be
newer starts by itself."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Literal

from packaging.version import InvalidVersion, Version

Age = Literal["same", "newer", "older", "unknown"]


@dataclass(frozen=True)
class Order:
    """How a version stands to what serves, and how that is known."""

    age: Age
    why: str


def version_of(tag: str) -> Version | None:
    """A tag as a version (PEP 440, which reads 1.2.3 and v1.2.3-rc1 as semver means them); None
    where it is none."""
    try:
        return Version(tag)
    except InvalidVersion:
        return None


# 20250601, 2025-06-01, v2025.06.01, and which one of a day: 2025-06-01-2
_DATED = re.compile(r"v?(20\d\d)([-._]?)(\d\d)\2(\d\d)(?:[-._](\d{1,4}))?")


def date_of(tag: str) -> tuple[date, int] | None:
    """A tag as a day of the calendar, and which one of that day (0 where it does not say); None
    where it is none."""
    match = _DATED.fullmatch(tag)
    if match is None:
        return None
    try:
        day = date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None
    return day, int(match[5] or 0)


def newest_tag(tags: Iterable[str], pattern: str, *, prereleases: bool = False) -> str | None:
    """The newest tag among those that match a glob pattern, whole: by date where every one of them
    that says what it is is a date, else by version; None where none says it. What a pattern has
    before that ('chat-v*') is no part of it."""
    head = pattern[: min((pattern.find(sign) for sign in "*?[" if sign in pattern), default=0)]
    # 'v1.*' begins inside the version: only what ends without a digit is a name before it
    head = "" if any(sign.isdigit() for sign in head) else head
    dated: list[tuple[tuple[date, int], str]] = []
    found: list[tuple[Version, str]] = []
    other = False
    for tag in tags:
        if not fnmatchcase(tag, pattern):
            continue
        bare = tag.removeprefix(head)
        day, known = date_of(tag) or date_of(bare), version_of(tag) or version_of(bare)
        if known is not None and (prereleases or not known.is_prerelease):
            found.append((known, tag))
            other |= day is None
        if day is not None:
            dated.append((day, tag))
    if dated and not other:
        return max(dated)[1]
    return max(found)[1] if found else None


def order_of(
    found: str, serves: str | None, log: Sequence[str] | None, known: Container[str], *, head: bool
) -> Order:
    """How commit `found` stands to the one that serves, both as the hub names them.

    serves: None where nothing does. log: the commits that lead to what the revision is now, newest
    first, as far back as was read; None where the hub keeps none. known: commits that were there
    before what serves. head: `found` is what the followed revision is now.
    """
    if serves is None:
        return Order("newer", "nothing serves")
    if found == serves:
        return Order("same", "it serves")
    if log is not None:
        at = {commit: index for index, commit in reversed(list(enumerate(log)))}
        if found in at and serves in at:
            if at[found] < at[serves]:
                return Order("newer", "it comes after what serves in the hub's log")
            return Order("older", "it comes before what serves in the hub's log")
        if found in known:
            return Order("older", "it was there before what serves")
        lacks = "what serves" if found in at else "it"
        return Order("unknown", f"the hub's log of the revision does not have {lacks}")
    if found in known:
        return Order("older", "it was there before what serves")
    if head:
        return Order("newer", "the revision moved to it, and it was never seen before")
    return Order(
        "unknown", "the hub keeps no log of commits, and it is not what the revision is now"
    )


def order_of_tags(found: str, serves: str) -> Order | None:
    """The same by the dates, or the versions, that two tags name; None where they say nothing."""
    after, before = _dates(found, serves)
    if after is not None and before is not None and after != before:
        if after > before:
            return Order("newer", f"{found} is a later date than {serves}")
        return Order("older", f"{found} is an earlier date than {serves}")
    new, old = version_of(found), version_of(serves)
    if new is None or old is None or new == old:
        return None
    if new > old:
        return Order("newer", f"{found} is a higher version than {serves}")
    return Order("older", f"{found} is a lower version than {serves}")


def _dates(*tags: str) -> tuple[tuple[date, int] | None, ...]:
    """Of tags with one name before the date; None for all where their names differ."""
    heads = [re.match(r"\D*", tag) for tag in tags]
    names = [match[0] if match else "" for match in heads]
    if len(set(names)) != 1:
        return tuple(None for _ in tags)
    return tuple(date_of(tag.removeprefix(names[0])) for tag in tags)
