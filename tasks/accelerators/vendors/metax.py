"""MetaX GPUs (MXC500, MXC550, C600, N260).

PCI ids of the cards were not found: the vendor id and the class decide.
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

_NOTES = (
    "t9k's installation notes of operator 0.9.2 with a node of eight MXC550, 2025-04 (public "
    "then, no "
    "address was found again)"
)

METAX = Profile(
    name="metax-gpu",
    resources=(
        ResourcePattern("whole", r"metax-tech\.com/gpu", "gpu"),
        # vcore in percent, vmemory in GiB where it has no unit; sgpu alone is a card for one pod
        ResourcePattern("dynamic", r"metax-tech\.com/sgpu", "sgpu", counts=True),
        ResourcePattern("dynamic", r"metax-tech\.com/vmemory", "sgpu", mib=1024),
        ResourcePattern("dynamic", r"metax-tech\.com/vcore", "sgpu"),
        *gpustack_parts(r"metax-tech\.com/gpu"),
    ),
    labels=Labels(
        presence=("metax-tech.com/gpu.installed",),
        model=("metax-tech.com/gpu.product",),
        memory=("metax-tech.com/gpu.memory",),
        # the driver stands in three labels, .driver.major, .minor and .patch
    ),
    modules=("metax",),
    pci_vendor="9999",
    pci_classes=("02", "03", "0b", "12"),
    model_noise=r"^(MetaX\s+|MX)",  # mx-smi says MetaX C500, labels say MXC500, people say C500
    # the plugin hands /dev/mxnd and /dev/mxgd on where a host has them, and wants neither
    devices=(
        DeviceFile("/dev/mxcd", "char"),
        DeviceFile("/dev/dri", "dir", r"renderD\d+"),
    ),
    smi=(
        Smi(
            name="mx-smi",
            candidates=("/opt/mxdriver/bin/mx-smi", "/opt/maca/bin/mx-smi"),
            runs=((),),
            parser="mx-smi",
            in_container=True,
            libraries=("/opt/mxdriver/lib", "/opt/maca/lib"),
        ),
    ),
    components=(
        Component("virtual-plugin", rf"metax.*(sgpu|s-gpu)|{HAMI}"),
        Component("device-plugin", r"metax-gpu-device|^gpu-device[:@]"),
        Component("label-node", r"metax-gpu-label|^gpu-label[:@]"),
        Component("exporter", r"mx-exporter"),
    ),
    # no source names a least driver: pairs that ran are MACA 3.7.2 with driver 3.8.30, 3.8.1 with
    # 3.9.6 (flagos-ai/release-info base/, 2026-08), 3.0.0.8 with 3.0.0.5 (gpustack's MetaX page)
    toolkit_name="MACA",
    toolkit_example="MACA 3.1",
    toolkit_table=False,
    # maca.ai3.1.0.7-torch2.6, 0.23.0-maca.ai3.8.0.103, metax-maca3.7.2.1
    toolkit=r"maca(?:\.ai)?[-_:]?(\d+(?:\.\d+)+)",
    probe_paths=("/opt",),
    # the vendor's runtime, which its operator makes the default, brings /opt/mxdriver and devices
    probe_env={"METAX_VISIBLE_DEVICES": "all"},
    sources={
        "resources": f"{_NOTES}; {HAMI_SOURCE} and Koordinator's page, 2026-08 (sGPU); {GPUSTACK}",
        "labels": _NOTES,
        "components": f"{_NOTES}; {HAMI_SOURCE}; mx-exporter: undated, read 2026-11",
        "aliases": f"{_NOTES}: mx-smi says MetaX C550, labels MXC550",
        "devices": f"{_NOTES}; gpustack/runtime, 2026-08 (mxcd, mxnd, mxgd)",
        "toolkit": (
            "tags of cr.metax-tech.com in verl-project/verl, undated, read 2026-11; "
            "flagos-ai/release-info base/, 2026-08"
        ),
    },
)
