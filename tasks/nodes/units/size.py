"""How much memory one unit of a resource has."""

from __future__ import annotations

import re

from tasks.accelerators.types import Profile, ResourcePattern
from tasks.nodes.facts import Amounts, ApiFacts
from tasks.nodes.units.form import Origin, SeenCards, label

# NVIDIA's profiles hold between 0.896 (1g.12gb, 11,008 MiB) and 0.99 of what their name says
PROFILE_LEAST, PROFILE_MOST = 0.89, 0.99
LEAST_ASKED_MIB = 1024


def replicas(profile: Profile, api: ApiFacts) -> int:
    """How often the labels say that one card is offered; 1 where they say nothing."""
    text = label(profile.labels.replicas, api)
    return max(1, int(text)) if text.isdigit() else 1


def memory_mib(value: str) -> float | None:
    """'64G' -> 65536 (vendors round GiB up); a bare number is MiB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(Gi?B?|Mi?B?)?", value, re.IGNORECASE)
    if match is None:
        return None
    return float(match[1]) * (1024 if (match[2] or "").upper().startswith("G") else 1)


def unit_memory(
    profile: Profile,
    api: ApiFacts,
    resource: str,
    row: ResourcePattern,
    found: Origin,
    seen: SeenCards,
    capacity: int,
    asked: Amounts,
) -> tuple[float | None, float | None]:
    """(most, least) MiB of one unit."""
    card, told = seen.memory_mib, found.told
    if found.kind in ("card", "board"):
        return card, card
    if size := memory_mib(_memory_label(profile, api, resource, row, found)):
        return size, size
    if "gb" in told:
        size = float(told["gb"]) * 1024
        return size * PROFILE_MOST, size * PROFILE_LEAST
    if "share_gb" in told:
        size = float(told["share_gb"]) * 1024
        return size, size
    if card is None:
        return None, None
    if mode := told.get("mode", "").lower():
        times = profile.partitions.get(mode) or (capacity / seen.cards if seen.cards else 0)
        if told.get("nps") == "1":
            return card, card  # one memory domain, which all partitions see
        # a row of the tool may be a partition already, of which some print the card's memory
        least = card / times if times else None
        return (least, least) if least and seen.rows == seen.cards else (card, least)
    if found.kind == "slice" and found.guessed and seen.cards:
        return card * seen.cards / capacity, None
    if "cores" in told:
        sizes = next(((high, low) for most, low, high in row.core_mib if card <= most), None)
        cores = int(told["cores"])
        return (cores * sizes[0], cores * sizes[1]) if sizes else (None, None)
    if found.kind == "slice" or row.unsized:
        return None, None  # a part, and no size of it
    sharing = found.sharing
    if sharing and sharing.memory == "unknown":
        return None, None
    if sharing and sharing.memory == "divided":
        per = replicas(profile, api)
        per_card = per if per > 1 else capacity / max(1, seen.cards or found.least)
        return card / per_card, card / per_card
    if wanted := _asked_mib(profile, asked, card):
        return min(wanted, card), min(wanted, card)
    if found.kind == "share" and seen.divided == seen.rows > 0:
        return None, None  # a share of a slice, of which nothing tells the size
    return card, card


def _memory_label(
    profile: Profile, api: ApiFacts, resource: str, row: ResourcePattern, found: Origin
) -> str:
    """What a label says of a unit's memory, '' where none does."""
    if found.sharing and found.sharing.memory == "label":
        return label(profile.labels.memory, api)
    if row.kind != "split":
        return ""
    prefix, _, name = resource.rpartition("/")
    told = row.told(resource)
    for template in profile.labels.slice_memory:
        if value := api.labels.get(template.format(name=name)):
            return value
        # the label may say 3g.21gb where the resource says 3g.20gb (gpu-feature-discovery#7)
        rule = re.escape(template).replace(re.escape("{name}"), "(.+)")
        for key, value in api.labels.items():
            match = re.fullmatch(rule, key)
            near = row.told(f"{prefix}/{match[1]}") if match else {}
            alike = "part" in near and near["part"] == told.get("part") and "gb" in told
            if alike and abs(int(near["gb"]) - int(told["gb"])) <= 1:
                return value
    return ""


def _asked_mib(profile: Profile, asked: Amounts, card: float) -> float:
    """MiB a pod asks of each unit, 0 where it asks none, or in a unit that we do not know."""
    for name, amount in asked.items():
        row = profile.resource_kind(name)
        if row is None or not (row.mib or row.of_card):
            continue
        size = float(amount) * (row.mib + row.of_card * card)
        # some plugins count in GiB, or in steps of their own
        return size if size >= LEAST_ASKED_MIB else 0.0
    return 0.0
