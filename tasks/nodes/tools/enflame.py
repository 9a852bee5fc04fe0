"""efsmi: its table, and `efsmi -q`, which alone tells memory in use.

Sources: -q of driver 1.4.3 (zstack-utility's plugin for Enflame, 2025: Total Size, Used Size) and
of 2024 (hawkli-1994/gpu_tools: Mem Size, Mem Usage).
"""

from __future__ import annotations

import re

from tasks.nodes.document import SmiRun
from tasks.nodes.tools.cards import Reading
from tasks.nodes.tools.frames import framed
from tasks.nodes.tools.text import last_words, number, sick_word

_TABLE = framed("efsmi")


def efsmi(reading: Reading, run: SmiRun) -> None:
    """One output of either form."""
    if "-q" not in run.args:
        _TABLE(reading, run)
        return
    parts = re.split(r"(?m)^\s*DEV ID\s+(\d+)\s*$", run.stdout)
    if len(parts) < 3:
        # the table has no end of its own: without this list it may have been longer
        reading.cut(f"no card in the output of -q: {last_words(run.stdout)}")
    for index, body in zip(parts[1::2], parts[2::2], strict=True):
        pairs = re.findall(r"(?m)^\s*([A-Za-z][\w ]*?)\s*:\s*(\S.*?)\s*$", body)
        # the last card's end may be missing; a key that comes again is another section's
        told = dict(reversed(pairs))
        address = [told.get(key, "") for key in ("Domain", "Bus", "Dev", "Func")]
        reading.driven(told.get("Ver", ""))
        reading.add(
            int(index),
            model=told.get("Dev Name", ""),
            memory_mib=number(told.get("Total Size", told.get("Mem Size", ""))),
            used_mib=number(told.get("Used Size", told.get("Mem Usage", ""))),
            temperature_c=number(told.get("GCU Temp", "")),
            power_w=number(told.get("Cur Power", "")),
            health=sick_word(body) or told.get("Health", ""),
            bus="{}:{}:{}.{}".format(*address).lower() if all(address) else "",
        )
