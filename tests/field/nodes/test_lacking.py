"""Cards that a node lacks, and memory that no tool tells: what the spec may state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CASES = "lacking"


def test_lacking(sibling: dict[str, Any], holds: Callable[[dict[str, Any]], None]) -> None:
    holds(sibling)
