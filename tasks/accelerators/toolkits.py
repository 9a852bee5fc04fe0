"""What the rows say of toolkits, drivers and the cards they are for. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class ToolkitMinimum:
    """Toolkit releases from `toolkit` on need this driver. refuse: below it nothing runs. source:
    where that stands, and its date."""

    toolkit: tuple[int, ...]
    driver: str
    refuse: bool
    source: str


@dataclass(frozen=True)
class Generation:
    """Cards of one generation and what goes with them; () and '' where nothing is known.

    cards: regex over models, and over PCI ids (vendor:device) where no tool tells a model. toolkit:
    the first release that compiles for them; dropped: the first that does no more. driver: the
    first branch that drives them; advised: the least one the vendor names; until: the first that
    leaves them out. source: where that stands, and its date.
    """

    name: str
    cards: str
    source: str
    toolkit: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    driver: str = ""
    advised: str = ""
    until: str = ""


@dataclass(frozen=True)
class CompatLibraries:
    """Newer user-space libraries in the image that go with an older driver.

    env: (variable, regex over its value) of which one switches them on; images: regex over images
    that do so themselves. not_for: regex over card models that have none. source: where that
    stands, and its date. branches: (toolkit, the driver branches they are made for), the newest
    first; branches_source.
    """

    env: tuple[tuple[str, str], ...]
    not_for: str
    source: str
    images: str = ""
    branches: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()
    branches_source: str = ""


def normal_toolkit(version: str, digits: str = r"(\d{2})(\d{2})\.?(\d?)") -> str:
    """'2604' -> '26.04', '25.04.1' stays: both spellings occur in the vendor's image tags.

    digits: how a version without dots is cut; default: as Hygon's.
    """
    cut = re.fullmatch(digits, version)
    if cut:
        return ".".join(part for part in cut.groups() if part)
    return version.lower()
