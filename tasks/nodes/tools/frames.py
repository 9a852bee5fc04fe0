"""Tools that print a framed table of two or three lines a card. A row a tool.

Sources (all of real machines): mx-smi 2.1.12 (t9k's installation notes, 2025-04), 2.2.4
(DocFlowAI's installation notes for C500, 2025-06), 2.2.9 (ms-swift's page for MetaX, 2026-02) and
2.3.1 (2026-09); mthreads-gmi 1.12, 1.14 (2024-11) and 2.4.1 (the guide to github.com/PaddlePaddle/
PaddleFleet on S5000, 2026-06); cnmon 4.20.11 (2022-10, below), 5.10.13 and 5.10.22 (2023-11,
PaddlePaddle/docs docs/hardware_support/mlu/install_cn.md); ixsmi 4.0.0
(Deep-Spark/ix-device-plugin), 4.3.8 (PaddlePaddle/docs
docs/hardware_support/iluvatar_gpu/install_cn.md) and 4.4.0 (2026-05); xpu-smi 5.0.21 (ERNIE's page
for P800, 2025-06) and 5.19 (yunionio/cloudpods, 2026-09); efsmi 1.2.0
(PaddlePaddle/PaddleCustomDevice, 2024-12) and 1.6.3 (FlagTree's page, 2025-11), of whose table
DUsed is what the cores are busy, no memory (vllm-gcu's README: "memory and GCU core usage");
ppu-smi 1.28 (the vendor's manual, 2026-05). cnmon of 2022: paddlepaddle.org.cn/documentation/docs/
zh/2.4/guides/hardware_support/mlu_docs/paddle_install_cn.html. Of t9k's and DocFlowAI's notes, both
public then, no address was found again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from tasks.nodes.document import SmiRun
from tasks.nodes.tools.cards import Reading
from tasks.nodes.tools.text import last_words, number, sick_word

_USED_OF = r"(?P<used>[\d.]+)\s*(?:MiB)?\s*/\s*(?P<total>[\d.]+)\s*MiB"
_BUS = re.compile(r"\b(?:[0-9A-Fa-f]{2,8}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\d\b")
_HEAT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*(?:C|℃)(?!\w)")
_POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*W\s*(?:/|\d)")
_BORDER = re.compile(r"[|+\s]*[-=]{5,}[-=+|\s]*")
# what comes after the cards
_END = re.compile(r"^[|\s]*(?:Process(?:es)?\b|MIG devices)", re.IGNORECASE)
_CARD = re.compile(r"\s*(\d+)\s+(?:\S*/\s+)?(\S.*)")
_DEVICE = re.compile(r"(\d+)\s+(?:On|Off|N/?A|-+)", re.IGNORECASE)  # of a board: number, Persist-M


@dataclass(frozen=True)
class Frame:
    """How one tool's table is read.

    driver: regex with one group over the whole output; not_driver: where it is found the version is
    not the host's. memory: groups `used` and `total` (or `total` alone) over a card's lines, of
    which the first place counts. mode: regex with one group over a card's lines; mode_header: or
    the header of the column, the last of the first line, that tells it.
    state: header of the column, the last of the second line, that tells a card's health.
    errors: header of the column, the last of the first line, that counts uncorrectable errors;
    ecc: the same where it does not say which errors. boards: header of a table whose rows are
    boards, with one device or more, numbered in the second column. attached: regex with one group,
    the number of devices. processes: a list of processes follows the cards, so that without it
    further cards may have stood there.
    """

    driver: str = r"Driver Ver(?:sion)?\s*:\s*(\d\S*)"
    not_driver: str = ""
    memory: str = _USED_OF
    mode: str = ""
    mode_header: str = ""
    state: str = ""
    errors: str = ""
    ecc: str = ""
    boards: str = ""
    attached: str = ""
    processes: bool = True


FRAMES: dict[str, Frame] = {
    "mx-smi": Frame(
        state="GPU-State",
        mode_header="sGPU-M",
        boards=r"\|\s*Board\s+Name\s*\|\s*GPU\b",
        attached=r"Attached GPUs\s*:\s*(\d+)",
    ),
    "mthreads-gmi": Frame(
        memory=r"(?P<used>\d+)\s*MiB\s*\((?P<total>\d+)\s*MiB\)",
        mode=r"(?m)^\s*(Physical|MPC\s+\w+|VGPU)\b",
    ),
    "cnmon": Frame(
        driver=r"(?:Driver|On|Off)\s+v(\d[\w.]*)",
        mode=r"\b(FULL|MIM|SMLU)\b",
        ecc="Ecc-Error",
    ),
    "ixsmi": Frame(),
    "xpu-smi": Frame(
        # in a container without the runtime it prints a version that is none: 515.58
        not_driver=r"XPU-RT Version:\s*N/A",
        mode=r"(?m)\|\s*(Enabled)\s*\|?\s*$",
        errors="Volatile Uncorr. ECC",
    ),
    "efsmi": Frame(
        memory=r"(?P<total>\d+)\s*MiB",
        mode=r"\d\s*MiB\s+(SRIOV|Enable)\b",
        processes=False,
    ),
    "ppu-smi": Frame(
        processes=False,
        mode=r"(?m)\|\s*(Enabled)\s*\|?\s*$",
        errors="Volatile Uncorr. ECC",
    ),
}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _blocks(text: str) -> list[list[str]]:
    """The lines of each card: after a border, the first begins with a number and a name."""
    out: list[list[str]] = []
    open_block = False
    for before, line in pairwise(["", *text.splitlines()]):
        if _END.match(line):
            break
        if _BORDER.fullmatch(line) or not line.strip():
            open_block = False
            continue
        if line.startswith("|") and not line.rstrip().endswith("|"):
            break  # half a line: its last figure may be half of one, too
        cells = _cells(line)
        first = _CARD.fullmatch(cells[0])
        if not cells[0] and out and _device(line):
            open_block = True  # a board's next device, which a border may part from the first
        if _BORDER.fullmatch(before) and first and re.search("[A-Za-z]", first[2]):
            out.append([line])
            open_block = True
        elif open_block:
            out[-1].append(line)
    return out


def _device(line: str) -> str:
    """The number of a board's device, of which this is the first line."""
    cells = _cells(line)
    match = _DEVICE.fullmatch(cells[1]) if len(cells) > 2 else None
    return match[1] if match else ""


def _memory(frame: Frame, text: str) -> tuple[float | None, float | None]:
    """(used, total) in MiB."""
    match = re.search(frame.memory, text)
    if match is None:
        return None, None
    told = {key: number(value) for key, value in match.groupdict().items()}
    return told.get("used"), told["total"]


def framed(name: str) -> Callable[[Reading, SmiRun], None]:
    """The parser of one tool."""
    frame = FRAMES[name]

    def read(reading: Reading, run: SmiRun) -> None:
        text = run.stdout
        version = re.search(frame.driver, text)
        other = frame.not_driver and re.search(frame.not_driver, text)
        if version and not other:
            reading.driven(version[1])
        blocks = _blocks(text)
        if not blocks:
            reading.problems.append(f"no card in the output: {last_words(text)}")
        boards = frame.boards and re.search(frame.boards, text)
        before = len(reading.cards)
        for block in blocks:
            first = _CARD.fullmatch(_cells(block[0])[0])
            name = first[2] if first else ""
            starts = [i for i, line in enumerate(block) if boards and _device(line)]
            if first and not starts:
                _card(frame, reading, text, block, int(first[1]), name)
            for at, end in pairwise([*starts, len(block)]):
                _card(frame, reading, text, block[at:end], int(_device(block[at])), name)
        there = re.search(frame.attached, text) if frame.attached else None
        found = len(reading.cards) - before
        ended = any(_END.match(line) for line in text.splitlines())
        if frame.processes and not ended and not there:
            reading.whole = False
        if there and blocks and not ended and found < int(there[1]):
            reading.cut(f"{found} of {there[1]} devices are in the table")

    return read


def _card(
    frame: Frame, reading: Reading, text: str, block: list[str], index: int, title: str
) -> None:
    if len(block) == 1:
        reading.cut(f"the list breaks off within card {index}")
        reading.add(index)
        return
    whole, rest = "\n".join(block), "\n".join(block[1:])
    names = [part for part in re.split(r"\s{2,}", title) if re.search("[A-Za-z]", part)]
    used, total = _memory(frame, whole)
    bus, heat, power = _BUS.search(whole), _HEAT.search(rest), _POWER.search(rest)
    mode = re.search(frame.mode, rest) if frame.mode else None
    state = frame.state and frame.state in text
    last = (_cells(block[0])[-1].split() or [""])[-1]
    errors = number(last) if frame.errors and frame.errors in text else None
    ecc = number(last) if frame.ecc and frame.ecc in text else None
    by_header = last if frame.mode_header and frame.mode_header in text else ""
    reading.add(
        index,
        model=names[0] if names else "",
        memory_mib=total,
        used_mib=used,
        temperature_c=float(heat[1]) if heat else None,
        power_w=float(power[1]) if power else None,
        mode=mode[1] if mode else by_header,
        health=sick_word(whole) or (_cells(block[1])[-1] if state else ""),
        uncorrectable=None if errors is None else int(errors),
        ecc_errors=None if ecc is None else int(ecc),
        bus=bus[0].lower() if bus else "",
    )
