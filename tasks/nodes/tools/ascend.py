"""npu-smi info, as vllm-ascend's bug reports have it (24.1 to 26.0)."""

from __future__ import annotations

import re

from tasks.nodes.document import SmiRun
from tasks.nodes.tools.cards import Reading
from tasks.nodes.tools.text import last_words, number


def npu(reading: Reading, run: SmiRun) -> None:
    """Two rows a chip; a list of processes follows the cards. The number that a chip has in the
    table is none of ours: within a slice it is 32768."""
    if match := re.search(r"Version:\s*(\S+)", run.stdout):
        reading.driven(match[1])
    before = len(reading.cards)
    if "Process id" not in run.stdout:
        reading.whole = False  # further chips may have stood there
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
    if first is not None:
        reading.cut("the list breaks off within a chip")
    if len(reading.cards) == before:
        reading.problems.append(f"no chip in the output: {last_words(run.stdout)}")
