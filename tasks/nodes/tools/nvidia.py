"""nvidia-smi --query-gpu ... --format=csv, as its manual has it."""

from __future__ import annotations

import csv
import re

from tasks.nodes.document import SmiRun
from tasks.nodes.tools.cards import Reading
from tasks.nodes.tools.text import last_words, number, sick_word


def nvidia(reading: Reading, run: SmiRun) -> None:
    """CSV with a header; units stand in the header or beside the value, N/A in brackets."""
    # a warning may stand before the header
    lines = run.stdout.strip().splitlines()
    start = next((i for i, line in enumerate(lines) if re.match(r"\s*index\b", line)), None)
    if start is None:
        reading.problems.append(f"no CSV header: {last_words(run.stdout)}")
        return
    rows = list(csv.reader(lines[start:], skipinitialspace=True))
    header = [cell.split(" [")[0].strip() for cell in rows[0]]
    for cells in rows[1:]:
        if len(cells) != len(header) or not cells[0].isdigit():
            words = f"a row does not fit the header: {', '.join(cells)[:200]}"
            # a line that is no card's may be a warning; a card's that is short was cut
            if cells and cells[0].isdigit():
                reading.cut(words)
            else:
                reading.problems.append(words)
            continue
        row = dict(zip(header, cells, strict=True))
        uncorrectable = number(row.get("ecc.errors.uncorrected.volatile.total", ""))
        reading.add(
            int(row["index"]),
            model=row.get("name", ""),
            memory_mib=number(row.get("memory.total", "")),
            used_mib=number(row.get("memory.used", "")),
            temperature_c=number(row.get("temperature.gpu", "")),
            power_w=number(row.get("power.draw", "")),
            uncorrectable=None if uncorrectable is None else int(uncorrectable),
            health=sick_word(", ".join(cells)),
            mode="MIG" if row.get("mig.mode.current", "").startswith("Enabled") else "",
            bus=row.get("pci.bus_id", "").lower(),
        )
        reading.driven(row.get("driver_version", ""))
