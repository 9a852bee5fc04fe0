"""What an inventory tool says when it does not list cards. A row a saying, each with its source.

A tool that fails says seldom that there is no card: a lost one ends the whole list, a library that
does not fit the module hides all of them, and a container without the devices sees none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# lost: a card that is named (group `card`) can be used by nobody. broken: no program on this node
# gets a card before the driver is mended. blind: the tool cannot see from where it ran, which says
# nothing of the cards.
Meaning = Literal["lost", "broken", "blind"]


@dataclass(frozen=True)
class Saying:
    """pattern: over one line; groups `card` and `why` where it tells them. unless: over the whole
    output, of which this line is a consequence then."""

    meaning: Meaning
    pattern: str
    action: str
    source: str
    unless: str = ""


@dataclass(frozen=True)
class Quote:
    """A saying that was found: which card, '' where it names none, in which words."""

    meaning: Meaning
    card: str
    words: str
    action: str


_RESET = "drain the node and reset or reboot it; a card that comes not back is for the vendor"
_OUTSIDE = "run it on the host; nothing of the cards was judged by it"

_HIDDEN = (
    "run it on the host: the kernel hides AMD cards from a pod that may not open /dev/dri; where "
    "the host's tool lists none either look at dmesg (amdgpu). nodes.device_memory_gib tells the "
    "memory that was not seen"
)

SAYINGS: tuple[Saying, ...] = (
    Saying(
        "blind",
        r"device handle for [A-Za-z]+\s*\S+: Insufficient Permissions",
        _OUTSIDE,
        "nvidia-smi's wording, nvml.h NVML_ERROR_NO_PERMISSION",
    ),
    Saying(
        "lost",
        # the noun is the vendor's: GPU, XPU, PPU
        r"device handle for [A-Za-z]+\s*(?P<card>[0-9A-Fa-f:.]*[0-9A-Fa-f])\b\s*:?"
        r"\s*(?P<why>\S.*)",
        _RESET,
        "NVIDIA/k8s-device-plugin#231, dcgm-exporter#604, akash-network/support#209 (2024-04)",
    ),
    Saying(
        "lost",
        r"(?:GPU|Device|Card)\s*#?(?P<card>\d+)\b.*\b(?P<why>Not Available\([^)]*\))",
        _RESET,
        "mx-smi -L; constructed",
    ),
    Saying(
        "lost",
        r"(?P<why>No devices were found)",
        "look at dmesg (NVRM, RmInitAdapter), then reset or reboot the node",
        "nvidia-smi's wording where the module took no card; microsoft/pai#4344",
    ),
    Saying(
        "blind",
        r"(?:.*, )?(?P<why>driver not initialized \(\w+ not found in modules\))",
        "amd-smi looks into /sys/module alone: of a driver built into the kernel it sees no "
        "card; rocm-smi may",
        "ROCm/amdsmi#172 (26.1, amdgpu built into the kernel, 2026-01); mended by "
        "ROCm/rocm-systems PR 2689",
    ),
    Saying(
        "blind",
        # the driver is there and has not shown one card: KFD's topology in sysfs, by which both
        # tools count, refuses whoever's cgroup may not open the render devices (EPERM)
        r"(?P<why>Unable to detect any GPU devices.*|No AMD GPUs specified)",
        _HIDDEN,
        "amdsmi_commands.py of ROCm/amdsmi (no handle after the driver was initialised); node_show "
        "in Linux' kfd_topology.c; jrcichra/rocm-pytorch-gfx803#1: so in a container whose host "
        "lists the card",
        unless=r"driver not initialized",
    ),
    Saying(
        "lost",
        # No HCU devices; No MLU device found
        r"^\W*(?:(?:WARNING|ERROR)\W+)?(?P<why>No (?!(?:running|process))(?:\w+ )?"
        r"(?:GPUs?|devices?)(?: (?:were |was )?(?:found|specified|detected))?)\W*$",
        "the driver has no card: look at dmesg, then reset or reboot the node",
        "constructed after rocm-smi's words (ROCm/ROCm#1742)",
    ),
    Saying(
        "lost",
        r"(?P<why>CNDEV_ERROR_NO_DEVICE)",
        "the driver has no card: look at dmesg (cambricon), then reset or reboot the node",
        "cndev.h's name of that error; constructed",
    ),
    Saying(
        "broken",
        r"Failed to initialize NVML: Driver/library version mismatch.*",
        "the loaded module and the installed library are of two releases: drain the node and "
        "reload the module, or reboot",
        "NVIDIA/k8s-device-plugin#1431 (2025-09), #221",
    ),
    Saying(
        "broken",
        r"(?i).*driver (?:is )?not loaded.*",
        "load the driver; the tool ends with status 0 all the same",
        "GPUStack operator's vendor prerequisites, 2026 (ppu-smi: init HGML error)",
    ),
    Saying(
        "blind",
        r"Failed to initialize NVML: .*",
        _OUTSIDE,
        "Project-HAMi/HAMi#248, #1704: the container lost its devices, the host is well",
    ),
    Saying(
        "blind",
        r"dcmi mod\w+ initiali[sz]\w* failed.*ret is -8020.*",
        "the devices are held by another container; " + _OUTSIDE,
        "Ascend/cann-container-image#46",
    ),
    Saying(
        "blind",
        r"dcmi mod\w+ initiali[sz]\w* failed.*|DrvMng\w+ failed.*",
        "a driver that was updated without a reboot, or no right to see the devices; " + _OUTSIDE,
        "vllm-project/vllm-ascend#2698 (2025-09), Project-HAMi/HAMi#1696",
    ),
    Saying(
        "blind",
        r"NVIDIA-SMI has failed because it couldn't communicate.*",
        "the driver is not loaded, or the runtime hook does not reach this pod; " + _OUTSIDE,
        # no error even where the probe sees /dev/nvidiactl: files of an unloaded module stay, and
        # a container with the files and another library has a host that is well
        "nvidia-smi's wording; mattshma/bigdata#108: a container without the hook; "
        "canonical/lxd#3642: with the device files there and the host well",
    ),
)
_RULES = [(saying, re.compile(saying.pattern)) for saying in SAYINGS]


def said(texts: Iterable[str]) -> list[Quote]:
    """What these outputs say, each once; a line means the first row that fits it."""
    found: dict[Quote, None] = {}
    for text in texts:
        for line in text.splitlines():
            for saying, rule in _RULES:
                if saying.unless and re.search(saying.unless, text):
                    continue
                if match := rule.search(line):
                    groups = match.groupdict()
                    words = (groups.get("why") or match[0]).strip()[:200]
                    item = Quote(saying.meaning, groups.get("card") or "", words, saying.action)
                    found[item] = None
                    break
    return list(found)
