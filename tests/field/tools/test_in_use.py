"""Memory in use that no pod explains, and what a tool's word for a mode means."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.nodes.reasons import Reason

Told = Callable[..., list[Reason]]
JSON = ("--showmeminfo", "vram", "--json")
# a note for users of eight DCUs, 2026: cards 0 to 3 are full, nobody computes on them
FULL = """\
HCU     Temp     AvgPwr     Perf     PwrCap     VRAM%      HCU%      Dec%      Enc%      Mode
0       43.0C    131.0W     auto     800.0W     98%        0.0%      0.0%      0.0%      Normal
1       42.0C    134.0W     auto     800.0W     99%        0.0%      0.0%      0.0%      Normal
2       37.0C    131.0W     auto     800.0W     98%        0.0%      0.0%      0.0%      Normal
3       37.0C    133.0W     auto     800.0W     100%       0.0%      0.0%      0.0%      Normal
4       43.0C    133.0W     auto     800.0W     0%         0.0%      0.0%      0.0%      Normal
5       42.0C    135.0W     auto     800.0W     0%         0.0%      0.0%      0.0%      Normal
6       38.0C    133.0W     auto     800.0W     0%         0.0%      0.0%      0.0%      Normal
7       38.0C    133.0W     auto     800.0W     0%         0.0%      0.0%      0.0%      Normal
"""


def test_c22_vram_in_use_names_card_and_amount(told: Told, text: Callable[[str], str]) -> None:
    (reason,) = told("hygon-dcu", [(JSON, text("c22_vram_in_use.txt"))], on_bus=1)
    assert (reason.severity, reason.code) == ("error", "CARD_IN_USE")
    assert "card 0: 64,169 of 65,520 MiB" in reason.found
    assert "no pod of this node holds a card" in reason.found


def test_c22_cards_that_our_own_pods_hold_are_left_out(
    told: Told, text: Callable[[str], str]
) -> None:
    assert told("hygon-dcu", [(JSON, text("c22_vram_in_use.txt"))], on_bus=1, held=1) == []


@pytest.mark.parametrize(
    ("held", "asked", "severity"),
    [
        (0, 8, "error"),  # four cards are left of the eight it needs
        (0, 4, "warning"),  # it may be given the free ones
        (2, 8, "error"),  # two of the four are explained
        (2, 4, "warning"),
        (4, 4, None),
        (8, 8, None),
    ],
)
def test_c22_full_cards_against_what_pods_hold(
    told: Told, held: int, asked: int, severity: str | None
) -> None:
    reasons = told("hygon-dcu", [((), FULL)], on_bus=8, held=held, asked=asked)
    assert [reason.severity for reason in reasons] == ([severity] if severity else [])
    for reason in reasons:
        assert reason.code == "CARD_IN_USE"
        assert "card 0: 98% of its memory" in reason.found and "card 4" not in reason.found


def test_c22_another_share_than_vllms_own_may_fit(told: Told) -> None:
    """30 % are in use and the engine takes half: worth knowing, and no harm."""
    body = (
        '{"card0": {"vram Total Memory (MiB)": "65520", "vram Total Used Memory (MiB)": "19656"}}'
    )
    half = told("hygon-dcu", [(JSON, body)], on_bus=1, gpu_memory_utilization=0.5)
    most = told("hygon-dcu", [(JSON, body)], on_bus=1, gpu_memory_utilization=0.9)
    assert [reason.severity for reason in (*half, *most)] == ["warning", "error"]


def test_an_operators_p800_with_a_guest(told: Told) -> None:
    """FlagOS' operator report, 2026-08: 31058 of 98304 MiB on the first of two P800."""
    table = """\
| XPU-SMI               Driver Version: 515.58       XPU-RT Version: N/A      |
|-------------------------------+----------------------+----------------------+
| XPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | XPU-Util  Compute M. |
|                               |             L3-Usage |            SR-IOV M. |
|===============================+======================+======================|
|   0  P800 OAM           N/A   | 00000000:03:00.0 N/A |                    0 |
| N/A   39C  N/A     91W / 400W |  31058MiB / 98304MiB |      0%      Default |
|                               |      0MiB /    96MiB |             Disabled |
+-------------------------------+----------------------+----------------------+
|   1  P800 OAM           N/A   | 00000000:16:00.0 N/A |                    0 |
| N/A   38C  N/A     94W / 400W |      0MiB / 98304MiB |      0%      Default |
|                               |      0MiB /    96MiB |             Disabled |
+-------------------------------+----------------------+----------------------+
"""
    (reason,) = told("kunlunxin-xpu", [((), table)], on_bus=2, asked=2)
    assert (reason.severity, reason.code) == ("error", "CARD_IN_USE")
    assert "card 0: 31,058 of 98,304 MiB" in reason.found and "card 1" not in reason.found


def test_more_in_use_than_there_is_contradicts(told: Told) -> None:
    """Moore Threads' training guide (2024-11): an S4000 of 48 GiB shows 32 without IOMMU."""
    table = """\
    mthreads-gmi:1.12.2          Driver Version:1.2.0
---------------------------------------------------------------
ID   Name           |PCIe                |%GPU  Mem
     Device Type    |Pcie Lane Width     |Temp  MPC Capable
                                         |      ECC Mode
+-------------------------------------------------------------+
0    MTT S4000      |00000000:08:00.0    |88%   44302MiB(32768MiB)
     Physical       |16x(16x)            |65C   YES
                                         |      N/A
"""
    reasons = told("mthreads-gpu", [((), table)], on_bus=1, held=1)
    assert [(r.severity, r.code) for r in reasons] == [("warning", "FACT_UNKNOWN")]
    assert "44,302 of 32,768 MiB" in reasons[0].found


@pytest.mark.parametrize("used", ["3397 / 65536", "2922 / 32768", "1848 / 21525"])
def test_what_an_idle_npu_holds_is_nobodys(told: Told, used: str) -> None:
    """Idle cards of vllm-project/vllm-ascend#2035 and HAMi's lab (2026-08): firmware's memory."""
    text = (
        "| npu-smi 25.5.2                   Version: 25.5.2                                 |\n"
        "| 0     910B4               | OK            | 89.9        39                0    / 0   |\n"
        f"| 0                         | 0000:41:00.0  | 0           0    / 0          {used}    |\n"
    )
    assert told("ascend-npu", [(("info",), text)], on_bus=1) == []


def test_c26_hysmi_modes(told: Told, text: Callable[[str], str]) -> None:
    """N/A says nothing; MIG says that the card is partitioned. 15 % are in use of both."""
    table = text("c26_hysmi_modes.txt")
    reasons = told("hygon-dcu", [((), table)], on_bus=2, held=2)
    assert [(r.severity, r.code, r.found) for r in reasons] == [
        ("warning", "CARD_PARTITIONED", "card 1: mode MIG, partitioned")
    ]


@pytest.mark.parametrize(
    ("profile", "mode", "divided"),
    [
        ("hygon-dcu", "Normal", False),
        ("hygon-dcu", "N/A", False),
        ("hygon-dcu", "Idle", False),  # a word nobody knows tells nothing
        ("hygon-dcu", "MIG", True),
        ("cambricon-mlu", "FULL", False),
        ("cambricon-mlu", "MIM", True),  # Cambricon's device plugin 2.0.23
        ("cambricon-mlu", "SMLU", True),
        ("enflame-gcu", "Disable", False),
        ("enflame-gcu", "SRIOV", True),  # FlagTree's page, 2025-11: half an S60G
        ("mthreads-gpu", "Physical  ", False),
        ("mthreads-gpu", "MPC Parent", True),  # the vendor's mthreads-gmi page
    ],
)
def test_modes_of_each_tool(told: Told, profile: str, mode: str, divided: bool) -> None:
    line = "-" * 20
    tables = {
        "hygon-dcu": f"HCU Temp AvgPwr Mode\n0 50C 90W {mode}\n",
        "cambricon-mlu": f"|{line}|\n| 0     /   MLU370-X8    v1.1.6 | 0000:13:00.0 | 0%     0 |\n"
        f"|  0%   28C        107 W/ 250 W |  0 MiB/ 20638 MiB | {mode}          Default |\n",
        "enflame-gcu": f"|{line}|\n| 0      Enflame S60G | 31.5.3 | 00:2e:00.0  Disable |\n"
        f"| 34℃    LP0      N/A | 23552MiB  {mode}   | 0% |\n",
        "mthreads-gpu": f"+{line}+\n0    MTT S3000   |00000000:04:00.0    |0%    0MiB(32768MiB)\n"
        f"     {mode}       |16x(16x)             |49C   YES\n",
    }
    reasons = told(profile, [((), tables[profile])], on_bus=1)
    codes = [reason.code for reason in reasons if reason.code != "FACT_UNKNOWN"]
    assert codes == (["CARD_PARTITIONED"] if divided else [])


@pytest.mark.parametrize(
    ("image", "share", "severity"),
    [
        ("vllm:x", None, "warning"),
        ("vllm:x", 0.8, "warning"),
        ("vllm:x", 0.9, "error"),
        ("vllm:0.11.0-dtk25.04.2", None, "error"),
        ("vllm:0.11.0-dtk25.04.2", 0.8, "warning"),
        ("vllm:0.8.5-dtk25.04.1", None, "warning"),
        ("vllm:0.8.5-dtk25.04.1", 0.9, "warning"),
    ],
)
def test_c26_memory_that_the_engines_share_leaves_room_for(
    told: Told, text: Callable[[str], str], image: str, share: float | None, severity: str
) -> None:
    """The table of c26 on a node without pods: 15 % in use. vLLM from 0.9 ends where less than
    gpu_memory_utilization is free (request_memory in vllm/v1/worker/utils.py); before, it took
    what was left."""
    table = text("c26_hysmi_modes.txt")
    reasons = told(
        *("hygon-dcu", [((), table)]), on_bus=2, asked=2, gpu_memory_utilization=share, image=image
    )
    (reason,) = [reason for reason in reasons if reason.code == "CARD_IN_USE"]
    assert reason.severity == severity
    assert ("90% of a card's memory free" in reason.expected) is (severity == "error")
