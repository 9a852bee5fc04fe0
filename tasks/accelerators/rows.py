"""The rows of the accelerator table, one file a vendor below `vendors`."""

from __future__ import annotations

from tasks.accelerators.vendors.amd import AMD
from tasks.accelerators.vendors.ascend import ASCEND
from tasks.accelerators.vendors.cpu import CPU
from tasks.accelerators.vendors.hygon import HYGON
from tasks.accelerators.vendors.nvidia import NVIDIA

PROFILES = {row.name: row for row in (HYGON, NVIDIA, AMD, ASCEND, CPU)}
