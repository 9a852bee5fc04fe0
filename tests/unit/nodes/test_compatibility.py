"""Driver, cards and toolkit: the tables row by row, and where they disagree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.accelerators.profiles import PROFILES, profile
from tasks.accelerators.tiers import TIERS, dotted, driver_version, tier_of
from tasks.nodes.compatibility import check, compatible


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("6.3.27-V1.2.5", (6, 3, 27, 1, 2, 5)),
        ("6.3.31-V1.5.0a", (6, 3, 31, 1, 5, 0, 1)),
        ("rock-5.7.1-6.2.26", (6, 2, 26)),
        ("rock-5.7.1-6.2.26-V1.6.3", (6, 2, 26, 1, 6, 3)),
        ("rock-6.3.8+", (6, 3, 8)),
        ("rock-4.0-23-5.6.25", (5, 6, 25)),
        ("", ()),
        ("unknown", ()),
    ],
)
def test_versions(text: str, version: tuple[int, ...]) -> None:
    assert driver_version(text) == version


def test_a_letter_makes_a_later_package() -> None:
    assert driver_version("6.3.6-V1.9.0") < driver_version("6.3.6-V1.9.0c")
    assert dotted(driver_version("6.3.6-V1.9.0c")) == "6.3.6-V1.9.0c"


# driver, card, toolkit -> codes
@pytest.mark.parametrize(
    ("driver", "card", "toolkit", "codes"),
    [
        # the field report's table, row by row
        ("rock-4.0-23-5.6.25", "Z100L", "21.04", []),
        ("rock-4.5.2-5.11.40", "Z100", "23.04", []),
        ("rock-5.2.0-5.16.18", "Z100", "22.10", []),
        ("rock-5.2.0-5.16.29", "K100", "23.10", []),
        ("rock-5.7.1-6.2.26", "K100_AI", "24.04.3", []),
        ("6.3.8-V1.9.2", "BW1000", "25.04.1", []),
        # the vendor's newer tier
        ("6.3.30-V1.4.1a", "BW1100", "26.04", []),
        # too old for the card, in either table
        ("5.6.25", "K100", "21.04", ["DRIVER_TOO_OLD"]),
        ("5.16.29", "K100_AI", "23.10", ["DRIVER_TOO_OLD"]),
        ("6.2.26", "BW1000", "24.04", ["DRIVER_TOO_OLD"]),
        ("4.0.1", "Z100", "21.04", ["DRIVER_TOO_OLD"]),
        # both sources say no: warned, as the vendor's own code does
        ("6.3.8", "K100_AI", "26.04", ["DRIVER_TOOLKIT_MISMATCH"]),
        ("6.3.8", "K100_AI", "23.10", ["DRIVER_TOOLKIT_MISMATCH"]),
        # the sources disagree
        ("6.2.26", "K100_AI", "25.04.1", ["COMPATIBILITY_DISPUTED"]),
        ("6.3.30-V1.4.1a", "K100_AI", "25.04.1", ["COMPATIBILITY_DISPUTED"]),
        ("6.3.8", "K100_AI", "25.04.2", ["COMPATIBILITY_DISPUTED"]),
        # spelled with a dash
        ("6.3.8", "K100-AI", "25.04", []),
        ("6.3.8", "K900", "25.04", ["CARD_UNKNOWN"]),
        ("", "K900", "25.04", ["CARD_UNKNOWN"]),
        ("", "K100_AI", "25.04", []),
    ],
)
def test_hygon_table(driver: str, card: str, toolkit: str, codes: list[str]) -> None:
    assert [r.code for r in check(driver, [card, card], toolkit)] == codes


def test_a_dispute_names_both_sources() -> None:
    (reason,) = check("6.3.30-V1.4.1a", ["K100_AI"], "25.04.1")
    assert reason.severity == "warning"
    assert "the vendor's driver tiers" in reason.expected
    assert "per-release DTK minimum" in reason.expected


@pytest.mark.parametrize(
    ("family", "driver", "toolkit", "codes"),
    [
        ("nvidia-gpu", "525.60.13", "12.8", []),
        ("nvidia-gpu", "470.82.01", "12.8", ["DRIVER_TOO_OLD"]),
        ("nvidia-gpu", "550.54.15", "13.0", ["DRIVER_TOO_OLD"]),
        ("nvidia-gpu", "470.82.01", "11.8", []),
        ("nvidia-gpu", "470.82.01", "", []),
        ("amd-gpu", "5.18.13", "6.4.1", ["DRIVER_TOOLKIT_MISMATCH"]),
        ("amd-gpu", "6.12.12", "6.4.1", []),
        ("ascend-npu", "24.1.rc1", "8.5.0", ["DRIVER_TOOLKIT_MISMATCH"]),
        ("ascend-npu", "25.5.2", "8.5.0", []),
        # CANN 9.1.1 release notes: 9.0 runs with HDK 25.0 and newer, 9.1 with 25.2
        ("ascend-npu", "24.1.rc3", "9.0.0", ["DRIVER_TOOLKIT_MISMATCH"]),
        ("ascend-npu", "25.0.rc1.1", "9.0.0", []),
        ("ascend-npu", "25.0.rc1.1", "9.1.0", ["DRIVER_TOOLKIT_MISMATCH"]),
        ("ascend-npu", "25.2.0", "9.1.0", []),
        ("ascend-npu", "24.1.rc1", "8.3.rc2", []),
    ],
)
def test_least_drivers(family: str, driver: str, toolkit: str, codes: list[str]) -> None:
    found = compatible(profile(family), driver, ["any"], toolkit)
    assert [r.code for r in found] == codes


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6).map(tuple))
def test_the_highest_tier_at_or_below_a_driver_decides(version: tuple[int, ...]) -> None:
    tier = tier_of(version)
    below = [t for t in TIERS if t.driver <= version]
    assert tier == (max(below, key=lambda t: t.driver) if below else None)


@given(st.text(max_size=30))
def test_no_version_text_crashes(text: str) -> None:
    assert all(isinstance(n, int) for n in driver_version(text))
    for row in PROFILES.values():
        compatible(row, text, [text], text)
