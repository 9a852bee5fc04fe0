"""hy-smi and rocm-smi: a table, `HCU[0] : what: value` lines, JSON by card.

Formats: a field report of eight K100_AI cards (new table, -a, --showmemavailable), FlagPerf's and
PaddleNLP's DCU pages (old table), gpustack#1508 and categraf's hy_smi input (--json).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tasks.nodes.document import SmiRun
from tasks.nodes.tools.cards import Heat, Reading
from tasks.nodes.tools.text import (
    UNITS_MIB,
    card_name,
    find_json,
    last_words,
    number,
    sick_word,
)
from tasks.nodes.tools.unified import amd_unified

_OPENS = re.compile(r"System Management Interface\s*=")
_ENDS = re.compile(r"End of .*\bLog\b")


def _table(reading: Reading, text: str) -> None:
    """The default table, by header name: columns come and go between releases."""
    header: list[str] = []
    for line in text.splitlines():
        cells = line.split()
        if cells and cells[0] in ("HCU", "DCU", "GPU") and "Temp" in cells:
            header = cells
        elif header and cells and cells[0].isdigit():
            if len(cells) != len(header):
                reading.cut(f"a row does not fit the header: {line.strip()}")
                continue
            row = dict(zip(header, cells, strict=True))
            share = number(row.get("VRAM%", ""))
            reading.add(
                int(cells[0]),
                temperature_c=number(row["Temp"]),
                power_w=number(row.get("AvgPwr", "")),
                used_share=None if share is None else share / 100,
                mode=row.get("Mode", ""),
                health=sick_word(line),
            )
    if header and _OPENS.search(text) and not _ENDS.search(text):
        reading.cut("the table has no end (End of SMI Log)")


_LINES: tuple[tuple[str, str], ...] = (
    (r"Available memory size \(MiB\)", "available_mib"),
    (r"Card [Ss]eries", "model"),
)


def _lines(reading: Reading, text: str) -> None:
    """`HCU[0] : what: value` lines."""
    for what, name in _LINES:
        for match in re.finditer(rf"(?m)^(?:HCU|DCU|GPU)\[(\d+)\]\s*:\s*{what}\s*:\s*(.+)$", text):
            value = match[2].strip()
            reading.add(int(match[1]), **{name: value if name == "model" else number(value)})
    version = re.search(r"(?im)driver version\s*:\s*([\w.\-+]*\d[\w.\-+]*)", text)
    if version:
        reading.driven(version[1])


def _cards_json(reading: Reading, data: Any) -> None:
    """{"card0": {...}, "system": {...}}; keys are matched loosely, empty ones are skipped."""
    if not isinstance(data, Mapping):
        return
    for key, body in data.items():
        if not isinstance(body, Mapping):
            continue
        facts = {str(k).strip().lower(): v for k, v in body.items() if str(k).strip()}
        reading.driven(str(facts.get("driver version", "")))
        card = re.fullmatch(r"card(\d+)", str(key))
        if not card:
            continue
        heat = [
            Heat(match[1], n)
            for key, value in facts.items()
            if (match := re.match(r"temperature \(sensor ([^)]+)\)", key)) and (n := number(value))
        ]
        plain = [n for k, v in facts.items() if k.startswith("temperature") and (n := number(v))]
        reading.add(
            int(card[1]),
            model=next(filter(None, (card_name(str(facts.get(key, ""))) for key in _NAMES)), ""),
            memory_mib=_memory(facts, "vram total memory"),
            used_mib=_memory(facts, "vram total used memory"),
            temperature_c=max(plain, default=None),
            heats=tuple(heat) if len(heat) == len(plain) else None,
            power_w=_power(facts),
            bus=str(facts.get("pci bus", "")).lower(),
        )
        found = reading.cards[int(card[1])]
        ids = f"{facts.get('gfx version', '')} {facts.get('card model', '')}"
        if amd_unified(found.model, ids, found.memory_mib):
            reading.add(int(card[1]), unified=True)


_NAMES = ("card series", "card model")


def _power(facts: Mapping[str, Any]) -> float | None:
    """W it takes; what it may take at most stands beside, in some releases before it."""
    keys = [key for key in facts if "power (w)" in key and not key.startswith("max")]
    return next((number(facts[key]) for key in keys), None)


def _memory(facts: Mapping[str, Any], name: str) -> float | None:
    for key, value in facts.items():
        match = re.fullmatch(re.escape(name) + r" \((\w+)\)", key)
        if match and (amount := number(value)) is not None:
            return amount * UNITS_MIB.get(match[1], 1.0)
    return None


def rocm_like(reading: Reading, run: SmiRun) -> None:
    """One output of either tool."""
    if "--json" not in run.args:
        _table(reading, run.stdout)
        _lines(reading, run.stdout)
        return
    data, whole = find_json(run.stdout)
    command = " ".join(run.args)
    if data is None:
        words = last_words(run.stdout)
        reading.problems.append(f"no JSON in the output of {command}: {words}")
    elif not whole:
        reading.cut(f"the JSON of {command} is not whole")
    _cards_json(reading, data)
