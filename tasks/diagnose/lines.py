"""The lines of a log without what was put before them, and the errors among them.

Engines write from several processes at once, each line behind a tag, a level and a stamp, as
"(EngineCore_DP0 pid=9) ERROR 09-19 21:54:09 [core.py:1510] ValueError: no". What is told is told
behind these, and who told it matters: a process that goes on was not ended by what it told before.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from tasks.diagnose.benign import BENIGN
from tasks.diagnose.explains import CARRIED, ECHO, POINTER, weight
from tasks.diagnose.prefixes import PYTHON_WARNS, bare, split, unfolded

_TRACEBACK = re.compile(r"\s*(?:\+ )?(?:Exception Group )?Traceback \(most recent call last\):")
# Some collectors take the indentation away; the marks below a frame's source go with it.
_FRAME = re.compile(r"\s*(?:\| )?File \".+\", line \d+|\s*[~^]+$")
_GROUP_BAR = re.compile(r"^\s+\| ?")
# An exception as Python ends a traceback with it, or as a message names it at its start.
_NAMED = re.compile(
    r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception)(?:\(.*\))?(?::|$)|"
    r"(?:[a-z_]\w*\.)+_?[A-Z]\w*: |\w*Error_\w+(?::|$)"
)
# What else ends a process, in its own words.
_FATAL = re.compile(
    r"Fatal Python error|terminate called|thread '.*' panicked|Segmentation fault|Bus error|"
    r"Illegal instruction|!{5,} Segfault encountered|"
    r"\s*Value error, |[\w./-]+: error: |\s+what\(\): |"
    r"\S+:\d+:\d+: fatal error: |\w+ fatal\s*: |Memory access fault by GPU|hipError\w+: |"
    r"[\w(]*E[A-Z]\d{4}\)?: (?!Inner Error)|KeyboardInterrupt: |"
    r"[a-z]\w* error: |HSA_STATUS_ERROR\w*|.* aborting with error : |"
    # checks in C that end their process
    r"Failed[:,] (?=\w+ error |\S+:\d+ ')|[\w./-]+: \S+:\d+: .*Assertion .* failed"
)
# Where a KeyError is raised tells what its name is one of: here a model_type.
_RAISED_IN = re.compile(r"\s*File \".*/(?P<file>configuration_auto\.py)\", line \d+")
# tvm_ffi's word of a crash (apache/tvm-ffi src/ffi/backtrace.cc), and the frames below it.
_CRASH = re.compile(r"!{5,} Segfault encountered")
_NATIVE = re.compile(
    r"\s*File \".+\", line \d+, in (?!0x|_*(?:sigaction|restore_rt))(?P<name>\S.*)"
)
CRASH_FRAMES = 4
# A process calls its own end by these; the exception below it is why.
_END = re.compile(
    r"EngineCore (?:failed to start|encountered a fatal error|hit an exception)|"
    r"WorkerProc (?:failed to start|hit an exception)|Exception in worker \S+ while processing|"
    r"Error executing method |Process (?:SpawnProcess|EngineCore|VllmWorker|Worker)\S*:$"
)
# What a shell or a program of the image says of a file or a program it cannot have: a start script
# goes on after it, as a rule.
_COMPLAINT = re.compile(
    r"(?:[\w.-]*/)*[\w.-]*\bsh: (?:line )?\d*:? ?.*: (?:Permission denied|(?:command )?not found|"
    r"No such file or directory)$|"
    r"(?:/[\w./-]+/)?(?!(?:python|vllm)[\d.]*\b|[\w.]*(?:Error|Exception)\b)[a-z][\w.-]{0,24}: "
    r"(?!error)[^\n]{1,300}: "
    r"(?:Permission denied|Operation not permitted|Read-only file system|command not found)$|"
    r"Could not install packages due to an \w+: |pip's dependency resolver "
)
# A request's answer, and what the server says of one that failed.
_ANSWER = re.compile(r'\s*\S+ - "[A-Z]+ \S+ HTTP/[\d.]+" (?P<status>\d{3})\b')
_ASGI = re.compile(r"Exception in ASGI application")
# In a frame these tell what was short or did not fit: memory of the host that is locked for the
# card, a tensor of the checkpoint.
_CALLS = re.compile(
    r"\s.*\b(?P<call>pin_memory|(?:cu|cuda|hip)\w*Host(?:Alloc|Malloc|Register)|loaded_weight)\b"
)
_UNTOLD = re.compile(
    r"out of memory|Cannot allocate memory|invalid argument|The size of tensor a .* must match",
    re.IGNORECASE,
)
# What Python says of an object that it cannot put away: noise of an end.
_IGNORED = re.compile(r"\s*(?:Exception|Error) ignored (?:in|while)\b")
_FIGURES = re.compile(r"0x[0-9a-f]+|\d[\d.,]*")
# Says that something went wrong, and nothing else.
_EMPTY = re.compile(r"\[Error\]: |\w*E[A-Z]\d{4}: Inner Error!?$|WorkerProc hit an exception")
# Words of an exit in good order; a process that says them does not go on.
_LEAVES = re.compile(r"shut|stopp|exit|terminat|destroy|finish|clean|sigterm|kill", re.IGNORECASE)
# A toolkit's own log, as "RUNTIME(42,python):": its parts write on whatever one of them said.
_LIBRARY = re.compile(r"[A-Z_]+\(\d+,[^)]*\):")
HANDLED = ("DEBUG", "INFO", "NOTICE", "WARN", "WARNING")
_WARNS = ("WARN", "WARNING")
SERIOUS = ("ERROR", "CRITICAL", "FATAL")


@dataclass
class Line:
    """One line.

    text: without prefixes and colours. who: tag of the process that wrote it, '' for none. level:
    in capitals, '' where it names none. frame: part of a traceback above its exception. exception:
    tells one. raised: tells that, or another serious error. benign: known to end nothing. weak: a
    complaint of a program beside the engine, whatever ended it tells more. over: its process wrote
    on after it as if nothing had happened. asked: told of a request; an engine in the same process
    may have died of it. served: a request's, which was answered, or a tagged process's that wrote
    on: it ended nothing. ended: its process calls it its end.
    """

    text: str
    who: str = ""
    level: str = ""
    frame: bool = False
    exception: bool = False
    raised: bool = False
    benign: bool = False
    weak: bool = False
    over: bool = False
    asked: bool = False
    served: bool = False
    ended: bool = False

    @property
    def handled(self) -> bool:
        """Written by a process that says itself that it goes on."""
        return self.level in HANDLED


@dataclass(frozen=True)
class Told:
    """An exception of a log: index of its line, its words on one line, how much it explains
    (CAUSE, ECHO of another's death, POINTER to another message), the process that told it."""

    place: int
    text: str
    weight: int
    who: str = ""


# Of what may tell why a log ended, the last so much is searched; the rest repeats, as a rule.
SEARCHED_CHARS = 300_000
_SENTENCE_CHARS = 1500
# And of what one process says with other figures alone, the last so many.
LIKE = 4


class Text:
    """Lines of a log that are searched as one: what a process says again, or again with other
    figures, counts where it stands last. `lines`: (index, line)."""

    def __init__(self, lines: Iterable[tuple[int, Line]]) -> None:
        last = {(line.who, line.level, line.text): index for index, line in lines if line.text}
        size = 0
        shown: list[tuple[int, str]] = []
        like: Counter[tuple[str, str, str]] = Counter()
        for (who, level, text), index in sorted(last.items(), key=lambda item: -item[1]):
            shape = (who, level, _FIGURES.sub("#", text[:_SENTENCE_CHARS]))
            like[shape] += 1
            if like[shape] > LIKE:
                continue
            size += len(text[:_SENTENCE_CHARS])
            if size > SEARCHED_CHARS:
                break
            shown.append((index, text[:_SENTENCE_CHARS]))
        shown.reverse()
        self.text = "\n".join(text for _, text in shown)
        self._places = [index for index, _ in shown]
        self._starts = [0, *accumulate(len(text) + 1 for _, text in shown)]

    def place(self, offset: int) -> int:
        """Index of the log's line at an offset of `text`."""
        return self._places[bisect_right(self._starts, offset) - 1]


@dataclass
class Page:
    """A log that was read: its lines, those that `may_tell` why it ended, and those that `warn`."""

    lines: list[Line]
    may_tell: Text = field(init=False)
    warn: Text = field(init=False)

    def __post_init__(self) -> None:
        every = list(enumerate(self.lines))
        self.may_tell = Text(
            (at, line) for at, line in every if not (line.frame or line.handled or line.benign)
        )
        self.warn = Text((at, line) for at, line in every if line.level in _WARNS)


def _line(raw: str) -> Line:
    text, who, level = split(raw)
    benign, weak = bool(BENIGN.search(text)), bool(_COMPLAINT.match(text))
    return Line(_GROUP_BAR.sub("", text), who, level, benign=benign, weak=weak)


def read(logs: str) -> Page:
    """Take a log apart."""
    lines = [_line(raw) for raw in unfolded(bare(logs))]
    inside: set[str] = set()
    code: set[str] = set()  # whose next line is source, its indentation taken away
    asserted: dict[str, str] = {}  # what a bare AssertionError does not say
    frames: dict[str, str] = {}  # file of the last frame, where it tells more
    ending: set[str] = set()  # who said that they end
    ignored: set[str] = set()  # whose next exception was not raised to anybody
    candidates: dict[str, Line] = {}  # benign, and told as an end
    calls: dict[str, str] = {}  # a call of the last frame, where it tells more
    _mark_warnings(lines)
    for line in lines:
        _mark_ignored(line, ignored)
        if call := _CALLS.match(line.text):
            calls[line.who] = call["call"]
        if _TRACEBACK.match(line.text) or _FRAME.match(line.text):
            inside.add(line.who)
            line.frame = True
            if line.text.lstrip().startswith("File "):
                raised = _RAISED_IN.match(line.text)
                frames[line.who] = raised["file"] if raised else ""
                calls[line.who] = ""
        elif _NAMED.match(line.text) or _FATAL.match(line.text):
            line.exception = not line.benign
            if line.benign and line.who in ending - ignored:
                candidates[line.who] = line
            if source := asserted.get(line.who, ""):
                line.text += f": {source}" if line.text == "AssertionError" else ""
            if place := frames.pop(line.who, ""):
                line.text += f" in {place}" if line.text.startswith("KeyError: '") else ""
            if (said := calls.pop(line.who, "")) and _UNTOLD.search(line.text):
                line.text += f" in {said}"
            inside.discard(line.who)
        elif line.who in inside and (line.text[:1] in (" ", "\t") or line.who in code):
            line.frame = bool(line.text)
            source = line.text.strip()
            asserted[line.who] = source if source.startswith("assert ") else ""
        elif line.text and line.who in inside:
            inside.discard(line.who)
            line.exception = not line.benign
        if line.text:
            (code.add if line.text.startswith("File ") else code.discard)(line.who)
        serious = line.level in SERIOUS and not line.frame
        line.exception = line.exception and not line.weak
        line.raised = not (line.benign or line.weak) and (line.exception or serious)
        if _END.match(line.text):
            ending.add(line.who)
        elif line.level == "INFO":
            ending.discard(line.who)
        line.ended = line.exception and line.who in ending
    _mark_benign_ends(lines, candidates)
    _mark_over(lines)
    _mark_served(lines)
    _name_crash(lines)
    return Page(lines)


def _mark_warnings(lines: Sequence[Line]) -> None:
    """What Python shows below a warning, its source line, warns as well."""
    warns: set[str] = set()
    for line in lines:
        if PYTHON_WARNS.match(line.text):
            warns.add(line.who)
        elif line.who in warns and line.text[:1] in (" ", "\t") and not _FRAME.match(line.text):
            line.level = line.level or "WARNING"
        else:
            warns.discard(line.who)


def _name_crash(lines: Sequence[Line]) -> None:
    """A crash is told with the first function below it that has a name."""
    for place, line in enumerate(lines):
        if _CRASH.match(line.text):
            below = (_NATIVE.match(item.text) for item in lines[place + 1 :][:CRASH_FRAMES])
            if named := next(filter(None, below), None):
                line.text += f" in {named['name']}"


def _mark_benign_ends(lines: Sequence[Line], candidates: Mapping[str, Line]) -> None:
    """What ends nothing as a rule ended a process that tells nothing else of its end."""
    told = {line.who for line in lines if line.ended and weight(line.text) > POINTER}
    for who, line in candidates.items():
        if who not in told:
            line.benign = False
            line.exception = line.raised = line.ended = True


def _mark_ignored(line: Line, ignored: set[str]) -> None:
    """All from "Exception ignored in" to the exception that closes its traceback is benign."""
    if _IGNORED.match(line.text):
        ignored.add(line.who)
        line.benign = True
    elif line.who in ignored and line.text:
        line.benign = True
        if not (line.text[:1] in (" ", "\t") or _TRACEBACK.match(line.text)):
            ignored.discard(line.who)


def _mark_over(lines: Sequence[Line]) -> None:
    """Who went on: from the end, a process that speaks of its work has survived what it told."""
    alive: set[str] = set()
    for line in reversed(lines):
        line.over = line.who in alive
        works = line.level == "INFO" and line.text.strip() and not _LIBRARY.match(line.text)
        if works and not _LEAVES.search(line.text):
            alive.add(line.who)


def _mark_served(lines: Sequence[Line]) -> None:
    """What a request met: the server answers it (4xx, or 5xx where another process computes) and
    goes on. A process behind its own tag that went on has survived whatever it told."""
    answered: set[str] = set()
    for line in reversed(lines):
        if answer := _ANSWER.match(line.text):
            if answer["status"].startswith("4"):
                answered.add(line.who)
        elif line.frame or line.exception or line.level in SERIOUS or not line.level:
            wrote_on = line.over and bool(line.who)
            line.served = not line.ended and (line.who in answered or wrote_on)
        else:
            answered.discard(line.who)
    asked: set[str] = set()
    for line in lines:
        if _ASGI.match(line.text):
            asked.add(line.who)
        elif line.level:
            asked.discard(line.who)
        line.asked = line.who in asked
        line.over = line.over or line.asked


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
        if not line.exception or line.handled or goes_on or _EMPTY.match(line.text):
            continue
        text = whole = _whole(page.lines, place)
        if carried := CARRIED.match(text):
            yield Told(place, carried["words"], ECHO, line.who)
        yield Told(place, text, weight(text), line.who)


def distinct(items: Sequence[Told]) -> list[Told]:
    """Each text once, where it stands last, in the log's order.

    What several processes say with other figures (card, address, bytes) is one text.
    """
    last = {item.text: item for item in items}
    alike: dict[str, list[Told]] = {}
    for item in sorted(last.values(), key=lambda item: item.place):
        alike.setdefault(_FIGURES.sub("#", item.text), []).append(item)
    kept: list[Told] = []
    for same in alike.values():
        ranks = len({item.who for item in same}) > 1
        kept += same[-1:] if ranks else same
    return sorted(kept, key=lambda item: item.place)
