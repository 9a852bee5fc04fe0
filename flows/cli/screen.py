"""The terminal. What is shown comes from outside (a hub's messages, a model's answers, logs of
containers), so none of it is ever markup, an emoji code or a control sequence."""

from __future__ import annotations

import os
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from tasks.base.scrub import mask
from tasks.report.html import plain

# Columns of a file or a pipe, which have none: no row of a table is that long.
UNFOLDED = 1000


class Screen(Console):
    """A console that shows strings as they are, in tables and titles, too. What is piped or written
    to a file is not folded, so that a name is found in one piece; COLUMNS says otherwise."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "markup": False, "emoji": False, "highlight": False})
        if not (self.is_terminal or "width" in settings or "COLUMNS" in os.environ):
            self.width = UNFOLDED

    def render_str(self, text: str, **settings: Any) -> Text:
        """Text without what a terminal would take for an order."""
        never: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
        return super().render_str(plain(text), **{**settings, **never})


def words(text: object, style: str = "") -> Text:
    """A string in a style."""
    return Text(plain(text), style=style)


def say(text: object, *, file: TextIO | None = None) -> None:
    """A line, as it is and without a credential. file: default stdout."""
    print(plain(mask(str(text))), file=file, flush=True)
