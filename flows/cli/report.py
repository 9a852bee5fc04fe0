"""`rollout report`: the page of a rollout, its record, or JUnit XML."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Any

from flows.cli.output import show
from flows.cli.screen import say
from tasks.outside.disk import pages, records
from tasks.record.record import RecordKind
from tasks.record.record import read as read_record
from tasks.report import junit as junit_xml
from tasks.report.words.speech import PageLanguage, language_of


def show_report(
    name: str,
    form: str,
    junit: Path | None,
    open_browser: bool,
    speech: PageLanguage | None = None,
    kind: RecordKind | None = None,
    namespace: str | None = None,
) -> int:
    """Draw the page again and say where it is; gives the exit status.

    form: json or yaml print the record instead. junit: also write JUnit XML there. speech: None for
    the locale's. kind: of what the last record is meant, None for a rollout. namespace: None for
    whichever that is of. Raises Refused when there is no such record, SpecError for one that cannot
    be read, OutsideError when a file cannot be written.
    """
    path = pages.find(name, kind, namespace)
    record: dict[str, Any] = records.scrub(records.read(path))
    if junit is not None:
        pages.put(junit, junit_xml.render(read_record(record)).encode("utf-8", "replace"))
    if form != "table":
        show(record, form)
        return 0
    page = pages.write(path, speech or language_of(os.environ))
    of = f"{record.get('namespace') or 'unknown'}/{path.parents[1].name}"
    say(f"{of}, rollout {path.parent.name}", file=sys.stderr)
    print(page)
    if open_browser and not webbrowser.open(page.resolve().as_uri()):
        print(f"no browser could be started; open {page} yourself")
    return 0
