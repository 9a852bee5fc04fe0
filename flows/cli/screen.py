"""The terminal. What is shown comes from outside (a hub's messages, a model's answers, logs of
containers), so none of it is ever markup, an emoji code or a control sequence."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from tasks.report.html import plain


class Screen(Console):
    """A console that shows strings as they are, in tables and titles, too."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "markup": False, "emoji": False, "highlight": False})

    def render_str(self, text: str, **settings: Any) -> Text:
        """Text without what a terminal would take for an order."""
        never: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
        return super().render_str(plain(text), **{**settings, **never})


def words(text: object, style: str = "") -> Text:
    """A string in a style."""
    return Text(plain(text), style=style)
