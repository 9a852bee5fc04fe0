"""What an inventory tool told of a node's cards, while it is read and when it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.nodes.tools.text import card_name, silent
from tasks.nodes.tools.words import Quote

# less of a card than this, or than its row's idle_mib (MXC500 858 MiB, an A100 about 500 with ECC),
# is nobody's: public outputs of 2024 to 2026
IDLE_SHARE = 0.1
# no chip is so hot: a sensor that was read wrong, or a card that hangs (a good MI350X told 2,112
# degrees Celsius, a hung Vega 511; ROCm/rocm-systems pull 6931, 2026, legacy-rocm-build#426)
NO_CHIP = 500.0
# npu-smi OK, mx-smi Available and others' words for a card that is well
WELL = re.compile(r"OK|Available|Healthy|Normal|True", re.IGNORECASE)
# how a tool words that a card is divided: nvidia-smi and hy-smi MIG, cnmon MIM and SMLU, efsmi
# SRIOV, xpu-smi (SR-IOV M.) and ppu-smi (MIG M.) Enabled, mthreads-gmi MPC. Any other word, N/A
# among them, tells nothing of a card.
DIVIDED = re.compile(r"(MIG|MIM|SMLU|SRIOV|MPC|VGPU)\b.*|Enabled?", re.IGNORECASE)


def taken_share(used: float, total: float | None, idle_mib: float) -> float:
    """Share of a card's memory that somebody uses, 0 where it is so little that nobody does. used,
    total, idle_mib: MiB; total None: unknown, and then the share is 1 or 0."""
    if used <= max(idle_mib, IDLE_SHARE * (total or 0.0)):
        return 0.0
    return used / total if total else 1.0


@dataclass(frozen=True)
class Heat:
    """What one sensor tells, in degrees Celsius; limit: where the tool tells that, too."""

    sensor: str
    celsius: float
    limit: float | None = None


@dataclass(frozen=True)
class Card:
    """One card. Memory in MiB, temperature in degrees Celsius, power in W; None: not told.

    used_share: of its memory, 0 to 1, where the tool tells no amount. mode and health: as the tool
    words them, '' when it says nothing. temperature_c: of the hottest sensor. heats: of each, where
    the tool tells several. heat_limits: (sensor, limit) that it tells. ecc_errors: of which the
    tool does not say whether they were corrected. unified: it takes of the host's memory, so that
    what the tool calls its own says nothing.
    """

    index: int
    model: str = ""
    memory_mib: float | None = None
    used_mib: float | None = None
    available_mib: float | None = None
    used_share: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    mode: str = ""
    health: str = ""
    uncorrectable: int | None = None
    bus: str = ""
    heats: tuple[Heat, ...] = ()
    heat_limits: tuple[tuple[str, float], ...] = ()
    ecc_errors: int | None = None
    unified: bool = False

    @property
    def sensors(self) -> tuple[Heat, ...]:
        """Every temperature with the limit that the tool tells of it."""
        if not self.heats and self.temperature_c is not None:
            return (Heat("", self.temperature_c),)
        limits = dict(self.heat_limits)
        return tuple(replace(heat, limit=limits.get(heat.sensor)) for heat in self.heats)

    @property
    def well(self) -> bool:
        """Whether the tool calls it so, or says nothing of its health."""
        return silent(self.health) or WELL.fullmatch(self.health) is not None

    @property
    def answers(self) -> bool:
        """Whether its driver has it: the tool tells its memory or its heat, and no illness."""
        told = (self.total, self.used, self.used_share, self.temperature_c)
        return self.well and any(figure is not None for figure in told)

    @property
    def divided(self) -> bool:
        """Whether its mode says that it is cut into parts."""
        return DIVIDED.fullmatch(self.mode) is not None

    @property
    def total(self) -> float | None:
        """MiB it has; None unknown."""
        if self.memory_mib is None and self.used_mib is not None and self.available_mib is not None:
            return self.used_mib + self.available_mib
        return self.memory_mib

    @property
    def used(self) -> float | None:
        """MiB in use, by whatever the tool told; None unknown."""
        if self.used_mib is not None or self.memory_mib is None:
            return self.used_mib
        if self.available_mib is not None:
            return max(0.0, self.memory_mib - self.available_mib)
        return None if self.used_share is None else self.memory_mib * self.used_share


@dataclass(frozen=True)
class Inventory:
    """All cards by index, the driver version ('' unknown), and what could not be read.

    said: what the tool's own words mean where it failed. whole: False where its list was cut or it
    ended before its end, so that the number of its cards proves nothing.
    """

    cards: tuple[Card, ...] = ()
    driver: str = ""
    problems: tuple[str, ...] = ()
    said: tuple[Quote, ...] = ()
    whole: bool = True


@dataclass
class Reading:
    """Cards while several outputs are merged: each output adds what it knows."""

    cards: dict[int, Card] = field(default_factory=dict)
    driver: str = ""
    problems: list[str] = field(default_factory=list)
    whole: bool = True

    def add(self, index: int, **values: Any) -> None:
        """What one output says of a card; what is not told, or by a word that says nothing, changes
        nothing."""
        values["model"] = card_name(values.get("model", ""))
        known = {
            key: value
            for key, value in values.items()
            if value is not None and not (isinstance(value, str) and silent(value))
        }
        self.cards[index] = replace(self.cards.get(index, Card(index)), **known)

    def driven(self, version: str) -> None:
        """The driver's version; the first one that an output tells counts."""
        if not self.driver and re.search(r"\d", version):
            self.driver = version

    def cut(self, what: str) -> None:
        """The list is not whole."""
        self.whole = False
        self.problems.append(what)
