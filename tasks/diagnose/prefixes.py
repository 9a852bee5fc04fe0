"""What stands before a line of a log, taken off: who wrote it, how serious they call it.

A line passes from a worker through its engine, a container runtime, a collector and a viewer, and
each may put something before it. The shapes are those of public logs (tests/field/logs).
"""

from __future__ import annotations

import json
import re

# A longer line is a dump, not a sentence.
LINE_CHARS = 4000
# Pods and ranks that one log tells apart.
LABELS = 64
# Colours, also where a paste wrote the escape in letters, or lost it with the bracket.
_ANSI = re.compile(
    r"(?<=\)) \x1b?\[0m|(?:\x1b|\bESC|\^\[)\[[0-9;?]*[A-Za-z]|\[\d{1,2}(?:;\d{1,2})*m|"
    r"(?m:^)(?:\d{1,2};)?\d{1,2}m(?=\()|(?<=\))0m(?= |$)"
)
_WORDS = "DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL"
_DAY = r"(?:\d{4}[-/])?\d\d[-/]\d\d"
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
# vLLM's file and line, a bracket lost in some releases and by some pastes.
_PLACE = r"\[?[\w./-]+\.\w+:\d+(?:\]|\[\])"
# One space at most is taken behind a prefix: the rest is the indentation of a traceback.
_TAG = re.compile(
    r" ?(\((?:[^()\s,]+,?(?: [\w=]+)* )?pid=\d+(?:, ip=[^()\s]+)?\)|\[(?:rank|default)\d+\]:)[ ]?"
)
# What viewers, collectors and launchers put before a line; a level among it is not the engine's.
_OUTER = tuple(
    re.compile(pattern)
    for pattern in (
        # Cloud Logging; then a container runtime's own: "2026-01-01T00:00:00.1Z stderr F text"
        rf"(?:{_WORDS}) \d{{4}}-\d\d-\d\dT{_CLOCK} \[resource\.[^\]]*\][ ]?",
        rf"\d{{4}}-\d\d-\d\dT{_CLOCK} std(?:out|err) [FP][ ]",
        # journald in both its clocks; TorchServe; a launcher; a CI's line number
        rf"(?:[A-Z][a-z]{{2}} [ \d]\d {_CLOCK}|\d{{4}}-\d\d-\d\dT{_CLOCK}) \S+ [\w.@-]+\[\d+\]: ?",
        rf"\d{{4}}-\d\d-\d\dT{_CLOCK} \[\w+ *\] \S+ MODEL_LOG - ?",
        rf"{_DAY}[ T]{_CLOCK} \[[A-Za-z]+\] \(Process\)[ ]?",
        r"\d+\t",
        # compose and CI viewers; frames of a rich traceback; labels
        r"(?:[\w.-]+)?\s+\|[ ](?! )|[\w.-]+\s+\|[ ]",
        rf"\[(?:{_WORDS})\|\S+:\d+:\d+\] \d{{4}}-\d\d-\d\d {_CLOCK} >> ?",  # transformers
        r"│[ ]?",
        r"> ",
        r"\[VLLM LOG\] |vLLM STD(?:OUT|ERR): ",
        # kubectl logs --prefix; mpirun's tags; srun --label
        r"\[pod/[\w.-]+/[\w.-]+\] ?",
        r"\[\d+,\d+\]<std(?:out|err)>: ?",
        r" *\d{1,5}: ",
        # a progress bar that did not end its line
        r"[^\n]{0,120}\d(?:it/s|s/it)\](?=\S)",
        r"[^\n]{0,120}\?it/s\](?=\S)",
    )
)
_LEVELS = tuple(
    re.compile(pattern)
    for pattern in (
        # vLLM's; the time is missing in some, the place in others
        rf"(?P<level>{_WORDS})(?:\s+{_DAY}(?:[ T]{_CLOCK})?(?:\s*{_PLACE}|\s+\w+\.py:(?=\s))?"
        rf"|\s+{_PLACE})[ ]?",
        # "2026-01-01 00:00:00 | name | 42 | INFO : text"
        rf"\d{{4}}-\d\d-\d\d {_CLOCK} \| (?:[\w.]+ \| ){{1,2}}(?P<level>{_WORDS}) *[|:] ?"
        rf"(?:std(?:out|err) \| ?)?",
        # Python's logging in its usual forms: "2026-09-19 21:54:09,123 - name - ERROR - text"
        rf"\[?\d{{4}}[-/]\d\d[-/]\d\d[ T]{_CLOCK}\]?[ ]?(?:[-|][ ])?"
        rf"(?:(?!(?:{_WORDS})\b)[\w.]+[ ][-|][ ])?"
        rf"(?:\[?(?P<level>{_WORDS})\]?(?=\W)[ ]?(?:[-|:][ ])?)?(?:std(?:out|err) \| ?)?",
        # "[2026-01-01 00:00:00,1] [42] [name] [INFO] [file-108] : text"
        rf"(?:\[[^\]]*\] ){{1,5}}\[(?P<level>{_WORDS})\] (?:\[[^\]]*\] )?: ?",
        # "ERROR:name:text", uvicorn's "ERROR:    text", "[ERROR] text"
        rf"(?P<level>{_WORDS}):(?:[A-Za-z_][\w.]*:(?=\S)|[ ]{{0,4}})",
        rf"\[?(?P<level>{_WORDS})\]?(?:[ ]+[-|])?(?:[ ]|$)",
        # glog's, and torch's in brackets: "[W1125 04:41:34.124135885 utils.cpp:68] text"
        rf"\[?(?P<letter>[IWEF])(?:\d{{3,4}} {_CLOCK}[^\]]*| [\w./]+:\d+)\][ ]?",
    )
)
# A second level behind a first is the engine's own, where it is one of the engine's shapes.
_INNER = (_LEVELS[0], _LEVELS[-1])
_LETTERS = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "FATAL"}
# A line whose own text says that it warns: Python's, a library's behind its name.
PYTHON_WARNS = re.compile(r"\S+:\d+: \w*Warning: ")
_WARNS = re.compile(r"(?:[\w./-]+(?:\(\w+\))?:? )?(?:Warning|WARNING|warning)(?:: | \[)")
# Of a library, that goes on in threads of its own: no sign of the engine's life.
_CHATTER = re.compile(r"\S+:\d+:\d+ \[\d+\] .{0,400}?\b[NR]CCL INFO ")
_STAMP = re.compile(rf"\[PID: [\d.]+\] (?:\d{{4}}-\d\d-\d\d-{_CLOCK}[.\d]* )?")
_END_OF_FRAME = re.compile(r"\s*│\s*$")
# As many characters as a narrow terminal has columns, at the least and the most.
_COLUMNS = range(79, 300)


def bare(text: str) -> str:
    """A text without terminal colours."""
    return _ANSI.sub("", text)


def split(raw: str) -> tuple[str, str, str]:
    """(text, who, level) of a line. who: tag of the process, the innermost; '' for none."""
    rest, who, level = raw, "", ""
    for _ in range(3):
        match = next((m for p in _OUTER if (m := p.match(rest))), None)
        if match is None:
            break
        rest = rest[match.end() :]
    rest = _END_OF_FRAME.sub("", rest)
    for _ in range(6):
        if tag := _TAG.match(rest):
            # a rank's mark says less than a process's
            who = who if who and tag[1].startswith("[") else tag[1]
            rest = rest[tag.end() :]
            continue
        shapes = _INNER if level else _LEVELS
        match = next((m for p in shapes if (m := p.match(rest)) and m.end()), None)
        if match is None:
            break
        found = match.groupdict()
        level = found.get("level") or _LETTERS.get(found.get("letter") or "", "") or level
        rest = rest[match.end() :]
    if not level and _CHATTER.match(rest):
        level = "DEBUG"
    if not level and (PYTHON_WARNS.match(rest) or _WARNS.match(rest)):
        level = "WARNING"
    return _STAMP.sub("", rest, count=1), who, level


# Where collectors keep the line that they wrap.
_WRAPPED = ("log", "message", "msg", "text", "line", "data")


def _unwrapped(raw: str) -> str:
    """The line within a collector's JSON."""
    if not (raw.startswith("{") and raw.rstrip().endswith("}")):
        return raw
    try:
        item = json.loads(raw)
    except ValueError:
        return raw
    return next((item[key] for key in _WRAPPED if isinstance(item.get(key), str)), raw)


# How vLLM begins a line, and Python a traceback.
_BEGINS = re.compile(
    rf"\((?:[^()\s]+ ){{1,2}}pid=\d+\)|(?:{_WORDS}) {_DAY} {_CLOCK} \[?[\w./-]+\.py:\d+\]|"
    r"Traceback \(most recent call last\):"
)
_LABEL = re.compile(r"\s*[^\s(\"'][^\n\"']{0,118}[\s:>|\]]$")


def _unlabelled(lines: list[str]) -> list[str]:
    """Lines without what a viewer or launcher puts before each (a pod's name, a rank).

    What stands before the engine's own beginnings goes from every line, with whatever figures.
    """
    labels: set[str] = set()
    for line in lines:
        rest, who, level = split(line)
        begins = None if who or level else _BEGINS.search(rest[:160])
        if begins is None or not begins.start():
            continue
        label = line[: line.find(rest) + begins.start()]
        if _LABEL.match(label):
            labels.add(re.sub(r"\d+", "#", label))
    if not labels:
        return lines
    shapes = (re.escape(label).replace(r"\#", r"\d+") for label in sorted(labels, key=len)[:LABELS])
    any_of = re.compile("|".join(shapes))
    return [line[m.end() :] if (m := any_of.match(line)) else line for line in lines]


def unfolded(text: str) -> list[str]:
    """The lines of a log, those cut at a terminal's width or pressed into one made whole."""
    return _unlabelled(_whole_lines(text))


def _whole_lines(text: str) -> list[str]:
    lines: list[str] = []
    pieces = (_unwrapped(raw).rstrip() for raw in re.split(r"\r?\n|\r", text))
    for raw in (line for piece in pieces for line in piece.split("\n")):
        # JSON within a line keeps the ends of its lines as two characters
        parts = raw.split("\\n") if raw.count("\\n") > 1 and "\\\\n" not in raw else [raw]
        lines += [part[:LINE_CHARS].rstrip() for part in parts]
    width = max(map(len, lines), default=0)
    if width not in _COLUMNS or sum(len(line) == width for line in lines) < 3:
        return lines
    whole: list[str] = []
    cut = False
    for line in lines:
        goes_on = cut and line[:1].strip() and not _TAG.match(line) and not split(line)[2]
        if goes_on:
            whole[-1] += line
        else:
            whole.append(line)
        cut = len(line) == width
    return whole
