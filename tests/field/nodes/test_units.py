"""A unit is not a card: sharing, slices, partitions and boards as public reports show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.accelerators.profiles import profile
from tasks.nodes.facts import api_facts
from tasks.nodes.units.form import SeenCards
from tasks.nodes.units.reading import read_units
from tasks.nodes.units.reasons import lost_reasons

CASES = "units"
Case = dict[str, Any]
Holds = Callable[[Case], None]
Named = Callable[[str, str], Case]


def test_c01_hami_node_is_usable(field_case: Named, holds: Holds) -> None:
    holds(field_case(CASES, "c01_hami"))


def test_c01_time_slicing_without_labels_is_usable(field_case: Named, holds: Holds) -> None:
    holds(field_case(CASES, "c01_time_slicing_without_labels"))


def test_c02_mig_single_is_judged_by_the_slice(field_case: Named, holds: Holds) -> None:
    holds(field_case(CASES, "c02_mig_single"))


def test_other_nodes(sibling: Case, holds: Holds) -> None:
    holds(sibling)


@pytest.mark.parametrize(
    ("capacity", "ranks", "kind"),
    [
        ("1", 2, "board"),  # splitboard: false, one unit a BI-V150 board
        ("2", 1, "card"),  # splitboard: true, one unit a chip
    ],
)
def test_a_board_of_two_devices(capacity: str, ranks: int, kind: str) -> None:
    """Iluvatar BI-V150: two rows with a bus address each (ixsmi 4.3.8, public log); the plugin's
    `splitboard` as Deep-Spark/ix-device-plugin documents it (2026-05-19)."""
    row = replace(profile("nvidia-gpu"), boards=((r"BI-V150(?!S)", 2),), sharings=(), slicing="")
    node = {
        "metadata": {"name": "n"},
        "status": {"capacity": {"nvidia.com/gpu": capacity}, "allocatable": {}},
    }
    seen = SeenCards(2, 2, 2, 32768, ("Iluvatar BI-V150",) * 2)
    units = read_units(row, api_facts(node), "nvidia.com/gpu", seen)
    assert (units.kind, units.ranks_per_unit, units.memory_bytes) == (kind, ranks, 32768 << 20)
    assert lost_reasons(row, seen, units, "ixsmi") == []
