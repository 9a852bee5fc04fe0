"""Huawei Ascend NPUs.

Sources: MindX device plugin documentation and vllm-ascend's installation page.
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
    ToolkitMinimum,
)
from tasks.accelerators.vendors.common import HAMI

_CANN = "vllm-ascend 0.13 installation page"

ASCEND = Profile(
    name="ascend-npu",
    resources=(
        ResourcePattern("whole", r"huawei\.com/Ascend910B?\d*", "910"),
        ResourcePattern("whole", r"huawei\.com/Ascend310P?", "310"),
        ResourcePattern("split", r"huawei\.com/Ascend(910|310P)-\d+c.*", "vnpu"),
    ),
    labels=Labels(
        presence=("accelerator",),  # set by hand on the cluster: huawei-Ascend910
        model=("node.kubernetes.io/npu.chip.name",),
    ),
    modules=("drv_pcie_host", "drv_davinci_intf_host", "davinci"),
    version_files=(("/usr/local/Ascend/driver/version.info", r"(?im)^version\s*=\s*(\S+)"),),
    pci_vendor="19e5",
    pci_classes=("12",),
    models={"d802": "910B", "d801": "910", "d500": "310P", "d100": "310"},
    devices=(
        DeviceFile("/dev/davinci_manager", "char"),
        DeviceFile("/dev/devmm_svm", "char"),
        DeviceFile("/dev/hisi_hdc", "char"),
    ),
    mounts=(
        HostMount(
            "ascend-driver",
            "/usr/local/Ascend/driver",
            "Directory",
            True,
            "the driver's user-space half",
        ),
    ),
    smi=(
        Smi(
            name="npu-smi",
            candidates=("/usr/local/sbin/npu-smi", "/usr/local/bin/npu-smi"),
            runs=(("info",),),
            parser="npu-smi",
            libraries=(
                "/usr/local/Ascend/driver/lib64/driver",
                "/usr/local/Ascend/driver/lib64/common",
            ),
        ),
    ),
    components=(
        Component("virtual-plugin", HAMI),
        Component("device-plugin", r"ascend-?device-plugin|ascend-k8sdeviceplugin"),
        Component("exporter", r"npu-exporter"),
        Component("label-node", r"noded\b"),
    ),
    exporter=Exporter(
        port=8082,
        temperature=r"npu_chip_info_temperature",
        health=r"npu_chip_info_health_status",
        index_labels=("id",),
    ),
    toolkit_name="CANN",
    toolkit_example="CANN 8.5.0",
    minimums=(ToolkitMinimum((8, 5), "25.5", False, _CANN),),
    toolkit=r"cann-?(\d+\.\d+(?:\.(?:rc)?\d+)*)",
    probe_paths=("/usr/local",),
)
