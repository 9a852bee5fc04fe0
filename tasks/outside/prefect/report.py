"""The report of a rollout in Prefect, where every browser that sees the UI sees it: an artifact
with its figures, and with links to where its pages lie.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from pathlib import Path

from tasks.outside.prefect import artifacts
from tasks.outside.prefect.artifacts import escape
from tasks.record.outcome import target_rows
from tasks.record.record import Record, RecordKind
from tasks.report.page import headline
from tasks.report.pictures import pictures

_log = logging.getLogger(__name__)
MOST_BYTES = 400_000  # of figures in one artifact


def key_of(namespace: str, name: str, kind: RecordKind = "rollout") -> str:
    """The key of a model's reports, under which Prefect keeps their history."""
    return artifacts.key_of("report" if kind == "rollout" else f"report-{kind}", namespace, name)


def address(namespace: str, name: str) -> str:
    """Where the UI shows the reports of a model, the newest first; '' where there is no UI."""
    base = artifacts.ui()
    return f"{base}/artifacts/key/{key_of(namespace, name)}" if base else ""


def publish(record: Record, links: Mapping[str, str]) -> str | None:
    """Make it; gives its path below the UI's address, None where it was not made. links: where its
    pages and logs lie for a browser, by what they are."""
    key = key_of(record.namespace, record.name, record.kind)
    told = f"rollout {record.rollout}"
    ident = artifacts.markdown(key, as_markdown(record), told, links=links)
    return f"/artifacts/artifact/{ident}" if ident else None


def as_markdown(record: Record) -> str:
    """The report as Prefect shows it."""
    what = record.resolve_model
    lines = [f"# {escape(headline(record))}", ""]
    if what:
        lines += [f"{escape(what.model)} at {escape(what.commit)}, as {escape(what.image)}", ""]
    if rows := target_rows(record):
        lines += ["| target | limit | measured | bounds | verdict |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(map(escape, row))} |" for row in rows]
    room, above = MOST_BYTES, ""
    for section, label, svg in pictures(_page(record)):
        image = base64.b64encode(svg.encode()).decode()
        room -= len(image)
        if room < 0:
            lines += ["", "The other figures are in the file of the report."]
            break
        lines += ["", *([f"## {section}", ""] if section != above else [])]
        above = section
        lines += [f'<img alt="{label}" src="data:image/svg+xml;base64,{image}">']
    lines += ["", f"The whole report: `rollout report {record.name}/{record.rollout}`, where the "
              f"worker keeps its records ({escape(record.report)})."]  # fmt: skip
    return "\n".join(lines)


def _page(record: Record) -> str:
    try:
        return Path(record.report).read_text("utf-8") if record.report else ""
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("the report's figures cannot be shown: %s", error)
        return ""
