"""Outputs as people printed them in public, shortened: one test a tool."""

from __future__ import annotations

import json

from tasks.nodes.document import SmiRun, SmiRuns
from tasks.nodes.tools.read import Inventory, read_inventory

MX = """\
mx-smi  version: 2.1.12
Attached GPUs                                     : 2
+---------------------------------------------------------------------------------+
| MX-SMI 2.1.12                       Kernel Mode Driver Version: 2.12.13         |
| MACA Version: 2.29.0.19             BIOS Version: 1.20.3.0                      |
|------------------------------------+---------------------+----------------------+
| GPU         NAME                   | Bus-id              | GPU-Util             |
| Temp        Pwr:Usage/Cap          | Memory-Usage        |                      |
|====================================+=====================+======================|
| 0           MetaX C500             | 0000:0e:00.0        | 0%                   |
| 35C         54W / 350W             | 826/65536 MiB       |                      |
+------------------------------------+---------------------+----------------------+
| 1           MetaX C500             | 0000:0f:00.0        | 0%                   |
| 36C         45W / 350W             | 826/65536 MiB       |                      |
+------------------------------------+---------------------+----------------------+
"""
MT = """\
---------------------------------------------------------------------
    mthreads-gmi:2.3.2           Driver Version:3.3.5-server
---------------------------------------------------------------------
ID   Name                 |PCIe                |%GPU  Mem
     Device Type   Perf   |Pcie Lane Width     |Temp  MPC Capable
                                               |      ECC Mode
+-------------------------------------------------------------------+
0    MTT S5000            |00000000:2a:00.0    |0%    66641MiB(81920MiB)
     Physical      P0     |16x(16x)            |52C   YES
                                               |      On-die, EDC
+-------------------------------------------------------------------+
1    MTT S5000            |00000000:3a:00.0    |0%    64889MiB(81920MiB)
     Physical      P0     |16x(16x)            |51C   YES
                                               |      On-die, EDC
+-------------------------------------------------------------------+
"""
NPU = """\
| npu-smi 26.0.rc2                            Version: 26.0.rc2                            |
| NPU   Name                | Health        | Power(W)      Temp(C)        Hugepages-Usage |
| Chip  Phy-ID              | Bus-Id        | AICore(%)     Memory-Usage   HBM-Usage(MB)   |
+===========================+===============+==============================================+
| 0     Ascend910           | OK            | 162.6         34             0    / 0        |
| 0     0                   | 0000:9D:00.0  | 0             0    / 0       3419 / 65536    |
+------------------------------------------------------------------------------------------+
| 0     Ascend910           | OK            | -             34             0    / 0        |
| 1     1                   | 0000:9F:00.0  | 0             0    / 0       2874 / 65536    |
"""


def read(tool: str, *runs: tuple[tuple[str, ...], str]) -> Inventory:
    return read_inventory(SmiRuns(tool, tool, tuple(SmiRun(a, 0, text) for a, text in runs)))


def test_mx_smi_without_a_state() -> None:
    """gpustack/gpustack#4832."""
    found = read("mx-smi", ((), MX))
    assert found.whole and found.driver == "2.12.13"
    assert [(c.model, c.used_mib, c.memory_mib, c.power_w, c.health) for c in found.cards] == [
        ("MetaX C500", 826, 65536, 54, ""),
        ("MetaX C500", 826, 65536, 45, ""),
    ]


def test_mthreads_gmi_with_a_third_line() -> None:
    """vllm-project/vllm-omni PR 2337."""
    found = read("mthreads-gmi", ((), MT))
    assert (found.driver, found.problems) == ("3.3.5-server", ())
    cards = [(c.model, c.used_mib, c.memory_mib, c.temperature_c, c.divided) for c in found.cards]
    assert cards == [
        ("MTT S5000", 66641, 81920, 52, False),
        ("MTT S5000", 64889, 81920, 51, False),
    ]


def test_two_chips_of_one_npu_are_two_cards() -> None:
    """vllm-project/vllm-ascend#12980: an A3, of which the second chip tells no power."""
    found = read("npu-smi", (("info",), NPU))
    assert [(c.index, c.bus, c.used_mib, c.power_w) for c in found.cards] == [
        (0, "0000:9d:00.0", 3419, 162.6),
        (1, "0000:9f:00.0", 2874, None),
    ]


def test_what_a_card_may_take_is_not_what_it_takes() -> None:
    """wandb/wandb PR 5449: rocm-smi names the limit first."""
    card = {
        "Max Graphics Package Power (W)": "560.0",
        "Average Graphics Package Power (W)": "128.0",
        "PCI Bus": "0000:C9:00.0",
        "Card series": "AMD INSTINCT MI200 (MCM) OAM LC MBA HPE C2",
        "Card model": "FirePro W4300",
    }
    (found,) = read("rocm-smi", (("--json",), json.dumps({"card0": card}))).cards
    assert (found.power_w, found.bus) == (128, "0000:c9:00.0")
    assert found.model.startswith("AMD INSTINCT MI200")


def test_an_mi50_is_no_apu() -> None:
    """gpustack/gpustack#3509: an MI50 of 32,752 MB whose driver is the kernel's own."""
    row = {
        "gpu": 0,
        "asic": {"market_name": "AMD Instinct MI50", "target_graphics_version": "gfx906"},
        "vram": {"type": "HBM", "vendor": "HYNIX", "size": {"value": 32752, "unit": "MB"}},
    }
    (card,) = read("amd-smi", (("static", "--json"), json.dumps([row]))).cards
    assert (card.memory_mib, card.unified) == (32752, False)
