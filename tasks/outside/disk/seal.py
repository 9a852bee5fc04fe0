"""Whether a published folder is what it was: by its bytes, or since it was not touched.

A seal holds size, mtime, ctime and inode of every file of a published folder. The kernel sets
ctime at every change of a file, and no ordinary tool sets it back; a folder that was copied,
restored or put there by hand has other ones. A seal is memory and never proof of its own: without
one, or with one that differs, the bytes are hashed again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tasks.base import clock
from tasks.outside.disk.downloads import Update
from tasks.outside.disk.files import hash_file, write_whole
from tasks.weights.manifest import RECORD_NAME, Manifest

# path below the folder -> size (bytes), mtime (ns), ctime (ns), inode
Marks = dict[str, list[int]]


def marks(folder: Path) -> Marks:
    """What the file system tells of everything below `folder` but folders themselves."""
    out = {}
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            seen = path.lstat()
            name = path.relative_to(folder).as_posix()
            out[name] = [seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino]
    return out


def write_seal(path: Path, digest: str, seen: Marks) -> None:
    """Remember that the files with these marks hold the manifest `digest`. A disk that takes no
    seal costs the next fetch its time, no more."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"digest": digest, "files": seen}))


def sealed(path: Path, digest: str) -> Marks | None:
    """The marks of the files that were found to hold the manifest `digest`; None unknown."""
    try:
        found = json.loads(path.read_text())
        seen: Marks = found["files"]
        return seen if found["digest"] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def differences(
    manifest: Manifest,
    folder: Path,
    recorded: Mapping[str, str],
    on_update: Callable[[Update], None] | None = None,
) -> Iterator[str]:
    """Hash `folder` again; every difference from the manifest as one sentence.

    recorded: sha256 by path as it was when fetched, for files the hub gives none for. on_update is
    called about once a second.
    """
    hashed, said = 0, clock.monotonic()
    for entry in manifest.files:

        def told(count: int, path: str = entry.path) -> None:
            nonlocal hashed, said
            hashed += count
            now = clock.monotonic()
            if on_update is not None and (now - said >= 1 or hashed == manifest.total_bytes):
                said = now
                on_update(Update(hashed, hashed, manifest.total_bytes, path))

        wanted = entry.sha256 or recorded.get(entry.path)
        found = hash_file(folder / entry.path, told)
        if found != wanted:
            yield f"{entry.path} has sha256 {found}, expected {wanted}"
    known = {RECORD_NAME, *(entry.path for entry in manifest.files)}
    yield from (f"{path} does not belong here" for path in sorted(marks(folder).keys() - known))
