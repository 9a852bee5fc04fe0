"""Huawei Ascend NPUs.

Memory of vNPU templates without it in their names: MindCluster 7.3.0 "Virtualization Rules"
(hiascend.com, mxdlug_021: a 910 has 30 or 32 cores and 32 GB, a 310P 8 and 24),
Project-HAMi/ascend-device-plugin ascend-device-configmap.yaml (vir02 of a 910A 2184 MiB to vir16
17476, vir01 of a 310P 3072 to vir04 12288), Huawei Cloud CCE cce_10_1009 (vir04 and vir04_3c 12
GiB, vir02 and vir02_1c 6 GiB), read 2026-11; a 310P of 48 GB has twice that.
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
from tasks.accelerators.vendors.common import (
    GPUSTACK,
    HAMI,
    HAMI_SOURCE,
    by_release,
    gpustack_parts,
)

# which driver lines a release runs with: CANN 9.0 is matched with 25.5.1 and runs with 25.0
_CANN = "CANN 9.1.1 release notes, compatibility with Ascend HDK, undated, read 2026-11"
_CANN8 = "CANN 8.5.0 release notes, 2026-01: HDK 25.0 to 25.5"
_MIND = "MindCluster documentation, v26.1.0, undated, read 2026-11"
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
            f"{HAMI_SOURCE}: docs/protocol and its Ascend page",
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
    toolkit_of_engine=(
        (
            r"vllm-ascend:",
            by_release(
                {
                    **{"9.1.0": range(23, 27), "9.0.0": range(18, 23), "8.5.1": range(16, 18)},
                    **{"8.5.0": range(13, 16), "8.3": range(11, 13)},
                    **{"8.2.rc1": range(10, 11), "8.1.rc1": range(9, 10)},
                }
            ),
        ),
    ),
    minimums=(
        ToolkitMinimum((9, 1), "25.2", False, _CANN),
        ToolkitMinimum((9, 0), "25.0", False, _CANN),
        ToolkitMinimum((8, 5), "25.0", False, _CANN8),
    ),
    toolkit=r"cann[-_:]?(\d+\.\d+(?:\.(?:rc)?\d+)*|\d{2,3}(?![\d.]))",
    idle_mib=3584.0,  # firmware: 3.4 GiB of a 910B3, 2.9 of a 910B4
    probe_paths=("/usr/local",),
    sources={
        "resources": f"{_MIND}; {HAMI_SOURCE} (device-configmap.yaml); {GPUSTACK}; ascend-1980 "
        "and ascend-310: "
        "Huawei Cloud CCE, plugin page, undated, read 2026-11",
        "labels": _MIND,
        "components": f"{_MIND}; {HAMI_SOURCE}; Huawei Cloud CCE, plugin page, undated, read "
        "2026-11",
        "models": "pci.ids and MindCluster documentation, undated, read 2026-11",
        "aliases": "npu-smi of vllm-project/vllm-ascend#2035 and labels of MindCluster, read "
        "2026-11",
        "device_class": HAMI_SOURCE,
        "devices": _MIND,
        "exporter": f"npu-exporter of {_MIND}",
        "idle_mib": "vllm-project/vllm-ascend#2035 and others, read 2026-11",
        "toolkit": "tags of quay.io/ascend and gpustack/runner, read 2026-11",
        "toolkit_of_engine": (
            "docs.vllm.ai/projects/ascend, installation pages of v0.9 to v0.26.0rc1, undated, read "
            "2026-11; a release that none of them names has what its neighbours share"
        ),
    },
)
