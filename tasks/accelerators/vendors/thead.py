"""T-Head PPUs (PPU-ZW810E, M890P).

No file tells the driver's version: ppu-smi does, whose exit status means nothing.
"""

from __future__ import annotations

from tasks.accelerators.types import (
    Component,
    DeviceFile,
    Labels,
    Profile,
    ResourcePattern,
    Smi,
)
from tasks.accelerators.vendors.common import (
    GPUSTACK,
    HAMI,
    HAMI_SOURCE,
    PREREQUISITES,
    gpustack_parts,
)

_ACK = "Alibaba Cloud's page for ack-ppu-device-plugin 1.4.0, 2026-08"

THEAD = Profile(
    name="thead-ppu",
    resources=(
        ResourcePattern("whole", r"alibabacloud\.com/ppu", "alibabacloud"),
        ResourcePattern("whole", r"aliyun\.com/ppu", "aliyun"),
        # MIG: compute units, parts of the memory, its GB
        ResourcePattern("split", r"alibabacloud\.com/ppu-(?P<part>\d+)u\.\d+g(?P<gb>\d+)gb", "mig"),
        *gpustack_parts(r"(alibabacloud|aliyun)\.com/ppu"),
    ),
    labels=Labels(
        presence=("aliyun.accelerator/ppu_count", "aliyun.com/ppu.present"),
        model=("aliyun.accelerator/ppu_name",),
        memory=("aliyun.accelerator/ppu_mem",),
    ),
    modules=("alixpu",),
    pci_vendor="1ded",
    # 02 are the vendor's elastic network devices
    pci_classes=("03", "0b", "12"),
    devices=(
        DeviceFile("/dev/alixpu", "char"),
        DeviceFile("/dev/alixpu_ctl", "char"),
    ),
    smi=(
        Smi(
            name="ppu-smi",
            candidates=(
                "/usr/local/PPU_SDK/ppu-smi/bin/ppu-smi",
                "/usr/local/PPU_SDK/bin/ppu-smi",
                "/usr/bin/ppu-smi",
            ),
            runs=((),),
            parser="ppu-smi",
            libraries=("/usr/local/PPU_SDK/lib",),
        ),
    ),
    components=(
        Component("virtual-plugin", HAMI),
        Component("device-plugin", r"ppu-device-plugin"),
        Component("exporter", r"ppu.*exporter"),
    ),
    toolkit_name="HGGC",
    toolkit_example="HGGC 13.0",
    toolkit_table=False,
    toolkit_digits=r"(\d{2})(\d)",
    # hggc13.0, hggc130; no source names a least driver: HGGC 13.0 ran with 1.3.2, 1.4.1 and 2.1.0
    toolkit=r"hggc[-_:]?v?(\d+\.\d+(?:\.\d+)*|\d{3}(?!\d))",
    probe_paths=("/usr/bin", "/usr/local"),
    sources={
        "resources": f"{_ACK}; {PREREQUISITES}; {GPUSTACK}",
        "labels": f"{_ACK}; {PREREQUISITES}",
        "components": f"{_ACK}; {HAMI_SOURCE}; a PPU exporter: undated, read 2026-11",
        "devices": f"the vendor's driver and ppu-smi manuals, 2026-04 and 2026-05; {PREREQUISITES}",
        "toolkit": (
            "tags of FlagRelease's images of Qwen3.6-35B-A3B, 2026-04, and Qwen3.8-27B, 2026-08, "
            "and of "
            "gpustack/runner, read 2026-11"
        ),
    },
)
