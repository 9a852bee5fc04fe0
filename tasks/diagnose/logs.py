"""What a container's log says about why it ended.

The place in the log decides, not the order of the table: an error that ended its process goes
before one that was survived, and of several the last. Where no signature fits, the exceptions
themselves are shown, the cause before what only points at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tasks.diagnose.lines import CAUSE, ECHO, Line, Page, Told, bare, distinct, read, told, weight
from tasks.diagnose.signatures import SIGNATURES

TAIL_LINES = 20
EXCEPTIONS = 3
# More than a container of many workers writes when all of them fail; bounds the time it takes.
_READ_CHARS = 1_500_000
_LINE_CHARS = 600
# How much a match is worth: told by what ended its process, printed by the way, told of another
# that ended, survived.
_ENDED, _PRINTED, _OF_ANOTHER, _SURVIVED = 3, 2, 1, 0


@dataclass(frozen=True)
class Finding:
    """A signature found in a log: its code, cause, action, and the line that matched."""

    code: str
    cause: str
    action: str
    line: str
    hopeless: bool


@lru_cache(maxsize=4)
def _page(logs: str) -> Page:
    return read(logs[-_READ_CHARS:])


def tail(logs: str, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """The last lines of a log that say something, without terminal colours."""
    full = [line.rstrip() for line in bare(logs[-_READ_CHARS:]).splitlines()]
    return tuple(line for line in full if line)[-lines:]


@lru_cache(maxsize=8)
def find(logs: str) -> Finding | None:
    """The known signature that explains the end of a log, None where there is none."""
    page = _page(logs)
    best: tuple[tuple[int, int, int], Finding] | None = None
    for number, row in enumerate(SIGNATURES):
        for match in row.pattern.finditer(page.text):
            place = page.place(match.start())
            line = page.lines[place]
            worth = _worth(line)
            rank = (worth, place, -number)
            if best is not None and rank < best[0]:
                continue
            cause, action = row.told(match)
            # What was survived may come again; it is no reason to give up at once.
            hopeless = row.hopeless and worth != _SURVIVED
            found = line.text.strip()[:_LINE_CHARS]
            best = rank, Finding(row.code, cause, action, found, hopeless)
    if best is None:
        return None
    (worth, place, _), finding = best
    if worth == _OF_ANOTHER:
        place = -1  # any cause goes before it, wherever it stands
    if worth < _ENDED and any(item.place > place for item in _told(page, CAUSE)):
        return None
    return finding


def _worth(line: Line) -> int:
    if line.over:
        return _SURVIVED
    if weight(line.text) < CAUSE:
        return _OF_ANOTHER
    return _ENDED if line.raised else _PRINTED


def _told(page: Page, weight: int) -> list[Told]:
    """The exceptions of a weight, each once, in the log's order; those survived only alone."""
    every = [item for item in told(page) if item.weight == weight]
    return distinct([item for item in every if not page.lines[item.place].over] or every)


def exceptions(logs: str, most: int = EXCEPTIONS) -> tuple[str, ...]:
    """The last distinct exceptions of a log, in its order; () where it tells none.

    What only points at another message is left out, and what echoes another's death where
    anything tells more.
    """
    page = _page(logs)
    found = _told(page, CAUSE) or _told(page, ECHO)
    return tuple(item.text[:_LINE_CHARS] for item in found[-most:])


def excerpt(logs: str) -> tuple[str, ...]:
    """What a person should see of a log: its last distinct exceptions, else its last lines."""
    return exceptions(logs) or tail(logs)
