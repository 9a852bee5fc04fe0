"""The downloads of one fetch: in parallel, journalled, stopped by the first failure."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tasks.base.progress import OnBytes
from tasks.outside.disk.files import Journal
from tasks.weights.manifest import FileEntry, Manifest


class Downloader(Protocol):
    """What the store needs of `hub.Hub`."""

    def download(
        self,
        manifest: Manifest,
        entry: FileEntry,
        target_dir: Path,
        on_bytes: OnBytes | None = None,
        cancel: threading.Event | None = None,
    ) -> str:
        """Complete target_dir/entry.path, return its sha256."""
        ...


@dataclass(frozen=True)
class Update:
    """Progress in bytes. present: of `total`, found or fetched; fetched: in this run. While a
    published folder is hashed again both are what was hashed."""

    present: int
    fetched: int
    total: int
    path: str


class Downloads:
    """The downloads of one fetch."""

    def __init__(
        self,
        manifest: Manifest,
        staging: Path,
        hub: Downloader,
        on_verified: Callable[[str], None] | None,
    ) -> None:
        self.manifest, self.files, self.hub = manifest, staging / "files", hub
        self.on_verified = on_verified
        self.journal = Journal(staging / "verified.jsonl")
        self.received, self.sums = 0, dict[str, str]()
        self._at: dict[str, int] = {}
        self._last = ""
        self._lock, self._cancel = threading.Lock(), threading.Event()

    def go(self, parallel: int, on_update: Callable[[Update], None] | None) -> None:
        """Fetch what the journal does not vouch for; the first failure stops the rest."""
        todo = []
        for entry in self.manifest.files:
            known = self.journal.verified(self.files, entry)
            if known is None:
                todo.append(entry)
            else:
                self.sums[entry.path], self._at[entry.path] = known, entry.size
        # Largest first: the longest file decides when all are done.
        todo.sort(key=lambda entry: -entry.size)
        with ThreadPoolExecutor(max(1, parallel), thread_name_prefix="fetch") as pool:
            futures = [pool.submit(self._one, entry) for entry in todo]
            try:
                self._watch(futures, on_update)
            except BaseException:
                self._cancel.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _watch(
        self, futures: list[Future[None]], on_update: Callable[[Update], None] | None
    ) -> None:
        waiting = set(futures)
        while True:
            done, waiting = wait(waiting, timeout=1.0, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            if on_update is not None:
                on_update(self._update())
            if not waiting:
                return

    def _update(self) -> Update:
        with self._lock:
            here = sum(self._at.values())
            return Update(here, self.received, self.manifest.total_bytes, self._last)

    def _one(self, entry: FileEntry) -> None:
        def told(position: int, received: int) -> None:
            with self._lock:
                self._at[entry.path], self._last = position, entry.path
                self.received += received

        found = self.hub.download(self.manifest, entry, self.files, told, self._cancel)
        self.journal.add(self.files, entry, found)
        with self._lock:
            self.sums[entry.path] = found
        if self.on_verified is not None:
            self.on_verified(entry.path)
