"""What several vendors' rows say alike."""

from __future__ import annotations

from tasks.accelerators.types import ResourcePattern

PTRACE = "SYS_PTRACE: the collective library maps memory between the worker processes"
UNCONFINED = "seccomp Unconfined: the compute driver uses calls the default profile refuses"
VIDEO = "group 44 (video): owns the device files"
HAMI = r"hami-.*device-plugin"
DROP_BUT_PTRACE = {"drop": ["ALL"], "add": ["SYS_PTRACE"]}


def gpustack_parts(base: str) -> ResourcePattern:
    """What GPUStack's operator adds to a vendor's name for parts of cards. base: a regex.

    Source: gpustack-operator docs/accelerator-requests.md, 2026.
    """
    return ResourcePattern("dynamic", rf"{base}\.(shared|sliced|partitioned)(\..+)?", "gpustack")
