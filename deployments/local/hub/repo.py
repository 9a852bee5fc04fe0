"""Models with revisions in a folder: commits are immutable lists of content-addressed files.

<root>/blobs/<2>/<sha256>                     the bytes
<root>/models/<owner>/<name>/refs.json        {"branches": {...}, "tags": {...}} -> commit
<root>/models/<owner>/<name>/commits/<id>.json
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MODEL_ID = re.compile(r"[A-Za-z0-9_-][\w.-]*/[A-Za-z0-9_-][\w.-]*")
# Above this a file is stored the way the hub stores large ones, and linked instead of copied.
LFS_BYTES = 1 << 20


@dataclass(frozen=True)
class Blob:
    """A file of a commit. since: the commit that brought these bytes; date: Unix seconds."""

    path: str
    size: int
    sha256: str
    since: str
    date: int


@dataclass(frozen=True)
class Commit:
    """One immutable version."""

    id: str
    parent: str | None
    message: str
    date: int
    files: tuple[Blob, ...]


def publish(
    folder: Path,
    model_id: str,
    branch: str,
    files: Path | Mapping[str, Path | bytes],
    message: str = "",
) -> str:
    """Commit exactly `files` (a folder, or {path: file or bytes}) to a branch; returns the id.

    Large files are hard-linked where the disk allows, so do not change them in place afterwards.
    The same files as the branch has already give its commit back.
    """
    found = _collect(files)
    shas = {path: _keep(folder, source) for path, source in sorted(found.items())}
    refs = read_refs(folder, model_id) or {"branches": {}, "tags": {}}
    parent_id = refs["branches"].get(branch)
    parent = read_commit(folder, model_id, parent_id) if parent_id else None
    before = {blob.path: blob for blob in parent.files} if parent else {}
    if parent and {path: blob.sha256 for path, blob in before.items()} == {
        path: sha for path, (sha, _) in shas.items()
    }:
        return parent.id
    date = int(time.time())
    text = json.dumps([parent_id, message, date, shas], sort_keys=True)
    commit = hashlib.sha1(text.encode()).hexdigest()
    rows = []
    for path, (sha, size) in shas.items():
        old = before.get(path)
        kept = old if old is not None and old.sha256 == sha else None
        rows.append(
            {
                "path": path,
                "size": size,
                "sha256": sha,
                "since": kept.since if kept else commit,
                "date": kept.date if kept else date,
            }
        )
    body = {"id": commit, "parent": parent_id, "message": message, "date": date, "files": rows}
    _write(_model(folder, model_id) / "commits" / f"{commit}.json", body)
    refs["branches"][branch] = commit
    _write(_model(folder, model_id) / "refs.json", refs)
    return commit


def tag(folder: Path, model_id: str, name: str, commit: str) -> None:
    """Name a commit."""
    refs = read_refs(folder, model_id)
    if refs is None or read_commit(folder, model_id, commit) is None:
        raise ValueError(f"{model_id} has no commit {commit}")
    refs["tags"][name] = commit
    _write(_model(folder, model_id) / "refs.json", refs)


def head(folder: Path, model_id: str, revision: str) -> str | None:
    """The commit a branch, tag or commit id stands for, or None."""
    refs = read_refs(folder, model_id)
    if refs is None:
        return None
    named = refs["branches"].get(revision) or refs["tags"].get(revision)
    if named is None and read_commit(folder, model_id, revision):
        return revision
    return named


def read_refs(folder: Path, model_id: str) -> dict[str, dict[str, str]] | None:
    """Branches and tags of a model; None when it does not exist."""
    try:
        found: dict[str, dict[str, str]] = json.loads(
            (_model(folder, model_id) / "refs.json").read_text()
        )
    except FileNotFoundError:
        return None
    return found


def read_commit(folder: Path, model_id: str, commit: str) -> Commit | None:
    """One commit, or None."""
    if len(commit) != 40 or not commit.isalnum():
        return None
    try:
        data = json.loads((_model(folder, model_id) / "commits" / f"{commit}.json").read_text())
    except FileNotFoundError:
        return None
    data["files"] = tuple(Blob(**row) for row in data["files"])
    return Commit(**data)


def blob_path(folder: Path, sha256: str) -> Path:
    """Where the bytes lie."""
    return folder / "blobs" / sha256[:2] / sha256


def _model(folder: Path, model_id: str) -> Path:
    if not _MODEL_ID.fullmatch(model_id):
        raise ValueError(f"{model_id!r} is no model id; expected owner/name")
    return folder / "models" / model_id


def _collect(files: Path | Mapping[str, Path | bytes]) -> dict[str, Path | bytes]:
    if isinstance(files, Path):
        found: dict[str, Path | bytes] = {
            path.relative_to(files).as_posix(): path for path in files.rglob("*") if path.is_file()
        }
    else:
        found = dict(files)
    if not found:
        raise ValueError("a commit needs at least one file")
    return found


def _keep(folder: Path, source: Path | bytes) -> tuple[str, int]:
    """Put the bytes into the blobs; returns (sha256, size)."""
    if isinstance(source, bytes):
        sha, size = hashlib.sha256(source).hexdigest(), len(source)
    else:
        with source.open("rb") as file:
            sha = hashlib.file_digest(file, "sha256").hexdigest()
        size = source.stat().st_size
    target = blob_path(folder, sha)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{uuid.uuid4().hex}")
        if isinstance(source, bytes):
            half.write_bytes(source)
        else:
            _link(source, half, size)
        half.replace(target)
    return sha, size


def _link(source: Path, target: Path, size: int) -> None:
    if size > LFS_BYTES:
        try:
            os.link(source.resolve(), target)
            return
        except OSError:  # another file system, or links forbidden
            pass
    shutil.copyfile(source, target)


def _write(path: Path, body: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    half.write_text(json.dumps(body, indent=1, ensure_ascii=False))
    half.replace(path)
