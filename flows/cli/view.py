"""The live view in the terminal: steps as a tree, a bar for what can be counted.

Without a terminal (CI, a log file) every change of state is a line of its own; of what only counts
a line now and then, and the last count before the step ends. Why a step failed is told once, by
who ends the command, not here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.tree import Tree

from flows.cli.screen import words
from tasks.base import clock
from tasks.base.heard import ENDS, Heard
from tasks.base.progress import Progress, listening
from tasks.outside.terminal.process import hold
from tasks.steps import STEPS

_MARK = {"done": ("✓", "green"), "failed": ("✗", "red")}
# Of what only counts on.
_PLAIN_EVERY_S = 5.0


def amount(value: float, unit: str) -> str:
    """A figure with its unit, bytes in a readable size."""
    return decimal(int(value)) if unit == "bytes" else f"{value:.0f} {unit}".strip()


def figure_text(event: Progress) -> str:
    """'TTFT mean 104 ms, 22.1 tok/s' from the running figures."""
    parts = []
    for name, value in event.figures.items():
        if name == "rate":
            parts.append(f"{decimal(int(value))}/s")
        elif name.endswith("_ms"):
            parts.append(f"{name[:-3].replace('_', ' ').replace('ttft', 'TTFT')} {value:.0f} ms")
        elif name.endswith("_tok_s"):
            parts.append(f"{value:.1f} tok/s")
        else:
            parts.append(f"{name.replace('_', ' ')} {value:g}")
    return ", ".join(parts)


def _counts(event: Progress) -> bool:
    return event.total is not None or bool(event.figures)


def _kind(event: Progress) -> str:
    """What stays the same while an event only counts on; without a count every word matters."""
    said = re.sub(r"[0-9.,]+", "#", event.message) if _counts(event) else event.message
    return f"{event.state} {said}"


# -- rows, as a watched rollout has them, too


def in_order(names: Iterable[str]) -> list[str]:
    """Steps as they are taken; what is none of them comes last."""
    known = [step.name for step in STEPS]
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))


def step_row(name: str, state: str, seconds: float | None, said: str) -> RenderableType:
    """A step. state: '' before it begins."""
    if not state:
        return words(f"· {name}", "dim")
    took = f" {seconds:.1f} s" if seconds is not None else ""
    if state not in _MARK:
        return Spinner("dots", words(f"{name}{took}  {said}"))
    mark, style = _MARK[state]
    text = words(f"{mark} {name}", style)
    text.append(took, style="dim")
    text.append(words(f"  {said}" if said else "", "default"))
    return text


def subject_row(event: Progress) -> RenderableType:
    """What within a step, with a bar where it counts."""
    row = Table.grid(padding=(0, 1))
    cells: list[RenderableType] = [words(event.subject, "cyan")]
    if event.total:
        done, total = amount(event.done or 0, event.unit), amount(event.total, event.unit)
        cells.append(ProgressBar(total=event.total, completed=event.done or 0, width=28))
        cells.append(words(f"{done} of {total}"))
    said = ", ".join(part for part in (event.message, figure_text(event)) if part)
    cells.append(words(said, "dim"))
    row.add_row(*cells)
    return row


class View:
    """Listens to Progress and shows it."""

    def __init__(self, console: Console, title: str, verb: str = "") -> None:
        self.console, self.title, self.verb = console, title, verb
        # those that are optional are shown once they begin
        self._names = () if verb else tuple(step.name for step in STEPS if not step.optional)
        self._heard = Heard()
        self._lock = threading.Lock()
        self._printed: dict[tuple[str, str], tuple[float, str]] = {}
        self._pending: dict[tuple[str, str], Progress] = {}
        self._interactive = console.is_terminal

    # -- listening ----------------------------------------------------------------------------

    def hear(self, event: Progress) -> None:
        """Take one event."""
        event = self._heard.hear(replace(event, step=self.verb or event.step))
        if not self._interactive:
            with self._lock:
                self._hear_plain(event)

    def _hear_plain(self, event: Progress) -> None:
        """Print a change at once; hold back what only counts on."""
        key, kind = (event.step, event.subject), _kind(event)
        at, last = self._printed.get(key, (-1e9, ""))
        if event.state == "running" and not event.message and not _counts(event):
            return
        if event.state in ENDS:
            self._catch_up(event)
        elif kind == last and (not _counts(event) or clock.monotonic() - at < _PLAIN_EVERY_S):
            if _counts(event):
                self._pending[key] = event
            return
        self._pending.pop(key, None)
        self._print_plain(event)

    def _catch_up(self, end: Progress) -> None:
        """Print what is held back of a subject, or a step with all its subjects, that ends."""
        for key in [k for k in self._pending if k[0] == end.step]:
            if end.subject in ("", key[1]):
                event = self._pending.pop(key)
                # an end that counts itself says more
                if key[1] != end.subject or not end.total:
                    self._print_plain(event)

    def catch_up(self) -> None:
        """Print all that is held back."""
        with self._lock:
            pending, self._pending = list(self._pending.values()), {}
            for event in pending:
                self._print_plain(event)

    def _print_plain(self, event: Progress) -> None:
        self._printed[event.step, event.subject] = (clock.monotonic(), _kind(event))
        counted, took = "", ""
        if event.total:
            done, total = amount(event.done or 0, event.unit), amount(event.total, event.unit)
            counted = f"{done} of {total}"
        message = event.message
        if not event.subject and event.state == "failed":
            took, message = f" after {self._heard.steps()[event.step].seconds or 0:.1f} s", ""
        said = ", ".join(part for part in (message, counted, figure_text(event)) if part)
        subject = f" {event.subject}" if event.subject else ""
        line = f"[{event.step}]{subject} {event.state}{took}" + (f": {said}" if said else "")
        # a log's lines are whole: whoever reads it searches in it
        self.console.print(words(line), soft_wrap=True)

    # -- drawing ------------------------------------------------------------------------------

    def __rich__(self) -> RenderableType:
        tree = Tree(words(self.title, "bold"), guide_style="dim")
        heard = self._heard.steps()
        for name in in_order({*self._names, *heard}):
            step = heard.get(name)
            if step is None:
                tree.add(step_row(name, "", None, ""))
                continue
            seconds = clock.monotonic() - step.began if step.seconds is None else step.seconds
            # why it failed is told once, at the end
            said = step.message if step.state != "failed" else ""
            branch = tree.add(step_row(name, step.state, seconds, said))
            if step.state != "done":
                for event in list(step.subjects.values())[-6:]:
                    branch.add(subject_row(event))
        return Group(tree)


@contextmanager
def showing(console: Console, title: str, verb: str = "") -> Iterator[View]:
    """Show progress while a `with` block runs. verb: of a command that takes no steps, under which
    all of it is told."""
    view = View(console, title, verb)
    with listening(hold), listening(view.hear):
        if not console.is_terminal:
            try:
                yield view
            finally:
                view.catch_up()
            return
        with Live(view, console=console, refresh_per_second=8, transient=False):
            yield view
