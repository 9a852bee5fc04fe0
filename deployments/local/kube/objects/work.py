"""A queue of keys and the one thread that works on them."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Hashable

LOG = logging.getLogger(__name__)
RETRY_S = 1.0


class Work:
    """Calls `handle(key)` in one thread for each key added; a key waiting twice is handled once.

    A handler that raises is logged and its key tried again after a second.
    """

    def __init__(self, name: str, handle: Callable[[Hashable], None]) -> None:
        self._handle = handle
        self._ready: dict[Hashable, None] = {}
        self._later: list[tuple[float, int, Hashable]] = []
        self._due: dict[Hashable, float] = {}
        self._count = 0
        self._stopping = False
        self._wake = threading.Condition(threading.Lock())
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the key in hand."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(10.0)

    def add(self, key: Hashable, delay: float = 0.0) -> None:
        """Handle `key` now or after `delay` seconds; of two delays the sooner counts."""
        with self._wake:
            if delay <= 0:
                self._ready[key] = None
            else:
                due = time.monotonic() + delay
                if self._due.get(key, due + 1) <= due:
                    return
                self._due[key] = due
                self._count += 1
                heapq.heappush(self._later, (due, self._count, key))
            self._wake.notify()

    def _next(self) -> Hashable | None:
        with self._wake:
            while not self._stopping:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    due, _, key = heapq.heappop(self._later)
                    if self._due.get(key) == due:
                        del self._due[key]
                        self._ready[key] = None
                if self._ready:
                    key = next(iter(self._ready))
                    del self._ready[key]
                    return key
                self._wake.wait(self._later[0][0] - now if self._later else None)
        return None

    def _run(self) -> None:
        while (key := self._next()) is not None:
            try:
                self._handle(key)
            except Exception:
                LOG.exception("handling %s failed; trying again", key)
                self.add(key, RETRY_S)
