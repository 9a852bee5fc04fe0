"""NVIDIA GPUs.

Sources: gpu-feature-discovery and device plugin documentation; how units come about:
NVIDIA/k8s-device-plugin internal/lm/resource.go and README (2026-08-19), HAMi's protocol page
(2026-08-21); DaemonSets: NVIDIA gpu-operator, GKE's nvidia-gpu-device-plugin.
"""

from __future__ import annotations

from tasks.accelerators.types import (
    CompatLibraries,
    Component,
    DeviceFile,
    Exporter,
    Labels,
    NoCards,
    Profile,
    ResourcePattern,
    Sharing,
    Smi,
    ToolkitMinimum,
)
from tasks.accelerators.vendors.common import HAMI, gpustack_parts

_CUDA = "NVIDIA CUDA Compatibility, minor version compatibility table, read August 2026"
_PLUGIN = "NVIDIA/k8s-device-plugin README, 2026-08"
_GKE = "https://cloud.google.com/kubernetes-engine/docs/concepts/timesharing-gpus, 2025-07-16"
_MIG = r"(?P<part>\d)g\.(?P<gb>\d+)gb"

NVIDIA = Profile(
    name="nvidia-gpu",
    resources=(
        ResourcePattern("whole", r"nvidia\.com/gpu", "gpu"),
        ResourcePattern("split", rf"nvidia\.com/mig-{_MIG}.*\.shared", "mig", counts=True),
        ResourcePattern("split", rf"nvidia\.com/mig-{_MIG}.*", "mig", whole=7),
        # `renameByDefault` of NVIDIA's plugin has a gpu.shared, too, with any number a card
        *gpustack_parts(r"nvidia\.com/gpu", whole=7, shares=0),
        # the plugin's `rename` may choose any name: gpu.shared, gpu.10gb
        ResourcePattern("split", r"nvidia\.com/gpu\..+", "mig", counts=True),
        ResourcePattern("split", r"nvidia\.com/mig-.+", "mig"),
        ResourcePattern("dynamic", r"nvidia\.com/gpumem", "hami", mib=1),
        ResourcePattern("dynamic", r"nvidia\.com/gpumem-percentage", "hami", of_card=0.01),
        ResourcePattern("dynamic", r"nvidia\.com/gpucores", "hami"),
        # Volcano's vGPU plugin (HAMi#1376): as HAMi's; a pod's lie on as many cards
        ResourcePattern("dynamic", r"volcano\.sh/vgpu-number", "volcano", counts=True, apart=True),
        ResourcePattern("dynamic", r"volcano\.sh/vgpu-memory", "volcano", mib=1),
        ResourcePattern("dynamic", r"volcano\.sh/vgpu-(cores|memory-percentage)", "volcano"),
        # Alibaba Cloud ACK, shared scheduling: GiB of all cards, and how many cards there are
        ResourcePattern("dynamic", r"aliyun\.com/gpu-mem", "ack", mib=1024),
        ResourcePattern("dynamic", r"aliyun\.com/gpu-(count|core\.percentage)", "ack"),
        # NVIDIA/kubevirt-gpu-device-plugin: GA102GL_A10 (passthrough), GRID_T4-1Q (vGPU)
        ResourcePattern("vm", r"nvidia\.com/[A-Z][A-Z0-9]+[_-].+", "kubevirt"),
    ),
    labels=Labels(
        presence=("nvidia.com/gpu.present",),
        model=("nvidia.com/gpu.product",),
        memory=("nvidia.com/gpu.memory",),
        driver=("nvidia.com/cuda.driver-version.full",),
        count=("nvidia.com/gpu.count",),
        replicas=("nvidia.com/gpu.replicas", "cloud.google.com/gke-max-shared-clients-per-gpu"),
        slice_memory=("nvidia.com/{name}.memory",),
        slice_replicas=("nvidia.com/{name}.replicas",),
        no_cards=(
            NoCards(
                "nvidia.com/gpu.product",
                r"-MIG-INVALID$",
                "MIG is on, and slices are missing or of several sizes, which mig.strategy single "
                "cannot offer",
                "cut every card alike (nvidia.com/mig.config, mig-manager's log, "
                "nvidia.com/mig.config.state), or set mig.strategy to mixed",
                "NVIDIA/k8s-device-plugin internal/lm, gpu-operator#479, read 2026-11",
            ),
            NoCards(
                "nvidia.com/mig.config.state",
                r"^(failed|pending|rebooting)$",
                "mig-manager has not cut the cards as nvidia.com/mig.config asks",
                "read mig-manager's log: while it works, the plugin is stopped; pods that hold "
                "cards keep it from working",
                "NVIDIA GPU operator documentation, MIG support, 2026-08",
            ),
            NoCards(
                "nvidia.com/gpu.workload.config",
                r"^vm-(passthrough|vgpu)$",
                "the operator keeps the node's cards for virtual machines",
                "set nvidia.com/gpu.workload.config to container, or choose another node",
                "NVIDIA GPU operator documentation, KubeVirt, 2026-08",
            ),
        ),
    ),
    sharings=(
        Sharing(
            "MIG, strategy single",
            "gpu-feature-discovery's MIG labels, gpu-operator#981",
            memory="label",
            labels=(
                ("nvidia.com/mig.strategy", "single"),
                ("nvidia.com/gpu.product", rf"-MIG-{_MIG}"),
            ),
            whole=7,
            apart=True,
        ),
        Sharing(
            "MIG of GKE",
            _GKE,
            memory="divided",
            labels=(("cloud.google.com/gke-gpu-partition-size", rf"^{_MIG}"),),
            whole=7,
            apart=True,
        ),
        Sharing(
            "MPS of GKE",
            _GKE,
            memory="divided",
            labels=(("cloud.google.com/gke-gpu-sharing-strategy", "^mps$"),),
            single=True,
        ),
        Sharing(
            "time sharing of GKE",
            f"{_GKE}: at most one unit a pod",
            memory="card",
            labels=(("cloud.google.com/gke-gpu-sharing-strategy", "^time-sharing$"),),
            single=True,
        ),
        Sharing(
            "MPS",
            f"{_PLUGIN}; k8s-device-plugin#720 (memory), #929 and #1208 (one unit a pod)",
            memory="divided",
            labels=(("nvidia.com/gpu.sharing-strategy", "mps"),),
            single=True,
        ),
        Sharing(
            "HAMi",
            "HAMi docs/protocol, 2026-08-21",
            memory="asked",
            register=r"hami\.io/node-nvidia-register|4pd\.io/node-nvidia-register",
            virtual=True,
            apart=True,
        ),
        Sharing(
            "time slicing",
            _PLUGIN,
            memory="card",
            labels=(("nvidia.com/gpu.sharing-strategy", "time-slicing"),),
        ),
        Sharing(
            "time slicing",
            _PLUGIN,
            memory="card",
            labels=(("nvidia.com/gpu.replicas", r"^(?P<per>[2-9]|[1-9]\d+)$"),),
        ),
        Sharing(
            "time slicing",
            f"{_PLUGIN}: -SHARED is appended to the product",
            memory="card",
            labels=(("nvidia.com/gpu.product", r"-SHARED$"),),
        ),
    ),
    slicing="time slicing without gpu-feature-discovery's labels (gpu-operator#684, "
    "k8s-device-plugin#461)",
    device_class="gpu.nvidia.com",
    modules=("nvidia",),
    version_files=(("/proc/driver/nvidia/version", r"Kernel Module(?: for \S+)?\s+(\d[\d.]+)"),),
    pci_vendor="10de",
    pci_classes=("03",),
    devices=(
        DeviceFile("/dev/nvidiactl", "char"),
        DeviceFile("/dev/nvidia0", "char"),
    ),
    smi=(
        Smi(
            name="nvidia-smi",
            candidates=("/usr/bin/nvidia-smi", "/run/nvidia/driver/usr/bin/nvidia-smi"),
            runs=(
                (
                    "--query-gpu=index,name,memory.total,memory.used,temperature.gpu,power.draw,"
                    "driver_version,ecc.errors.uncorrected.volatile.total,pci.bus_id,"
                    "mig.mode.current",
                    "--format=csv",
                ),
            ),
            parser="nvidia-smi",
            in_container=True,
        ),
    ),
    components=(
        Component("virtual-plugin", rf"hami-device-plugin|vgpu-device-plugin|{HAMI}"),
        Component("dra-driver", r"(nvidia|gpu)-dra-driver|dra-driver-(nvidia-)?gpu"),
        Component("device-plugin", r"nvidia-(gpu-)?device-plugin|k8s-device-plugin"),
        Component("label-node", r"gpu-feature-discovery"),
        Component("exporter", r"dcgm-exporter"),
    ),
    exporter=Exporter(
        port=9400,
        temperature=r"DCGM_FI_DEV_GPU_TEMP",
        uncorrectable=r"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        throttled=r"DCGM_FI_DEV_THERMAL_VIOLATION",
        reasons=r"DCGM_FI_DEV_CLOCK(_THROTTLE|S_EVENT)_REASONS",
        # nvml.h: hardware slowdown, software and hardware thermal slowdown, power brake; a power
        # cap (0x4) is how many cards always run and is not meant
        reasons_bits=0x08 | 0x20 | 0x40 | 0x80,
        index_labels=("gpu", "UUID"),
    ),
    toolkit_name="CUDA",
    toolkit_example="CUDA 12.8",
    toolkit_digits=r"([12]\d|\d)(\d?)(\d?)",  # cu12 is CUDA 12, cu92 was 9.2
    compat=CompatLibraries(
        env=(
            ("VLLM_ENABLE_CUDA_COMPATIBILITY", r"(?i)^\s*(1|true)\s*$"),  # vllm PR 33992
            ("LD_LIBRARY_PATH", r"/usr/local/cuda[^:]*/compat"),
        ),
        # forward compatibility is for data centre cards, some NGC-ready RTX and Jetson
        not_for=r"GeForce|TITAN",
        source="NVIDIA CUDA Compatibility, forward compatibility, read August 2026",
        least=(((13,), "535"), ((12,), "470")),
        least_source="NVIDIA_REQUIRE_CUDA of the images nvidia/cuda:13.0.2 and 12.8.1",
    ),
    minimums=(
        ToolkitMinimum(
            (13,),
            "580",
            True,
            _CUDA,
            dropped=r"\b(GV100|V100S?|TITAN (V|Xp?)|GP100|P(4|6|40|100)|Quadro [MP]\d+|"
            r"GTX (9|10)\d0|M(4|6|10|40|60))\b",
            dropped_source="CUDA 13.0 release notes: nothing before compute capability 7.5",
        ),
        ToolkitMinimum((12,), "525", True, _CUDA),
        ToolkitMinimum((11,), "450", True, _CUDA),
    ),
    # cuda12.8.1, cu12.8, cuda:13.0.1, cu128, cu130-nightly
    toolkit=r"(?<![a-z])cu(?:da)?[-_:]?(\d+\.\d+(?:\.\d+)?|\d{2,4}(?!\d))",
    temperature_limit_c=92.0,
    probe_paths=("/usr/bin",),
    # the NVIDIA runtime hook brings the tool and its devices, without allocating a card
    probe_env={"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "utility"},
)
