"""Cards as a probe saw them, and what a node's units are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from tasks.accelerators.types import Sharing
from tasks.nodes.facts import ApiFacts
from tasks.nodes.units.register import Register

UnitKind = Literal["card", "board", "slice", "share", "partition"]


@dataclass(frozen=True)
class SeenCards:
    """Cards as the probe saw them. on_bus: None where the bus could not be read. rows: of the smi
    tool; addresses: different PCI addresses among them without the function, which tells
    partitions of a card apart; 0 where it prints none; per_address: how many rows an address has,
    each number once. memory_mib: of the smallest. models: their
    names. divided: cards whose mode says that they are cut into parts. passed: cards kept for
    virtual machines, which are none of on_bus."""

    on_bus: int | None = None
    rows: int = 0
    addresses: int = 0
    memory_mib: float | None = None
    models: tuple[str, ...] = ()
    divided: int = 0
    passed: int = 0
    per_address: tuple[int, ...] = ()

    @property
    def cards(self) -> int | None:
        """Cards that are there: the bus decides, then the tool; None where neither tells."""
        return self.on_bus if self.on_bus is not None else (self.addresses or self.rows) or None

    def by_device(self) -> SeenCards:
        """With devices for cards, where one address has several: the bus shows as many of each."""
        each = max(self.per_address, default=1)
        bus = None if self.on_bus is None else self.on_bus * each
        return replace(self, on_bus=bus, addresses=0, per_address=())

    def without(self, elsewhere: int) -> SeenCards:
        """Without cards that virtual machines hold: the driver, and so the tool, has them not."""
        gap = (self.on_bus or 0) - self.rows
        return replace(self, on_bus=self.rows) if self.rows and 0 < gap <= elsewhere else self


@dataclass(frozen=True)
class Units:
    """What a resource's units are.

    units: as the node's capacity says. cards: physical ones by what the node says of itself, None
    unknown; least and most bound them. offered: units that are allocatable, fewer where the plugin
    has taken an ill card out. memory_bytes: of one unit, the most it may be; memory_least: the
    least; None unknown. ranks_per_unit: devices an engine finds in one unit. why: what says
    so, '' for a card. considered: every way that was looked at. apart: two units of one pod lie on
    two cards. isolated: nobody else can take a unit's memory. single: a pod gets one at most.
    guessed: nothing on the node says why there are more units than cards. elsewhere: units of
    cards that virtual machines get.
    """

    resource: str
    kind: UnitKind
    units: int
    cards: int | None
    least: int
    most: int
    offered: int = 0
    memory_bytes: int | None = None
    memory_least: int | None = None
    ranks_per_unit: int = 1
    why: str = ""
    considered: tuple[str, ...] = ()
    apart: bool = True
    isolated: bool = True
    single: bool = False
    guessed: bool = False
    elsewhere: int = 0
    registers: tuple[Register, ...] = ()

    def __str__(self) -> str:
        of = "" if self.cards is None else f" of {self.cards} cards"
        memory = f", {self.memory_bytes / 2**30:.2f} GiB each" if self.memory_bytes else ""
        return f"{self.units} x {self.kind}{of}{memory}{f' ({self.why})' if self.why else ''}"


@dataclass(frozen=True)
class Origin:
    """How a resource's units come about: the cards behind them, and what told it. times: how often
    each part is offered."""

    least: int
    most: int
    kind: UnitKind
    sharing: Sharing | None = None
    why: str = ""
    told: Mapping[str, str] = field(default_factory=dict)
    registers: tuple[Register, ...] = ()
    guessed: bool = False
    times: int = 1


def label(keys: tuple[str, ...], api: ApiFacts) -> str:
    """The first label present, '' where none is."""
    return next((api.labels[key] for key in keys if api.labels.get(key)), "")
