"""What the vendors' inventory tools print, as cards: one parser a family of tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tasks.nodes.document import SmiRun, SmiRuns
from tasks.nodes.tools.amd import OPTIONAL, amd
from tasks.nodes.tools.ascend import npu
from tasks.nodes.tools.cards import Card, Inventory, Reading
from tasks.nodes.tools.enflame import efsmi
from tasks.nodes.tools.frames import FRAMES, framed
from tasks.nodes.tools.nvidia import nvidia
from tasks.nodes.tools.rocm import rocm_like
from tasks.nodes.tools.text import last_words
from tasks.nodes.tools.words import said

__all__ = ["PARSERS", "Card", "Inventory", "read_inventory"]

PARSERS: dict[str, Callable[[Reading, SmiRun], None]] = {
    "hy-smi": rocm_like,
    "rocm-smi": rocm_like,
    "nvidia-smi": nvidia,
    "amd-smi": amd,
    "npu-smi": npu,
    **{name: framed(name) for name in FRAMES},
    "efsmi": efsmi,
}


def _own(card: Card) -> Card:
    """Without the memory of a device that has none of its own."""
    nothing = replace(card, memory_mib=None, used_mib=None, available_mib=None, used_share=None)
    return nothing if card.unified else card


def read_inventory(smi: SmiRuns, parser: str | None = None) -> Inventory:
    """Merge every run's output. A run that failed is a problem, and what it printed still counts.

    parser: a key of PARSERS; default: the tool's own name.
    """
    reading = Reading()
    parse = PARSERS[parser or smi.name]
    for run in smi.runs:
        command = " ".join([smi.name, *run.args])
        before = len(reading.cards)
        if run.args == OPTIONAL and (run.error or run.status != 0):
            continue
        if run.error:
            reading.problems.append(f"{command}: {run.error}")
        elif run.status != 0:
            last = last_words(run.stderr if run.stderr.strip() else run.stdout)
            reading.problems.append(f"{command} ended with status {run.status}: {last}")
        parse(reading, run)
        if run.cut:
            reading.cut(f"{command} printed more than was kept")
        # what ended early may have listed some of them only
        if (run.error or run.status != 0) and len(reading.cards) > before:
            reading.whole = False
    cards = tuple(_own(reading.cards[index]) for index in sorted(reading.cards))
    if not cards and smi.runs and not reading.problems:
        heard = " ".join(run.stdout for run in smi.runs) or smi.runs[0].stderr
        reading.problems.append(f"{smi.name} lists no card: {last_words(heard)}")
    words = said(text for run in smi.runs for text in (run.stdout, run.stderr))
    problems = tuple(dict.fromkeys(reading.problems))
    return Inventory(cards, reading.driver, problems, tuple(words), reading.whole)
