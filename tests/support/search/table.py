"""The scopes that were looked at, and the table of docs/architecture.md.

`make test` looks at the small ones and holds the page against what it finds;
`python -m tests.support.search --table` looks at all of them and prints the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.search import begins
from tests.support.search.rules import AT_HAND, Rules
from tests.support.search.search import Found, search

SAID = {
    "rest": "at rest, and before the first rollout ever",
    "first": "before the first rollout ever",
    "left": "left by a dead process, at every phase",
    "late": "a predecessor's write is in flight",
}
HEAD = (
    "| begins | things that go wrong | processes | worlds | longest course | |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


@dataclass(frozen=True)
class Scope:
    """begin: a function of begins. small: `make test` looks at it. most: worlds after which no
    further step is taken."""

    begin: str
    trouble: int
    starts: int
    small: bool = False
    most: int = 10_000_000

    def look(self, rules: Rules = AT_HAND) -> Found:
        """Look at all of it."""
        worlds = getattr(begins, self.begin)(self.trouble, self.starts)
        return search(worlds, rules=rules, most=self.most)

    def row(self, found: Found) -> str:
        """Its line of the table."""
        # of a late write's process, beside those that start
        processes = self.starts + (self.begin == "late")
        depth = str(found.depth) if found.complete else f"cut at {found.depth}"
        by = "`make test`" if self.small else ""
        return (
            f"| {SAID[self.begin]} | {self.trouble} | {processes} | {found.states:,} | {depth} "
            f"| {by} |".replace("|  |", "| |")
        )


SMALL = (
    Scope("left", 1, 1, small=True),
    Scope("rest", 1, 1, small=True),
    Scope("late", 0, 1, small=True),
    Scope("first", 0, 2, small=True),
    Scope("left", 0, 2, small=True),
    Scope("rest", 0, 2, small=True),
)
LARGE = (
    Scope("rest", 2, 1),
    Scope("first", 1, 2),
    Scope("late", 1, 1),
    Scope("rest", 1, 2),
    Scope("left", 1, 2, most=400_000),
    Scope("left", 2, 1, most=400_000),
)


def table(scopes: tuple[Scope, ...]) -> Iterator[tuple[str, Found]]:
    """Line by line, and what was found in it."""
    for scope in scopes:
        found = scope.look()
        yield scope.row(found), found
