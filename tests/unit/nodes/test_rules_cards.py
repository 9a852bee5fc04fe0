"""What the tool said of the cards, against what the node's pods hold."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.accelerators.profiles import profile
from tasks.nodes.document import PciDevice, ProbeDoc, SmiRuns
from tasks.nodes.facts import ApiFacts
from tasks.nodes.reasons import Reason
from tasks.nodes.rules_cards import tool_reasons
from tasks.nodes.tools.cards import Card, Inventory
from tasks.nodes.units.form import UnitKind, Units
from tests.support.nodedata import make_spec

NVIDIA, HYGON = profile("nvidia-gpu"), profile("hygon-dcu")
GPU = "nvidia.com/gpu"


def judge(
    cards: list[Card],
    held: dict[str, int] | None = None,
    devices: int = 1,
    kind: UnitKind = "card",
    ranks: int = 1,
    claiming: int = 0,
    **inventory: Any,
) -> list[Reason]:
    units = Units(GPU, kind, len(cards), len(cards), len(cards), len(cards), ranks_per_unit=ranks)
    amounts = {name: Decimal(amount) for name, amount in (held or {}).items()}
    api = ApiFacts("n", held=amounts, claiming=claiming)
    doc = ProbeDoc(
        "nvidia-gpu",
        smi=SmiRuns("nvidia-smi"),
        pci=tuple(PciDevice(f"0000:0{i}:00.0", "10de", "2330", "030200") for i in range(8)),
    )
    spec = make_spec(
        {"nodes": {"accelerator": "nvidia-gpu"}, "serving": {"tensor_parallel_size": devices}}
    )
    return tool_reasons(spec, NVIDIA, api, doc, Inventory(tuple(cards), **inventory), units)


def full(*indices: int, of: int = 8) -> list[Card]:
    return [
        Card(i, memory_mib=81559, used_mib=75000 if i in indices else 4, health="OK")
        for i in range(of)
    ]


@given(st.sets(st.integers(0, 7)), st.integers(0, 8), st.integers(1, 8))
def test_as_many_full_cards_as_pods_hold_are_explained(
    taken: set[int], held: int, asked: int
) -> None:
    reasons = judge(full(*taken), {GPU: held}, asked)
    foreign = len(taken) - held
    assert [reason.code for reason in reasons] == (["CARD_IN_USE"] if foreign > 0 else [])
    for reason in reasons:
        assert (reason.severity == "error") is (8 - foreign < asked)
        assert all(f"card {i}: 75,000 of 81,559 MiB" in reason.found for i in taken)


@pytest.mark.parametrize("kind", ["share", "slice", "partition"])
def test_where_cards_are_shared_a_unit_is_on_one_card(kind: UnitKind) -> None:
    assert judge(full(0, 1, 2), {GPU: 3}, kind=kind) == []
    assert [reason.code for reason in judge(full(0, 1, 2), {GPU: 1}, kind=kind)] == ["CARD_IN_USE"]
    assert [reason.code for reason in judge(full(0), kind=kind)] == ["CARD_IN_USE"]
    # so it is where a pod holds a part under another name
    assert judge(full(0, 1), {"nvidia.com/mig-1g.10gb": 2}) == []
    assert judge(full(0, 1), {"nvidia.com/mig-1g.10gb": 1}) != []
    # memory alone tells no number of cards
    assert judge(full(0, 1), {"nvidia.com/gpumem": 40000}) == []
    assert judge(full(0), {"cpu": 4, "amd.com/gpu": 8}) != []


def test_a_pod_with_a_claim_may_hold_any_card() -> None:
    assert judge(full(0, 1), claiming=1) == []


def test_a_board_that_a_pod_holds_is_all_its_devices() -> None:
    assert judge(full(0, 1), {GPU: 1}, kind="board", ranks=2) == []
    assert judge(full(0, 1, 2), {GPU: 1}, kind="board", ranks=2) != []


@pytest.mark.parametrize(
    ("card", "reasons"),
    [
        (Card(0, memory_mib=16384, used_mib=1024), 0),  # a desktop
        (Card(0, memory_mib=16384, used_mib=1700), 1),
        (Card(0, memory_mib=81559, used_mib=8000), 0),
        (Card(0, available_mib=5520, used_mib=60000), 1),
        (Card(0, available_mib=65438, used_mib=82), 0),
        (Card(0, memory_mib=65520, available_mib=1351), 1),
        (Card(0, memory_mib=65520, available_mib=65438), 0),
        (Card(0, available_mib=1351), 0),  # a part of what, nobody knows
        (Card(0, used_share=0.09), 0),
        (Card(0, used_share=0.98), 1),
        (Card(0, memory_mib=65520, used_share=0.0), 0),
        (Card(0, memory_mib=65520), 0),
        (Card(0, used_mib=64000), 0),  # of what, nobody knows
    ],
)
def test_what_counts_as_in_use(card: Card, reasons: int) -> None:
    assert len(judge([card])) == reasons


@pytest.mark.parametrize(
    ("health", "severity"),
    [
        *(("", None), ("OK", None), ("N/A", None), ("-", None), ("[Not Supported]", None)),
        *(("Available", None), ("Warning", "warning"), ("Alarm", "error"), ("Critical", "error")),
        *(("UNKNOWN", "error"), ("Not Available", "error"), ("GPU is lost", "error")),
    ],
)
def test_words_for_health(health: str, severity: str | None) -> None:
    found = judge([Card(0, health=health)])
    assert [reason.severity for reason in found] == ([severity] if severity else [])


def test_heat_and_errors() -> None:
    found = judge([Card(0, temperature_c=93.0), Card(1, uncorrectable=2)])
    assert [(reason.code, reason.found) for reason in found] == [
        ("CARD_UNHEALTHY", "card 0: 93 degrees Celsius"),
        ("CARD_UNHEALTHY", "card 1: 2 uncorrectable memory errors"),
    ]


def test_a_row_without_a_tool_says_that_api_and_device_files_decide() -> None:
    row = replace(NVIDIA, smi=())
    units = Units(GPU, "card", 1, 1, 1, 1)
    doc, spec = ProbeDoc("nvidia-gpu"), make_spec({"nodes": {"accelerator": "nvidia-gpu"}})
    (reason,) = tool_reasons(spec, row, ApiFacts("n"), doc, Inventory(), units)
    assert (reason.severity, reason.code) == ("warning", "FACT_UNKNOWN")
    assert "API and device files decide" in reason.action


def test_a_partitioned_card_is_no_news_to_who_asks_for_parts() -> None:
    card = Card(0, memory_mib=65520, mode="MIG")
    spec = make_spec({"nodes": {"accelerator": "hygon-dcu"}})
    doc = ProbeDoc("hygon-dcu", smi=SmiRuns("hy-smi"))

    def ask(name: str) -> list[str]:
        units = Units(name, "card", 1, 1, 1, 1)
        found = tool_reasons(spec, HYGON, ApiFacts("n"), doc, Inventory((card,)), units)
        return [reason.code for reason in found]

    assert ask("hygon.com/hcu") == ["CARD_PARTITIONED"]
    assert ask("hygon.com/hcu-mig-2g-15gb") == []
