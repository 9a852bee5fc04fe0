"""A tool that dies, prints half of it, or ends with status 0 and fails: never silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tasks.nodes.reasons import Reason
from tests.support.nodedata import load

Told = Callable[..., list[Reason]]
CSV = ("--query-gpu=index", "--format=csv")
HEADER = (
    "index, name, memory.total [MiB], memory.used [MiB], temperature.gpu, power.draw [W], "
    "driver_version, ecc.errors.uncorrected.volatile.total, pci.bus_id\n"
)


def short(reasons: list[Reason]) -> list[tuple[str, str]]:
    return [(reason.severity, reason.code) for reason in reasons]


@pytest.mark.parametrize(
    ("profile", "lines"),
    [("mthreads-gpu", 12), ("cambricon-mlu", 9), ("iluvatar-gpu", 9), ("kunlunxin-xpu", 12)],
)
def test_a_table_cut_between_two_cards_is_unknown(told: Told, profile: str, lines: int) -> None:
    """Recorded tables in tests/data/nodes, cut after the border below their first card."""
    text = load(profile)["base"]["probe"]["smi"]["runs"][0]["stdout"].splitlines(keepends=True)
    reasons = told(profile, [((), "".join(text[:lines]))], on_bus=2)
    assert short(reasons) == [("warning", "SMI_FAILED")]
    assert "1 of 2 cards are listed, the others are unknown" in reasons[0].found


def test_a_card_that_the_whole_table_lacks_is_lost(told: Told) -> None:
    text = load("cambricon-mlu")["base"]["probe"]["smi"]["runs"][0]["stdout"]
    assert short(told("cambricon-mlu", [((), text)], on_bus=3)) == [("error", "CARD_LOST")]


def test_c04_gpu_lost_names_the_card(told: Told, text: Callable[[str], str]) -> None:
    """NVIDIA/k8s-device-plugin#231, NVIDIA/dcgm-exporter#604: the plugin still offers four."""
    reasons = told("nvidia-gpu", [(CSV, text("c04_gpu_lost_smi.txt"), 15)], on_bus=4)
    assert short(reasons) == [("warning", "SMI_FAILED"), ("error", "CARD_LOST")]
    assert "0000:C1:00.0" in reasons[1].found and "GPU is lost" in reasons[1].found


@pytest.mark.parametrize(
    ("profile", "output", "status", "code", "says"),
    [
        # akash-network/support#209 (2024-04): no blank after GPU
        (
            "nvidia-gpu",
            "Unable to determine the device handle for GPU0000:A1:00.0: Unknown Error\n",
            255,
            "CARD_LOST",
            "0000:A1:00.0: Unknown Error",
        ),
        # NVIDIA/k8s-device-plugin#1431 (2025-09): 570.195 is the library's, not the module's
        (
            "nvidia-gpu",
            "Failed to initialize NVML: Driver/library version mismatch\n"
            "NVML library version: 570.195\n",
            18,
            "SMI_FAILED",
            "Driver/library version mismatch",
        ),
        # what a module that took no card leaves (microsoft/pai#4344: RmInitAdapter failed)
        ("nvidia-gpu", "No devices were found\n", 6, "CARD_LOST", "No devices were found"),
        # gpustack-operator's vendor prerequisites (2026): status 0 all the same
        ("thead-ppu", "init HGML error: driver is not loaded\n", 0, "SMI_FAILED", "not loaded"),
        ("cambricon-mlu", "Driver Not Loaded\n", 1, "SMI_FAILED", "Not Loaded"),
        # constructed from nvidia-smi's words with another vendor's noun
        (
            "kunlunxin-xpu",
            "Unable to determine the device handle for XPU 0000:03:00.0: XPU is lost\n",
            255,
            "CARD_LOST",
            "0000:03:00.0: XPU is lost",
        ),
    ],
    ids=["unknown error", "mismatch", "no devices", "status 0", "capitals", "another noun"],
)
def test_a_tool_that_says_it_is_broken_is_an_error(
    told: Told, profile: str, output: str, status: int, code: str, says: str
) -> None:
    reasons = told(profile, [(CSV, output, status)], on_bus=4)
    errors = [reason for reason in reasons if reason.severity == "error"]
    assert [(reason.code, says in reason.found) for reason in errors] == [(code, True)]


@pytest.mark.parametrize(
    ("profile", "args", "output", "status", "says"),
    [
        # Project-HAMi/HAMi#248, #1704: in the container only, the host is well
        ("nvidia-gpu", CSV, "Failed to initialize NVML: Unknown Error\n", 255, "Unknown Error"),
        # mattshma/bigdata#108: a container without the runtime's hook; canonical/lxd#3642: one that
        # has the device files, and a host that is well: so no error by those
        (
            "nvidia-gpu",
            CSV,
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make "
            "sure that the latest NVIDIA driver is installed and running.\n",
            9,
            "couldn't communicate",
        ),
        # vllm-project/vllm-ascend#2698 (2025-09): driver updated, not rebooted, or no privilege
        (
            "ascend-npu",
            ("info",),
            "DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)\n"
            "dcmi module initialize failed. ret is -8005\n",
            255,
            "-8005",
        ),
        # Ascend/cann-container-image#46
        (
            "ascend-npu",
            ("info",),
            "dcmi model initialized failed, because the device is used. ret is -8020\n",
            255,
            "-8020",
        ),
        # ROCm/legacy-rocm-build#4374: no empty list of cards
        (
            "amd-gpu",
            ("static", "--json"),
            "WARNING: No JSON data to report\n",
            0,
            "No JSON data to report",
        ),
        # a host without lspci, gpustack/gpustack#1508
        ("hygon-dcu", ("--json",), "Error: lspci not found\n", 0, "lspci not found"),
        ("cambricon-mlu", (), "", 1, "nothing was printed"),
    ],
    ids=["container", "no talk", "dcmi", "held", "no json", "no lspci", "silent"],
)
def test_a_blind_tool_is_unknown_and_quoted(
    told: Told, profile: str, args: Any, output: str, status: int, says: str
) -> None:
    (reason,) = told(profile, [(args, output, status)], on_bus=4)
    assert (reason.severity, reason.code, says in reason.found) == ("warning", "SMI_FAILED", True)


def test_c25_hysmi_broken_json_gives_two_cards(told: Told, text: Callable[[str], str]) -> None:
    """Power readings without a comma between them; two cards are there, and nothing is wrong."""
    assert told("hygon-dcu", [(("--json",), text("c25_hysmi_broken_json.txt"))], on_bus=2) == []


WHOLE = {f"card{i}": {"Card Series": "K100_AI", "vram Total Memory (MiB)": "65520"} for i in (0, 1)}


@pytest.mark.parametrize("lost", [1, 2, 8, 30, 57, 80])
def test_c25_half_a_document_is_a_problem_and_proves_no_loss(told: Told, lost: int) -> None:
    """The same document without its end: not one card less than the bus has, but unknown."""
    half = json.dumps(WHOLE)[:-lost]
    (reason,) = told("hygon-dcu", [(("--json",), f"Warning: x\n{half}")], on_bus=2)
    assert (reason.severity, reason.code) == ("warning", "SMI_FAILED")
    assert "is not whole" in reason.found


def test_a_list_that_ended_early_leaves_the_rest_unknown(told: Told) -> None:
    rows = HEADER + "".join(
        f"{i}, Tesla T4, 15360 MiB, 3 MiB, 40, 26 W, 550.54.15, 0, 00000000:0{i + 1}:00.0\n"
        for i in range(3)
    )
    (reason,) = told("nvidia-gpu", [(CSV, rows, 15)], on_bus=4)
    assert (reason.severity, reason.code) == ("warning", "SMI_FAILED")
    assert "3 of 4 cards are listed" in reason.found
    # one that ended well knows no more
    assert short(told("nvidia-gpu", [(CSV, rows, 0)], on_bus=4)) == [("error", "CARD_LOST")]


def test_one_of_eight_cards_answers_with_an_error(told: Told) -> None:
    """NVIDIA/dcgm-exporter#319 (A10G): Unknown Error in its cells, the others fine; and a card that
    wants a reset, as a user's node printed it in 2025 (memory.used 0 MiB)."""
    well = "{0}, NVIDIA A10G, 23028 MiB, 1 MiB, 30, 20 W, 550.54.15, 0, 00000000:0{0}:00.0\n"
    ill = (
        "0, [Unknown Error], [Unknown Error], [Unknown Error], [Unknown Error], [Unknown Error], "
        "550.54.15, [Unknown Error], 00000000:00:00.0\n"
    )
    reset = (
        "1, NVIDIA A10G, 23028 MiB, 0 MiB, [GPU requires reset], [GPU requires reset], "
        "550.54.15, [N/A], 00000000:01:00.0\n"
    )
    rows = HEADER + ill + reset + "".join(well.format(i) for i in range(2, 8))
    reasons = told("nvidia-gpu", [(CSV, rows)], on_bus=8)
    assert [(r.severity, r.code, r.found) for r in reasons] == [
        ("error", "CARD_UNHEALTHY", "card 0: health Unknown Error"),
        ("error", "CARD_UNHEALTHY", "card 1: health GPU requires reset"),
    ]


def test_memory_that_is_shared_with_the_host_is_unknown_and_no_fault(told: Told) -> None:
    """NVIDIA/k8s-device-plugin#1482: a GB10 has no memory of its own."""
    row = "0, NVIDIA GB10, [N/A], [N/A], 40, 4.2 W, 580.95.05, [N/A], 0000000F:01:00.0\n"
    (reason,) = told("nvidia-gpu", [(CSV, HEADER + row)], on_bus=1)
    assert (reason.severity, reason.code) == ("warning", "FACT_UNKNOWN")
    assert "nodes.device_memory_gib" in reason.action


def test_a_card_that_its_driver_cannot_reach(told: Told) -> None:
    """mx-smi 2.x; constructed."""
    table = """\
| MX-SMI 2.2.4                        Kernel Mode Driver Version: 2.14.8          |
|------------------------------------+---------------------+----------------------+
| GPU         NAME                   | Bus-id              | GPU-Util             |
| Temp        Pwr:Usage/Cap          | Memory-Usage        | GPU-State            |
|====================================+=====================+======================|
| 0           MetaX C550             | 0000:2a:00.0        | 0%                   |
| 34C         97W / NA               | 858/65536 MiB       | Available            |
+------------------------------------+---------------------+----------------------+
| 1           MetaX C550             | 0000:3a:00.0        | NA                   |
| NA          NA / NA                | NA                  | Not Available        |
+------------------------------------+---------------------+----------------------+
"""
    (reason,) = told("metax-gpu", [((), table)], on_bus=2)
    assert (reason.severity, reason.found) == ("error", "card 1: health Not Available")
    listed = "GPU#1 MXC550 bus Not Available(MetaX Sysfs File Unaccessible)\n"
    reasons = told("metax-gpu", [((), table.split("| 1  ")[0]), (("-L",), listed)], on_bus=2)
    assert ("error", "CARD_LOST") in short(reasons)


def test_within_a_slice_the_tool_shows_the_slice(told: Told) -> None:
    """HAMi's lab of soft slices on 310P3 (2026-08): log lines before the table, NPU id 32768."""
    text = """\
[INFO limiter::manager] [Manager] Registered as Global Manager #0 (PID: 10). Memory limit: 8192
+------------------------------------------------------------------------------------------------+
| npu-smi 25.5.1                   Version: 25.5.1                                               |
| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages     |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                |
| 32768   310P3                 | OK              | NA           38                0     / 0     |
| 0       0                     | 0000:81:00.0    | 0            0    / 8192                     |
"""
    assert told("ascend-npu", [(("info",), text)], on_bus=1) == []
    (reason,) = told("ascend-npu", [(("info",), "\n".join(text.splitlines()[:-1]))], on_bus=1)
    assert "breaks off within a chip" in reason.found


def test_a_row_of_the_table_that_says_nothing(told: Told) -> None:
    """hy-smi's table, one card of two all N/A: its memory is unknown, and said so."""
    table = "HCU Temp AvgPwr VRAM% Mode\n0 50C 90W 0% Normal\n1 N/A N/A N/A N/A\n"
    (reason,) = told("hygon-dcu", [((), table)], on_bus=2)
    assert (reason.severity, reason.code) == ("warning", "FACT_UNKNOWN")
    assert reason.found.startswith("memory of card 1")


def test_a_cell_that_says_an_error_is_a_sick_card(told: Told) -> None:
    """Constructed from xpu-smi's table of a P800 (ERNIE's page, 2025-06)."""
    table = """\
| XPU-SMI               Driver Version: 515.58       XPU-RT Version: N/A      |
|-------------------------------+----------------------+----------------------+
| XPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | XPU-Util  Compute M. |
|===============================+======================+======================|
|   0  P800 OAM           N/A   | 00000000:03:00.0 N/A |                    0 |
| N/A  ERR!  N/A     ERR! / 400W |  0MiB / 98304MiB |      0%      Default |
+-------------------------------+----------------------+----------------------+
"""
    (reason,) = told("kunlunxin-xpu", [((), table)], on_bus=1)
    assert (reason.severity, reason.code) == ("error", "CARD_UNHEALTHY")
    assert reason.found == "card 0: health ERR!"
