"""`rollout report`: the page of a rollout, its record, or JUnit XML."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.cli.output import show
from tasks.outside.disk import pages, records
from tasks.record.record import read as read_record
from tasks.report import junit as junit_xml
from tasks.report.words.speech import LANGUAGES, Language

_LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")


def language(environ: Mapping[str, str]) -> Language:
    """The language that a person's locale names, as POSIX orders its variables; English where no
    page is in it."""
    locale = next((environ[key] for key in _LOCALES if environ.get(key)), "")
    return next((one for one in LANGUAGES if locale.lower().startswith(one)), "en")


def show_report(
    name: str,
    form: str,
    junit: Path | None,
    open_browser: bool,
    speech: Language | None = None,
) -> int:
    """Draw the page again and say where it is; gives the exit status.

    form: json or yaml print the record instead. junit: also write JUnit XML there. speech: None for
    the locale's. Raises SpecError when there is no such record, OutsideError when a file cannot be
    written.
    """
    path = pages.find(name)
    record: dict[str, Any] = records.scrub(records.read(path))
    if junit is not None:
        pages.put(junit, junit_xml.render(read_record(record)).encode("utf-8", "replace"))
    if form != "table":
        show(record, form)
        return 0
    page = pages.write(path, speech or language(os.environ))
    print(page)
    if open_browser and not webbrowser.open(page.resolve().as_uri()):
        print(f"no browser could be started; open {page} yourself")
    return 0
