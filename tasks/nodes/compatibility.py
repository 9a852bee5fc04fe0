"""Which driver carries which cards and which toolkit. Each row names its source.

Most vendors name the least driver of a toolkit release, some what each generation of cards needs;
their rows hold it (`minimums`, `generations`). Hygon's two tables (tasks.accelerators.tiers) are
not the same: where they disagree the finding is a warning that names both. The vendor's own code
lets the highest tier at or below the driver decide, and warns on a mismatch.

What is published is less than what the hardware says: of a card that the vendor's tool lists and
calls well no table says that its driver cannot drive it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from tasks.accelerators.profiles import profile as profile_of
from tasks.accelerators.tiers import (
    RANGES,
    TIERS,
    UNPUBLISHED,
    VENDOR_TIERS,
    Tier,
    ToolkitRange,
    Version,
    dotted,
    driver_version,
    tier_of,
)
from tasks.accelerators.toolkits import CompatLibraries
from tasks.accelerators.types import Profile
from tasks.nodes.reasons import Reason, error, warning


@dataclass(frozen=True)
class EngineImage:
    """What may bring newer user-space libraries: the engine's image and its environment."""

    image: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


NOTHING = EngineImage()


KNOWN_CARDS = frozenset().union(*(tier.cards for tier in TIERS))
_HYGON = profile_of("hygon-dcu")
# cards whose names differ by a suffix only are different cards
KNOWN_NAMES = KNOWN_CARDS | frozenset(_HYGON.models.values()) | {"K100_LC"}


def _outside(
    code: str, driver: str, card: str, expected: str, action: str, why: str, answering: bool
) -> Reason:
    """A driver outside the rows of a card. Where the vendor's tool lists the card and calls it well
    the driver drives it, whatever was published: its word goes before the table's."""
    if answering:
        found = f"driver {driver} with {card}, which the vendor's tool lists all the same"
        tried = f"the smoke test decides; where it fails, {action}"
        return warning(code, found, expected, tried)
    return error(code, f"driver {driver} with {card}", expected, f"{action}{why}")


def check(
    driver: str, cards: Sequence[str], toolkit: str, answering: Collection[str] = ()
) -> list[Reason]:
    """Hygon: match driver, card models and toolkit. driver or toolkit '' are not judged here.
    answering: models that the tool lists and calls well."""
    version = driver_version(driver)
    out: list[Reason] = []
    models = sorted({_HYGON.model_of(card) for card in cards if card})
    for model in models:
        if model not in KNOWN_CARDS:
            out.append(
                warning(
                    "CARD_UNKNOWN",
                    f"card '{model}'",
                    f"one of {', '.join(sorted(KNOWN_CARDS))}: the cards of {VENDOR_TIERS}",
                    "its driver was not judged: the smoke test decides; set nodes.model to "
                    f"'{model}' where it is known to work, and this is said no more",
                )
            )
    if not version:
        return out
    tier = tier_of(version)
    for model in [m for m in models if m in KNOWN_CARDS]:
        if tier is None or model not in tier.cards:
            first = next(t for t in TIERS if model in t.cards)
            out.append(
                _outside(
                    "DRIVER_TOO_OLD",
                    driver,
                    model,
                    f"driver {dotted(first.driver)} or newer ({first.source})",
                    "install a newer driver (rock-*.run), then restart hymgr",
                    "",
                    model in answering,
                )
            )
    if toolkit and tier is not None:
        out += _check_toolkit(driver, version, tier, toolkit)
    return out


def _check_toolkit(driver: str, version: Version, tier: Tier, toolkit: str) -> list[Reason]:
    family = ".".join(toolkit.split(".")[:2])
    if toolkit in UNPUBLISHED or all(family not in row.toolkits for row in TIERS):
        return [
            warning(
                "TOOLKIT_UNKNOWN",
                f"DTK {toolkit} with driver {driver}",
                "a published driver requirement of that release; none was found by 2026-10",
                "the smoke test decides; the vendor's release notes may name the driver",
            )
        ]
    by_tier = family in tier.toolkits
    row = _range_of(toolkit, family)
    by_range = None
    if row is not None:
        line = row.last_line
        above = row.least is None or version >= row.least
        if row.package and row.least and version[:2] == row.least[:2] and len(version) > 3:
            above = version[3:] >= row.package
        by_range = above and (line is None or version[: len(line)] <= line)
    tier_says = (
        f"{tier.source} gives DTK {', '.join(sorted(tier.toolkits))} for drivers from "
        f"{dotted(tier.driver)}"
    )
    range_says = "" if row is None else f"{row.source} gives DTK {row.toolkit} {_words(row)}"
    found = f"driver {driver} with DTK {toolkit}"
    if by_range is None or by_range == by_tier:
        if by_tier:
            return []
        return [
            warning(
                "DRIVER_TOOLKIT_MISMATCH",
                found,
                "; ".join(filter(None, [tier_says, range_says])),
                f"install a driver for DTK {toolkit}, or use an image with a DTK of the driver's "
                "tier",
            )
        ]
    good, bad = (tier_says, range_says) if by_tier else (range_says, tier_says)
    return [
        warning(
            "COMPATIBILITY_DISPUTED",
            found,
            f"the sources disagree: {good}, which fits; {bad}, which does not",
            "the smoke test and the benchmark decide; where they fail, change driver or image",
        )
    ]


def _range_of(toolkit: str, family: str) -> ToolkitRange | None:
    exact = next((row for row in RANGES if row.toolkit == toolkit), None)
    return exact or next((row for row in RANGES if row.toolkit == family), None)


def _words(row: ToolkitRange) -> str:
    least = f"drivers from {dotted(row.least)}" if row.least else ""
    least += f", there from V{dotted(row.package)}" if row.package else ""
    most = f"drivers up to the {dotted(row.last_line)} line" if row.last_line else ""
    return least or most


def _numbers(version: str) -> Version:
    """'570.133.20' -> (570, 133, 20); 25.5.rc1 comes before 25.5.1, so the rc is cut."""
    plain = re.split(r"\.?rc", version.split("-")[0], flags=re.IGNORECASE)[0]
    return tuple(int(n) for n in re.findall(r"\d+", plain))


def check_minimum(
    profile: Profile,
    driver: str,
    toolkit: str,
    cards: Sequence[str] = (),
    engine: EngineImage = NOTHING,
) -> list[Reason]:
    """Match a driver with the least one its toolkit names.

    engine: its image and environment, which may bring newer user-space libraries; cards: models,
    of which some have none of these.
    """
    have, want = _numbers(driver), _numbers(toolkit)
    row = next((m for m in profile.minimums if want and want >= m.toolkit), None)
    if row is None or not have or have >= _numbers(row.driver):
        return []
    make = (
        partial(error, "DRIVER_TOO_OLD")
        if row.refuse
        else partial(warning, "DRIVER_TOOLKIT_MISMATCH")
    )
    action = (
        "install a newer driver, use an older image, or set serving.toolkit if the tag misleads"
    )
    if row.refuse and profile.compat is not None:
        mild, action = _round(profile.compat, have, want, cards, engine, action)
        make = partial(warning, "DRIVER_TOO_OLD") if mild else make
    return [
        make(
            f"driver {driver} with {profile.toolkit_name} {toolkit}",
            f"driver {row.driver} or newer ({row.source})",
            action,
        )
    ]


def _round(
    compat: CompatLibraries,
    have: Version,
    want: Version,
    cards: Sequence[str],
    engine: EngineImage,
    action: str,
) -> tuple[bool, str]:
    """Whether the image's own libraries may go round an old driver, and what to do.

    Below every branch they are made for none of them can start: that stays an error. Between two
    of them nobody knows, which is a warning.
    """
    on = [name for name, rule in compat.env if re.search(rule, engine.env.get(name, ""))]
    if compat.images and re.search(compat.images, engine.image):
        on.append(engine.image)
    without = [card for card in cards if re.search(compat.not_for, card)]
    branches = next((found for of, found in compat.branches if want >= of), ())
    good = ", ".join(map(str, branches))
    made = f"they are made for driver branches {good} ({compat.branches_source})"
    if not on:
        name = compat.env[0][0]
        if without or not branches or have[0] < min(branches):
            return False, action
        return False, f"{action}; on data centre cards {name}=1 in serving.env may go round it"
    if branches and have[0] < min(branches):
        return False, f"{action}; as for compatibility libraries, {made}"
    if without:
        return False, f"{action}; {without[0]} has no compatibility libraries ({compat.source})"
    brings = f"{on[0]} brings the image's own libraries"
    if branches and have[0] not in branches:
        return True, f"{brings}, but {made}: install one of these, or a newer driver"
    return True, (
        f"{brings}: the smoke test shows whether they go with this driver ({compat.source})"
    )


def check_generation(
    profile: Profile,
    driver: str,
    cards: Sequence[str],
    toolkit: str,
    answering: Collection[str] = (),
) -> list[Reason]:
    """Match driver and toolkit with what each card's generation needs.

    An error is what cannot be otherwise: a driver that does not know the card, a toolkit that
    compiles nothing for it. An older toolkit may hold code that the driver compiles anew, so that
    is a warning, as is a driver below what the vendor advises. A card of no row is not judged.
    answering: models that the tool lists and calls well.
    """
    have, want = _numbers(driver), _numbers(toolkit)
    name = profile.toolkit_name
    out: list[Reason] = []
    for card in sorted(set(cards)):
        row = next((g for g in profile.generations if re.search(g.cards, card)), None)
        if row is None:
            continue
        found = f"driver {driver} with {card}"
        of = f"for {row.name} ({row.source})"
        newer = f"driver {row.advised or row.driver} or newer {of}"
        if have and row.driver and have < _numbers(row.driver):
            action, why = "install a newer driver", ": this one does not know the card"
            known = card in answering
            out.append(_outside("DRIVER_TOO_OLD", driver, card, newer, action, why, known))
        elif have and row.advised and have < _numbers(row.advised):
            action = "install a newer driver; the smoke test shows whether this one drives the card"
            out.append(warning("DRIVER_TOO_OLD", found, newer, action))
        elif have and row.until and have >= _numbers(row.until):
            action, why = "install an older driver", ": this one leaves the card out"
            older, known = f"one before {row.until} {of}", card in answering
            out.append(_outside("DRIVER_TOO_NEW", driver, card, older, action, why, known))
        found = f"{card} with {name} {toolkit}"
        tag = "one without code for the card ends with 'no kernel image'; set serving.toolkit if "
        tag += "the tag misleads"
        if want and row.dropped and want >= row.dropped:
            expected, action = f"{name} before {_dots(row.dropped)} {of}", f"an older image: {tag}"
            out.append(error("DRIVER_TOOLKIT_MISMATCH", found, expected, action))
        elif want and want < row.toolkit[: len(want)]:
            expected, action = f"{name} {_dots(row.toolkit)} or newer {of}", f"a newer image: {tag}"
            out.append(warning("DRIVER_TOOLKIT_MISMATCH", found, expected, action))
    return out


def _dots(version: Version) -> str:
    return ".".join(map(str, version))


DriverCheck = Callable[[str, Sequence[str], str, Collection[str]], list[Reason]]
# what a table of least drivers cannot say
CHECKS: dict[str, DriverCheck] = {"hygon": check}


def compatible(
    profile: Profile,
    driver: str,
    cards: Sequence[str],
    toolkit: str,
    engine: EngineImage = NOTHING,
    wanted: str | None = None,
    ids: Sequence[str] = (),
    answering: Collection[str] = (),
) -> list[Reason]:
    """What is said against this driver with these cards and this toolkit.

    wanted: the card the spec names, which the operator knows whatever the tables say. ids: PCI ids
    (vendor:device), which tell the generation where no tool tells a card. answering: models that
    the vendor's tool lists and calls well, so that their driver knows them.
    """
    found = check_minimum(profile, driver, toolkit, cards, engine)
    found += check_generation(profile, driver, cards or ids, toolkit, answering)
    own = CHECKS.get(profile.compatibility)
    if own is None:
        return found
    found += own(driver, cards, toolkit, answering)
    models = {profile.model_of(card) for card in cards if card}
    named = wanted is not None and models == {profile.model_of(wanted)}
    return [reason for reason in found if not (named and reason.code == "CARD_UNKNOWN")]
