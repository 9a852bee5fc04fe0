"""Hygon DCU and HCU.

Sources: a field report of eight K100_AI cards (driver 6.3, DTK 25.04.1), the vendor's label-node,
device plugin 2.4 and 3.0, and exporter sources.
"""

from __future__ import annotations

from tasks.accelerators.types import (
    Component,
    DeviceFile,
    Exporter,
    HostMount,
    Labels,
    Profile,
    ResourcePattern,
    Smi,
)
from tasks.accelerators.vendors.common import DROP_BUT_PTRACE, HAMI, PTRACE, UNCONFINED, VIDEO

HYGON = Profile(
    name="hygon-dcu",
    # the vendor renamed DCU to HCU: plugin 2.x registers dcu, plugin 3.0 hcu
    resources=(
        ResourcePattern("whole", r"hygon\.com/hcu", "hcu"),
        ResourcePattern("whole", r"hygon\.com/dcu", "dcu"),
        ResourcePattern("dynamic", r"hygon\.com/hcu(num|cores|mem)", "hcu"),
        ResourcePattern("dynamic", r"hygon\.com/dcu(num|cores|mem)", "dcu"),  # vDCU 2.x, HAMi
        ResourcePattern("split", r"hygon\.com/hcu-(share|mig)-.+", "hcu"),
        ResourcePattern("split", r"hygon\.com/dcu-(share|mig)-.+", "dcu"),
        ResourcePattern("dynamic", r"dcu\.com/gpu.*", "koordinator"),
        ResourcePattern("named", r"hygon\.com/(?!dcu|hcu).+", "named"),
    ),
    labels=Labels(
        presence=("hygon.com/hcu", "hygon.com/dcu"),
        model=("hygon.com/hcu.name", "hygon.com/dcu.name"),
        memory=("hygon.com/hcu.vram", "hygon.com/dcu.vram"),
        compute_units=("hygon.com/hcu.cu-count", "hygon.com/dcu.cu-count"),
        driver=("hygon.com/hcu.driver-version", "hygon.com/dcu.driver-version"),
    ),
    modules=("hycu", "hydcu"),  # hycu from 6.3, hydcu up to 6.2
    pci_vendor="1d94",
    # the vendor id alone also matches Hygon CPU devices
    pci_classes=("02", "03", "0b", "12"),
    models={"6210": "K100_AI"},
    devices=(
        DeviceFile("/dev/kfd", "char"),
        DeviceFile("/dev/mkfd", "char"),
        DeviceFile("/dev/dri", "dir", r"(card|renderD)\d+"),
    ),
    sys_paths=("/sys/class/kfd",),
    mounts=(
        HostMount("hyhal", "/opt/hyhal", "Directory", True, "the driver's user-space half"),
        HostMount("dev-kfd", "/dev/kfd", "CharDevice", False, "compute device"),
        HostMount("dev-mkfd", "/dev/mkfd", "CharDevice", False, "compute device of driver 6.x"),
        HostMount("dev-dri", "/dev/dri", "Directory", False, "render devices"),
        HostMount(
            "kernel-debug",
            "/sys/kernel/debug",
            "",
            True,
            "from driver 6.3 hy-smi shows no processes in a container without it",
        ),
    ),
    pod_security={"supplementalGroups": [44], "seccompProfile": {"type": "Unconfined"}},
    container_security={"capabilities": DROP_BUT_PTRACE},
    security_reasons=(VIDEO, UNCONFINED, PTRACE),
    smi=(
        Smi(
            name="hy-smi",
            candidates=("/opt/hyhal/bin/hy-smi", "/usr/local/hyhal/bin/hy-smi"),
            runs=(
                (),
                ("--showdriverversion",),
                ("--showmemavailable",),
                ("--showid", "--showproductname", "--showuse", "--showmeminfo", "vram", "--json"),
            ),
            parser="hy-smi",
            libraries=("/opt/hyhal/lib", "/usr/local/hyhal/lib"),
        ),
    ),
    components=(
        Component("virtual-plugin", rf"v[dh]cu(-device)?-plugin|[dh]cu-vgpu|{HAMI}"),
        Component("device-plugin", r"(?<!v)[dh]cu(-device)?-plugin"),
        Component("label-node", r"[dh]cu-label-node|label-node"),
        Component("exporter", r"[dh]cu-exporter"),
    ),
    exporter=Exporter(
        port=16080,
        temperature=r"(dcu|hcu)_temp",
        uncorrectable=r"(dcu|hcu)_ue_count",
        health=r"hcu_health_status",
        pod_labels=("dcu_pod_name", "hcu_pod_name", "exported_pod", "pod"),
        index_labels=("minor_number", "device_id", "gpu", "id"),
    ),
    toolkit_name="DTK",
    toolkit_example="DTK 25.04.1",
    compatibility="hygon",
    builds_driver=True,
    toolkit=r"dtk-?(\d{2}\.\d{2}(?:\.\d+)?|\d{4,5})",
    temperature_limit_c=95.0,
    probe_paths=("/opt", "/usr/local", "/usr/src"),
)
