"""Enflame GCUs (T10, T20, S60, L300).

Of a card that is shared the whole resource reads 0, and drs-gcu and shared-gcu are the same card
seen twice.
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
    GPUSTACK,
    HAMI,
    HAMI_SOURCE,
    gpustack_parts,
)

_OPERATOR = "gcu-operator 2.4 with a node of one S60, 2026-05"

ENFLAME = Profile(
    name="enflame-gcu",
    resources=(
        ResourcePattern("whole", r"enflame\.com/gcu", "enflame"),
        ResourcePattern("whole", r"enflame-tech\.com/gcu", "enflame-tech"),  # up to 2023
        # of an S60 a drs-gcu is a sixth: 1 is 6 GB, 3 are 20, 6 are 40
        ResourcePattern(
            "dynamic",
            r"enflame\.com/(shared|drs)-gcu",
            "gcushare",
            counts=True,
            overlay=True,
            unsized=True,
        ),
        ResourcePattern("dynamic", r"enflame\.com/vgcu", "hami", counts=True),
        ResourcePattern("dynamic", r"enflame\.com/(vgcu-percentage|gcu-(memory|core))", "hami"),
        *gpustack_parts(r"enflame\.com/gcu"),
    ),
    labels=Labels(
        presence=("enflame.com/gcu.present",),
        model=("enflame.com/gcu.model",),
        memory=("enflame.com/gcu.memory",),  # MiB
        driver=("enflame.com/gcu.driverVer",),
    ),
    modules=("enflame",),
    pci_vendor="1e36",
    pci_classes=("02", "03", "0b", "12"),
    models={"c035": "S60"},
    devices=(
        DeviceFile("/dev/gcuctl", "char"),
        DeviceFile("/dev/gcu0", "char"),
    ),
    smi=(
        Smi(
            name="efsmi",
            candidates=("/usr/sbin/efsmi", "/usr/bin/efsmi"),
            runs=((), ("-q",)),  # the table tells no memory in use
            parser="efsmi",
            in_container=True,
        ),
    ),
    components=(
        Component("virtual-plugin", rf"gcushare-device-plugin|{HAMI}"),
        Component("device-plugin", r"enflame-device-plugin|gcu-?.*device-plugin"),
        Component("label-node", r"gcu-feature-discovery"),
        Component("exporter", r"gcu-exporter"),
    ),
    # no source names a least driver: vllm-gcu's README points to the stack's installation manual;
    # TopsRider 3.6 ran with 1.7.0.9 (opendatalab/MinerU docs/zh/usage/acceleration_cards, 2026)
    toolkit_name="TopsRider",
    toolkit_example="TopsRider 3.6",
    toolkit_table=False,
    # topsrider_i3x_3.6.20260106_vllm0.11
    toolkit=r"topsrider[-_:]?(?:i3x[-_])?v?(\d+(?:\.\d+)+)",
    probe_paths=("/usr/bin", "/usr/sbin"),
    # the vendor's runtime must be the containers' default: there is no class to name
    probe_env={"ENFLAME_VISIBLE_DEVICES": "all"},
    sources={
        "resources": f"{_OPERATOR}; the vendor's Kubernetes guide of 2023, undated, read "
        f"2026-11; {HAMI_SOURCE}; "
        f"{GPUSTACK}",
        "labels": _OPERATOR,
        "components": f"{_OPERATOR}; {HAMI_SOURCE}",
        "models": _OPERATOR,
        "devices": _OPERATOR,
        "toolkit": "opendatalab/MinerU docs/zh/usage/acceleration_cards, undated, read 2026-11",
    },
)
