"""Downloads from memory into a store on disk."""

from __future__ import annotations

import threading
from hashlib import sha256
from pathlib import Path

from tasks.base.errors import OutsideError
from tasks.outside.modelscope.hubfile import Piece, receive
from tasks.weights.manifest import FileEntry, Manifest, build

HEAD = "0123456789" * 4


class Copy:
    """Downloads from memory, by the code that writes the hub's bytes."""

    def __init__(self, data: dict[str, bytes], fail: str = "") -> None:
        self.data, self.fail, self.received = data, fail, 0
        self.started: list[str] = []

    def download(
        self,
        manifest: Manifest,
        entry: FileEntry,
        target_dir: Path,
        on_bytes: object = None,
        cancel: threading.Event | None = None,
    ) -> str:
        self.started.append(entry.path)
        if entry.path == self.fail:
            raise OutsideError(f"no {entry.path} today")

        def told(position: int, received: int) -> None:
            self.received += received
            if callable(on_bytes):
                on_bytes(position, received)

        return receive(entry, target_dir / entry.path, self._piece(entry.path), told)

    def _piece(self, path: str):  # type: ignore[no-untyped-def]
        def ask(offset: int) -> Piece:
            rest = self.data[path][offset:]
            return Piece(offset, (rest[at : at + 4096] for at in range(0, len(rest), 4096)))

        return ask


def manifest_of(data: dict[str, bytes], commit: str | None = HEAD, hashed: bool = True) -> Manifest:
    rows = [
        FileEntry(path, len(body), sha256(body).hexdigest() if hashed else None)
        for path, body in data.items()
    ]
    return build("demo/tiny", "master", commit, rows)
