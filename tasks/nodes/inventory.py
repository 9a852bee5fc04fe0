"""What the vendors' inventory tools print, as cards.

Formats were taken from: hy-smi, a field report of eight K100_AI cards (new table, -a,
--showmemavailable) and FlagPerf's and PaddleNLP's DCU pages (old table); hy-smi --json,
gpustack#1508 and categraf's hy_smi input; nvidia-smi --query-gpu, its manual; amd-smi and
rocm-smi, their documentation and marimo#9237; npu-smi info, vllm-ascend's bug reports.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.nodes.document import SmiRun, SmiRuns

UNITS_MIB = {"b": 1 / 2**20, "kb": 1 / 2**10, "mb": 1.0, "mib": 1.0, "gb": 1024.0, "gib": 1024.0}


@dataclass(frozen=True)
class Card:
    """One card. Memory in MiB, temperature in degrees Celsius, power in W; None: not told.

    mode and health: as the tool words them, '' when it says nothing.
    """

    index: int
    model: str = ""
    memory_mib: float | None = None
    used_mib: float | None = None
    available_mib: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    mode: str = ""
    health: str = ""
    uncorrectable: int | None = None
    bus: str = ""


@dataclass(frozen=True)
class Inventory:
    """All cards by index, the driver version ('' unknown), and what could not be read."""

    cards: tuple[Card, ...] = ()
    driver: str = ""
    problems: tuple[str, ...] = ()


@dataclass
class _Reading:
    """Cards while several outputs are merged: each output adds what it knows."""

    cards: dict[int, Card] = field(default_factory=dict)
    driver: str = ""
    problems: list[str] = field(default_factory=list)

    def add(self, index: int, **values: Any) -> None:
        known = {key: value for key, value in values.items() if value not in (None, "")}
        self.cards[index] = replace(self.cards.get(index, Card(index)), **known)


def number(text: Any) -> float | None:
    """The first number in a cell such as '59.0C', '400.0W', '81559 MiB'; None for N/A."""
    match = re.search(r"-?\d+(?:\.\d+)?", str(text))
    return float(match[0]) if match else None


def _value(cell: Any) -> float | None:
    """amd-smi's {"value": 196592, "unit": "MB"}, or '196592 MB'; memory in MiB."""
    if isinstance(cell, Mapping):
        amount, unit = number(cell.get("value")), str(cell.get("unit", "")).lower()
    else:
        amount, unit = number(cell), str(cell).rsplit(" ", 1)[-1].lower()
    return None if amount is None else amount * UNITS_MIB.get(unit, 1.0)


def find_json(text: str) -> Any:
    """The largest JSON object or array in a text: tools print warnings before and after it."""
    decoder, best, size, at = json.JSONDecoder(), None, 0, 0
    while match := re.compile(r"[{\[]").search(text, at):
        try:
            found, end = decoder.raw_decode(text, match.start())
        except ValueError:
            at = match.start() + 1
            continue
        if found and end - match.start() > size:
            best, size = found, end - match.start()
        at = end
    return best


# --- hy-smi, rocm-smi ------------------------------------------------------------------------


def _table(reading: _Reading, text: str) -> None:
    """The default table, by header name: columns come and go between releases."""
    header: list[str] = []
    for line in text.splitlines():
        cells = line.split()
        if cells and cells[0] in ("HCU", "DCU", "GPU") and "Temp" in cells:
            header = cells
        elif header and cells and cells[0].isdigit():
            if len(cells) != len(header):
                reading.problems.append(f"a row does not fit the header: {line.strip()}")
                continue
            row = dict(zip(header, cells, strict=True))
            reading.add(
                int(cells[0]),
                temperature_c=number(row["Temp"]),
                power_w=number(row.get("AvgPwr", "")),
                mode=row.get("Mode", ""),
            )


_LINES: tuple[tuple[str, str], ...] = (
    (r"Available memory size \(MiB\)", "available_mib"),
    (r"Card [Ss]eries", "model"),
)


def _lines(reading: _Reading, text: str) -> None:
    """`HCU[0] : what: value` lines."""
    for what, name in _LINES:
        for match in re.finditer(rf"(?m)^(?:HCU|DCU|GPU)\[(\d+)\]\s*:\s*{what}\s*:\s*(.+)$", text):
            value = match[2].strip()
            reading.add(int(match[1]), **{name: value if name == "model" else number(value)})
    version = re.search(r"(?im)driver version\s*:\s*([\w.\-+]*\d[\w.\-+]*)", text)
    if version:
        reading.driver = reading.driver or version[1]


def _cards_json(reading: _Reading, data: Any) -> None:
    """{"card0": {...}, "system": {...}}; keys are matched loosely, empty ones are skipped."""
    if not isinstance(data, Mapping):
        return
    for key, body in data.items():
        if not isinstance(body, Mapping):
            continue
        facts = {str(k).strip().lower(): v for k, v in body.items() if str(k).strip()}
        driver = facts.get("driver version")
        card = re.fullmatch(r"card(\d+)", str(key))
        if driver and not reading.driver:
            reading.driver = str(driver)
        if not card:
            continue
        heat = [n for k, v in facts.items() if k.startswith("temperature") and (n := number(v))]
        reading.add(
            int(card[1]),
            model=str(facts.get("card series") or facts.get("card model") or ""),
            memory_mib=_memory(facts, "vram total memory"),
            used_mib=_memory(facts, "vram total used memory"),
            temperature_c=max(heat, default=None),
            power_w=next((number(v) for k, v in facts.items() if "power (w)" in k), None),
            bus=str(facts.get("pci bus", "")).lower(),
        )


def _memory(facts: Mapping[str, Any], name: str) -> float | None:
    for key, value in facts.items():
        match = re.fullmatch(re.escape(name) + r" \((\w+)\)", key)
        if match and (amount := number(value)) is not None:
            return amount * UNITS_MIB.get(match[1], 1.0)
    return None


def _rocm_like(reading: _Reading, run: SmiRun) -> None:
    if "--json" in run.args:
        data = find_json(run.stdout)
        if data is None:
            reading.problems.append(f"no JSON in the output of {' '.join(run.args)}")
        _cards_json(reading, data)
    else:
        _table(reading, run.stdout)
        _lines(reading, run.stdout)


# --- nvidia-smi ------------------------------------------------------------------------------


def _nvidia(reading: _Reading, run: SmiRun) -> None:
    """CSV with a header; units stand in the header or beside the value, N/A in brackets."""
    rows = list(csv.reader(run.stdout.strip().splitlines(), skipinitialspace=True))
    header = [cell.split(" [")[0].strip() for cell in rows[0]] if rows else []
    if "index" not in header:
        reading.problems.append(f"no CSV header: {run.stdout.strip()[:200] or '(nothing)'}")
        return
    for cells in rows[1:]:
        if len(cells) != len(header):
            reading.problems.append(f"a row does not fit the header: {', '.join(cells)}")
            continue
        row = dict(zip(header, cells, strict=True))
        uncorrectable = number(row.get("ecc.errors.uncorrected.volatile.total", ""))
        reading.add(
            int(row["index"]),
            model=row["name"],
            memory_mib=number(row["memory.total"]),
            used_mib=number(row.get("memory.used", "")),
            temperature_c=number(row.get("temperature.gpu", "")),
            power_w=number(row.get("power.draw", "")),
            uncorrectable=None if uncorrectable is None else int(uncorrectable),
            bus=row.get("pci.bus_id", "").lower(),
        )
        reading.driver = reading.driver or row.get("driver_version", "")


# --- amd-smi ---------------------------------------------------------------------------------


def _amd(reading: _Reading, run: SmiRun) -> None:
    """`static` and `metric`: a list of GPUs, in newer releases below "gpu_data"."""
    data = find_json(run.stdout)
    rows = data.get("gpu_data", [data]) if isinstance(data, Mapping) else data
    if not isinstance(rows, list):
        reading.problems.append(f"no JSON in the output of {' '.join(run.args)}")
        return
    for row in rows:
        if not isinstance(row, Mapping) or not isinstance(row.get("gpu"), int):
            continue

        def part(name: str, row: Mapping[str, Any] = row) -> Mapping[str, Any]:
            found = row.get(name)
            return found if isinstance(found, Mapping) else {}

        vram, heat, driver = part("vram"), part("temperature"), part("driver")
        uncorrectable = number(part("ecc").get("total_uncorrectable_count", ""))
        heats = [n for sensor in heat.values() if (n := _value(sensor)) is not None]
        reading.add(
            row["gpu"],
            model=str(part("asic").get("market_name", "")),
            memory_mib=_value(vram.get("size", vram.get("vram_size"))),
            used_mib=_value(part("mem_usage").get("used_vram")),
            temperature_c=max(heats, default=None),
            power_w=_value(part("power").get("socket_power")),
            uncorrectable=None if uncorrectable is None else int(uncorrectable),
            bus=str(part("bus").get("bdf", "")).lower(),
        )
        version = driver.get("version", driver.get("driver_version", ""))
        reading.driver = reading.driver or str(version)


# --- npu-smi ---------------------------------------------------------------------------------


def _npu(reading: _Reading, run: SmiRun) -> None:
    """`npu-smi info`: two rows a chip; a list of processes follows the cards."""
    if match := re.search(r"Version:\s*(\S+)", run.stdout):
        reading.driver = match[1]
    first: list[str] | None = None
    for line in run.stdout.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if "Process id" in line:
            break
        if len(cells) != 3 or not cells[0][:1].isdigit():
            continue
        if first is None:
            first = cells
            continue
        name = first[0].split(None, 1)
        figures = first[2].split()
        memory = [(float(a), float(b)) for a, b in re.findall(r"(\d+)\s*/\s*(\d+)", cells[2])]
        used, total = next(((a, b) for a, b in reversed(memory) if b), (None, None))
        reading.add(
            len(reading.cards),
            model=name[1] if len(name) > 1 else "",
            health=first[1],
            power_w=number(figures[0]) if figures else None,
            temperature_c=number(figures[1]) if len(figures) > 1 else None,
            memory_mib=total,
            used_mib=used,
            bus=cells[1].lower(),
        )
        first = None


PARSERS: dict[str, Callable[[_Reading, SmiRun], None]] = {
    "hy-smi": _rocm_like,
    "rocm-smi": _rocm_like,
    "nvidia-smi": _nvidia,
    "amd-smi": _amd,
    "npu-smi": _npu,
}


def read_inventory(smi: SmiRuns, parser: str | None = None) -> Inventory:
    """Merge every run's output. A run that failed is a problem, and what it printed still counts.

    parser: a key of PARSERS; default: the tool's own name.
    """
    reading = _Reading()
    parse = PARSERS[parser or smi.name]
    for run in smi.runs:
        command = " ".join([smi.name, *run.args])
        if run.error:
            reading.problems.append(f"{command}: {run.error}")
        elif run.status != 0:
            words = (run.stderr or run.stdout).strip().splitlines()[-1:] or ["no output"]
            reading.problems.append(f"{command} ended with status {run.status}: {words[0][:200]}")
        parse(reading, run)
    cards = tuple(reading.cards[index] for index in sorted(reading.cards))
    return Inventory(cards, reading.driver, tuple(_unique(reading.problems)))


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
