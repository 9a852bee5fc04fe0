"""Moore Threads GPUs (MTT S80, S4000, S5000).

No label tells the card's model.
"""

from __future__ import annotations

from tasks.accelerators.types import (
    Component,
    DeviceFile,
    Labels,
    Profile,
    ResourcePattern,
    Smi,
)
from tasks.accelerators.vendors.common import (
    FLAGOS,
    GPUSTACK,
    HAMI,
    HAMI_SOURCE,
    PREREQUISITES,
    gpustack_parts,
)

_OPERATOR = "MT GPU Operator 2.1, docs.mthreads.com, undated, read 2026-11"

MTHREADS = Profile(
    name="mthreads-gpu",
    resources=(
        ResourcePattern("whole", r"mthreads\.com/gpu", "gpu"),
        # HAMi counts cards as vgpu, of which a sliced one is 16 sgpu-core
        ResourcePattern("dynamic", r"mthreads\.com/vgpu", "sgpu", counts=True),
        ResourcePattern("dynamic", r"mthreads\.com/sgpu-core", "sgpu"),
        ResourcePattern("dynamic", r"mthreads\.com/sgpu-memory", "sgpu", mib=512),
        *gpustack_parts(r"mthreads\.com/gpu"),
    ),
    labels=Labels(
        presence=("mthreads.com/gpu-node", "mthreads.com/gpu.present", "mthreads.com/gpu"),
        count=("mthreads.com/gpu.count",),
    ),
    modules=("mtgpu", "mtvgpu_basic"),
    pci_vendor="1ed5",
    pci_classes=("02", "03", "0b", "12"),  # a card brings an audio device (04), too
    devices=(
        DeviceFile("/dev/mtgpu.0", "char"),
        DeviceFile("/dev/dri", "dir", r"renderD\d+"),
    ),
    # the device plugin sets a variable alone: without the hook a container starts without a card
    # and without an error (gpustack-operator, vendor prerequisites, 2026)
    runtime_class="mthreads",
    smi=(
        Smi(
            name="mthreads-gmi",
            candidates=("/usr/bin/mthreads-gmi", "/usr/local/musa/bin/mthreads-gmi"),
            runs=((),),
            parser="mthreads-gmi",
            in_container=True,
            libraries=("/usr/local/musa/lib",),
        ),
    ),
    components=(
        Component("virtual-plugin", HAMI),
        Component("device-plugin", r"mt-universal-gpu-device|mt(hreads)?-.*device-plugin"),
        Component("exporter", r"mt(hreads)?-.*exporter"),
    ),
    # no source names a least driver: MUSA 4.3.6 and 5.2.0 ran with 5.2.0-server, 4.3.5 with 3.3.5
    # (flagos-ai/release-info base/, 2026-08)
    toolkit_name="MUSA",
    toolkit_example="MUSA 4.1",
    toolkit_table=False,
    # musa4.1-vllm0.9.2, musa_rc3.1.0; vllm-musa and torch_musa have releases of their own
    toolkit=r"(?<![a-z])(?<!vllm[-_])(?<!torch[-_])musa[-_:]?(?:rc)?(\d+(?:\.\d+)+)",
    probe_paths=("/usr/bin", "/usr/local"),
    probe_env={"MTHREADS_VISIBLE_DEVICES": "all"},
    sources={
        "resources": f"{_OPERATOR}; {HAMI_SOURCE} (sGPU); {GPUSTACK}",
        "labels": f"{_OPERATOR}; {HAMI_SOURCE} (gpu-node, gpu.count); tensor-fusion's provider "
        "file, derived "
        "from a running cluster, undated, read 2026-11",
        "components": f"{_OPERATOR}; {HAMI_SOURCE}",
        "devices": f"{PREREQUISITES}; pci.ids, read 2026-11",
        "runtime_class": PREREQUISITES,
        "toolkit": f"tags of gpustack/runner, read 2026-11; {FLAGOS}",
    },
)
