"""What the vendors' tools printed on real machines, a second or third release of each.

The first of each stands in tests/data/nodes. Serial numbers and host names are left out.
"""

from __future__ import annotations

import re

import pytest

from tasks.accelerators.profiles import PROFILES
from tasks.nodes.document import SmiRun, SmiRuns
from tasks.nodes.tools.read import PARSERS, Inventory, read_inventory
from tests.support.nodedata import load

# t9k's installation notes, 2025-04: a host without MACA
MX_2_1_12 = """\
mx-smi  version: 2.1.12

=================== MetaX System Management Interface Log ===================
Timestamp                                         : Tue Apr  1 10:10:23 2025

Attached GPUs                                     : 1
+---------------------------------------------------------------------------------+
| MX-SMI 2.1.12                       Kernel Mode Driver Version: 2.12.13         |
| MACA Version: unknown               BIOS Version: 1.13.4.0                      |
|------------------------------------+---------------------+----------------------+
| GPU         NAME                   | Bus-id              | GPU-Util             |
| Temp        Pwr:Usage/Cap          | Memory-Usage        |                      |
|====================================+=====================+======================|
| 0           MetaX C550             | 0000:2a:00.0        | 0%                   |
| 34C         97W / NA               | 858/65536 MiB       |                      |
+------------------------------------+---------------------+----------------------+

+---------------------------------------------------------------------------------+
| Process:                                                                        |
|  no process found                                                               |
+---------------------------------------------------------------------------------+
"""
# gpustack's tutorial for Moore Threads, 2024-11: no Perf column, ECC not available
GMI_1_14 = """\
Sat Nov 16 12:00:16 2024
---------------------------------------------------------------
    mthreads-gmi:1.14.0          Driver Version:2.7.0
---------------------------------------------------------------
ID   Name           |PCIe                |%GPU  Mem
     Device Type    |Pcie Lane Width     |Temp  MPC Capable
                                         |      ECC Mode
+-------------------------------------------------------------+
0    MTT S80        |00000000:01:00.0    |98%   1339MiB(16384MiB)
     Physical       |16x(16x)            |56C   YES
                                         |      N/A
---------------------------------------------------------------

---------------------------------------------------------------
Processes:
ID   PID       Process name                         GPU Memory
                                                         Usage
+-------------------------------------------------------------+
0    120       ...ird_party/bin/llama-box/llama-box       2MiB
"""
# the vendor's page of version 1.6: the driver's version is not told
GMI_1_6 = """\
mthreads-gmi:1.6.0           Driver Version:N/A
ID   Name           |PCIe                |%GPU  Mem
     Device Type    |Pcie Lane Width     |Temp  MPC Capable
+-------------------------------------------------------------+
0    MTT S2000      |00000000:04:00.0    |0%    4MiB(16384MiB)
     Physical       |8x(8x)              |50C   NO
Processes:
   No running processes found
"""
# an installation note for Kylin V10, 2023-11: a Mode column, ECC told
CNMON_5_10_22 = """\
Wed Nov  8 16:16:45 2023
+------------------------------------------------------------------------------+
| CNMON v5.10.22                                               Driver v5.10.22 |
+-------------------------------+----------------------+-----------------------+
| Card  VF  Name       Firmware |               Bus-Id | Util        Ecc-Error |
| Fan   Temp      Pwr:Usage/Cap |         Memory-Usage | Mode     Compute-Mode |
|===============================+======================+=======================|
| 0     /   MLU370-X8    v1.1.6 |         0000:13:00.0 | 0%                  0 |
|  0%   28C        107 W/ 250 W |     0 MiB/ 20638 MiB | FULL          Default |
+-------------------------------+----------------------+-----------------------+
| 1     /   MLU370-X8    v1.1.6 |         0000:16:00.0 | 0%                  0 |
|  0%   32C        107 W/ 250 W |     0 MiB/ 20638 MiB | FULL          Default |
+-------------------------------+----------------------+-----------------------+
"""
# paddlepaddle.org.cn/documentation/docs/zh/guides/hardware_support/mlu_docs/
# paddle_install_cn.html, 2022-10: no address, the driver in the row, two memories
CNMON_4_20_11 = """\
Sat Oct  8 11:22:22 2022
+------------------------------------------------------------------------------+
| CNMON v4.20.11                                                               |
+-------------------------------+----------------------+-----------------------+
| Card  VF  Name       Firmware | Inited        Driver | Util        Ecc-Error |
| Fan   Temp      Pwr:Usage/Cap |         Memory-Usage |         vMemory-Usage |
|===============================+======================+=======================|
| 0     /   MLU370-X4    v1.1.6 | On          v4.20.11 | 0%          N/A       |
|  0%   32C         30 W/ 150 W |     0 MiB/ 23308 MiB | 10240 MiB/1048576 MiB |
+-------------------------------+----------------------+-----------------------+
"""
# PaddlePaddle/PaddleNLP's page for MLU, 2024-12, where the authors blotted the memory out
CNMON_BLOTTED = """\
+------------------------------------------------------------------------------+
| CNMON v5.10.31                                               Driver v5.10.31 |
+-------------------------------+----------------------+-----------------------+
| 0     /   MLUXXX-XX    v1.5.0 |         0000:4F:00.0 | 0%                  0 |
|  0%   35C        105 W/ 550 W |     0 MiB/ xxxxx MiB | FULL          Default |
+-------------------------------+----------------------+-----------------------+
"""
# a comparison of accelerators, 2026-05: one board, two devices
IXSMI_4_4_0 = """\
Timestamp    Mon May 25 20:50:24 2026
+--------------------------------------------------------------------------------+
|  IX-ML: 4.4.0            Driver Version: 4.4.0          CUDA Version: 10.2     |
|----------------------------------+----------------------+----------------------|
| GPU  Name                        | Bus-Id               | Clock-SM  Clock-Mem  |
| Fan  Temp  Perf    Pwr:Usage/Cap |      Memory-Usage    | GPU-Util  Compute M. |
|==================================+======================+======================|
| 0    Iluvatar MR-V100 DUO        | 00000000:35:00.0     | 500MHz    1600MHz    |
| N/A  37C   P0       N/A / N/A    | 68MiB / 32768MiB     | 0%        Default    |
+----------------------------------+----------------------+----------------------+
| 1    Iluvatar MR-V100 DUO        | 00000000:38:00.0     | 500MHz    1600MHz    |
| N/A  36C   P0       40W / 350W   | 68MiB / 32768MiB     | 0%        Default    |
+----------------------------------+----------------------+----------------------+
"""
# Deep-Spark/ix-device-plugin's README: the library is older than the driver
IXSMI_4_0_0 = """\
+-----------------------------------------------------------------------------+
|  IX-ML: 4.0.0       Driver Version: 4.1.0       CUDA Version: N/A           |
|-------------------------------+----------------------+----------------------|
| GPU  Name                     | Bus-Id               | Clock-SM  Clock-Mem  |
| Fan  Temp  Perf  Pwr:Usage/Cap|      Memory-Usage    | GPU-Util  Compute M. |
|===============================+======================+======================|
| 0    Iluvatar BI-V150S        | 00000000:8A:00.0     | 500MHz    1600MHz    |
| 0%   33C   P0    N/A / N/A    | 114MiB / 32768MiB    | 0%        Default    |
+-------------------------------+----------------------+----------------------+
"""
# yunionio/cloudpods' test, recorded 2026-09
XPU_5_19 = """\
Thu Sep 10 08:18:37 2026
+-----------------------------------------------------------------------------+
| XPU-SMI               Driver Version: 5.19.0.0     XPU-RT Version: 5.19.0   |
|-------------------------------+----------------------+----------------------+
| XPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | XPU-Util  Compute M. |
|                               |             L3-Usage |            SR-IOV M. |
|===============================+======================+======================|
|   0  P800 OAM           N/A   | 00000000:03:00.0 N/A |                    0 |
| N/A   35C  N/A     87W / 400W |      0MiB / 98304MiB |      0%      Default |
|                               |      0MiB /    96MiB |             Disabled |
+-------------------------------+----------------------+----------------------+
"""
# www.paddlepaddle.org.cn/documentation/zh/hardware_support/xpu/xpu-p800_install_cn.html:
# in a container the version is none of the host's
XPU_IN_CONTAINER = """\
+-----------------------------------------------------------------------------+
| XPU-SMI               Driver Version: 515.58       XPU-RT Version: N/A      |
|-------------------------------+----------------------+----------------------+
| XPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | XPU-Util  Compute M. |
|                               |             L3-Usage |            SR-IOV M. |
|===============================+======================+======================|
|   0  P800 OAM           N/A   | 00000000:52:00.0 N/A |                    0 |
| N/A   43C  N/A     98W / 400W |    100MiB / 98304MiB |      0%      Default |
|                               |      0MiB /    96MiB |             Disabled |
+-------------------------------+----------------------+----------------------+
"""
# FlagTree's page, 2025-11, and a benchmark's of 2026-03; rows alone
EFSMI_1_6 = """\
|EFSMI    V1.6.3.12        Driver Ver: 1.6.3.12                            |
|--------------------------------------------------------------------------|
| 0      Enflame S60G        | 31.5.3          | 00:2e:00.0  Disable       |
| 34℃    LP0      N/A        | 23552MiB  SRIOV |   0%                      |
+--------------------------------------------------------------------------+
"""
# the vendor's installation manual for 810E, 2026: HGGC not installed, a PCI domain of its own
PPU_810E = """\
+-------------------------------------------------------------------------------+
| PPU-SMI 1.28          Driver Version: 2.1.2-rd1dcd     HGGC Version: N/A      |
+---------------------------------+----------------------+----------------------+
| PPU  Name        Persistence M. | Bus-Id               | Volatile Uncorr. ECC |
| Fan  Temp  Perf   Pwr:Usage/Cap | Memory-Usage         | PPU-Util  Compute M. |
|                                 |                      |               MIG M. |
+=================================+======================+======================+
| 0  PPU-ZW810E        N/A        | 00000001:C9:00.0     |                    0 |
| N/A  38C   N/A       81W / 400W | 1MiB / 98304MiB      |   0%        Default  |
|                                 |                      |             Disabled |
+---------------------------------+----------------------+----------------------+
| 1  PPU-ZW810E        N/A        | 00000001:C8:00.0     |                    0 |
| N/A  38C   N/A       82W / 400W | 1MiB / 98304MiB      |   0%        Default  |
|                                 |                      |             Disabled |
+---------------------------------+----------------------+----------------------+
MIG devices:
|  0   0   0    5  |   106MiB / 33618MiB |  64
"""
# vllm-project/vllm-ascend#2035, 2025: an A3, two dies a card; the second number is the device's
NPU_A3 = """\
| npu-smi 24.1.rc3.7               Version: 24.1.rc3.7                                           |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip  Phy-ID              | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     Ascend910           | OK            | 178.8       36                0    / 0             |
| 0     0                   | 0000:9D:00.0  | 0           0    / 0          3397 / 65536         |
+---------------------------+---------------+----------------------------------------------------+
| 0     Ascend910           | OK            | -           36                0    / 0             |
| 1     1                   | 0000:9F:00.0  | 0           0    / 0          3186 / 65536         |
+===========================+===============+====================================================+
"""
# HAMi's lab, 2026-08: a 310P3 has no HBM column
NPU_310P3 = """\
| npu-smi 25.5.1                   Version: 25.5.1                                               |
| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                |
| 0       310P3                 | OK              | NA           38                0     / 0     |
| 0       0                     | 0000:81:00.0    | 0            1848 / 21525                    |
"""
# notes on HAMi with four DCUs, DTK 24.04, 2025-09 (two of the four rows): Mode says nothing
HY_DTK_24 = """\
============================ System Management Interface =============================
======================================================================================
DCU     Temp     AvgPwr     Perf     PwrCap     VRAM%      DCU%      Mode
0       49.0C    25.0W      auto     300.0W     0%         0%        N/A
1       48.0C    24.0W      auto     300.0W     0%         0%        N/A
======================================================================================
=================================== End of SMI Log ===================================
"""


def read(tool: str, text: str) -> Inventory:
    return read_inventory(SmiRuns(tool, tool, (SmiRun((), 0, text),)))


# tools that print no list of processes in these outputs, or say otherwise where they end
ENDLESS = ("hy-smi", "ppu-smi", "efsmi")
# tool, output, driver, then a card each: model, MiB in use, MiB, Celsius, W, address
Row = tuple[str, float | None, float | None, float | None, float | None, str]
OUTPUTS: list[tuple[str, str, str, list[Row]]] = [
    ("mx-smi", MX_2_1_12, "2.12.13", [("MetaX C550", 858, 65536, 34, 97, "0000:2a:00.0")]),
    ("mthreads-gmi", GMI_1_14, "2.7.0", [("MTT S80", 1339, 16384, 56, None, "00000000:01:00.0")]),
    ("mthreads-gmi", GMI_1_6, "", [("MTT S2000", 4, 16384, 50, None, "00000000:04:00.0")]),
    (
        "cnmon",
        CNMON_5_10_22,
        "5.10.22",
        [
            ("MLU370-X8", 0, 20638, 28, 107, "0000:13:00.0"),
            ("MLU370-X8", 0, 20638, 32, 107, "0000:16:00.0"),
        ],
    ),
    ("cnmon", CNMON_4_20_11, "4.20.11", [("MLU370-X4", 0, 23308, 32, 30, "")]),
    ("cnmon", CNMON_BLOTTED, "5.10.31", [("MLUXXX-XX", None, None, 35, 105, "0000:4f:00.0")]),
    (
        "ixsmi",
        IXSMI_4_4_0,
        "4.4.0",
        [
            ("Iluvatar MR-V100 DUO", 68, 32768, 37, None, "00000000:35:00.0"),
            ("Iluvatar MR-V100 DUO", 68, 32768, 36, 40, "00000000:38:00.0"),
        ],
    ),
    (
        "ixsmi",
        IXSMI_4_0_0,
        "4.1.0",
        [("Iluvatar BI-V150S", 114, 32768, 33, None, "00000000:8a:00.0")],
    ),
    ("xpu-smi", XPU_5_19, "5.19.0.0", [("P800 OAM", 0, 98304, 35, 87, "00000000:03:00.0")]),
    ("xpu-smi", XPU_IN_CONTAINER, "", [("P800 OAM", 100, 98304, 43, 98, "00000000:52:00.0")]),
    ("efsmi", EFSMI_1_6, "1.6.3.12", [("Enflame S60G", None, 23552, 34, None, "00:2e:00.0")]),
    (
        "npu-smi",
        NPU_A3,
        "24.1.rc3.7",
        [
            ("Ascend910", 3397, 65536, 36, 178.8, "0000:9d:00.0"),
            ("Ascend910", 3186, 65536, 36, None, "0000:9f:00.0"),
        ],
    ),
    ("npu-smi", NPU_310P3, "25.5.1", [("310P3", 1848, 21525, 38, None, "0000:81:00.0")]),
    ("hy-smi", HY_DTK_24, "", [("", None, None, 49, 25, ""), ("", None, None, 48, 24, "")]),
    (
        "ppu-smi",
        PPU_810E,
        "2.1.2-rd1dcd",
        [
            ("PPU-ZW810E", 1, 98304, 38, 81, "00000001:c9:00.0"),
            ("PPU-ZW810E", 1, 98304, 38, 82, "00000001:c8:00.0"),
        ],
    ),
]


@pytest.mark.parametrize(
    ("tool", "text", "driver", "cards"), OUTPUTS, ids=[f"{o[0]} {o[2] or 'none'}" for o in OUTPUTS]
)
def test_what_a_tool_printed(tool: str, text: str, driver: str, cards: list[Row]) -> None:
    found = read(tool, text)
    assert [
        (c.model, c.used_mib, c.memory_mib, c.temperature_c, c.power_w, c.bus) for c in found.cards
    ] == cards
    assert (found.driver, found.problems) == (driver, ())
    # some were published without the list of processes that follows the cards: they may be half
    assert found.whole is (tool in ENDLESS or "Process" in text or "MIG devices" in text)
    assert [card.uncorrectable or 0 for card in found.cards] == [0] * len(cards)


@pytest.mark.parametrize(("tool", "text"), [(o[0], o[1]) for o in OUTPUTS])
def test_half_of_it_is_told_or_whole(tool: str, text: str) -> None:
    """Cut anywhere a card is whole, or the problem is named; no figure is another one's."""
    whole = {card.index: card for card in read(tool, text).cards}
    for end in range(0, len(text), 7):
        found = read(tool, text[:end])
        assert found.cards or found.problems
        for card in found.cards:
            assert card.model in whole[card.index].model


def between_cards(tool: str, text: str) -> str:
    """An output cut after its first card, where the next one would begin."""
    lines = text.splitlines(keepends=True)
    ends = (n for n in range(1, len(lines)) if len(read(tool, "".join(lines[:n])).cards) == 1)
    first = next(n for n in ends if not read(tool, "".join(lines[:n])).problems)
    border = next(n for n in range(first, len(lines)) if re.fullmatch(r"[|+=\s-]+", lines[n]))
    return "".join(lines[: border + 1])


@pytest.mark.parametrize("row", ("mthreads", "cambricon", "iluvatar", "kunlunxin", "ascend"))
def test_cut_between_two_cards_it_proves_no_number(row: str) -> None:
    """Recorded tables of two cards in tests/data/nodes: what follows them was cut off."""
    (name,) = [name for name in PROFILES if name.startswith(f"{row}-")]
    runs = load(name)["base"]["probe"]["smi"]
    tool, text = runs["name"], runs["runs"][0]["stdout"]
    assert (len(read(tool, text).cards), read(tool, text).whole) == (2, True)
    half = read(tool, between_cards(tool, text))
    assert (len(half.cards), half.whole) == (1, False)


def test_every_parser_has_a_real_output() -> None:
    """Those of the first four vendors stand in tests/unit/nodes/tools and tests/data/nodes."""
    first = {"hy-smi", "rocm-smi", "nvidia-smi", "amd-smi", "npu-smi"}
    assert first | {output[0] for output in OUTPUTS} == set(PARSERS)
