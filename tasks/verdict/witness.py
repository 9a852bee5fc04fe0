"""What a second witness of the measurement says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Witness:
    """success: everything it expects holds. failed: what does not, one line each."""

    success: bool
    failed: tuple[str, ...] = ()
