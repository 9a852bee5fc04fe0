"""The lines of a log without what was put before them, and the errors among them.

Engines write from several processes at once, each line behind a tag, a level and a stamp, as
"(EngineCore_DP0 pid=9) ERROR 09-19 21:54:09 [core.py:1510] ValueError: no". What is told is told
behind these, and who told it matters: a process that goes on was not ended by what it told before.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

# A longer line is a dump, not a sentence.
_LINE_CHARS = 4000
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WORDS = "DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL"
_DAY = r"(?:\d{4}[-/])?\d\d[-/]\d\d"
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
# One space at most is taken behind a prefix: the rest is the indentation of a traceback.
_TAG = re.compile(
    r"(\([^()\s]+(?: rank=\d+)? pid=\d+(?:, ip=[^()\s]+)?\)|\[(?:rank|default)\d+\]:)[ ]?"
)
_PREFIXES = tuple(
    re.compile(pattern)
    for pattern in (
        # vLLM's; the time is missing in some
        rf"(?P<level>{_WORDS})\s+{_DAY}(?:[ T]{_CLOCK})?(?:\s*\[[^\]\s]+:\d+\])?[ ]?",
        # Python's logging in its usual forms: "2026-09-19 21:54:09,123 - name - ERROR - text"
        rf"\[?\d{{4}}[-/]\d\d[-/]\d\d[ T]{_CLOCK}\]?[ ]?(?:[-|][ ])?(?:[\w.]+[ ][-|][ ])?"
        rf"(?:\[?(?P<level>{_WORDS})\]?(?=\W)[ ]?(?:[-|:][ ])?)?",
        # "ERROR:name:text", uvicorn's "ERROR:    text", "[ERROR] text"
        rf"(?P<level>{_WORDS}):(?:[A-Za-z_][\w.]*:(?=\S)|[ ]{{0,4}})",
        rf"\[?(?P<level>{_WORDS})\]?(?:[ ]+[-|])?(?:[ ]|$)",
        # glog's, and torch's in brackets: "[W1125 04:41:34.124135885 utils.cpp:68] text"
        rf"\[?(?P<letter>[IWEF])\d{{4}} {_CLOCK}[^\]]*\][ ]?",
    )
)
_LETTERS = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "FATAL"}
_PYTHON_WARNING = re.compile(r"\S+:\d+: \w*Warning: |Warning: ")
_TRACEBACK = re.compile(r"\s*(?:\+ )?(?:Exception Group )?Traceback \(most recent call last\):")
_GROUP_BAR = re.compile(r"^\s+\| ?")
# An exception as Python ends a traceback with it, or as a message names it at its start.
_NAMED = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception)(?:\(.*\))?(?::|$)")
# What else ends a process, in its own words.
_FATAL = re.compile(
    r"Fatal Python error|terminate called|thread '.*' panicked|Segmentation fault|Bus error|"
    r"Illegal instruction|\s*Value error, |\[Error\]: |[\w./-]+: error: "
)
# Words of an exit in good order; a process that says them does not go on.
_LEAVES = re.compile(r"shut|stopp|exit|terminat|destroy|finish|clean|sigterm|kill", re.IGNORECASE)
HANDLED = ("DEBUG", "INFO", "NOTICE", "WARN", "WARNING")
SERIOUS = ("ERROR", "CRITICAL", "FATAL")

CAUSE, ECHO, POINTER = 2, 1, 0
# Points at another message: never a reason by itself.
_POINTER = re.compile(
    r"root cause|[Ss]ee (?:the )?stack ?trace|[Ss]ee (?:the )?(?:error|log)s? above|\(above\)|"
    r"Failed core proc|"
    r"Engine core initialization failed|EngineDeadError|EngineCore failed to start|"
    r"Engine process failed to start|WorkerProc initialization failed|"
    r"Worker failed with error|in a background process|"
    r"^(?:SystemExit|KeyboardInterrupt|asyncio\.\S*CancelledError|CancelledError)\b"
)
# What others say once one has died: a reason only where there is no better.
_ECHO = re.compile(
    r"[Cc]onnection (?:was )?(?:reset|closed)|Broken pipe|BrokenPipeError|EOFError|"
    r"ncclRemoteError|ncclSystemError|store->get|DistBackendError|DistStoreError|"
    r"ProcessGroup\w+ .*abort|Process group .*terminat|died unexpectedly|exited unexpectedly|"
    r"ChildFailedError|ProcessExitedException"
)


@dataclass
class Line:
    """One line.

    text: without prefixes and colours. who: tag of the process that wrote it, '' for none. level:
    in capitals, '' where it names none. frame: part of a traceback above its exception. exception:
    tells one. raised: tells that, or another serious error. over: its process wrote on after it as
    if nothing had happened.
    """

    text: str
    who: str = ""
    level: str = ""
    frame: bool = False
    exception: bool = False
    raised: bool = False
    over: bool = False

    @property
    def handled(self) -> bool:
        """Written by a process that says itself that it goes on."""
        return self.level in HANDLED


@dataclass(frozen=True)
class Told:
    """An exception of a log: index of its line, its words on one line, how much it explains
    (CAUSE, ECHO of another's death, POINTER to another message)."""

    place: int
    text: str
    weight: int


@dataclass
class Page:
    """A log that was read: its lines, and `text` of those that may tell why it ended."""

    lines: list[Line]
    text: str = ""
    _starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        at, shown = 0, []
        for line in self.lines:
            self._starts.append(at)
            shown.append("" if line.frame or line.handled else line.text)
            at += len(shown[-1]) + 1
        self.text = "\n".join(shown)

    def place(self, offset: int) -> int:
        """Index of the line at an offset of `text`."""
        return bisect_right(self._starts, offset) - 1


def bare(text: str) -> str:
    """A text without terminal colours."""
    return _ANSI.sub("", text)


def _split(raw: str) -> Line:
    rest, who, level = raw, "", ""
    for _ in range(4):
        if tag := _TAG.match(rest):
            who, rest = who or tag[1], rest[tag.end() :]
            continue
        if level:
            break
        match = next((m for p in _PREFIXES if (m := p.match(rest)) and m.end()), None)
        if match is None:
            break
        found = match.groupdict()
        level = found.get("level") or _LETTERS.get(found.get("letter") or "", "")
        rest = rest[match.end() :]
    if not level and _PYTHON_WARNING.match(rest):
        level = "WARNING"
    return Line(_GROUP_BAR.sub("", rest), who, level)


def read(logs: str) -> Page:
    """Take a log apart."""
    lines = [_split(raw[:_LINE_CHARS].rstrip()) for raw in bare(logs).split("\n")]
    inside: set[str] = set()
    for line in lines:
        if _TRACEBACK.match(line.text):
            inside.add(line.who)
            line.frame = True
        elif line.who in inside and line.text[:1] in (" ", "\t"):
            line.frame = True
        elif line.text and line.who in inside:
            inside.discard(line.who)
            line.exception = True
        elif line.text:
            line.exception = bool(_NAMED.match(line.text) or _FATAL.match(line.text))
        line.raised = line.exception or (line.level in SERIOUS and not line.frame)
    _mark_over(lines)
    return Page(lines)


def _mark_over(lines: Sequence[Line]) -> None:
    """Who went on: from the end, a process that speaks of its work has survived what it told."""
    alive: set[str] = set()
    for line in reversed(lines):
        line.over = line.who in alive
        if line.level == "INFO" and line.text.strip() and not _LEAVES.search(line.text):
            alive.add(line.who)


def weight(text: str) -> int:
    """How much a message explains: CAUSE, ECHO or POINTER."""
    if _POINTER.search(text):
        return POINTER
    return ECHO if _ECHO.search(text) else CAUSE


def _whole(lines: Sequence[Line], place: int) -> str:
    """An exception with the indented lines that go on with its message, on one line."""
    first = lines[place]
    parts = [first.text.strip()]
    for line in lines[place + 1 : place + 4]:
        goes_on = line.who == first.who and line.level == first.level and not line.frame
        if (
            not goes_on
            or line.text[:1] not in (" ", "\t")
            or "For further information" in line.text
        ):
            break
        parts.append(line.text.strip())
    return " ".join(parts)


def told(page: Page) -> Iterator[Told]:
    """The exceptions of a log, in its order; those that were handled are left out."""
    whole = ""
    for place, line in enumerate(page.lines):
        goes_on = line.text[:1] == " " and line.text.strip() in whole
        if not line.exception or line.handled or goes_on:
            continue
        text = whole = _whole(page.lines, place)
        yield Told(place, text, weight(text))


def distinct(items: Sequence[Told]) -> list[Told]:
    """Each text once, where it stands last, in the log's order."""
    last = {item.text: item for item in items}
    return sorted(last.values(), key=lambda item: item.place)
