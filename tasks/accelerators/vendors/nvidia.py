"""NVIDIA GPUs.

Sources: gpu-feature-discovery and device plugin documentation.
"""

from __future__ import annotations

from tasks.accelerators.types import (
    Component,
    DeviceFile,
    Exporter,
    Labels,
    Profile,
    ResourcePattern,
    Smi,
    ToolkitMinimum,
)
from tasks.accelerators.vendors.common import HAMI

_CUDA = "NVIDIA CUDA Compatibility, minor version compatibility table"

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
        Component("virtual-plugin", rf"hami-device-plugin|vgpu-device-plugin|{HAMI}"),
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
