"""Which driver carries which cards and which toolkit. Each row names its source.

Most vendors name the least driver of a toolkit release; their rows hold it (`minimums`). Hygon
publishes driver tiers (driver, hardware, DTK) and, in the vendor's container tooling, a finer
list of the driver each DTK release needs. They are not the same: where they disagree the finding
is a warning that names both. The vendor's own code lets the highest tier at or below the driver
decide, warns on a toolkit mismatch and refuses an unknown card.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tasks.accelerators.profiles import profile as profile_of
from tasks.accelerators.types import Profile, ToolkitMinimum
from tasks.nodes.reasons import Reason, error, warning

Version = tuple[int, ...]

FIELD_TABLE = "the vendor's driver table (driver, hardware, recommended DTK)"
# HYGON-AI/hcu-dcgm pkg/dcgm compatibility.go, 2026-08-21
VENDOR_TIERS = "the vendor's driver tiers (newer than its table)"
# the vendor's container tooling, read September and October 2026
VENDOR_MINIMUM = "the vendor's per-release DTK minimum"
# releases whose driver requirement was looked for and not found, October 2026
UNPUBLISHED = ("26.04.1",)


@dataclass(frozen=True)
class Tier:
    """From this driver on: these cards, these toolkit releases (major.minor)."""

    driver: Version
    cards: frozenset[str]
    toolkits: frozenset[str]
    source: str


@dataclass(frozen=True)
class ToolkitRange:
    """Drivers one toolkit release needs: from `least`, or up to a whole driver line; of that line
    (`least`'s first two numbers) from this package on."""

    toolkit: str
    least: Version | None
    last_line: Version | None
    source: str
    package: Version = ()


_Z = frozenset({"Z100", "Z100L"})
_K = _Z | {"K100"}
_KAI = _K | {"K100_AI"}
_BW200 = _KAI | {"BW200"}
_BW = _BW200 | {"BW1000"}


def _tier(driver: str, cards: frozenset[str], toolkits: str, source: str) -> Tier:
    return Tier(driver_version(driver), cards, frozenset(toolkits.split()), source)


def driver_version(text: str) -> Version:
    """Comparable parts of a driver version, () when there is none.

    '6.3.27-V1.2.5' -> (6, 3, 27, 1, 2, 5); 'rock-5.7.1-6.2.26' -> (6, 2, 26): an installer's
    name may put the ROCm base before the driver. A letter counts: V1.5.0a -> (..., 1, 5, 0, 1).
    """
    driver, _, package = text.strip().partition("-V")
    numbers = re.findall(r"\d+(?:\.\d+)+", driver)[-1:] + re.findall(r"^[\d.]+[a-z]?", package)
    out: list[int] = []
    for part in numbers:
        out += [int(n) for n in re.findall(r"\d+", part)]
        if part[-1].isalpha():
            out.append(ord(part[-1]) - ord("a") + 1)
    return tuple(out)


TIERS: tuple[Tier, ...] = (
    _tier("rock-4.0-23-5.6.25", _Z, "21.04 21.10 22.04", FIELD_TABLE),
    _tier("rock-4.5.2-5.11.40", _Z, "22.04 22.10 23.04", FIELD_TABLE),
    _tier("rock-5.2.0-5.16.18", _Z, "22.10 23.04", FIELD_TABLE),
    _tier("rock-5.2.0-5.16.29", _K, "23.04 23.10", FIELD_TABLE),
    _tier("rock-5.7.1-6.2.26", _KAI, "24.04 25.04", FIELD_TABLE),
    _tier("6.3.0", _BW200, "24.04 25.04", VENDOR_TIERS),  # BW200: DTK 25.00 or newer
    _tier("6.3.8", _BW, "25.04", FIELD_TABLE),
    _tier("6.3.30", _BW | {"BW10", "BW100", "BW150", "BW1100"}, "26.04", VENDOR_TIERS),
)
RANGES: tuple[ToolkitRange, ...] = (
    # the source says 5.7.1-V1.6.3: the ROCm base, whose drivers are the 6.2 line
    ToolkitRange("24.04", None, (6, 2), VENDOR_MINIMUM),
    # the source says 5.7.1-V1.7.0
    ToolkitRange("25.04", (6, 2), None, VENDOR_MINIMUM, package=(1, 7, 0)),
    ToolkitRange("25.04.1", driver_version("6.3.6-V1.9.0c"), None, VENDOR_MINIMUM),
    ToolkitRange("25.04.2", driver_version("6.3.16-V1.1.0a"), None, VENDOR_MINIMUM),
    ToolkitRange("26.04", driver_version("6.3.30-V1.4.1a"), None, VENDOR_MINIMUM),
)
KNOWN_CARDS = frozenset().union(*(tier.cards for tier in TIERS))
_HYGON = profile_of("hygon-dcu")
# cards whose names differ by a suffix only are different cards
KNOWN_NAMES = KNOWN_CARDS | frozenset(_HYGON.models.values()) | {"K100_LC"}


def dotted(version: Version) -> str:
    """For a person: (6, 3, 27, 1, 2, 5) -> '6.3.27-V1.2.5'."""
    head = ".".join(map(str, version[:3]))
    letter = "".join(chr(ord("a") + n - 1) for n in version[6:7])
    return f"{head}-V{'.'.join(map(str, version[3:6]))}{letter}" if len(version) > 3 else head


def tier_of(version: Version) -> Tier | None:
    """The highest tier at or below a driver."""
    return next((tier for tier in reversed(TIERS) if version >= tier.driver), None)


def check(driver: str, cards: Sequence[str], toolkit: str) -> list[Reason]:
    """Hygon: match driver, card models and toolkit. driver or toolkit '' are not judged here."""
    version = driver_version(driver)
    out: list[Reason] = []
    models = sorted({_HYGON.model_of(card) for card in cards if card})
    for model in models:
        if model not in KNOWN_CARDS:
            out.append(
                warning(
                    "CARD_UNKNOWN",
                    f"card '{model}'",
                    f"one of {', '.join(sorted(KNOWN_CARDS))}: the cards of {FIELD_TABLE} and of "
                    f"{VENDOR_TIERS}",
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
                error(
                    "DRIVER_TOO_OLD",
                    f"driver {driver} with {model}",
                    f"driver {dotted(first.driver)} or newer ({first.source})",
                    "install a newer driver (rock-*.run), then restart hymgr",
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
                "a published driver requirement of that release; none was found by October 2026",
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


def check_minimum(
    profile: Profile,
    driver: str,
    toolkit: str,
    cards: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> list[Reason]:
    """Match a driver with the least one its toolkit names.

    env: the engine's environment, which may switch on newer user-space libraries of the image;
    cards: models, of which some have none of these.
    """
    # 25.5.rc1 comes before 25.5.1
    plain = re.split(r"\.?rc", driver.split("-")[0], flags=re.IGNORECASE)[0]
    have = tuple(int(n) for n in re.findall(r"\d+", plain))
    want = tuple(int(n) for n in re.findall(r"\d+", toolkit))
    row = next((m for m in profile.minimums if want and want >= m.toolkit), None)
    if row is None:
        return []
    dropped = _dropped(profile, row, toolkit, cards)
    if not have or have >= tuple(int(n) for n in row.driver.split(".")):
        return dropped
    make = (
        partial(error, "DRIVER_TOO_OLD")
        if row.refuse
        else partial(warning, "DRIVER_TOOLKIT_MISMATCH")
    )
    action = (
        "install a newer driver, use an older image, or set serving.toolkit if the tag misleads"
    )
    compat = profile.compat
    if row.refuse and compat is not None:
        on = [name for name, rule in compat.env if re.search(rule, (env or {}).get(name, ""))]
        without = [card for card in cards if re.search(compat.not_for, card)]
        least = next((text for of, text in compat.least if want >= of), "0")
        old = on and have < tuple(int(n) for n in least.split("."))
        if old:
            action += (
                f"; compatibility libraries go with drivers from {least} ({compat.least_source})"
            )
        elif on and not without:
            make = partial(warning, "DRIVER_TOO_OLD")
            action = (
                f"{on[0]} brings the image's own libraries: the smoke test shows whether they go "
                f"with this driver ({compat.source})"
            )
        elif on:
            action += f"; {without[0]} has no compatibility libraries ({compat.source})"
        else:
            name = compat.env[0][0]
            action += f"; on data centre cards {name}=1 in serving.env may go round it"
    return [
        *dropped,
        make(
            f"driver {driver} with {profile.toolkit_name} {toolkit}",
            f"driver {row.driver} or newer ({row.source})",
            action,
        ),
    ]


def _dropped(
    profile: Profile, row: ToolkitMinimum, toolkit: str, cards: Sequence[str]
) -> list[Reason]:
    """Cards that the toolkit compiles nothing for."""
    old = sorted({card for card in cards if row.dropped and re.search(row.dropped, card)})
    return [
        warning(
            "DRIVER_TOOLKIT_MISMATCH",
            f"{card} with {profile.toolkit_name} {toolkit}",
            f"a card that it has kernels for ({row.dropped_source})",
            "use an image of an older toolkit: this one ends with 'no kernel image'",
        )
        for card in old
    ]


DriverCheck = Callable[[str, Sequence[str], str], list[Reason]]
# what a table of least drivers cannot say
CHECKS: dict[str, DriverCheck] = {"hygon": check}


def compatible(
    profile: Profile,
    driver: str,
    cards: Sequence[str],
    toolkit: str,
    env: Mapping[str, str] | None = None,
    wanted: str | None = None,
) -> list[Reason]:
    """What is said against this driver with these cards and this toolkit. env: the engine's.
    wanted: the card the spec names, which the operator knows whatever the tables say."""
    found = check_minimum(profile, driver, toolkit, cards, env)
    own = CHECKS.get(profile.compatibility)
    if own is None:
        return found
    found += own(driver, cards, toolkit)
    models = {profile.model_of(card) for card in cards if card}
    named = wanted is not None and models == {profile.model_of(wanted)}
    return [reason for reason in found if not (named and reason.code == "CARD_UNKNOWN")]
