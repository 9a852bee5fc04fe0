"""What one unit of a node's extended resource is: a card, a slice, a share, a board of several.

A device plugin may offer a card many times, cut it, or offer two at once. What it does stands on
the node: in the resource's name, in labels, in the annotations of a sharing plugin. The vendor's
row says how to read them (`Profile.sharings`, `ResourcePattern`); this module puts them together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

from tasks.accelerators.types import Profile, ResourcePattern, Sharing
from tasks.nodes.facts import Amounts, ApiFacts
from tasks.nodes.units.form import Origin, SeenCards, UnitKind, Units, label
from tasks.nodes.units.register import registers
from tasks.nodes.units.size import PROFILE_MOST, replicas, unit_memory

MIB = 2**20
MOST_CARDS = 16  # that servers have: HGX 8, Atlas 900 A3 and HGX-2 16
CPX_LEAST, CPX_MOST = 6, 8  # compute dies of MI300A, and of MI300X and what followed it
PROFILE = re.compile(r"\b\d+g\.(\d+)gb\b")  # a MIG profile under whatever name
# words of a resource's name that say a part of a card, or a count that is none of cards
PARTS = re.compile(
    r"mem|core|shar|slice|vgpu|virt|mig-|num\b|percent|count|unit|\b\d+g\.\d+gb", re.IGNORECASE
)


def read_units(
    profile: Profile, api: ApiFacts, resource: str, seen: SeenCards, asked: Amounts | None = None
) -> Units:
    """Read one resource. asked: what one pod asks for, where sharing goes by that."""
    row = profile.resource_kind(resource)
    capacity = int(api.capacity.get(resource, 0))
    offered = min(capacity, int(api.allocatable.get(resource, 0)))
    elsewhere = _elsewhere(profile, api)
    seen = seen.without(elsewhere)
    if not capacity:
        return Units(resource, "card", 0, None, 0, 0, elsewhere=elsewhere)
    if row is None:
        stranger = _stranger(resource, capacity, seen)
        return replace(stranger, offered=offered, elsewhere=elsewhere)
    found = _found(profile, api, resource, row, capacity)
    loose_label = found.sharing is not None and found.sharing.memory == "unknown"
    if loose_label and capacity <= (seen.cards or 0):
        found = Origin(capacity, capacity, "card")
    least, most = _cards_of_all(profile, api, resource, row, found, seen.divided)
    found, exact = _with_hardware(profile, api, seen, row, found, least, most, capacity)
    if exact:
        least = most = exact
    card = seen.memory_mib
    high, low = unit_memory(profile, api, resource, row, found, seen, capacity, asked or {})
    sharing, shared = found.sharing, found.kind == "share"
    loose = row.kind == "split" and row.counts  # shares of a card whose memory nobody divides
    # partitions of one memory domain (NPS1) see all of it, unless a label says which part
    undivided = found.kind == "partition" and found.told.get("nps") == "1" and high == card
    undivided = undivided or found.times > 1  # a slice that is offered several times
    return Units(
        resource=resource,
        kind=found.kind,
        units=capacity,
        cards=seen.cards or (least if least == most else None),
        least=least,
        most=most,
        offered=offered,
        memory_bytes=None if high is None else int(high * MIB),
        memory_least=None if low is None else int(low * MIB),
        ranks_per_unit=seen.rows // capacity if found.kind == "board" else 1,
        why=found.why,
        considered=tuple(
            dict.fromkeys([*(s.name for s in profile.sharings), *_own_way(profile, row)])
        ),
        apart=sharing.apart if sharing else row.apart or not (loose or found.guessed),
        isolated=not undivided
        and (sharing.memory != "card" if sharing else not (shared and (loose or found.guessed))),
        single=row.single or bool(sharing and sharing.single),
        guessed=found.guessed,
        elsewhere=elsewhere,
        registers=found.registers,
    )


def _stranger(resource: str, capacity: int, seen: SeenCards) -> Units:
    """Units of a name that no row knows: cards, unless the name or their number says parts."""
    parts = PARTS.search(resource) or capacity > (seen.cards or capacity)
    size = PROFILE.search(resource)
    memory = float(size[1]) * 1024 * PROFILE_MOST if size else seen.memory_mib
    return Units(
        resource,
        "slice" if size else "share" if parts else "card",
        capacity,
        seen.cards,
        0,
        max(capacity, seen.cards or 0),
        memory_bytes=None if memory is None else int(memory * MIB),
        why=f"nothing known of {resource}" if parts else "",
        apart=not parts,
        isolated=not parts or size is not None,
    )


def _elsewhere(profile: Profile, api: ApiFacts) -> int:
    """Units of cards that virtual machines get."""
    rows = {name: profile.resource_kind(name) for name in api.allocatable}
    return sum(int(api.allocatable[n]) for n, row in rows.items() if row and row.kind == "vm")


def _slicings(profile: Profile, row: ResourcePattern) -> tuple[tuple[int, str], ...]:
    """(units a card, 0 any; what makes so many) where nothing on the node says what does."""
    return row.slicings or (((0, profile.slicing),) if profile.slicing else ())


def _own_way(profile: Profile, row: ResourcePattern) -> list[str]:
    return [
        *(words for _, words in _slicings(profile, row)),
        *(["partitions"] if profile.partitions else []),
        *(["boards of several devices"] if profile.boards else []),
        "other resources that hold the rest of the cards",
    ]


def agree(profile: Profile, seen: SeenCards) -> bool:
    """Whether bus and tool see the same cards: a row may be a partition, or half a board."""
    bus = seen.on_bus
    if bus is not None and uneven(profile, seen):
        return False
    if bus is None or not seen.rows or bus in (seen.rows, seen.addresses):
        return True
    if seen.addresses:
        return False  # the tool names cards that the bus does not have, or the other way round
    modes = set(profile.partitions.values())
    modes |= {6, 8} if 0 in modes else set()
    return bool(bus) and seen.rows % bus == 0 and seen.rows // bus in modes


def uneven(profile: Profile, seen: SeenCards) -> bool:
    """Whether a card has fewer devices than its like, so that one is gone: the chips of a board, or
    partitions that no mode makes (of two cards in two modes each has its own number)."""
    each = set(seen.per_address)
    modes = {n for n in profile.partitions.values() if n}
    modes |= {CPX_LEAST, CPX_MOST} if profile.partitions else set()
    return len(each) > 1 and not (each <= modes and not {CPX_LEAST, CPX_MOST} <= each)


def _with_hardware(
    profile: Profile,
    api: ApiFacts,
    seen: SeenCards,
    row: ResourcePattern,
    found: Origin,
    least: int,
    most: int,
    capacity: int,
) -> tuple[Origin, int | None]:
    """What the cards that are there say of units that nothing on the node explains; with the number
    of cards where they settle it."""
    cards = seen.cards
    if found.kind != "card" or found.sharing or not cards:
        return found, None
    if board := _board(profile, seen, capacity):
        return Origin(cards, cards, "board", why=f"a board is {board} devices"), cards
    several = seen.rows > cards and agree(profile, seen)
    kind: UnitKind = "partition" if profile.partitions else "card"
    if several and capacity in (seen.rows, cards):
        words = f"the tool lists {seen.rows} devices on {cards} cards"
        return replace(found, kind=kind, why=words), cards
    if seen.divided == seen.rows > 0 and capacity > cards:
        words = "the tool says that the cards are divided; no label tells their size"
        return Origin(cards, cards, "slice", why=words, guessed=True), cards
    if least <= cards <= most or not agree(profile, seen):
        return found, None
    if capacity <= cards or capacity % cards or _told_whole(profile, api, found, capacity):
        return found, None
    each = (0, capacity // cards)
    words = next((text for times, text in _slicings(profile, row) if times in each), "")
    if not words:
        return found, None
    if capacity <= MOST_CARDS:
        words += f", or {capacity - cards} cards have gone from the bus"
    return Origin(cards, cards, "share", why=words, guessed=True), cards


def _told_whole(profile: Profile, api: ApiFacts, found: Origin, capacity: int) -> bool:
    """Whether the labels say that units are cards: as many are counted, or their mode makes one."""
    if profile.partitions.get(found.told.get("mode", "").lower()) == 1:
        return True
    count = label(profile.labels.count, api)
    return count.isdigit() and int(count) == capacity


def _board(profile: Profile, seen: SeenCards, capacity: int) -> int:
    """Devices of one board, where the plugin offers boards; 0 where it does not."""
    for rule, devices in profile.boards:
        models = [model for model in seen.models if re.search(rule, model)]
        if models and len(models) == len(seen.models) and capacity * devices == seen.rows:
            return devices
    return 0


def _found(
    profile: Profile, api: ApiFacts, resource: str, row: ResourcePattern, capacity: int
) -> Origin:
    told = row.told(resource)
    by_name = _by_name(profile, api, resource, row, capacity)
    if by_name and not row.counts:
        return by_name
    renamed = row.kind == "whole" and _shares_renamed(profile, api)
    for sharing in profile.sharings:
        groups = None if renamed else _labelled(sharing, api)
        if groups is not None and "mode" not in told:
            return _by_labels(profile, api, sharing, groups, capacity)
        live = registers(api.annotations, sharing.register, resource)
        # of a plugin that went, the annotation stays; the vendor's own may have taken its place
        live = tuple(item for item in live if item.cards and not item.gone)
        if live:
            cards = sum(len(item.cards) for item in live)
            words = f"{sharing.name} registered {cards} cards ({live[0].key}; {sharing.source})"
            return Origin(cards, cards, "share", sharing, words, {}, live)
        if sharing.virtual and (pod := _virtual(profile, api)):
            words = f"DaemonSet {pod} shares cards out ({sharing.source})"
            return Origin(1, capacity, "share", sharing, words, {})
    return by_name or Origin(capacity, capacity, "card")


def _shares_renamed(profile: Profile, api: ApiFacts) -> bool:
    """Whether shares have a name of their own, so that the whole-card name means whole cards."""
    rows = {n: profile.resource_kind(n) for n, amount in api.allocatable.items() if amount > 0}
    return any(row and row.kind == "split" and row.counts for row in rows.values())


def _by_name(
    profile: Profile, api: ApiFacts, resource: str, row: ResourcePattern, capacity: int
) -> Origin | None:
    """What the resource's own name says, None for one of whole cards."""
    if row.kind in ("whole", "named"):
        return None
    told = row.told(resource)
    mode = told.get("mode", "").lower()
    slice_ = row.kind == "split" and not row.counts
    kind: UnitKind = "partition" if mode else "slice" if slice_ else "share"
    name = resource.rsplit("/", 1)[-1]
    often = label(tuple(key.format(name=name) for key in profile.labels.slice_replicas), api)
    slices = capacity // int(often) if often.isdigit() and int(often) else capacity
    least, most = _range(profile, row, told, slices)
    if mode and profile.partitions.get(mode) == 1:
        kind = "card"
    times = capacity // slices if slices else 1
    return Origin(least, most, kind, why=f"the name {resource} says so", told=told, times=times)


def _labelled(sharing: Sharing, api: ApiFacts) -> dict[str, str] | None:
    """Groups of a sharing's labels, None where one of them says otherwise."""
    groups: dict[str, str] = {}
    for key, rule in sharing.labels:
        match = re.search(rule, api.labels.get(key, ""))
        if match is None:
            return None
        groups |= {name: text for name, text in match.groupdict().items() if text}
    return groups if sharing.labels else None


def _by_labels(
    profile: Profile, api: ApiFacts, sharing: Sharing, groups: dict[str, str], capacity: int
) -> Origin:
    per = replicas(profile, api)
    words = ", ".join(f"{key}={api.labels[key]}" for key, _ in sharing.labels)
    words = f"{sharing.name} ({words}; {sharing.source})"
    mode = groups.get("mode", "").lower()
    if mode or "part" in groups:
        kind: UnitKind = "partition" if mode else "slice"
        if profile.partitions.get(mode) == 1:
            return Origin(capacity, capacity, "card", told=groups)
        slices = capacity // per if capacity % per == 0 else capacity
        least, most = _range(profile, sharing, groups, slices)
        return Origin(least, most, kind, sharing, words, groups, times=capacity // slices)
    if per > 1 and capacity % per == 0:
        return Origin(capacity // per, capacity // per, "share", sharing, words, groups)
    # only some cards are offered several times, or the label lags behind the plugin
    return Origin(1, capacity, "share", sharing, words, groups)


def _virtual(profile: Profile, api: ApiFacts) -> str:
    roles = {profile.component_role(p.daemonset, p.images): p.daemonset for p in api.daemons}
    return roles.get("virtual-plugin", "") if "device-plugin" not in roles else ""


def _range(
    profile: Profile, row: ResourcePattern | Sharing, told: Mapping[str, str], units: int
) -> tuple[int, int]:
    """How few and how many cards can be behind that many units."""
    if mode := told.get("mode", "").lower():
        if times := profile.partitions.get(mode, 0):
            return math.ceil(units / times), math.ceil(units / times)
        return math.ceil(units / CPX_MOST), math.ceil(units / CPX_LEAST)
    most = row.per_card if isinstance(row, ResourcePattern) else 0
    if not most and row.whole and "part" in told:
        most = max(1, row.whole // max(1, int(told["part"])))
    return (math.ceil(units / most) if most else 1), units


def _cards_of_all(
    profile: Profile,
    api: ApiFacts,
    resource: str,
    row: ResourcePattern,
    found: Origin,
    divided: int,
) -> tuple[int, int]:
    """Cards behind this and the node's other resources, which may hold the rest of them. divided:
    cards that the tool calls so, 0 unknown: slices lie on these alone."""
    if row.overlay or row.kind == "dynamic" or found.registers:
        return found.least, found.most
    sliced = row.kind == "split" and found.kind == "slice"
    slices, widest = (found.least, found.most) if sliced else (0, 0)
    least, most = found.least - slices, found.most - widest
    for name, amount in api.capacity.items():
        other = profile.resource_kind(name)
        # what a plugin left behind when it changed its names is allocatable no more
        living = amount > 0 and api.allocatable.get(name, 0) > 0
        if name == resource or other is None or not living:
            continue
        told = other.told(name)
        low, high = _range(profile, other, told, int(amount))
        if other.overlay:
            # the same cards once more, or cards of their own
            most += high if other.kind == "split" else 0
        elif other.kind in ("whole", "named"):
            # beside another whole-card name these may be the same cards once more
            least += 0 if row.kind in ("whole", "named") else int(amount)
            most += int(amount)
        elif other.kind == "split" and "mode" in told:
            least, most = least + low, most + high
        elif other.kind == "split":
            # slices of several sizes may lie on one card
            slices, widest = max(slices, low), widest + high
    if divided:
        widest = max(slices, min(widest, divided))
    return least + slices, most + widest
