"""Kunlunxin XPUs (R200, P800).

No node label and no exporter is known. In a container xpu-smi prints a driver version that is none
(515.58).
"""

from __future__ import annotations

from tasks.accelerators.types import (
    Component,
    DeviceFile,
    Profile,
    ResourcePattern,
    Smi,
)
from tasks.accelerators.vendors.common import (
    FLAGOS,
    GPUSTACK,
    HAMI,
    HAMI_SOURCE,
    gpustack_parts,
)

_GUIDES = "Kunlunxin's XRE guides, undated, read 2026-11; baidu/vLLM-Kunlun, 2026-05"

KUNLUNXIN = Profile(
    name="kunlunxin-xpu",
    resources=(
        ResourcePattern("whole", r"kunlunxin\.com/xpu", "kunlunxin"),
        ResourcePattern("whole", r"baidu\.com/xpu", "baidu"),
        # HAMi: up to a quarter, a half, or the whole of a P800, by the memory asked for
        ResourcePattern("dynamic", r"kunlunxin\.com/vxpu", "hami", counts=True),
        ResourcePattern("dynamic", r"kunlunxin\.com/v?xpu-memory", "hami", mib=1),
        *gpustack_parts(r"kunlunxin\.com/xpu"),
    ),
    modules=("kunlun", "xpu_driver"),  # kunlun from XRE 4.0
    version_files=(("/proc/kunlun/version", r"(?i)kunlun.*?\s(\d+(?:\.\d+){2,})"),),
    pci_vendor="1d22",
    pci_also=("2057",),  # P800
    # R200 as 0780 or 1200; 02 are the vendor's network cards
    pci_classes=("03", "0780", "0b", "12"),
    models={"3684": "R200", "3686": "P800"},
    devices=(
        DeviceFile("/dev/xpuctrl", "char"),
        DeviceFile("/dev/xpu0", "char"),
    ),
    smi=(
        Smi(
            name="xpu-smi",
            candidates=(
                "/usr/local/bin/xpu-smi",
                "/usr/local/bin/xpu_smi",
                "/usr/local/xpu/bin/xpu-smi",
                "/opt/xre/bin/xpu-smi",
            ),
            runs=((),),
            parser="xpu-smi",
            libraries=("/usr/local/xpu/lib64", "/usr/local/xpu/so", "/opt/xre/so"),
        ),
    ),
    components=(
        Component("virtual-plugin", rf"vxpu-device-plugin|{HAMI}"),
        Component("device-plugin", r"(?<!v)xpu-device-plugin|kunlun.*device-plugin"),
        Component("exporter", r"(xpu|kunlun).*exporter"),
    ),
    # no source names a least driver of an XRE; an engine's own is its page's: PaddlePaddle's
    # FastDeploy wants 5.0.21.26 (paddlepaddle.github.io/FastDeploy, kunlunxin_xpu, 2026)
    toolkit_name="XRE",
    toolkit_example="XRE 5.0.21",
    toolkit_table=False,
    toolkit=r"(?<![a-z])xre[-_:]?v?(\d+(?:\.\d+)+)",  # kunlunxin-xre5.37.1
    probe_paths=("/opt", "/usr/local"),
    sources={
        "resources": f"{_GUIDES}; {HAMI_SOURCE} (its page for P800); {GPUSTACK}",
        "components": f"{_GUIDES}; {HAMI_SOURCE}",
        "models": "pci.ids and lspci of P800 hosts, undated, read 2026-11",
        "devices": _GUIDES,
        "toolkit": FLAGOS,
    },
)
