"""Bytes of one file from one HTTP answer to one file on disk, every byte hashed.

Kept apart from `hub` so that it knows nothing of ModelScope but its two ways to answer a range:
files served by the hub itself answer 200 with Content-Range, its CDN 206 (measured).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from modelscope_hub.errors import APIError

from tasks.base.errors import OutsideError
from tasks.weights.manifest import FileEntry

BLOCK = 4 << 20
_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)\Z", re.IGNORECASE)


class Rejected(Exception):
    """The bytes on disk or on offer cannot be those of the listing; start over or give up."""


@dataclass(frozen=True)
class Piece:
    """An answer: the offset in the file at which its bytes begin, and the bytes."""

    offset: int
    chunks: Iterator[bytes]


def open_piece(
    response: requests.Response, chunks: Iterator[bytes], asked: int, entry: FileEntry
) -> Piece:
    """Read where the answer begins; Rejected when its size contradicts the listing.

    A server that ignores the range sends the whole file: offset 0.
    """
    match = _RANGE.match(response.headers.get("Content-Range", "").strip())
    length = response.headers.get("Content-Length", "")
    plain = response.headers.get("Content-Encoding", "identity") in ("", "identity")
    if match:
        offset = int(match[1])
        total = None if match[3] == "*" else int(match[3])
    else:
        offset = 0
        total = int(length) if length.isdigit() and plain else None
    if response.status_code == 206 and (match is None or offset != asked):
        raise requests.ConnectionError("the answer is not the range asked for")
    if total is not None and total != entry.size:
        raise Rejected(f"it has {total} bytes there, {entry.size} were listed")
    if offset not in (0, asked):
        raise requests.ConnectionError("the answer begins at another place than asked")
    return Piece(offset, chunks)


def receive(
    entry: FileEntry,
    target: Path,
    ask: Callable[[int], Piece],
    told: Callable[[int, int], None],
) -> str:
    """Complete `target` and return its sha256; durable on return.

    The part already on disk is hashed first, then the rest is asked for and appended. Raises
    Rejected for wrong bytes, requests.ConnectionError for an answer that ended early (what came
    is kept), OutsideError when the disk fails.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _disk(target, error) from error
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        digest, position = hashlib.sha256(), 0
        if os.fstat(descriptor).st_size > entry.size:
            os.truncate(descriptor, 0)
        while block := file.read(BLOCK):
            digest.update(block)
            position += len(block)
        told(position, 0)
        if position < entry.size or position == 0:
            try:
                piece = ask(position)
            except APIError as error:
                if error.status_code == 416 and position:
                    raise Rejected("the hub has no bytes where ours end") from error
                raise
            if piece.offset != position:
                digest, position = hashlib.sha256(), 0
                file.seek(0)
                os.truncate(descriptor, 0)
                told(0, 0)
            for chunk in piece.chunks:
                if position + len(chunk) > entry.size:
                    raise Rejected(f"more than the {entry.size} bytes listed came")
                digest.update(chunk)
                _write(file.fileno(), chunk, target)
                position += len(chunk)
                told(position, len(chunk))
        if position < entry.size:
            raise requests.ConnectionError(f"ended at {position} of {entry.size} bytes")
        found = digest.hexdigest()
        if entry.sha256 is not None and found != entry.sha256:
            raise Rejected(f"sha256 {found[:12]}... instead of {entry.sha256[:12]}...")
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise _disk(target, error) from error
    return found


def _write(descriptor: int, chunk: bytes, target: Path) -> None:
    view = memoryview(chunk)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise _disk(target, error) from error


def _disk(target: Path, error: OSError) -> OutsideError:
    return OutsideError(f"cannot write {target}: {error.strerror}")
