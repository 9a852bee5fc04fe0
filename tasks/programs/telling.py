"""How a Job on a node says what it does: JSON lines on stdout."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tasks.base import clock
from tasks.base.errors import Exit, OutsideError, RolloutError
from tasks.base.scrub import mask
from tasks.outside.disk.downloads import Update
from tasks.weights.messages import Failed, Message, Transfer, line_of

_say_lock = threading.Lock()


def say(message: Message) -> None:
    """Print one line and flush it."""
    with _say_lock:
        print(mask(line_of(message)), flush=True)


class Rate:
    """Bytes per second over the last seconds."""

    def __init__(self, window: int = 5) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=window + 1)

    def __call__(self, fetched: int) -> float:
        """Note that `fetched` bytes have come so far; returns the current rate."""
        self._seen.append((clock.monotonic(), fetched))
        (then, before), (now, after) = self._seen[0], self._seen[-1]
        return (after - before) / (now - then) if now > then else 0.0


def transfers() -> Callable[[Update], None]:
    """What says how far a transfer, or a hash, is."""
    rate = Rate()

    def update(now: Update) -> None:
        say(Transfer(now.present, now.total, round(rate(now.fetched)), now.path))

    return update


def ended(work: Callable[[], None], store: Path) -> int:
    """Do a Job's work on a store; says what went wrong, and gives the exit status."""
    try:
        work()
    except RolloutError as error:
        say(Failed("outside" if isinstance(error, OutsideError) else "damaged", str(error)))
        return Exit.ERROR
    except OSError as error:
        say(Failed("disk", f"{store}: {error.strerror or error}"))
        return Exit.ERROR
    return 0
