"""AMD GPUs.

Sources: k8s-device-plugin's node labeller, vLLM's Kubernetes page.
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
from tasks.accelerators.vendors.common import DROP_BUT_PTRACE, HAMI, PTRACE, UNCONFINED, VIDEO

_ROCM = "AMD user and kernel-space support matrix; 6.2.4 is the module of its oldest driver for 6.x"

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
    container_security={"capabilities": DROP_BUT_PTRACE},
    security_reasons=(VIDEO, UNCONFINED, PTRACE),
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
        Component("virtual-plugin", HAMI),
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
