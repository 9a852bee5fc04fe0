"""AMD GPUs."""

from __future__ import annotations

from tasks.accelerators.toolkits import ToolkitMinimum
from tasks.accelerators.types import (
    Component,
    DeviceFile,
    Exporter,
    Labels,
    Profile,
    ResourcePattern,
    Sharing,
    Smi,
)
from tasks.accelerators.vendors.common import (
    DROP_BUT_PTRACE,
    GPUSTACK,
    HAMI,
    HAMI_SOURCE,
    PTRACE,
    UNCONFINED,
    VIDEO,
    by_release,
    gpustack_parts,
)

_MODE = r"(?P<mode>[sdtqc]px)_nps(?P<nps>\d)"
_ROCM = (
    "AMD user and kernel-space support matrix, 2025-06; 6.2.4 is the module of its oldest driver "
    "for "
    "6.x, of 7.x by its neighbour"
)
_PLUGIN = "ROCm/k8s-device-plugin docs/user-guide/configuration.md and labeller, 2026-08"

AMD = Profile(
    name="amd-gpu",
    resources=(
        ResourcePattern("whole", r"amd\.com/gpu", "gpu"),
        # the plugin's `mixed` strategy; spx_nps1 is a whole card
        ResourcePattern("split", rf"amd\.com/{_MODE}", "partition"),
        ResourcePattern("dynamic", r"amd\.com/gpumem", "hami", mib=1),
        ResourcePattern("dynamic", r"amd\.com/gpucores", "hami"),
        *gpustack_parts(r"amd\.com/gpu"),
    ),
    # devices a card becomes; cpx: one an XCD, 8 on MI300X, MI325X, MI350X and MI355X, 6 on MI300A
    partitions={"spx": 1, "dpx": 2, "tpx": 3, "qpx": 4, "cpx": 0},
    sharings=(
        Sharing(
            "a partition mode of the card",
            "ROCm/k8s-device-plugin docs/user-guide/configuration.md, 2026-08-11",
            memory="label",
            labels=(("amd.com/gpu.compute-memory-partition", rf"(?i){_MODE}"),),
            apart=True,
        ),
        Sharing(
            "HAMi",
            f"{HAMI_SOURCE}: its AMD page",
            memory="asked",
            register=r"hami\.io/node-(register-)?amd.*",
            virtual=True,
            apart=True,
        ),
    ),
    slicing="a partition mode (CPX, DPX) or time slicing (ROCm/k8s-device-plugin#189)",
    device_class="gpu.amd.com",
    labels=Labels(
        presence=(),
        model=("amd.com/gpu.product-name", "beta.amd.com/gpu.product-name"),
        memory=("amd.com/gpu.vram", "beta.amd.com/gpu.vram"),
        compute_units=("amd.com/gpu.cu-count", "beta.amd.com/gpu.cu-count"),
        driver=("amd.com/gpu.driver-version",),
    ),
    modules=("amdgpu",),
    pci_vendor="1002",
    pci_classes=("03", "12"),
    devices=(
        DeviceFile("/dev/kfd", "char"),
        DeviceFile("/dev/dri", "dir", r"renderD\d+"),
    ),
    sys_paths=("/sys/class/kfd",),
    pod_security={"supplementalGroups": [44], "seccompProfile": {"type": "Unconfined"}},
    container_security={"capabilities": DROP_BUT_PTRACE},
    security_reasons=(VIDEO, UNCONFINED, PTRACE),
    smi=(
        Smi(
            name="amd-smi",
            candidates=("/opt/rocm/bin/amd-smi",),
            runs=(
                ("static", "--asic", "--bus", "--driver", "--vram", "--json"),
                ("static", "--limit", "--json"),
                ("metric", "--temperature", "--power", "--ecc", "--mem-usage", "--json"),
            ),
            parser="amd-smi",
            libraries=("/opt/rocm/lib",),
        ),
        Smi(
            name="rocm-smi",
            candidates=("/opt/rocm/bin/rocm-smi", "/usr/bin/rocm-smi"),
            runs=(
                (
                    "--showproductname",
                    "--showmeminfo",
                    "vram",
                    "--showtemp",
                    "--showpower",
                    "--showdriverversion",
                    "--json",
                ),
            ),
            parser="rocm-smi",
            libraries=("/opt/rocm/lib",),
        ),
    ),
    components=(
        Component("virtual-plugin", HAMI),
        Component("dra-driver", r"amd.*dra-driver|k8s-gpu-dra-driver"),
        Component(
            "label-node",
            r"amd.*(labeller|node-labeller)|rocm-k8s-device-plugin:labeller",
            image=r"(?<!nvidia/)k8s-(device-plugin:labeller|node-labeller)",
        ),
        # the operator's DaemonSets are named after its DeviceConfig, so the image tells
        Component(
            "device-plugin",
            r"amdgpu-device-plugin|amd.*device-plugin|rocm-k8s-device-plugin",
            image=r"(?<!nvidia/)(?<!nvidia-)\bk8s-device-plugin\b",
        ),
        Component("exporter", r"amd.*(metrics|device)-exporter", image=r"device-metrics-exporter"),
    ),
    exporter=Exporter(
        port=5000,
        temperature=r"gpu_(junction|edge)_temperature",
        uncorrectable=r"gpu_ecc_uncorrect_total",
        health=r"gpu_health",
        # amdsmi_violation_status_t; power tracking (ppt) is left out, as many cards always run so
        throttled=r"gpu_violation_(processor_hot|(socket|vr|hbm)_thermal)_residency_accumulated",
        index_labels=("gpu_id",),
    ),
    toolkit_name="ROCm",
    toolkit_example="ROCm 6.4.1",
    minimums=(ToolkitMinimum((6,), "6.2.4", False, _ROCM),),
    toolkit_digits=r"(\d)(\d)(\d?)",
    # rocm6.4.1, rocm-6.4, rocm_7.0, rocm641, rocm72
    toolkit=r"rocm[-_:]?(\d+\.\d+(?:\.\d+)?|\d{2,3}(?!\d))",
    toolkit_of_engine=(
        (
            r"(^|/)vllm/vllm-openai-rocm:",
            by_release({"7.2.1": range(19, 20), "7.2": range(20, 25), "7.2.3": range(25, 26)}),
        ),
    ),
    temperature_limit_c=100.0,
    # the highest at which a card slows down, of those that the tools print: hotspot 110, edge 100
    # or 109 (ROCm/amdsmi CHANGELOG, MIN_POWER), memory 108 (an RX 7900 XT's crit,
    # ilya-zlobintsev/LACT#563); an MI100 has 100, 100 and 94 (ROCm/legacy-rocm-build#1468)
    temperature_limits=((r"junction|hotspot", 110.0), (r"edge", 109.0), (r"mem|hbm|vram", 108.0)),
    probe_paths=("/opt",),
    sources={
        "resources": f"{_PLUGIN}; {HAMI_SOURCE}; {GPUSTACK}",
        "labels": _PLUGIN,
        "partitions": _PLUGIN,
        "slicing": "ROCm/k8s-device-plugin PR 189, 2026-05 (time slicing)",
        "components": (
            "ROCm/gpu-operator#183 (DaemonSets carry the DeviceConfig's name) and its manifests, "
            "undated, read 2026-11; ROCm/k8s-gpu-dra-driver, 2026-03"
        ),
        "device_class": "ROCm/k8s-gpu-dra-driver, 2026-03",
        "devices": "vLLM's page for Kubernetes, undated, read 2026-11",
        "exporter": "ROCm/device-metrics-exporter, its list of metrics, undated, read 2026-11",
        "toolkit": "tags of rocm/vllm on Docker Hub and of gpustack/runner, read 2026-11",
        "toolkit_of_engine": (
            "vllm-project/vllm#31333, 2026-04 (0.19: ROCm 7.2.1), PR 43136, 2026-05 (7.2.3), "
            "vllm-project/vllm-omni PR 5115, read 2026-11 (0.25: 7.2.3); between them what both "
            "share"
        ),
    },
)
