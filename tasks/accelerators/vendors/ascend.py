"""Huawei Ascend NPUs.

Sources: MindX device plugin documentation (MindCluster v26.1.0), vllm-ascend's installation page;
HAMi's names: its chart's device-configmap.yaml (2026-08-21); ascend-1980 and ascend-310: Huawei
Cloud CCE's plugin page and vllm-ascend's CI. Memory of vNPU templates without it in their names:
MindCluster 7.3.0 "Virtualization Rules" (hiascend.com, mxdlug_021: a 910 has 30 or 32 cores and
32 GB, a 310P 8 and 24), Project-HAMi/ascend-device-plugin ascend-device-configmap.yaml (vir02 of a
910A 2184 MiB to vir16 17476, vir01 of a 310P 3072 to vir04 12288), Huawei Cloud CCE cce_10_1009
(vir04 and vir04_3c 12 GiB, vir02 and vir02_1c 6 GiB), 2026-08; a 310P of 48 GB has twice that.
"""

from __future__ import annotations

from tasks.accelerators.toolkits import ToolkitMinimum
from tasks.accelerators.types import (
    Component,
    DeviceFile,
    Exporter,
    HostMount,
    Labels,
    Profile,
    ResourcePattern,
    Sharing,
    Smi,
)
from tasks.accelerators.vendors.common import HAMI, by_release, gpustack_parts

_CANN = "vllm-ascend 0.13 installation page"
_CANN9 = "CANN 9.0.0 release notes: HDK 26.0.RC1, 25.5.2, 25.5.1"
# HAMi registers one name a chip model; a dash and a digit are a model, not a slice
_CHIP = r"(910(A|B\d?|C|Pro[AB]|PremiumA)(-\d)?|310P\d)"
_VNPU = r"\d+c(\.\d+cpu)?\.(?P<gb>\d+)g(\.n?dvpp)?"
_VNPU_910 = ((33_000, 1024, 32768 / 30),)
_VNPU_310P = ((32_000, 3072, 3072), (65_536, 6144, 6144))
# MindCluster's documentation of the device plugin (2026): shares of inference chips, 2 to 100 each;
# soft partitioning of any chip, always 100
_SHARED = ((0, "-shareDevCount of Huawei's plugin"),)
_SOFT = ((100, "soft partitioning of Huawei's plugin (-softShareDevConfigDir)"),)
_BY_HAMI = ((0, "shares by HAMi (several a chip, by its chart's vDeviceCount)"),)

ASCEND = Profile(
    name="ascend-npu",
    resources=(
        # 910A, 910B and A3
        ResourcePattern("whole", r"huawei\.com/(?i:ascend)910", "910", slicings=_SOFT),
        ResourcePattern("whole", r"huawei\.com/(?i:ascend)310P?", "310", slicings=_SHARED),
        # whole cards of a node with several 310P boards
        ResourcePattern(
            "whole", r"huawei\.com/(?i:ascend)310P-(V|VPro|IPro)", "310-mixed", slicings=_SHARED
        ),
        ResourcePattern("whole", r"huawei\.com/npu", "npu", slicings=_SOFT),  # Atlas 350, A5
        ResourcePattern("whole", r"huawei\.com/ascend-(1980|310)", "cce"),
        ResourcePattern(
            "whole", rf"huawei\.com/(?i:ascend){_CHIP}", "model", overlay=True, slicings=_BY_HAMI
        ),
        ResourcePattern("split", rf"huawei\.com/(?i:ascend)[0-9A-Za-z]+-{_VNPU}", "vnpu"),
        ResourcePattern(
            "split",
            r"huawei\.com/(?i:ascend)910-(?P<cores>2|4|8|16)c",
            "vnpu",
            core_mib=_VNPU_910,
        ),
        ResourcePattern(
            "split",
            r"huawei\.com/(?i:ascend)310P-(?P<cores>1|2|4)c(\.\dcpu)?(\.n?dvpp)?",
            "vnpu",
            core_mib=_VNPU_310P,
        ),
        ResourcePattern("split", r"huawei\.com/(?i:ascend)[0-9A-Za-z]+-\d+c(\..+)?", "vnpu"),
        ResourcePattern("dynamic", r"huawei\.com/(?i:ascend).+-memory", "hami", mib=1),
        ResourcePattern("dynamic", r"huawei\.com/((?i:ascend).+-core|npu-core)", "hami"),
        *gpustack_parts(r"huawei\.com/npu"),
        # a chip that is newer than this list
        ResourcePattern("whole", r"huawei\.com/(?i:ascend)[\w-]+", "new"),
    ),
    labels=Labels(
        presence=("accelerator",),  # set by hand on the cluster: huawei-Ascend910
        model=("node.kubernetes.io/npu.chip.name",),
    ),
    sharings=(
        Sharing(
            "HAMi",
            "HAMi docs/protocol and its Ascend page, 2026-08-21",
            memory="asked",
            register=r"hami\.io/node-register-(?i:ascend).*",
            virtual=True,
            apart=True,
        ),
    ),
    device_class="ascend.project-hami.io",
    modules=("drv_pcie_host", "drv_davinci_intf_host", "davinci"),
    version_files=(("/usr/local/Ascend/driver/version.info", r"(?im)^version\s*=\s*(\S+)"),),
    pci_vendor="19e5",
    pci_classes=("12",),
    # npu-smi says 910B3, labels Ascend910B3; Ascend910 alone is what npu-smi says of an A3
    model_noise=r"^Ascend[\s-]*(?=\d+[A-Z_])",
    models={"d802": "910B", "d801": "910", "d500": "310P", "d100": "310"},
    devices=(
        DeviceFile("/dev/davinci_manager", "char"),
        # A5 (Atlas 350) has others in its place (MindCluster v26.1.0)
        DeviceFile("/dev/devmm_svm", "char", instead=("/dev/uburma", "/dev/ummu")),
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
        Component("virtual-plugin", HAMI, image=r"projecthami/ascend-device-plugin"),
        Component("dra-driver", r"(npu|ascend).*dra-driver|hami-.*dra"),
        # huawei-npu-device-plugin is CCE's add-on (its documentation, 2026)
        Component(
            "device-plugin", r"ascend-?device-plugin|ascend-k8sdeviceplugin|\bnpu-device-plugin"
        ),
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
    toolkit_digits=r"(\d)(\d)(\d?)",
    # vllm-project/vllm-ascend docs (2026-08-22): what its images carry, where no tag says it
    toolkit_of_engine=(
        (
            r"vllm-ascend:",
            by_release(
                {
                    **{"9.1.0": range(23, 24), "9.0.0": range(20, 23), "8.5.1": range(16, 20)},
                    **{"8.5.0": range(13, 16), "8.3.rc1": range(11, 13)},
                    **{"8.2.rc1": range(10, 11), "8.1.rc1": range(9, 10)},
                }
            ),
        ),
    ),
    minimums=(
        ToolkitMinimum((9, 0), "25.5.1", False, _CANN9),
        ToolkitMinimum((8, 5), "25.5", False, _CANN),
    ),
    toolkit=r"cann[-_:]?(\d+\.\d+(?:\.(?:rc)?\d+)*|\d{2,3}(?![\d.]))",
    idle_mib=3584.0,  # firmware: 3.4 GiB of a 910B3, 2.9 of a 910B4 (vllm-ascend#2035 and others)
    probe_paths=("/usr/local",),
)
