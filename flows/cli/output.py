"""What a command that reads gives to a program: one document, in JSON or YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from tasks.report.html import plain

# of the documents: what is there stays, with its meaning, as long as this is 1; more may come
SCHEMA = 1


def document(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A document of plain data. kind: of which command."""
    found: dict[str, Any] = json.loads(
        json.dumps({"schema": SCHEMA, "kind": kind, **body}, default=str)
    )
    return found


def text_of(found: Mapping[str, Any], form: str) -> str:
    """As `json` or `yaml`. What a terminal would take for an order is escaped."""

    def written(*, whole: bool) -> str:
        if form == "yaml":
            return yaml.safe_dump(dict(found), sort_keys=False, allow_unicode=whole)
        return json.dumps(found, indent=1, ensure_ascii=not whole) + "\n"

    text = written(whole=True)
    return text if plain(text) == text else written(whole=False)


def show(found: Mapping[str, Any], form: str) -> None:
    """Print a document."""
    print(text_of(found, form), end="", flush=True)
