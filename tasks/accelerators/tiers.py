"""Hygon's tables of drivers, cards and toolkits. Standard library only.

Two of them: driver tiers (driver, hardware, DTK), and a finer list of the driver each DTK release
needs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, ...]

# Its own code warns where no tier matches a driver. K100_LC and newer names are in none.
VENDOR_TIERS = "the vendor's driver tiers (HYGON-AI/hcu-dcgm pkg/dcgm/compatibility.go, 2026-08)"
VENDOR_MINIMUM = (
    "the vendor's per-release DTK minimum (its table of DTK and driver releases, undated, read "
    "2026-09, and in a public copy 2026-11)"
)
# releases whose driver requirement was looked for and not found, 2026-10
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
    _tier("rock-4.0-23-5.6.25", _Z, "21.04 21.10 22.04", VENDOR_TIERS),
    _tier("rock-4.5.2-5.11.40", _Z, "22.04 22.10 23.04", VENDOR_TIERS),
    _tier("rock-5.2.0-5.16.18", _Z, "22.10 23.04", VENDOR_TIERS),
    _tier("rock-5.2.0-5.16.29", _K, "23.04 23.10", VENDOR_TIERS),
    _tier("rock-5.7.1-6.2.26", _KAI, "24.04 25.04", VENDOR_TIERS),
    _tier("6.3.0", _BW200, "24.04 25.04", VENDOR_TIERS),  # BW200: DTK 25.00 or newer
    _tier("6.3.8", _BW, "25.04", VENDOR_TIERS),
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


def dotted(version: Version) -> str:
    """For a person: (6, 3, 27, 1, 2, 5) -> '6.3.27-V1.2.5'."""
    head = ".".join(map(str, version[:3]))
    letter = "".join(chr(ord("a") + n - 1) for n in version[6:7])
    return f"{head}-V{'.'.join(map(str, version[3:6]))}{letter}" if len(version) > 3 else head


def tier_of(version: Version) -> Tier | None:
    """The highest tier at or below a driver."""
    return next((tier for tier in reversed(TIERS) if version >= tier.driver), None)
