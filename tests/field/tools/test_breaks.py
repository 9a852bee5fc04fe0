"""What tools say of dead, divided and shared-memory devices, vendor by vendor."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tasks.accelerators.profiles import profile
from tasks.nodes.document import SmiRun, SmiRuns
from tasks.nodes.reasons import Reason
from tasks.nodes.tools.read import Inventory, read_inventory
from tasks.nodes.tools.words import said

Told = Callable[..., list[Reason]]


def read(tool: str, *runs: tuple[tuple[str, ...], str]) -> Inventory:
    return read_inventory(SmiRuns(tool, tool, tuple(SmiRun(a, 0, text) for a, text in runs)))


# the form of `efsmi -q` of driver 1.4.3 (zstack-utility, 2025), shortened; amounts changed
EFSMI_Q = """\
DEV ID 0
    Driver Info
        Ver                     : 1.4.3.4
    Device Info
        Dev Name                : S60
        Health                  : True
    PCIe Info
        Vendor ID               : 1e36
        Device ID               : c035
        Domain                  : 0000
        Bus                     : 17
        Dev                     : 00
        Func                    : 0
    Power Info
        Power Capa              : 300 W
        Cur Power               : 96 W
    Device Mem Info
        Total Size              : 42976 MiB
        Reserved Size           : 1129 MiB
        Used Size               : 36143 MiB
    Temperature Info
        GCU Temp                : 35 C
    Device Usage Info
        GCU Usage               : 0.0 %
"""
# hawkli-1994/gpu_tools, 2024
EFSMI_OLD = """\
DEV ID 0
\tDevice Mem Info
\t\tMem Size                : 42976 MiB
\t\tMem Usage               : 1129 MiB
\tTemperature Info
\t\tGCU Temp                : 34 C
DEV ID 1
\tDevice Mem Info
\t\tMem Size                : 42976 MiB
\t\tMem Usage               : 1129 MiB
"""


def test_efsmi_q_tells_memory_in_use(told: Told) -> None:
    (card,) = read("efsmi", (("-q",), EFSMI_Q)).cards
    assert (card.model, card.memory_mib, card.used_mib) == ("S60", 42976, 36143)
    assert (card.bus, card.temperature_c, card.power_w) == ("0000:17:00.0", 35, 96)
    cards = read("efsmi", (("-q",), EFSMI_OLD)).cards
    assert [(c.index, c.used_mib, c.temperature_c) for c in cards] == [
        (0, 1129, 34),
        (1, 1129, None),
    ]
    reasons = told("enflame-gcu", [(("-q",), EFSMI_Q)], on_bus=1)
    assert [reason.code for reason in reasons] == ["CARD_IN_USE"]


def test_core_usage_is_no_memory() -> None:
    """efsmi's table (PaddlePaddle/PaddleCustomDevice, 2024-12) with a busy core: constructed."""
    line = "-" * 20
    table = (
        f"|{line}|\n| 0      S60        | 33.6.2          | 00:01:00.0  Disable       |\n"
        "| 39 C   Sleep    105W  300W | 49120MiB Disable|  98.0%      A000000000001 |\n"
    )
    (card,) = read("efsmi", ((), table)).cards
    assert (card.model, card.memory_mib, card.used) == ("S60", 49120, None)


@pytest.mark.parametrize(
    ("name", "output", "code"),
    [
        # constructed after the others
        ("hygon-dcu", "No HCU devices\n", "CARD_LOST"),
        ("cambricon-mlu", "CNDEV_ERROR_NO_DEVICE\n", "CARD_LOST"),
        ("thead-ppu", "Driver Not Loaded\n", "SMI_FAILED"),
        (
            "kunlunxin-xpu",
            "Unable to determine the device handle for XPU 0000:03:00.0: XPU is lost\n",
            "CARD_LOST",
        ),
    ],
)
def test_a_vendors_word_for_a_dead_card_is_an_error(
    told: Told, name: str, output: str, code: str
) -> None:
    reasons = told(name, [((), output, 1)], on_bus=2)
    assert [reason.code for reason in reasons if reason.severity == "error"] == [code]


@pytest.mark.parametrize(
    "output",
    [
        "WARNING: No AMD GPUs specified\n",  # jrcichra/rocm-pytorch-gfx803#1, the host lists it
        # ROCm/legacy-rocm-build#2995
        "ERROR:root:Unable to detect any GPU devices, check amdgpu version and module status\n",
    ],
)
def test_amds_tools_are_blind_without_the_devices(told: Told, output: str) -> None:
    """Linux' kfd_topology.c shows no card to whom the device cgroup keeps from /dev/dri."""
    (reason,) = told("amd-gpu", [((), output, 1)], on_bus=2)
    assert (reason.severity, reason.code) == ("warning", "SMI_FAILED")
    assert "nodes.device_memory_gib" in reason.action


@pytest.mark.parametrize("drivers", [("", ""), ("amdgpu", "")])
def test_a_card_that_no_driver_has_is_dead_though_its_tool_is_blind(
    told: Told, drivers: tuple[str, str]
) -> None:
    """ROCm/legacy-rocm-build#2995, with what the bus says of it (constructed)."""
    output = "ERROR:root:Unable to detect any GPU devices, check amdgpu version and module status\n"
    run = [((), output, 1)]
    reasons = told("amd-gpu", run, on_bus=2, drivers=drivers)
    assert [(r.severity, r.code) for r in reasons][-1] == ("error", "CARD_LOST")
    assert "0000:02:00.0" in reasons[-1].found
    (reason,) = told("amd-gpu", run, on_bus=2, drivers=("amdgpu", "amdgpu"))
    assert (reason.severity, reason.code) == ("warning", "SMI_FAILED")
    lacks = told("amd-gpu", run, on_bus=2, drivers=drivers, nodes={"missing_cards": 2})
    assert {item.severity for item in lacks} == {"warning"}


def test_a_driver_in_the_kernel_blinds_amd_smi() -> None:
    """ROCm/amdsmi#172: amd-smi 26.1, amdgpu built into the kernel."""
    text = (
        "ERROR:root:Unable to get devices, driver not initialized (amdgpu not found in modules)\n"
        "ERROR:root:Unable to detect any GPU devices, check amdgpu version and module status\n"
    )
    assert [quote.meaning for quote in said([text])] == ["blind"]


@pytest.mark.parametrize("word", ["ERR!", "Unknown Error", "XPU is lost"])
def test_a_sick_cell_of_any_table_counts(told: Told, word: str) -> None:
    """xpu-smi's table; NVML's words in it: constructed."""
    line = "-" * 20
    table = (
        f"|{line}|\n|   0  P800 OAM    N/A   | 00000000:03:00.0 N/A |          0 |\n"
        f"| N/A   {word}  N/A     91W / 400W |  {word} / 98304MiB |      0%      Default |\n"
    )
    reasons = told("kunlunxin-xpu", [((), table)], on_bus=1)
    assert ("error", "CARD_UNHEALTHY") in [(r.severity, r.code) for r in reasons]


def test_cnmons_ecc_errors_are_worth_a_warning(told: Told) -> None:
    """cnmon 5.10's row with a count: constructed."""
    table = (
        "| Card  VF  Name       Firmware |               Bus-Id | Util        Ecc-Error |\n"
        "|===============================+======================+=======================|\n"
        "| 0     /   MLU370-X8    v1.1.6 |         0000:13:00.0 | 7%                  3 |\n"
        "|  0%   28C        107 W/ 250 W |     0 MiB/ 20638 MiB | FULL          Default |\n"
    )
    (reason,) = told("cambricon-mlu", [((), table)], on_bus=1)
    assert (reason.severity, reason.found) == ("warning", "card 0: 3 memory errors")


# mx-smi 2.2.9, as ms-swift's page for MetaX has it (2026-02)
MX = """\
Attached GPUs                                     : {attached}
| MX-SMI 2.2.9                       Kernel Mode Driver Version: 3.4.4            |
|------------------+-----------------+---------------------+----------------------|
| Board       Name | GPU   Persist-M | Bus-id              | GPU-Util      sGPU-M |
| Pwr:Usage/Cap    | Temp       Perf | Memory-Usage        | GPU-State            |
|==================+=================+=====================+======================|
| 0     MetaX C500 | 0           Off | 0000:0e:00.0        | 0%          {mode} |
| 57W / 350W       | 35C          P0 | 826/65536 MiB       | Available            |
"""
BORDER = "|                  +-----------------+---------------------+----------------------|\n"
SECOND = """\
|                  | 1           Off | 0000:0f:00.0        | 0%          Disabled |
|                  | 36C          P0 | 827/65536 MiB       | Available            |
+------------------+-----------------+---------------------+----------------------+
"""


def test_mx_smi_with_boards(told: Told) -> None:
    one = MX.format(attached=1, mode="Disabled")
    (card,) = read("mx-smi", ((), one)).cards
    assert (card.model, card.used_mib, card.temperature_c) == ("MetaX C500", 826, 35)
    assert told("metax-gpu", [((), one)], on_bus=1) == []
    (reason,) = told("metax-gpu", [((), MX.format(attached=1, mode="Enabled"))], on_bus=1)
    assert reason.code == "CARD_PARTITIONED"


@pytest.mark.parametrize("between", ["", BORDER])
def test_a_board_of_two_devices_is_two_cards(between: str) -> None:
    """Constructed: the same table, a board's second device below its first."""
    text = MX.format(attached=2, mode="Disabled")
    found = read("mx-smi", ((), text + between + SECOND))
    assert [(c.index, c.used_mib, c.bus) for c in found.cards] == [
        (0, 826, "0000:0e:00.0"),
        (1, 827, "0000:0f:00.0"),
    ]
    assert found.whole and not read("mx-smi", ((), text)).whole


def test_hy_smi_without_its_end_is_cut() -> None:
    """The vendor's table without its closing line: constructed."""
    table = (
        "========== System Management Interface ==========\n"
        "HCU     Temp     AvgPwr     VRAM%      Mode\n"
        "0       43.0C    131.0W     0%         Normal\n"
    )
    assert not read("hy-smi", ((), table)).whole
    assert read("hy-smi", ((), table + "======== End of SMI Log ========\n")).whole


@pytest.mark.parametrize(
    ("name", "device", "target", "size", "known"),
    [
        # ROCm/ROCm#5444 (Strix Halo)
        ("Radeon 8060S Graphics", "0x1586", "gfx1151", 512, False),
        ("AMD Radeon Graphics", "", "", 15872, False),
        ("AMD Radeon Graphics", "0x1586", "", 98304, False),
        ("AMD Radeon RX 7900 XTX", "0x744c", "gfx1100", 24560, True),
        ("AMD Instinct MI300X", "0x74a1", "gfx942", 196592, True),
    ],
)
def test_what_an_apu_calls_its_own_memory_is_unknown(
    name: str, device: str, target: str, size: int, known: bool
) -> None:
    asic = {"market_name": name, "device_id": device, "target_graphics_version": target}
    body = [{"gpu": 0, "asic": asic, "vram": {"size": {"value": size, "unit": "MB"}}}]
    (card,) = read("amd-smi", (("static", "--json"), json.dumps(body))).cards
    assert (card.memory_mib is not None) == known


def test_spellings_and_tags() -> None:
    """Images of public registries, and shortened ones: constructed."""
    assert profile("ascend-npu").model_of("Ascend910B3") == "910B3"
    assert profile("ascend-npu").model_of("Ascend910") == "Ascend910"
    assert profile("iluvatar-gpu").model_of("BI150") == "BI-V150"
    tags = {"cu12": "12", "cuda-13": "13", "cu128": "12.8", "cu118": "11.8", "cu1301": "13.0.1"}
    for tag, version in tags.items():
        assert profile("nvidia-gpu").toolkit_of(f"x/vllm:{tag}") == version
    for tag in ("dtk2504.1", "dtk25041", "dtk25.04.1"):
        assert profile("hygon-dcu").toolkit_of(f"x/vllm:{tag}") == "25.04.1"


def test_a_json_document_a_card_is_a_list_of_cards(told: Told) -> None:
    """Constructed: hy-smi's and amd-smi's documents, printed one a card."""
    documents = "\n".join(
        f'{{"card{i}": {{"Card Series": "K100_AI", "vram Total Memory (MiB)": "65520"}}}}'
        for i in range(4)
    )
    assert told("hygon-dcu", [(("--json",), documents)], on_bus=4) == []
    short = documents.rsplit("\n", 1)[0]
    assert [r.code for r in told("hygon-dcu", [(("--json",), short)], on_bus=4)] == ["CARD_LOST"]


def test_two_spellings_of_a_card_are_one_model(told: Told) -> None:
    """Constructed on the spellings of c24 and of hy-smi's releases."""
    documents = "{" + ", ".join(
        f'"card{i}": {{"Card Series": "{name}", "vram Total Memory (MiB)": "65520"}}'
        for i, name in enumerate(("K100_LC", "k100-lc", "K100 LC"))
    )
    codes = [r.code for r in told("hygon-dcu", [(("--json",), documents + "}")], on_bus=3)]
    assert "CARDS_DIFFER" not in codes
