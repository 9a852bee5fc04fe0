"""Small file system steps of the store: locks, durability, the journal of verified files."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.base import clock
from tasks.base.errors import OutsideError
from tasks.weights.manifest import FileEntry

BLOCK = 4 << 20
_SAY_EVERY_S = 10.0


@contextmanager
def locked(path: Path, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the flock at `path`, waiting as long as another process (or container) has it.

    on_wait hears a sentence at once and then every 10 s. The kernel frees the lock when its
    holder dies, so nothing stale can block. OutsideError when the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        raise OutsideError(f"cannot write the store's lock {path}: {error.strerror}") from error
    try:
        started, said = clock.monotonic(), None
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                now = clock.monotonic()
                if on_wait is not None and (said is None or now - said >= _SAY_EVERY_S):
                    on_wait(f"waiting for another fetch of {path.stem}, {now - started:.0f} s")
                    said = now
                clock.sleep(0.5)
        yield
    finally:
        os.close(descriptor)


def plain_dir(root: Path, path: Path) -> Path:
    """Return `path`; OutsideError when it, or a folder between it and `root`, is a symlink."""
    step = path
    while step != root:
        if step.is_symlink():
            raise OutsideError(f"{step} is a symlink; the store never follows one, remove it")
        step = step.parent
    return path


def present(path: Path) -> int:
    """Size in bytes of a plain file, -1 when there is none (a symlink is none)."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def write_whole(path: Path, text: str) -> None:
    """Write a small file durably and in one step: a kill leaves all of it or nothing."""
    half = path.with_name(path.name + ".half")
    with half.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def hash_file(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """sha256 of a file, 64 hex digits; on_bytes hears how many more bytes were hashed."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
            if on_bytes is not None:
                on_bytes(len(block))
    return digest.hexdigest()


def sync_tree(*tops: Path, files_too: bool = True) -> None:
    """Make folders durable, with `files_too` everything below them, deepest first."""
    paths = [
        *(path for top in tops if files_too for path in sorted(top.rglob("*"), reverse=True)),
        *tops,
    ]
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # no such thing on this disk
                raise
        finally:
            os.close(descriptor)


def freeze(top: Path) -> None:
    """Read-only for everyone, except `top` itself, which still has to be renamed."""
    for path in top.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)


def thaw(top: Path) -> None:
    """The inverse of `freeze`, top included."""
    top.chmod(0o755)
    for folder, names, files in os.walk(top):
        for name in (*names, *files):
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else 0o644)


def delete_tree(path: Path) -> None:
    """Delete, also what is read-only; another process deleting the same is no error."""
    with suppress(FileNotFoundError):
        thaw(path)
    shutil.rmtree(path, ignore_errors=True)


class Journal:
    """Which staged files were verified: JSON lines of path, size, mtime_ns, sha256.

    Written after the file is durable, so a line vouches for bytes on the disk; a file touched
    since has another mtime and is hashed again. A last line torn by a kill is skipped.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._rows: dict[str, tuple[int, int, str]] = {}
        with suppress(FileNotFoundError):
            for line in path.read_text(errors="replace").splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    row = json.loads(line)
                    self._rows[row["path"]] = (row["size"], row["mtime_ns"], row["sha256"])

    def verified(self, folder: Path, entry: FileEntry) -> str | None:
        """The sha256 of a file that is verified and untouched, else None."""
        row = self._rows.get(entry.path)
        if row is None or row[0] != entry.size or entry.sha256 not in (None, row[2]):
            return None
        if present(folder / entry.path) != entry.size:
            return None
        return row[2] if (folder / entry.path).stat().st_mtime_ns == row[1] else None

    def add(self, folder: Path, entry: FileEntry, sha256: str) -> None:
        """Vouch for a durable, verified file."""
        mtime = (folder / entry.path).stat().st_mtime_ns
        row = {"path": entry.path, "size": entry.size, "mtime_ns": mtime, "sha256": sha256}
        # A newline in front: a torn last line must not swallow this one.
        line = "\n" + json.dumps(row) + "\n"
        try:
            with self._lock, self._path.open("a") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutsideError(f"cannot write {self._path}: {error.strerror}") from error
