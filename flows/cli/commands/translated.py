"""How the help is drawn in Chinese: as cyclopts draws it, each text translated in its place."""

from __future__ import annotations

from typing import Any

from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel, InlineText
from rich.console import Console, ConsoleOptions
from rich.text import Text

from flows.cli.commands.chinese import said


class Translated(DefaultFormatter):
    """What cyclopts shows of commands and options, in Chinese."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        title, entries = said(str(panel.title)), [_entry(entry) for entry in panel.entries]
        super().__call__(console, options, panel.copy(title=title, entries=entries))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        if usage:
            console.print(Text(f"{said('Usage')}：{usage}", style="bold"))

    def render_description(
        self, console: Console, options: ConsoleOptions, description: Any
    ) -> None:
        super().render_description(console, options, _told(description))


def _entry(entry: HelpEntry) -> HelpEntry:
    """A command or an option; what it may be, and whether it must be given, become part of its
    description, since cyclopts has English words for them."""
    description = _told(entry.description)
    if entry.choices:
        choices = f"[{said('choices')}：{'、'.join(entry.choices)}]"
        description.append(Text(choices, "cyclopts.choices"))
    if entry.required:
        description.append(Text(f"[{said('required')}]", "cyclopts.required"))
    return entry.copy(description=description, choices=None, required=False)


def _told(description: Any) -> Any:
    """A description in Chinese. With `help_format="plaintext"` each is a Text within an InlineText,
    and none where there is nothing to say."""
    if isinstance(description, InlineText) and isinstance(description.primary_renderable, Text):
        description.primary_renderable = Text(said(description.primary_renderable.plain))
    return description
