"""What is wrong, or worth knowing, of units that are no cards."""

from __future__ import annotations

from tasks.accelerators.types import Profile
from tasks.nodes.reasons import Reason, error, warning
from tasks.nodes.units.form import SeenCards, Units
from tasks.nodes.units.reading import agree, uneven
from tasks.spec.rollout import Rollout

# what a plugin registers may be rounded; more than this is oversubscription
_ROUNDED = 1.02
GIB = 2**30
LACKING = "nodes.missing_cards serves without so many, once the plugin offers none of them"


def unit_reasons(
    spec: Rollout, profile: Profile, seen: SeenCards | None, units: Units, tool: str
) -> list[Reason]:
    """Every reason. seen: None without a probe. tool: the smi tool's name."""
    out = lost_reasons(profile, seen, units, tool, spec.nodes.missing_cards) if seen else []
    out += [*_registered(seen, units), *_shared(spec, seen, units)]
    return [*out, *_ranks(spec, units)] if seen and units.units else out


def lost_reasons(
    profile: Profile, seen: SeenCards, units: Units, tool: str, missing: int = 0
) -> list[Reason]:
    """Bus, tool and plugin that do not see the same cards, where no kind of sharing explains it.

    missing: cards that the spec lets a node lack; a gap of so many is a warning.
    """
    if not profile.pci_vendor:
        return []
    counts = {}
    seen = seen.without(units.elsewhere)
    if seen.on_bus is not None:
        counts["on the PCI bus"] = seen.on_bus
    if seen.rows:
        counts[f"in {tool or 'the smi tool'}"] = seen.rows
    if units.units:
        counts[f"in {units.resource}'s capacity"] = units.units
    if uneven(profile, seen):
        each = max(seen.per_address)
        counts[f"on the PCI bus, {each} devices each"] = counts.pop("on the PCI bus", 0)
        seen = seen.by_device()
    # what the tool lists apart from the bus are partitions or devices of one board
    agreed = agree(profile, seen)
    there = {seen.cards, seen.rows} if agreed and seen.rows else {seen.cards}
    explained = not units.units or any(
        units.least <= count <= units.most for count in there if count is not None
    )
    if len(seen.per_address) > 1 and units.kind == "partition":
        explained = explained and units.units <= seen.rows
    none_at_all = seen.on_bus == seen.rows == 0
    if agreed and seen.rows and units.units and all(units.most < (n or 0) for n in there):
        return [
            warning(
                "CARDS_NOT_OFFERED",
                f"{units.resource} offers {_range(units)} of {seen.cards}, which bus and "
                f"{tool or 'the smi tool'} both see",
                "every card offered",
                "nothing to do where cards are left out on purpose (a display's, other machines'); "
                "else read the device plugin's log and its discovery strategy",
            )
        ]
    if (agreed and (explained or seen.cards is None)) and not none_at_all:
        return _parts_left(profile, seen, units)
    looked = ""
    if units.units and not none_at_all:
        by = units.why or "nothing on the node says that they are not cards"
        looked = (
            f"; {units.units} units would be {_range(units)} ({by}); considered: "
            f"{', '.join(units.considered)}"
        )
    make = warning if may_lack(seen, units, missing) else error
    divided = f", {seen.divided} of them divided" if seen.divided else ""
    action = "a card has fallen off the bus or out of the driver: check dmesg, reset or replace it"
    if _offered(units) > min([n for n in (seen.on_bus, seen.rows) if n], default=0):
        action += ", then restart the device plugin"
    action += f"; {LACKING}"
    if none_at_all and seen.passed:
        action = (
            "bind the cards to the vendor's driver, or choose another node: virtual machines have "
            "them here"
        )
    elif seen.divided and agreed:
        action = (
            "the plugin offers cards whole that are divided: restart it, or undo the partitioning"
        )
    return [
        make(
            "CARD_LOST",
            ", ".join(f"{n} {where}" for where, n in counts.items()) + divided,
            f"the same number of cards everywhere{looked}",
            action,
        )
    ]


def _parts_left(profile: Profile, seen: SeenCards, units: Units) -> list[Reason]:
    """Parts of cards that the plugin offers of some cards, and of others fewer or none."""
    row, cards = profile.resource_kind(units.resource), seen.cards
    if units.kind not in ("share", "slice", "partition") or not cards or not row:
        return []
    # under names of their own, other names may hold the rest of a card
    one_name = row.kind == "whole" and not units.registers
    left = units.kind == "partition" and cards < units.units < seen.rows
    if not one_name or not (units.units % cards or left):
        return []
    return [
        warning(
            "CARDS_NOT_OFFERED",
            f"{units.resource} offers {units}: not as many of each card",
            "the same number of units of every card",
            "look at the device plugin's log: it leaves a card, or parts of one, out",
        )
    ]


def may_lack(seen: SeenCards, units: Units, missing: int, lost: int = 0) -> bool:
    """Whether no more cards are lost than the spec lets a node lack, and the plugin offers none of
    those. lost: cards that the tool names so, which its list may hold all the same."""
    listed = seen.addresses or seen.rows
    sights = [n for n in (seen.on_bus, listed, units.most) if n]
    shown = min([n for n in (seen.on_bus, listed) if n], default=0) - lost
    gap = max(max(sights, default=0) - min([*sights, shown]), lost)
    return 0 < gap <= missing and shown > 0 and _offered(units) <= shown


def _offered(units: Units) -> int:
    """Cards of which the plugin hands units out: it takes an ill one out of allocatable, and out of
    capacity only when it starts anew."""
    return min(units.least, units.offered) if units.kind == "card" else units.least


def _range(units: Units) -> str:
    if units.least == units.most:
        return f"{units.least} cards"
    return f"{units.least} to {units.most} cards"


def _registered(seen: SeenCards | None, units: Units) -> list[Reason]:
    """What a sharing plugin's annotation says of its cards."""
    out = []
    for register in units.registers:
        sick = [card.ident for card in register.cards if not card.healthy]
        if sick:
            make = error if len(sick) == len(register.cards) else warning
            out.append(
                make(
                    "CARD_UNHEALTHY",
                    f"{register.key} lists {len(sick)} of {len(register.cards)} cards as "
                    f"unhealthy: {', '.join(sick[:8])}",
                    "healthy cards",
                    "look at the plugin's log; its scheduler leaves these cards out",
                )
            )
        most = max((card.memory_mib for card in register.cards), default=0)
        if seen and seen.memory_mib and most > seen.memory_mib * _ROUNDED:
            out.append(
                warning(
                    "UNIT_NOT_A_CARD",
                    f"{register.key} hands out {most:.0f} MiB of a card of {seen.memory_mib:.0f}",
                    "no more memory than there is",
                    "the plugin oversubscribes memory: an engine that takes its share may find "
                    "none; the arithmetic goes by the card's own",
                )
            )
    return out


def _shared(spec: Rollout, seen: SeenCards | None, units: Units) -> list[Reason]:
    """Units that an engine cannot use as it uses cards."""
    out = [*_size(spec, seen, units)]
    asked = spec.devices
    if units.kind == "share" and units.apart and asked > (units.cards or asked):
        out.append(
            error(
                "UNIT_NOT_A_CARD",
                f"{asked} units of {units.resource} a replica: {units}",
                f"at most {units.cards} units a replica: each lies on a card of its own",
                "lower serving.tensor_parallel_size, or use nodes with more cards",
            )
        )
    elif units.single and asked > 1:
        out.append(
            error(
                "UNIT_NOT_A_CARD",
                f"{asked} units of {units.resource} a replica: {units}",
                "one unit, all that the plugin gives a pod",
                "lower serving.tensor_parallel_size, or use nodes with whole cards",
            )
        )
    elif asked > 1 and (units.kind == "slice" or not units.apart):
        what = (
            "an engine's process finds one slice at most"
            if units.kind == "slice"
            else "two units of a pod may be the same card"
        )
        out.append(
            warning(
                "UNIT_NOT_A_CARD",
                f"{asked} units of {units.resource} a replica: {units}",
                f"a card a rank; {what}",
                "use nodes with whole cards, or a tensor parallel size of 1",
            )
        )
    elif not units.isolated:
        out.append(
            warning(
                "UNIT_NOT_A_CARD",
                f"{units.resource}: {units}",
                "memory that nobody else takes",
                "whoever holds the card's other units takes of the same memory: lower "
                "serving.gpu_memory_utilization to this replica's part of it",
            )
        )
    return out


def _size(spec: Rollout, seen: SeenCards | None, units: Units) -> list[Reason]:
    """Parts of cards of which nothing tells how large they are."""
    most, least = units.memory_bytes, units.memory_least
    known = seen is not None and seen.memory_mib is not None  # of a card, so that parts are unknown
    stated = spec.nodes.device_memory_gib is not None
    if not most and known and not stated and units.kind in ("share", "slice"):
        return [
            warning(
                "UNIT_NOT_A_CARD",
                f"{units.resource}: {units}; a unit is a part of a card, of unknown memory",
                "a name or a label that tells a unit's memory",
                "set nodes.device_memory_gib to the part's: without it nothing says whether the "
                "model fits",
            )
        ]
    if not most:
        return []
    unlabelled = units.kind == "slice" and units.guessed
    ranged = units.kind == "partition" and least is not None and least < most
    if not (unlabelled or ranged):
        return []
    size = f"at most {most / GIB:.2f} GiB"
    if ranged and least is not None:
        size = f"between {least / GIB:.2f} and {most / GIB:.2f} GiB"
    return [
        warning(
            "UNIT_NOT_A_CARD",
            f"{units.resource}: {units}; a unit has {size}",
            "a label that tells a unit's memory",
            "deploy the vendor's labels (gpu-feature-discovery, node labeller): the arithmetic "
            "goes by the most",
        )
    ]


def _ranks(spec: Rollout, units: Units) -> list[Reason]:
    """Devices that a replica's units bring against vLLM's ranks."""
    ranks, brought = spec.serving.ranks.devices, spec.devices * units.ranks_per_unit
    if not spec.devices or brought == ranks:
        return []
    make = warning if brought > ranks else error
    return [
        make(
            "UNIT_NOT_A_CARD",
            f"{spec.devices} units of {units.resource} a replica bring {brought} devices: {units}",
            f"{ranks}, one a rank",
            f"set serving.accelerators to {-(-ranks // units.ranks_per_unit)}: a unit here is "
            f"{units.ranks_per_unit} device(s)",
        )
    ]
