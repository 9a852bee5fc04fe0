"""The one seam for time, sleeping and randomness, so that tests need not wait.

Code asks `clock.now()`, `clock.monotonic()`, `clock.sleep()` and `clock.rng()`;
a test swaps the whole clock with `use(FakeClock())`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta


class Clock:
    """The real clock."""

    def now(self) -> datetime:
        """Current time, timezone-aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))

    def rng(self) -> random.Random:
        """A fresh random source, seeded by the system."""
        return random.Random()  # noqa: S311 - jitter and seeds, no secrets


class FakeClock(Clock):
    """A clock whose sleep returns at once and moves time on."""

    def __init__(self, start: datetime | None = None, seed: int = 0) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._mono = 0.0
        self._seed = seed

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._mono

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._mono += seconds

    def rng(self) -> random.Random:
        return random.Random(self._seed)  # noqa: S311


_clock: Clock = Clock()


@contextmanager
def use(other: Clock) -> Iterator[Clock]:
    """Swap the clock inside a `with` block."""
    global _clock
    before, _clock = _clock, other
    try:
        yield other
    finally:
        _clock = before


def moment(text: str) -> datetime | None:
    """A time as we write it: ISO 8601 with its zone. None for what is none, or so far away that
    what is computed from it could overflow."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None and 2000 <= found.year <= 9000 else None


def now() -> datetime:
    """Current time, UTC."""
    return _clock.now()


def monotonic() -> float:
    """Monotonic seconds."""
    return _clock.monotonic()


def sleep(seconds: float) -> None:
    """Wait `seconds`."""
    _clock.sleep(seconds)


def rng() -> random.Random:
    """A fresh random source."""
    return _clock.rng()
