"""Cambricon MLUs (MLU370, MLU590).

The driver's version is cnmon's: no version file is known.
"""

from __future__ import annotations

from tasks.accelerators.toolkits import ToolkitMinimum
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
    gpustack_parts,
)

_OPS = "Cambricon/mlu-ops README, what its kernels need"
_PADDLE = "https://www.paddlepaddle.org.cn/documentation/docs/zh/2.4/guides/hardware_support"
_PLUGIN = "Cambricon/cambricon-k8s-device-plugin 2.0.23, 2025-12"

CAMBRICON = Profile(
    name="cambricon-mlu",
    resources=(
        ResourcePattern("whole", r"cambricon\.com/mlu", "mlu"),
        # the plugin's --enable-device-type: the model up to its dash, in small letters
        ResourcePattern("named", r"cambricon\.com/mlu\d+[a-z0-9]*", "named"),
        ResourcePattern(
            "split", r"cambricon\.com/mlu[a-z0-9]*\.mim-(?P<part>\d+)m\.(?P<gb>\d+)gb.*", "mim"
        ),
        ResourcePattern("split", r"cambricon\.com/mlu[a-z0-9]*\.share", "share", counts=True),
        # the unit of smlu.vmemory is the installation's (min-dsmlu-unit): 1 or 256 MiB
        ResourcePattern("dynamic", r"cambricon\.com/mlu[a-z0-9]*\.smlu\.v(core|memory)", "smlu"),
        ResourcePattern("dynamic", r"cambricon\.com/vmlu", "hami", counts=True),
        ResourcePattern("dynamic", r"cambricon\.com/mlu\.v(core|memory)", "hami"),
        *gpustack_parts(r"cambricon\.com/mlu"),
    ),
    # only where the plugin has --node-label, and then without a prefix
    labels=Labels(model=("Model",), driver=("DriverVersion",)),
    modules=("cambricon_drv",),
    pci_vendor="cabc",
    pci_classes=("02", "03", "0b", "12"),
    devices=(
        DeviceFile("/dev/cambricon_ctl", "char"),
        DeviceFile("/dev/cambricon_dev0", "char"),
    ),
    smi=(
        Smi(
            name="cnmon",
            candidates=("/usr/bin/cnmon", "/usr/local/neuware/bin/cnmon"),
            runs=((),),
            parser="cnmon",
            libraries=("/usr/local/neuware/lib64",),
        ),
    ),
    components=(
        Component("virtual-plugin", HAMI),
        Component("device-plugin", r"cambricon-device-plugin|cambricon-k8s-device-plugin"),
        Component("exporter", r"(mlu|cambricon).*exporter"),
    ),
    toolkit_name="CNToolkit",
    toolkit_example="CNToolkit 4.1",
    toolkit_table=False,
    minimums=(
        ToolkitMinimum((4, 1), "6.0.3", False, f"{_OPS}, undated, read 2026-11"),
        ToolkitMinimum(
            (3, 8, 4), "5.10.25", False, f"{_OPS} at CNToolkit 3.8.4, undated, read 2026-11"
        ),
        ToolkitMinimum((3,), "4.20.11", False, f"{_PADDLE}, 2022-10; {_OPS} at 3.1.2"),
    ),
    # cntoolkit3.0.2-cnnl1.13.0, cambricon-neuware4.4.3
    toolkit=r"(?:cntoolkit|neuware)[-_:]?v?(\d+(?:\.\d+)+)",
    probe_paths=("/usr/bin", "/usr/local"),
    sources={
        "resources": f"{_PLUGIN}; {HAMI_SOURCE}; {GPUSTACK}",
        "labels": _PLUGIN,
        "components": f"{_PLUGIN}; {HAMI_SOURCE}; mlu-exporter: undated, read 2026-11",
        "devices": f"{_PLUGIN}; pci.ids, read 2026-11",
        "toolkit": f"{_PADDLE}, 2022-10; flagos-ai/release-info base/, 2026-08",
    },
)
