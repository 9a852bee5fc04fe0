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
Judge = Callable[[Case], Any]
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


@pytest.mark.parametrize(
    ("capacity", "accelerators", "errors", "warnings"),
    [
        ("4", 1, [], []),  # splitboard: false, a unit is a board
        ("4", None, [], ["UNIT_NOT_A_CARD"]),  # two boards bring four devices
        ("8", 1, ["UNIT_NOT_A_CARD"], []),  # splitboard: true, a unit is a device
        ("8", 2, [], []),
    ],
)
def test_ranks_are_counted_by_what_a_unit_brings(
    capacity: str, accelerators: int | None, errors: list[str], warnings: list[str], judge: Judge
) -> None:
    """Four BI-V150 boards, and two ranks a replica."""
    serving = {"tensor_parallel_size": 2, "accelerators": accelerators}
    verdict = judge(
        {
            "profile": "iluvatar-gpu",
            "labels": {"iluvatar.ai/gpu": "present"},
            "capacity": {"iluvatar.com/gpu": capacity},
            "cards": {"bus": 8, "rows": 8, "memory": 32768, "model": "Iluvatar BI-V150"},
            "spec": {"serving": serving},
        }
    )
    found = [r for r in verdict.reasons if r.code == "UNIT_NOT_A_CARD"]
    assert [r.code for r in found if r.severity == "error"] == errors
    assert [r.code for r in found if r.severity == "warning"] == warnings
    assert verdict.ranks_per_unit == (2 if capacity == "4" else 1)
    assert verdict.engine_memory_bytes == 32768 << 20
