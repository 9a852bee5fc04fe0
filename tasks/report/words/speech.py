"""The language that a report speaks. A message's English is its key, so that the code reads as the
page does; tests know that the catalogues lack none and hold none that nobody says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

from tasks.report.words.chinese import CHINESE

PageLanguage = Literal["en", "zh"]
LANGUAGES: tuple[PageLanguage, ...] = get_args(PageLanguage)
# As HTML names them, and as their readers do.
TAGS: Mapping[PageLanguage, str] = {"en": "en", "zh": "zh-CN"}
NAMES: Mapping[PageLanguage, str] = {"en": "English", "zh": "简体中文"}
_LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")
_spoken: ContextVar[PageLanguage] = ContextVar("spoken", default="en")


def language_of(environ: Mapping[str, str]) -> PageLanguage:
    """The language that a person's locale names, as POSIX orders its variables; English where
    nothing is in it."""
    locale = next((environ[key] for key in _LOCALES if environ.get(key)), "")
    return next((one for one in LANGUAGES if locale.lower().startswith(one)), "en")


@contextmanager
def spoken(language: PageLanguage) -> Iterator[None]:
    """What `t` says within is in this language."""
    before = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(before)


def language() -> PageLanguage:
    """The language that is spoken now."""
    return _spoken.get()


def t(text: str, /, **values: object) -> str:
    """A message, in the language that is spoken, with its {placeholders} filled. What no catalogue
    has stays as it is."""
    said = CHINESE.get(text, text) if language() == "zh" else text
    return said.format(**values) if values else said


def tn(count: int, one: str, many: str, /, **values: object) -> str:
    """The message for one, or for many, with {n} for how many."""
    return t(one if count == 1 else many, n=f"{count:,}", **values)


def ts(*texts: str) -> list[str]:
    """Several messages, such as the heads of a table."""
    return [t(text) for text in texts]
