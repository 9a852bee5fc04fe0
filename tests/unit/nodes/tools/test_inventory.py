"""Parsers of the vendors' tools, on what the tools really print."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tasks.nodes.document import SmiRun, SmiRuns
from tasks.nodes.tools.read import PARSERS, Inventory, read_inventory
from tasks.nodes.tools.text import find_json, number
from tests.support import hostroot


def run(tool: str, *outputs: tuple[tuple[str, ...], str]) -> Inventory:
    return read_inventory(SmiRuns(tool, tool, tuple(SmiRun(a, 0, text) for a, text in outputs)))


def test_hy_smi_new_table() -> None:
    cards = run("hy-smi", ((), hostroot.hy_smi_table())).cards
    assert [(c.temperature_c, c.power_w) for c in cards] == list(hostroot.CARDS)
    assert {c.mode for c in cards} == {"Normal"}


def test_hy_smi_old_table_with_a_fan_and_more_columns() -> None:
    text = (
        "DCU     Temp     AvgPwr     Fan     Perf     PwrCap     VRAM%      DCU%      Dec%   Enc%\n"
        "0       53.0C    96.0W      0%      auto     300.0W     0%         0%        0%     0%\n"
        "1       N/A      96.0W      0%      auto     300.0W     0%         0%        0%     0%\n"
    )
    inventory = run("hy-smi", ((), text))
    assert [(c.temperature_c, c.power_w, c.mode) for c in inventory.cards] == [
        (53.0, 96.0, ""),
        (None, 96.0, ""),
    ]
    assert inventory.problems == ()


def test_hy_smi_row_that_does_not_fit_is_a_problem() -> None:
    text = "HCU Temp AvgPwr Mode\n0 59.0C 1W Normal\n1 59.0C\n"
    inventory = run("hy-smi", ((), text))
    assert len(inventory.cards) == 1 and "does not fit" in inventory.problems[0]


def test_hy_smi_json_between_warnings_with_empty_keys() -> None:
    inventory = run("hy-smi", (("--json",), hostroot.hy_smi_json(2)))
    assert [(c.index, c.model, c.memory_mib, c.used_mib) for c in inventory.cards] == [
        (0, "K100_AI", 65520.0, 2.0),
        (1, "K100_AI", 65520.0, 2.0),
    ]


def test_hy_smi_json_of_the_older_naming() -> None:
    text = '{"card0": {"DCU use (%)": "12", "Card series": "Z100L", "Device ID": "0x61b7"}}'
    assert run("hy-smi", (("--json",), text)).cards[0].model == "Z100L"


def test_hy_smi_outputs_are_merged_by_card() -> None:
    inventory = run(
        "hy-smi",
        ((), hostroot.hy_smi_table()),
        (("--showdriverversion",), "Driver Version: 6.3.31-V1.5.0a\n"),
        (("--showmemavailable",), hostroot.hy_smi_memory()),
        (("--json",), hostroot.hy_smi_json()),
    )
    card = inventory.cards[7]
    assert inventory.driver == "6.3.31-V1.5.0a"
    assert (card.model, card.available_mib, card.temperature_c) == ("K100_AI", 65438.0, 58.0)


def test_hy_smi_series_lines_of_the_long_listing() -> None:
    text = "HCU[0]          : Card Series:           K100_AI\nHCU[1]\t\t: Card Series:\tK100_AI\n"
    assert [c.model for c in run("hy-smi", (("-a",), text)).cards] == ["K100_AI"] * 2


def test_driver_version_not_available_is_unknown() -> None:
    assert run("hy-smi", (("--showdriverversion",), "Driver Version: N/A\n")).driver == ""


def test_nvidia_units_and_not_available() -> None:
    text = (
        "index, name, memory.total [MiB], temperature.gpu, power.draw [W], driver_version\n"
        "0, NVIDIA A100-SXM4-80GB, 81920 MiB, 30, [N/A], 550.54.15\n"
        "1, Tesla T4, 15360 MiB, 44, 26.50 W, 550.54.15\n"
    )
    inventory = run("nvidia-smi", (("--format=csv",), text))
    assert [(c.model, c.memory_mib, c.power_w) for c in inventory.cards] == [
        ("NVIDIA A100-SXM4-80GB", 81920.0, None),
        ("Tesla T4", 15360.0, 26.5),
    ]
    assert inventory.driver == "550.54.15"


def test_nvidia_error_text_is_a_problem() -> None:
    inventory = run("nvidia-smi", ((), "NVIDIA-SMI has failed because it couldn't communicate"))
    assert not inventory.cards and "has failed" in inventory.problems[0]


def test_amd_both_shapes_and_units() -> None:
    listed = (
        '[{"gpu": 0, "asic": {"market_name": "MI300X"},'
        ' "vram": {"size": {"value": 196592, "unit": "MB"}}}]'
    )
    wrapped = (
        '{"gpu_data": [{"gpu": 0, "vram": {"vram_size": {"value": 206141652992, "unit": "B"}},'
        ' "driver": {"driver_version": "7.0.2"}}]}'
    )
    first, second = (run("amd-smi", (("static",), text)) for text in (listed, wrapped))
    assert first.cards[0].memory_mib == second.cards[0].memory_mib == 196592
    assert first.cards[0].model == "MI300X" and second.driver == "7.0.2"


def test_npu_two_rows_a_chip_and_no_process_rows() -> None:
    text = (
        "| npu-smi 24.1.rc1                 Version: 24.1.rc1                           |\n"
        "| NPU   Name                | Health        | Power(W)    Temp(C)   Hugepages    |\n"
        "| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM  |\n"
        "| 4     910B3               | Warning       | 93.6        40        0    / 0     |\n"
        "| 0                         | 0000:01:00.0  | 0           0    / 0  3161 / 65536 |\n"
        "| 5     310P3               | OK            | NA          38        0    / 0     |\n"
        "| 0                         | 0000:02:00.0  | 0           1571 / 21527           |\n"
        "| NPU     Chip              | Process id    | Process name                       |\n"
        "| 4       0                 | 1712733       | python                             |\n"
    )
    inventory = run("npu-smi", (("info",), text))
    assert [(c.model, c.health, c.memory_mib, c.power_w) for c in inventory.cards] == [
        ("910B3", "Warning", 65536.0, 93.6),
        ("310P3", "OK", 21527.0, None),
    ]
    assert inventory.driver == "24.1.rc1"


def test_a_failed_run_is_named_and_still_read() -> None:
    runs = (
        SmiRun((), 0, hostroot.hy_smi_table(2)),
        SmiRun(("--json",), 1, "", "Error: lspci not found"),
        SmiRun(("--showdriverversion",), None, "", "", "no end after 20 s"),
    )
    inventory = read_inventory(SmiRuns("hy-smi", "hy-smi", runs))
    assert len(inventory.cards) == 2
    assert any("status 1: Error: lspci not found" in p for p in inventory.problems)
    assert any("no end after 20 s" in p for p in inventory.problems)


@given(st.sampled_from(sorted(PARSERS)), st.text(max_size=400), st.sampled_from([(), ("--json",)]))
def test_no_text_crashes_a_parser(tool: str, text: str, args: tuple[str, ...]) -> None:
    run(tool, (args, text))


@given(
    st.sampled_from(sorted(PARSERS)),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["card0", "gpu", "gpu_data", "vram", "size", "value", "asic", "x"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
)
def test_no_json_crashes_a_parser(tool: str, data: object) -> None:
    run(tool, (("--json",), json.dumps(data)))


def test_largest_json_wins_and_numbers_are_found() -> None:
    assert find_json('[1] x {"a": {"b": 2}} {broken') == ({"a": {"b": 2}}, True)
    assert find_json("nothing") == (None, True)
    assert number("-4.5C") == -4.5 and number("[N/A]") is None
