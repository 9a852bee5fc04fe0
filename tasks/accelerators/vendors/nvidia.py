"""NVIDIA GPUs."""

from __future__ import annotations

from tasks.accelerators.toolkits import CompatLibraries, Generation, ToolkitMinimum
from tasks.accelerators.types import (
    Component,
    DeviceFile,
    Exporter,
    Labels,
    NoCards,
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

_CUDA = "NVIDIA CUDA Compatibility, minor version compatibility table, undated, read 2026-08"
_BLACKWELL = "NVIDIA/cloud-native-docs PR 184, 2025-06: HGX B200 from 570.133.20"
_PLUGIN = "NVIDIA/k8s-device-plugin README, 2026-08"
_GKE = "https://cloud.google.com/kubernetes-engine/docs/concepts/timesharing-gpus, 2025-07-16"
_AND_520 = "2022-09, and driver 520 that comes with it; 515 is its neighbour, which none names"
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
            "NVIDIA/gpu-operator#981, 2024-09: gpu-feature-discovery's labels of MIG",
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
            f"{HAMI_SOURCE}: docs/protocol",
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
    slicing="time slicing without gpu-feature-discovery's labels (gpu-operator#684)",
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
    toolkit_of_image=tuple(
        (rf"(^|/)nvidia/(vllm|sglang|pytorch):({months})(\.post\d+)?-", cuda)
        for months, cuda in (
            (r"26\.10", "13.4.3"),
            (r"26\.0[6-9]", "13"),
            (r"26\.05", "13.2.1"),
            (r"26\.0[34]", "13.2"),
            (r"26\.0[12]", "13.1.1"),
            (r"25\.12", "13.1"),
            (r"25\.1[01]", "13.0.2"),
            (r"25\.0[89]", "13.0"),
            (r"25\.0[4-7]", "12.9"),
            (r"25\.0[1-3]", "12.8"),
            (r"24\.(0[89]|1[0-2])", "12.6"),
            (r"24\.07", "12.5.1"),
            (r"24\.0[2-6]", "12"),
            (r"24\.01", "12.3.2"),
        )
    ),
    toolkit_of_engine=(
        (
            r"(^|/)vllm/vllm-openai:",
            by_release(
                {
                    **{"12.4": range(5, 9), "12.8": range(9, 11), "12": range(11, 12)},
                    **{"12.9": range(12, 20), "13.0": range(20, 27)},
                }
            ),
        ),
    ),
    generations=(
        Generation(
            "Maxwell, Pascal and Volta",
            r"\b(GV100|V100S?|TITAN (V|Xp?)|GP100|P(4|6|40|100)|Quadro [MP]\d+|GTX (9|10)\d0|"
            r"M(4|6|10|40|60))\b|^10de:(13|14|15f|17|1b|1c|1d[8bf])",
            "CUDA 13.0 release notes, 2025-08: nothing before compute capability 7.5; "
            "drivers from 590: NixOS/nixos-hardware#1880, 2026-05",
            dropped=(13,),
            until="590",
        ),
        Generation(
            "Blackwell Ultra",
            r"\bG?B300\b|^10de:31",
            "CUDA 12.9 release notes, 2025-05 (sm_103), NVIDIA/Model-Optimizer PR 2042, 2026-07; "
            "driver 580: CUDA 13.0 release notes, 2025-08; 570 is Blackwell's, none names a least "
            "one for it",
            toolkit=(12, 9),
            driver="570",
            advised="580",
        ),
        Generation(
            "Blackwell",
            r"\bG?B[12]00\b|\bGB10\b|\bRTX 50[5-9]0\b|\bBlackwell\b|^10de:(29|2[b-f])",
            f"{_BLACKWELL}; CUDA 12.8 release notes, 2025-01 (sm_100, sm_120); of GB10 and RTX 50 "
            "by them alone",
            toolkit=(12, 8),
            driver="570",
        ),
        Generation(
            "Hopper",
            r"\bG?H(20|100|200|800)\b|^10de:23",
            f"CUDA 11.8 release notes, {_AND_520} (sm_90)",
            toolkit=(11, 8),
            driver="515",
            advised="520",
        ),
        Generation(
            "Ada",
            r"\bL(2|4|20|40[GS]?)\b|\bRTX 40[5-9]0\b|\bAda\b|^10de:(26|27|28)",
            f"CUDA 11.8 release notes, {_AND_520} (sm_89)",
            toolkit=(11, 8),
            driver="515",
            advised="520",
        ),
    ),
    compat=CompatLibraries(
        env=(
            ("VLLM_ENABLE_CUDA_COMPATIBILITY", r"(?i)^\s*(1|true)\s*$"),  # vllm PR 33992
            ("LD_LIBRARY_PATH", r"/usr/local/cuda[^:]*/compat"),
        ),
        # their entrypoint does so: SGLang release notes 25.10, docs.nvidia.com, 2026-05
        images=r"(^|/)nvidia/(vllm|sglang|pytorch|tritonserver)[:@]",
        # forward compatibility is for data centre cards, some NGC-ready RTX and Jetson
        not_for=r"GeForce|TITAN",
        source="NVIDIA CUDA Compatibility, forward compatibility, undated, read 2026-08",
        branches=(
            ((13, 3), (535, 550, 560, 565, 570, 580)),
            ((13,), (535, 550, 565, 570, 575)),
            ((12, 9), (535, 550, 560, 565, 570)),
            ((12, 8), (470, 535, 550, 560, 565)),
            ((12,), (470, 525, 535)),
        ),
        branches_source="NVIDIA_REQUIRE_CUDA of the images nvidia/cuda: 12.4.1, 12.8.1, 12.9.1, "
        "13.0.2, 13.3.0; read 2026-11",
    ),
    minimums=(
        ToolkitMinimum((13,), "580", True, _CUDA),
        ToolkitMinimum((12,), "525", True, _CUDA),
        ToolkitMinimum((11,), "450", True, _CUDA),
    ),
    # cuda12.8.1, cu12.8, cuda:13.0.1, cu128, cu130-nightly
    toolkit=r"(?<![a-z])cu(?:da)?[-_:]?(\d+\.\d+(?:\.\d+)?|\d{2,4}(?!\d))",
    temperature_limit_c=92.0,
    probe_paths=("/usr/bin",),
    # the NVIDIA runtime hook brings the tool and its devices, without allocating a card
    probe_env={"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "utility"},
    sources={
        "resources": f"{_PLUGIN} (names, MIG, rename); {HAMI_SOURCE} (gpumem, volcano.sh: "
        "HAMi#1376); "
        f"{GPUSTACK}; Alibaba Cloud ACK and NVIDIA/kubevirt-gpu-device-plugin, undated, read "
        "2026-11",
        "labels": f"{_PLUGIN} and internal/lm/resource.go; {_GKE}",
        "slicing": "NVIDIA/gpu-operator#684, 2024-03; NVIDIA/k8s-device-plugin#461, 2023-11",
        "components": (
            "NVIDIA/gpu-operator assets, undated, read 2026-11; GKE nvidia-gpu-device-plugin, "
            "undated, "
            "read 2026-11; kubernetes-sigs/dra-driver-nvidia-gpu, 2026-08"
        ),
        "device_class": "kubernetes-sigs/dra-driver-nvidia-gpu, 2026-08",
        "devices": "NVIDIA driver README (device files, /proc/driver/nvidia), undated, read "
        "2026-11",
        "exporter": "NVIDIA/dcgm-exporter default counters and nvml.h, undated, read 2026-11",
        "toolkit": "tags of nvidia/cuda and vllm/vllm-openai on Docker Hub and of "
        "gpustack/runner, read 2026-11",
        "toolkit_of_image": (
            "docs.nvidia.com/deeplearning/frameworks, read 2026-11: release notes of vLLM (25.10, "
            "26.01, 26.03, 26.05, 26.10), of SGLang (25.10, 26.05), of Triton (25.04) and Triton's "
            "support matrix; a month that none of them names has what its neighbours share"
        ),
        "toolkit_of_engine": (
            "vllm-project/vllm#5635, 2024-06 (0.5: CUDA 12.4), #18813, 2025-05 (0.9: 12.8), "
            "#26774, "
            "2025-10, PR 39878, 2026-04 (12.9 before 0.20, 13.0 from it); discuss.vllm.ai/t/2213 "
            "(0.11.1: 12.9, after 0.11.0 with 12.8); NVIDIA/Model-Optimizer PR 2042, 2026-08 (up "
            "to "
            "0.26); a release between two of them has what both share"
        ),
    },
)
