"""amd-smi static and metric, as its documentation and marimo#9237 have them.

What `static --limit` prints: CHANGELOG of ROCm/amdsmi (MIN_POWER); a guest's tool has no --limit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tasks.nodes.document import SmiRun
from tasks.nodes.tools.cards import Heat, Reading
from tasks.nodes.tools.text import UNITS_MIB, find_json, last_words, number, sick_word
from tasks.nodes.tools.unified import amd_unified


def _value(cell: Any) -> float | None:
    """amd-smi's {"value": 196592, "unit": "MB"}, or '196592 MB'; memory in MiB."""
    if isinstance(cell, Mapping):
        amount, unit = number(cell.get("value")), str(cell.get("unit", "")).lower()
    else:
        amount, unit = number(cell), str(cell).rsplit(" ", 1)[-1].lower()
    return None if amount is None else amount * UNITS_MIB.get(unit, 1.0)


OPTIONAL = ("static", "--limit", "--json")  # of which a failure is none of the cards'
# where a card slows down goes before where it switches off
_LIMITS = (r"slowdown_(\w+)_temperature", r"shutdown_(\w+)_temperature")


def _limits(told: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """(sensor, degrees Celsius), by the sensors' names in `metric`."""
    found: dict[str, float] = {}
    for rule in _LIMITS:
        for key, cell in told.items():
            match, value = re.fullmatch(rule, str(key)), _value(cell)
            if match and value:
                found.setdefault({"vram": "mem"}.get(match[1], match[1]), value)
    return tuple(found.items())


def amd(reading: Reading, run: SmiRun) -> None:
    """`static` and `metric`: a list of GPUs, in newer releases below "gpu_data"."""
    data, whole = find_json(run.stdout)
    command = " ".join(run.args)
    rows = data.get("gpu_data", [data]) if isinstance(data, Mapping) else data
    if not isinstance(rows, list):
        words = last_words(run.stdout)
        reading.problems.append(f"no JSON in the output of {command}: {words}")
        return
    if not whole:
        reading.cut(f"the JSON of {command} is not whole")
    for row in rows:
        if not isinstance(row, Mapping) or not isinstance(row.get("gpu"), int):
            continue

        def part(name: str, row: Mapping[str, Any] = row) -> Mapping[str, Any]:
            found = row.get(name)
            return found if isinstance(found, Mapping) else {}

        vram, heat, driver = part("vram"), part("temperature"), part("driver")
        uncorrectable = number(part("ecc").get("total_uncorrectable_count", ""))
        heats = [Heat(str(k), n) for k, cell in heat.items() if (n := _value(cell)) is not None]
        reading.add(
            row["gpu"],
            model=str(part("asic").get("market_name", "")),
            memory_mib=_value(vram.get("size", vram.get("vram_size"))),
            used_mib=_value(part("mem_usage").get("used_vram")),
            temperature_c=max((item.celsius for item in heats), default=None),
            heats=tuple(heats) or None,
            heat_limits=_limits(part("limit")) or None,
            power_w=_value(part("power").get("socket_power")),
            uncorrectable=None if uncorrectable is None else int(uncorrectable),
            health=sick_word(str(row)),
            bus=str(part("bus").get("bdf", "")).lower(),
        )
        asic = part("asic")
        ids = f"{asic.get('device_id', '')} {asic.get('target_graphics_version', '')}"
        card = reading.cards[row["gpu"]]
        if amd_unified(card.model, ids, card.memory_mib):
            reading.add(row["gpu"], unified=True)
        reading.driven(str(driver.get("version", driver.get("driver_version", ""))))
