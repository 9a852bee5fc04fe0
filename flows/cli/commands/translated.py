"""How the help is drawn in Chinese: as cyclopts draws it, each text translated in its place."""

from __future__ import annotations

from typing import Any

from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel, InlineText
from rich.console import Console, ConsoleOptions

from flows.cli.commands.chinese import said
from flows.cli.screen import words


class Translated(DefaultFormatter):
    """What cyclopts shows of commands and options, in Chinese."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        title, entries = said(str(panel.title)), [_entry(entry) for entry in panel.entries]
        super().__call__(console, options, panel.copy(title=title, entries=entries))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        if usage:
            console.print(words(f"{said('Usage')}：{usage}", "bold"))

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
        description.append(words(choices, "cyclopts.choices"))
    if entry.required:
        description.append(words(f"[{said('required')}]", "cyclopts.required"))
    return entry.copy(description=description, choices=None, required=False)


def _told(description: Any) -> Any:
    """A description in Chinese. With `help_format="plaintext"` each is a Text within an InlineText,
    and none where there is nothing to say."""
    text = getattr(description, "primary_renderable", None)
    if isinstance(description, InlineText) and text is not None and hasattr(text, "plain"):
        description.primary_renderable = words(said(text.plain))
    return description
