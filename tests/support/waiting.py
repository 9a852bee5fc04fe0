"""Waiting for what others do."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def until(
    check: Callable[[], T],
    *,
    timeout_s: float = 300.0,
    every_s: float = 0.5,
    forgiving: tuple[type[Exception], ...] = (),
) -> T:
    """The first true answer. forgiving: errors that mean no more than "not yet"."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(*forgiving):
            if found := check():
                return found
        time.sleep(every_s)
    raise AssertionError(f"waited {timeout_s:g} s in vain")
