"""What a container's log says about why it ended.

The place in the log decides, not the order of the table: an error that ended its process goes
before one that was survived, and of several the last. Where no signature fits, the exceptions
themselves are shown, the cause before what only points at it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from tasks.diagnose.explains import CAUSE, ECHO, says, weight
from tasks.diagnose.lines import Line, Page, Told, distinct, read, told
from tasks.diagnose.prefixes import bare
from tasks.diagnose.signatures import SIGNATURES, Signature

TAIL_LINES = 20
EXCEPTIONS = 3
# Last lines that are shown behind exceptions.
AFTER_LINES = 8
# Processes of one finding that are named.
WHO = 8
# More than a container of many workers writes when all of them fail; bounds the time it takes.
_READ_CHARS = 1_500_000
_LINE_CHARS = 600
# How much a match is worth: told by what ended its process, printed by the way, a kind without a
# name, told of another that ended, an end without a word, survived, only warned of, what follows
# from another.
_ENDED, _PRINTED, _VAGUE, _OF_ANOTHER, _SILENT, _SURVIVED, _WARNED, _FOLLOWS = range(7, -1, -1)
_NAME = re.compile(r"\(?(\S.*?)[,)]? ?(?:rank=(\d+) )?pid=|\[(?:rank|default)(\d+)\]")


@dataclass(frozen=True)
class Finding:
    """A signature found in a log: its code, cause, action, the line that matched, and the names of
    the processes that told it: ("Worker_TP0", "Worker_TP1")."""

    code: str
    cause: str
    action: str
    line: str
    hopeless: bool
    who: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The line, behind who wrote it."""
        return f"{', '.join(self.who)}: {self.line}" if self.who else self.line


@dataclass(frozen=True)
class _Match:
    row: Signature
    number: int
    match: re.Match[str]
    place: int
    worth: int

    @property
    def rank(self) -> tuple[int, int, int]:
        return self.worth, self.place, -self.number


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
    found = _demoted(page, _matches(page))
    if not found:
        return None
    best = max(found, key=lambda item: item.rank)
    if best.row.silent and _any_word(page, {i.place for i in found if i.row.silent}):
        return None
    if _better_told(page, best, found):
        return None
    cause, action = best.row.told(best.match)
    line = page.lines[best.place].text.strip()[:_LINE_CHARS]
    told = {_name(page.lines[i.place].who): None for i in found if i.row.code == best.row.code}
    who = tuple(sorted(name for name in told if name))[:WHO]
    # What was survived may come again; it is no reason to give up at once, nor is a complaint.
    sure = best.worth != _SURVIVED and not (best.worth == _WARNED and page.lines[best.place].weak)
    hopeless = best.row.hopeless and sure
    return Finding(best.row.code, cause, action, line, hopeless, who)


def _matches(page: Page) -> list[_Match]:
    found: list[_Match] = []
    for number, row in enumerate(SIGNATURES):
        for match in filter(row.fits, row.pattern.finditer(page.may_tell.text)):
            place = page.may_tell.place(match.start())
            if row.aborts or row.other or not page.lines[place].served:
                found.append(_Match(row, number, match, place, _worth(row, page.lines[place])))
        for match in filter(row.fits, row.pattern.finditer(page.warn.text)) if row.warned else ():
            place = page.warn.place(match.start())
            found.append(_Match(row, number, match, place, _WARNED))
    return found


def _worth(row: Signature, line: Line) -> int:
    if line.weak and not row.aborts:
        return _WARNED
    if row.silent:
        return _SILENT
    if line.over and not (row.aborts or row.other):
        return _SURVIVED
    if not row.decides and weight(line.text) < CAUSE:
        return _OF_ANOTHER
    if row.decides or line.raised:
        return _VAGUE if row.vague else _ENDED
    return _OF_ANOTHER if row.vague else _PRINTED


def _demoted(page: Page, found: list[_Match]) -> list[_Match]:
    """With less worth for what only follows from something that stands above it."""
    above = {item.row.demotes: item.place for item in reversed(found) if item.row.demotes}
    end = _first_end(page, found)
    return [
        replace(item, worth=_FOLLOWS)
        if above.get(item.row.code, item.place) < item.place
        or (item.row.first and end < item.place)
        else item
        for item in found
    ]


def _first_end(page: Page, found: list[_Match]) -> int:
    """Where a process first told why it ends, or another that it is gone."""
    places = [item.place for item in found if item.worth == _ENDED and not item.row.first]
    places += [item.place for item in found if item.row.silent]
    places += [
        place for place, line in enumerate(page.lines) if line.ended and weight(line.text) == CAUSE
    ]
    return min(places, default=len(page.lines))


def _better_told(page: Page, best: _Match, found: list[_Match]) -> bool:
    """Whether an exception that no row knows explains more than a match."""
    if page.lines[best.place].ended:
        return False
    # What another's death is told by yields to any cause, wherever it stands; what would end a
    # process yields to what a process itself calls its end, further down.
    place = best.place if best.worth in (_ENDED, _PRINTED, _SURVIVED) else -1
    known = {item.place for item in found}
    words = [item.match[0].strip() for item in found]
    return any(
        item.place > place
        and item.place not in known
        and not (page.lines[item.place].served or page.lines[item.place].asked)
        and (best.worth < _ENDED or page.lines[item.place].ended)
        and not any(text in item.text for text in words)
        for item in _told(page, CAUSE)
    )


def _any_word(page: Page, silent: set[int]) -> bool:
    """Whether anything but an end without a word is told: an exception, another's echo, a line of
    an error. A broken pipe is the other end of a process that is gone."""
    return any(
        line.raised
        and line.text.strip()
        and not (line.handled or line.over or line.served or place in silent)
        and "Broken pipe" not in line.text
        and says(line.text)
        for place, line in enumerate(page.lines)
    )


def _name(tag: str) -> str:
    """The process in a tag: 'Worker_TP0' of '(Worker_TP0 pid=77)', 'rank 1' of '[rank1]:'."""
    match = _NAME.match(tag)
    if match is None:
        return ""
    name, rank, alone = match.groups()
    return f"rank {alone}" if alone else f"{name} rank {rank}" if rank else name


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
    """What a person should see of a log: its last distinct exceptions, then its last lines."""
    said = exceptions(logs)
    if not said:
        return tail(logs)
    last = [line.strip() for line in tail(logs, AFTER_LINES)]
    return (*said, *(line for line in last if not any(text in line for text in said)))
