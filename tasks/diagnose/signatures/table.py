"""What a row of the table of signatures is."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass

Groups = dict[str, str]
Words = str | Callable[[Groups], str]
Test = Callable[[Groups], bool]


@dataclass(frozen=True)
class Signature:
    """A text in a log, the cause it stands for, and what to do.

    cause and action may name the pattern's groups, as {heads}, or be made of them where the
    figures decide. hopeless: the same container would fail the same way again, so one crash is
    enough to give up. source: where the text was seen, owner/repo#number or a path; '' for vLLM's
    own source.

    How much a match says:
    decides: these words end a process also where they are no exception and no line of an error.
    aborts: and nothing is written by that process after them, whatever others write.
    vague: they stand for a kind only; what names a thing goes before them, wherever it stands.
    warned: they count in a warning, too, where nothing else says more.
    demotes: code of what only follows from this where it stands below it.
    silent: they stand for an end without a word, so any word goes before them.
    first: they tell why only where no process told its own end above them.
    where: they fit only where this holds of their figures; None for always.
    other: they tell of another process's end; who tells it writes on.
    """

    code: str
    pattern: re.Pattern[str]
    cause: Words
    action: Words
    hopeless: bool = True
    source: str = ""
    decides: bool = False
    aborts: bool = False
    vague: bool = False
    warned: bool = False
    demotes: str = ""
    silent: bool = False
    first: bool = False
    where: Test | None = None
    other: bool = False

    def fits(self, match: re.Match[str]) -> bool:
        """Whether a match is one of this row's, by its figures."""
        return self.where is None or self.where(_groups(match))

    def told(self, match: re.Match[str]) -> tuple[str, str]:
        """(cause, action) of a match."""
        groups = _groups(match)
        said = [
            w(groups) if callable(w) else w.format_map(groups) for w in (self.cause, self.action)
        ]
        cause, action = (" ".join(text.split()) for text in said)
        return cause, action


def _groups(match: re.Match[str]) -> Groups:
    """A match's groups; a row with alternatives names a further form's <name>2, <name>3."""
    groups: Groups = {}
    for name, value in match.groupdict().items():
        groups.setdefault(name.rstrip("2345"), "")
        if value:
            groups[name.rstrip("2345")] = value.strip()
    return groups


def row(
    code: str,
    pattern: str,
    cause: Words,
    action: Words,
    source: str = "",
    *,
    hopeless: bool = True,
    decides: bool = False,
    aborts: bool = False,
    vague: bool = False,
    warned: bool = False,
    demotes: str = "",
    silent: bool = False,
    first: bool = False,
    where: Test | None = None,
    other: bool = False,
) -> Signature:
    """A row; its pattern takes no note of case, and its ^ and $ are a line's."""
    # A dump of thousands of characters without a blank must not cost their square.
    pattern = pattern.replace(r"\S*", r"\S{0,200}").replace(r"\S+", r"\S{1,200}")
    return Signature(
        code,
        re.compile(pattern, re.IGNORECASE | re.MULTILINE),
        cause,
        action,
        hopeless,
        source,
        decides or aborts,
        aborts,
        vague,
        warned,
        demotes,
        silent,
        first,
        where,
        other or silent,
    )


def signal_name(number: int) -> str:
    """'SIGKILL' for 9; 'signal 99' for what has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
