"""Judge what the vendor's inventory tool said of the cards. Every rule returns all its reasons.

A tool that is blind is no health: what it did not say is unknown, and what it said against a card
counts. Its silence about a card that the bus has is judged in units, by the counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from tasks.accelerators.types import Profile
from tasks.nodes.document import ProbeDoc
from tasks.nodes.facts import ApiFacts
from tasks.nodes.reasons import Reason, error, errors, warning
from tasks.nodes.tools.cards import IDLE_SHARE, NO_CHIP, Card, Inventory, taken_share
from tasks.nodes.tools.text import TORN
from tasks.nodes.units.form import SeenCards, Units
from tasks.nodes.units.reasons import LACKING, may_lack
from tasks.spec.images import vllm_release
from tasks.spec.rollout import Rollout

# npu-smi's second word: works, with a fault to look at
ILL_BUT_WORKS = re.compile(r"Warning", re.IGNORECASE)
WHOLE = ("whole", "named")  # kinds of resources of which a unit is a card, or a board
VLLM_SHARE = 0.9  # vLLM's own --gpu-memory-utilization, where the spec says none
# From 0.9 an engine ends where less than its share is free (vllm-project/llm-compressor#1560 saw it
# begin, 2025-06; request_memory in vllm/v1/worker/utils.py). Before, it took what was left.
LOOKS_SINCE = (0, 9)
# Ours, where neither the image's release nor a share in the spec is known: so much of a card taken
# is too much for either engine.
CROWDED = 0.25


def tool_reasons(
    spec: Rollout,
    profile: Profile,
    api: ApiFacts,
    doc: ProbeDoc,
    inventory: Inventory,
    units: Units,
) -> list[Reason]:
    """What the tool could not say, whom it calls lost or ill, and memory that somebody uses."""
    if not profile.pci_vendor:
        return []
    out = [*_tool(profile, doc, inventory), *_lost(spec, doc, inventory, units)]
    out += _unbound(spec, doc, inventory)
    out += _sick_cards(spec, profile, inventory.cards, units)
    row = profile.resource_kind(units.resource) if units.resource else None
    parts = units.kind in ("slice", "share", "partition")  # under a whole card's name, too
    # of some cards divided and others not, the whole ones are offered beside the slices
    divided = [card for card in inventory.cards if card.divided]
    beside = units.units and units.units + len(divided) <= len(inventory.cards)
    if (row is None or row.kind in WHOLE) and not parts and not (beside and _slices(profile, api)):
        out += _partitioned(divided)
    told = [c for c in inventory.cards if c.total or c.used_share is not None]
    dumb = [card for card in inventory.cards if card not in told and not card.unified]
    silent = [str(card.index) for card in dumb if not card.health]
    if told and silent and inventory.whole:
        out.append(
            warning(
                "FACT_UNKNOWN",
                f"memory of card {', '.join(silent)}: {doc.smi.name} tells the others' alone",
                "the memory of every card",
                "run it on the host: a card that tells nothing may have lost its driver",
            )
        )
    return [*out, *_in_use(spec, profile, api, inventory.cards, units)]


def _tool(profile: Profile, doc: ProbeDoc, inventory: Inventory) -> list[Reason]:
    """Whether the tool could be read at all."""
    if not profile.smi:
        return [
            warning(
                "FACT_UNKNOWN",
                "cards: no tool of this vendor is known",
                "an inventory",
                "nothing to do: API and device files decide; memory and health are not judged",
            )
        ]
    tool, cards = doc.smi.name or "the smi tool", inventory.cards
    for item in inventory.said:
        if item.meaning == "broken":
            listed = f"a list of cards from {tool}"
            return [error("SMI_FAILED", f"{tool} says: {item.words}", listed, item.action)]
    troubles = list(inventory.problems)
    if "smi" in doc.errors:
        troubles.append(doc.errors["smi"])
    if cards and len(cards) < len(doc.pci) and not inventory.whole:
        troubles.append(f"{len(cards)} of {len(doc.pci)} cards are listed, the others are unknown")
    if not troubles and cards:
        return []
    blind = next((item.action for item in inventory.said if item.meaning == "blind"), "")
    stated = "" if cards else " (nodes.device_memory_gib states the memory)"
    return [
        warning(
            "SMI_FAILED",
            "; ".join(troubles) or f"{tool} lists no card",
            f"a list of cards from {tool}",
            blind or f"run it on the host; health and memory of the cards were not judged{stated}",
        )
    ]


def _lost(spec: Rollout, doc: ProbeDoc, inventory: Inventory, units: Units) -> list[Reason]:
    """Cards that the tool itself calls lost; it may list no other card then."""
    named = {item.card for item in inventory.said if item.meaning == "lost"}
    seen = SeenCards(on_bus=len(doc.pci) or None)
    lacks = "" not in named and may_lack(seen, units, spec.nodes.missing_cards, len(named))
    make = warning if lacks else error
    return [
        make(
            "CARD_LOST",
            f"{doc.smi.name}: card {item.card or 'of this node'}: {item.words}",
            "a card that answers",
            f"{item.action}; {LACKING}" if item.card else item.action,
        )
        for item in inventory.said
        if item.meaning == "lost" and (item.card or doc.pci)
    ]


def _unbound(spec: Rollout, doc: ProbeDoc, inventory: Inventory) -> list[Reason]:
    """Cards that no driver has, where the tool lists none: it cannot say so itself."""
    bare = [item.address for item in doc.pci if item.driver == ""]
    if not bare or inventory.cards or not doc.modules:  # no driver at all is told as that
        return []
    make = warning if len(bare) <= spec.nodes.missing_cards else error
    return [
        make(
            "CARD_LOST",
            f"{len(bare)} of {len(doc.pci)} card(s) bound to no driver: {', '.join(bare)}",
            "the vendor's driver bound to each",
            f"look in dmesg why it gave them up, or never took them; reset the card; {LACKING}",
        )
    ]


def _sick_cards(
    spec: Rollout, profile: Profile, cards: Sequence[Card], units: Units
) -> list[Reason]:
    """What is wrong with each card. Those that the plugin offers no more may be lacked."""
    found = [reason for card in cards for reason in _card(profile, card)]
    sick = sum(bool(errors(_card(profile, card))) for card in cards)
    seen = SeenCards(rows=len(cards))
    lacks = units.kind == "card" and may_lack(seen, units, spec.nodes.missing_cards, sick)
    if lacks and sick:
        return [replace(reason, severity="warning") for reason in found]
    return found


def _card(profile: Profile, card: Card) -> list[Reason]:
    """Heat, errors, health and memory of one card."""
    out = []
    for heat in card.sensors:
        limit = heat.limit or profile.heat_limit(heat.sensor)
        if heat.celsius > NO_CHIP:
            out.append(
                warning(
                    "FACT_UNKNOWN",
                    f"card {card.index}: {heat.celsius:,g} degrees Celsius",
                    f"at most {NO_CHIP:g}, which no chip survives",
                    "run the tool again: it has read the sensor wrong, or the card hangs",
                )
            )
        elif heat.celsius > limit:
            hot = f"{heat.celsius:g} degrees Celsius"
            hot += f" ({heat.sensor})" if heat.sensor else ""
            out.append(_sick("error", card, hot, f"at most {limit:g}"))
    if card.uncorrectable:
        bad = f"{card.uncorrectable:g} uncorrectable memory errors"
        out.append(_sick("error", card, bad, "none"))
    if card.ecc_errors:
        bad = f"{card.ecc_errors:g} memory errors"
        out.append(_sick("warning", card, bad, "none, or corrected ones alone"))
    if not card.well:
        torn = TORN.fullmatch(card.health) and _tells(card)
        works = torn or ILL_BUT_WORKS.fullmatch(card.health)
        found = f"{card.health} in some cells, and others tell" if torn else f"health {card.health}"
        out.append(_sick("warning" if works else "error", card, found, "OK"))
    used, total = card.used, card.memory_mib
    if used is not None and total and used > total:
        out.append(
            warning(
                "FACT_UNKNOWN",
                f"card {card.index}: {used:,.0f} of {total:,.0f} MiB in use, more than it has",
                "a memory that the tool knows",
                "run the tool on the host: the total may be wrong (MTT S4000 without IOMMU)",
            )
        )
    return out


def _tells(card: Card) -> bool:
    """Whether a card tells what every card that works does."""
    warm = card.temperature_c is not None or card.power_w is not None
    return bool(card.model) and card.used is not None and warm


def _slices(profile: Profile, api: ApiFacts) -> bool:
    """Whether the node offers parts of cards under names of their own."""
    rows = {name: profile.resource_kind(name) for name, n in api.capacity.items() if n > 0}
    return any(row is not None and row.kind == "split" for row in rows.values())


def _partitioned(cards: Sequence[Card]) -> list[Reason]:
    """One reason for all cards of a mode: on many nodes it is every card's."""
    modes: dict[str, list[str]] = {}
    for card in cards:
        modes.setdefault(card.mode, []).append(str(card.index))
    return [
        warning(
            "CARD_PARTITIONED",
            f"card {', '.join(indices)}: mode {mode}, partitioned",
            "whole cards",
            "ask for their parts by nodes.resource, or undo it with the vendor's tool",
        )
        for mode, indices in modes.items()
    ]


def _sick(severity: str, card: Card, found: str, expected: str) -> Reason:
    make = error if severity == "error" else warning
    return make(
        "CARD_UNHEALTHY",
        f"card {card.index}: {found}",
        expected,
        "take the card out of service and check it (ECC page retirement, cooling, reset)",
    )


def _amount(card: Card) -> str:
    if card.used is not None and card.total:
        return f"card {card.index}: {card.used:,.0f} of {card.total:,.0f} MiB"
    return f"card {card.index}: {card.used_share or 0:.0%} of its memory"


def _share(profile: Profile, card: Card) -> float:
    """How much of its memory is in use, 0 where nothing tells or so little that nobody uses it."""
    used, total = card.used, card.total
    if used is not None and total:
        return taken_share(used, total, profile.idle_mib)
    return card.used_share if card.used_share and card.used_share > IDLE_SHARE else 0.0


def _endured(spec: Rollout, share: float) -> float:
    """How much of a card others may hold before the engine cannot start on it."""
    release = vllm_release(spec.serving.image)
    if release is not None and release < LOOKS_SINCE:
        return share
    return 1 - share if release or spec.serving.gpu_memory_utilization else CROWDED


def _in_use(
    spec: Rollout, profile: Profile, api: ApiFacts, cards: Sequence[Card], units: Units
) -> list[Reason]:
    """Memory in use on more cards than the node's pods hold.

    Which cards they hold the API does not say, so that as many are left out as they hold: a unit is
    on one card, whatever part of it. It is an error where the engine finds less than its share free
    on so many cards that the others do not do.
    """
    taken = [card for card in cards if _share(profile, card)]
    held = {
        name: amount
        for name, amount in api.held.items()
        if amount > 0 and (name == units.resource or profile.resource_kind(name))
    }
    rows = {name: profile.resource_kind(name) for name in held}
    whole = [n for n, row in rows.items() if row is None or row.kind in WHOLE]
    parts = [
        n for n, row in rows.items() if row is not None and (row.kind == "split" or row.counts)
    ]
    explained = math.ceil(sum(held[name] for name in whole)) * units.ranks_per_unit
    explained += math.ceil(sum(held[name] for name in parts))
    # a claim's devices are counted nowhere, nor those of a pod that holds memory or cores alone
    if api.claiming or (held and not whole and not parts):
        explained = len(cards)
    foreign = len(taken) - explained
    if foreign <= 0:
        return []
    share = spec.serving.gpu_memory_utilization or VLLM_SHARE
    most = _endured(spec, share)
    crowded = sum(_share(profile, card) > most for card in taken) > explained
    clean = (len(cards) - foreign) // units.ranks_per_unit
    make = error if crowded and clean < spec.devices else warning
    by = ", ".join(f"{amount} {name}" for name, amount in held.items())
    known = f"pods hold {by}" if by else "no pod of this node holds a card"
    return [
        make(
            "CARD_IN_USE",
            f"memory in use: {'; '.join(map(_amount, taken))}; {known}",
            "memory that is free, or a pod that holds the card"
            if make is warning
            else f"{share:.0%} of a card's memory free (serving.gpu_memory_utilization, or vLLM's "
            "own), or a pod that holds the card",
            "find the process with the vendor's tool on the host and end it, or use other nodes: "
            "vLLM ends at once where less than its share of a card's memory is free; "
            "serving.gpu_memory_utilization may be lowered to what is",
        )
    ]
