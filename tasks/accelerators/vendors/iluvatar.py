"""Iluvatar CoreX GPUs (BI-V100, BI-V150, MR-V100).

A BI-V150 board is two devices: with the plugin's splitboard false a unit is the board, with true
one device. "CUDA Version" in ixsmi is an API level, not a driver. No memory or model label is
known.
"""

from __future__ import annotations

from tasks.accelerators.toolkits import ToolkitMinimum
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

_COREX = (
    "PaddlePaddle/docs docs/hardware_support/iluvatar_gpu, undated, read 2026-11: an SDK in the "
    "image that does not go with the host's module finds no card; "
    f"{FLAGOS}: CoreX 4.4.0 with 4.4.0, 4.5.0 with 4.5.0; 4.2 and 4.3 by their neighbours"
)
_PLUGIN = "Deep-Spark/ix-device-plugin and ix-container-toolkit, 2026-05"

ILUVATAR = Profile(
    name="iluvatar-gpu",
    resources=(
        ResourcePattern("whole", r"iluvatar\.com/gpu", "com"),
        ResourcePattern("whole", r"iluvatar\.ai/gpu", "ai"),
        ResourcePattern("dynamic", r"iluvatar\.ai/(vgpu|vcuda-(core|memory))", "hami"),
        ResourcePattern("dynamic", r"iluvatar\.ai/[\w-]+-vgpu", "hami", counts=True),
        ResourcePattern("dynamic", r"iluvatar\.ai/[\w-]+\.vMem", "hami", mib=256),
        ResourcePattern("dynamic", r"iluvatar\.ai/[\w-]+\.vCore", "hami"),
        *gpustack_parts(r"iluvatar\.com/gpu"),
    ),
    # ix-container-toolkit's installer sets it, or a person: the plugin's node selector asks for it
    labels=Labels(signs=("iluvatar.ai/gpu",)),
    modules=("iluvatar",),
    pci_vendor="1e3e",
    pci_classes=("02", "03", "0b", "12"),
    aliases={
        **{"BI150": "BI-V150", "BI-150": "BI-V150", "BI100": "BI-V100", "MR100": "MR-V100"},
        **{"MR-100": "MR-V100", "MR50": "MR-V50", "MR-50": "MR-V50"},
    },
    boards=((r"BI-V150(?!S)|MR-V100 DUO", 2),),
    slicing="sharing.timeSlicing of Deep-Spark/ix-device-plugin",
    devices=(
        DeviceFile("/dev/itrctl", "char"),
        DeviceFile("/dev/iluvatar0", "char"),
    ),
    # as for Moore Threads: without the hook a container starts without a card and without an error
    runtime_class="iluvatar",
    smi=(
        Smi(
            name="ixsmi",
            candidates=("/usr/local/corex/bin/ixsmi",),
            runs=((),),
            parser="ixsmi",
            in_container=True,
            libraries=("/usr/local/corex/lib64", "/usr/local/corex/lib"),
        ),
    ),
    components=(
        Component("virtual-plugin", HAMI),
        Component("device-plugin", r"iluvatar-device-plugin|ix-device-plugin"),
        Component("label-node", r"ixfd|ix-feature-discovery"),
        Component("exporter", r"ix-?exporter"),
    ),
    toolkit_name="CoreX",
    toolkit_example="CoreX 4.2",
    toolkit_table=False,
    minimums=tuple(
        ToolkitMinimum(release, ".".join(map(str, release)), False, _COREX)
        for release in ((4, 5), (4, 4), (4, 3), (4, 2))
    ),
    # corex4.2-vllm0.8.3, iluvatar-corex4.5.0
    toolkit=r"corex[-_:]?v?(\d+(?:\.\d+)+)",
    probe_paths=("/usr/local",),
    probe_env={"IX_VISIBLE_DEVICES": "all"},
    sources={
        "resources": f"{_PLUGIN}; {HAMI_SOURCE}; {GPUSTACK}",
        "labels": "ix-container-toolkit's installer and profiles of BI-V150 "
        "(iluvatar.ai/gpu=present), 2026-04",
        "components": f"{_PLUGIN}; {HAMI_SOURCE}; ix-exporter and ixfd: undated, read 2026-11",
        "aliases": f"names of cards in {HAMI_SOURCE}, and ixsmi of 2024-11 to 2026-05",
        "boards": _PLUGIN,
        "slicing": _PLUGIN,
        "devices": f"{_PLUGIN}; pci.ids, read 2026-11",
        "runtime_class": PREREQUISITES,
        "toolkit": f"tags of gpustack/runner, read 2026-11; {FLAGOS}",
    },
)
