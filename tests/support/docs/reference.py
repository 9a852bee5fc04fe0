"""The pages of reference that are generated: the spec from its models, accelerators and outcomes
from their tables. `python -m tests.support.update_golden` renews them.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.cli.reading.explain import field_of
from tasks.accelerators.profiles import PROFILES
from tasks.accelerators.types import Profile
from tasks.record.outcome import ENDINGS
from tasks.report.words.speech import PageLanguage, spoken, t
from tests.support.places import ROOT

DOCS = ROOT / "docs"
BEGIN, END = "<!-- generated: {} -->", "<!-- end: {} -->"
# the last words of a field's name -> its unit
UNITS = {
    "s": "s",
    "seconds": "s",
    "ms": "ms",
    "hours": "h",
    "gib": "GiB",
    "percent": "%",
    "tokens": "tokens",
    "len": "tokens",
    "rate": "1/s",
}
ENDING_HEADS: Mapping[PageLanguage, str] = {
    "en": "| outcome | exit status | state in Prefect | on the page |",
    "zh": "| 结局 | 退出码 | Prefect 中的状态 | 报告页上 |",
}
# what is on the second page of the spec; the first has all else
MEASURING = ("smoke", "benchmark", "targets", "quality", "promotion", "records")

told = functools.cache(field_of)


def spec_tables(parts: tuple[str, ...]) -> str:
    """The fields of these parts of the spec, a table a model."""
    return "\n\n".join(text for part in parts for text in _tables(part))


def parts_of_spec() -> tuple[str, ...]:
    """The parts with fields of their own that are not on the second page."""
    found = [item["name"] for item in told("")["fields"]]
    return tuple(name for name in found if told(name)["fields"] and name not in MEASURING)


def top_table() -> str:
    """The fields of the spec itself."""
    return _table(told("")["fields"], "")


def accelerator_table() -> str:
    """A line a row of the table of accelerators."""
    head = [
        "| `nodes.accelerator` | whole cards | kernel modules | tool | toolkit, as in | PCI vendor "
        "| RuntimeClass |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *map(_accelerator, PROFILES.values())])


def ending_table(language: PageLanguage) -> str:
    """A line a kind of outcome, with the words of a report in this language."""
    head = [ENDING_HEADS[language], "| --- | --- | --- | --- |"]
    with spoken(language):
        rows = [
            f"| {kind} | {int(item.exit_code)} | `{item.state}` | {item.sign} {t(item.heading)} |"
            for kind, item in ENDINGS.items()
        ]
    return "\n".join([*head, *rows])


def pages() -> dict[Path, str]:
    """Every page with a generated part -> what it should hold."""
    made = {
        "spec.md": {"spec": top_table(), "parts": spec_tables(parts_of_spec())},
        "spec-measuring.md": {"measuring": spec_tables(MEASURING)},
        "accelerators.md": {"accelerators": accelerator_table()},
        "outcomes.md": {"outcomes": ending_table("en")},
        "zh/outcomes.md": {"outcomes": ending_table("zh")},
    }
    return {DOCS / name: _renewed((DOCS / name).read_text(), parts) for name, parts in made.items()}


def _renewed(text: str, parts: Mapping[str, str]) -> str:
    for name, words in parts.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{words}\n{end}{after}"
    return text


def _tables(path: str) -> list[str]:
    found = told(path)
    if not found["fields"]:
        return []
    many = " (a list)" if found["type"].startswith("list") else ""
    own, _, of_model = found["description"].partition("\n")
    words = [text.strip(". \n") for text in dict.fromkeys([own, of_model.removesuffix(".")])]
    said = "\n\n".join(f"{text}." for text in words if text)
    tables = [f"### `{path}`{many}", _cell(said), _table(found["fields"], path)]
    below = [_tables(f"{path}.{item['name']}") for item in found["fields"]]
    return [*tables, *(text for texts in below for text in texts)]


def _table(fields: list[dict[str, Any]], path: str) -> str:
    lines = ["| field | | type, unit | default | limits |", "| --- | --- | --- | --- | --- |"]
    for item in fields:
        name = f"{path}.{item['name']}" if path else item["name"]
        shown = f"[`{item['name']}`](#{_anchor(name)})" if _below(name) else f"`{item['name']}`"
        if name.split(".")[0] in MEASURING and not path:
            shown = f"[`{item['name']}`](spec-measuring.md#{_anchor(name)})"
        limits = "; ".join(_cell(text) for text in _limits(item))
        words = _cell(item["description"])
        lines.append(_row(shown, words, _type(item["type"]) + _unit(item), _default(item), limits))
    return "\n".join(lines)


def _row(*cells: str) -> str:
    return "|" + "|".join(f" {text} " if text else " " for text in cells) + "|"


def _unit(item: Mapping[str, Any]) -> str:
    unit = UNITS.get(item["name"].rpartition("_")[2])
    return f", {unit}" if unit and _type(item["type"]) in ("number", "integer") else ""


def _below(path: str) -> bool:
    return bool(told(path)["fields"])


def _anchor(path: str) -> str:
    many = told(path)["type"].startswith("list")
    return path.replace(".", "") + ("-a-list" if many else "")


def _type(text: str) -> str:
    return text.removesuffix(" or null")


def _default(item: Mapping[str, Any]) -> str:
    if item["required"]:
        return "**required**"
    value = item["default"]
    if value in (None, {}, [], ""):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _limits(item: Mapping[str, Any]) -> list[str]:
    values = [f"`{value}`" for value in item.get("values") or () if value is not None]
    limits = [re.sub(r"^like (.*)$", r"like `\1`", text) for text in item.get("limits") or ()]
    return ([", ".join(values)] if values else []) + limits


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")


def _accelerator(row: Profile) -> str:
    names = [_resource(item.pattern) for item in row.resources if item.kind == "whole"]
    plain = [name for name in names if re.fullmatch(r"[\w./-]+", name)]
    return _row(
        f"`{row.name}`",
        ", ".join(f"`{name}`" for name in plain) + (" and others" if plain != names else ""),
        ", ".join(f"`{name}`" for name in row.modules),
        ", ".join(dict.fromkeys(item.name for item in row.smi)),
        row.toolkit_example,
        f"`{row.pci_vendor}`" if row.pci_vendor else "",
        f"`{row.runtime_class}`" if row.runtime_class else "",
    )


def _resource(pattern: str) -> str:
    """A resource's name, where its pattern is no more than that."""
    return pattern.replace("\\", "").replace("(?i:ascend)", "Ascend")
