"""How much of a store's file system stays free after a fetch.

Below its eviction thresholds a kubelet ends pods, without a grace period, and taints the node. Its
defaults on Linux: nodefs.available<10%, imagefs.available<15% of the capacity, both looked at where
one file system is both (kubernetes.io, "Node-pressure Eviction"; pkg/kubelet/eviction,
defaults_linux.go and helpers.go, 1.36).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

GIB = 1 << 30
# The kubelet looks every 10 s, and logs, images and other pods write meanwhile.
MARGIN_PERCENT = 1.0


@dataclass(frozen=True)
class KeepFree:
    """gib: what the spec keeps free. eviction_percent: free space of the file system below which
    its kubelet evicts; 0 where it looks at another."""

    gib: float = 0.0
    eviction_percent: float = 0.0

    def bytes_of(self, total: int) -> int:
        """Bytes of a file system of `total` that must stay free: the larger of the two."""
        return max(math.ceil(self.gib * GIB), self._evicts(total))

    def why(self, total: int) -> str:
        """Where that figure comes from, for a person."""
        if self._evicts(total) <= self.gib * GIB:
            return "store.keep_free_gib"
        return (
            f"the kubelet evicts pods below {self.eviction_percent:g} % free, and "
            f"{MARGIN_PERCENT:g} % more is kept: store.eviction_percent"
        )

    def _evicts(self, total: int) -> int:
        if not self.eviction_percent:
            return 0
        return math.ceil(total * (self.eviction_percent + MARGIN_PERCENT) / 100)
