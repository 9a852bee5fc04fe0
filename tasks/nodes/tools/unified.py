"""Devices that take of the host's memory: what a tool calls their own says nothing."""

from __future__ import annotations

import re

# LLVM's AMDGPU table and the kernel's amdgpu ids, 2026: targets of integrated devices alone
_TARGET = re.compile(r"gfx(902|90c|1013|103[3567]|1103|115\d)\b")
_IDS = re.compile(
    r"0x(15dd|15d8|1636|1638|164c|163f|1681|164e|15bf|15c8|1900|1901|150e|1586|1114)\b", re.I
)
# 'AMD Radeon Graphics', 'Radeon 8060S', 'Radeon 780M'; a discrete card says RX, Pro or AI
_NAME = re.compile(r"Radeon(\(TM\))?\s+(Graphics|\d{3,4}[MS]\b)", re.I)
_CARVED_MIB = 16384.0  # a driver that is too old calls a discrete card 'AMD Radeon Graphics', too


def amd_unified(name: str, ids: str, memory_mib: float | None) -> bool:
    """ids: text in which a target (gfx1151) or a PCI id (0x1586) may stand.

    Strix Halo, ROCm/ROCm#5444: amd-smi tells 512 MB to 15.5 GB, and 51.75 GiB of weights serve.
    """
    if _TARGET.search(ids) or _IDS.search(ids):
        return True
    return bool(_NAME.search(name)) and memory_mib is not None and memory_mib < _CARVED_MIB
