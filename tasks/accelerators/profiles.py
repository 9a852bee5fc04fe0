"""Accelerator profiles: one row per vendor, no code per vendor. Standard library only.

A profile says how a vendor's cards show up in Kubernetes (resources, labels, DaemonSets), on the
host (modules, PCI, device files, smi tool) and what a serving pod needs to use them. The probe
on the node and the judge in the flow read the same row.
"""

from __future__ import annotations

from tasks.accelerators.rows import PROFILES
from tasks.accelerators.toolkits import normal_toolkit
from tasks.accelerators.types import Profile

__all__ = ["PROFILES", "Profile", "normal_toolkit", "profile"]


def profile(name: str) -> Profile:
    """The profile of that name; ValueError names those that exist."""
    try:
        return PROFILES[name]
    except KeyError:
        known = ", ".join(sorted(PROFILES))
        raise ValueError(f"no accelerator profile '{name}'; known are {known}") from None
