"""What exactly one commit of a model consists of: path, size and sha256 of every file.

Everything after the first step of a rollout speaks of manifests, never of branches. Paths come
from the hub and are untrusted; no Manifest can be built with one that could leave its folder.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

MODEL_ID = re.compile(r"[A-Za-z0-9][\w.\-]*/[\w.\-]+\Z", re.ASCII)
BY_FILES = "digest-"  # begins the name of what the hub has no commit of
COMMIT = re.compile(rf"[0-9a-f]{{40}}(-[0-9a-f]{{8}})?\Z|{BY_FILES}[0-9a-f]{{16}}\Z")
HUB_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
RESERVED = ".model-rollout"
RECORD_NAME = RESERVED + ".json"
MAX_PATH_BYTES = 1024
MAX_PART_BYTES = 240
SCHEMA = 1
NAMED = 50  # paths that are named where there may be thousands


def safe_path(path: str) -> str:
    """Return `path` when it is a plain relative POSIX path below its folder.

    ValueError names the reason: empty, too long, absolute, a part '.', '..' or '', a backslash,
    a control character, not encodable, or a name we keep for ourselves (.model-rollout*).
    """
    if not isinstance(path, str) or not path:
        raise ValueError(f"{path!r} is no file path; expected a relative path such as config.json")
    bad = next((c for c in path if unicodedata.category(c) in ("Cc", "Cs")), None)
    if bad is not None:
        raise ValueError(f"{path!r} contains the control character {bad!r}")
    if "\\" in path:
        raise ValueError(f"{path!r} contains a backslash")
    if path.startswith("/"):
        raise ValueError(f"{path!r} is absolute")
    if len(path.encode()) > MAX_PATH_BYTES:
        raise ValueError(f"{path[:60]!r}... is longer than {MAX_PATH_BYTES} bytes")
    for part in path.split("/"):
        if part in ("", ".", ".."):
            raise ValueError(f"{path!r} has the part {part!r}, which could leave the folder")
        if len(part.encode()) > MAX_PART_BYTES:
            raise ValueError(f"{path[:60]!r}... has a name longer than {MAX_PART_BYTES} bytes")
        if part.casefold().startswith(RESERVED):
            raise ValueError(f"{path!r} uses the name {part!r}, which is kept for our own record")
    return path


def safe_model(model: str) -> tuple[str, str]:
    """Split a model id into owner and name; ValueError when it is not 'owner/name'."""
    if not isinstance(model, str) or not MODEL_ID.match(model):
        raise ValueError(f"{model!r} is no model id; expected owner/name")
    owner, name = model.split("/", 1)
    if ".." in (owner, name) or name == ".":
        raise ValueError(f"{model!r} is no model id; expected owner/name")
    return owner, name


def safe_commit(commit: str) -> str:
    """Return `commit` when it can name a folder: what Manifest.commit holds; else ValueError."""
    if not isinstance(commit, str) or not COMMIT.match(commit):
        raise ValueError(
            f"{commit!r} is no commit; expected 40 hexadecimal digits (then -<8> when files are "
            "excluded) or digest-<16>"
        )
    return commit


@dataclass(frozen=True, order=True)
class FileEntry:
    """One file: path relative to the folder, size in bytes, sha256 (64 hex digits) if known."""

    path: str
    size: int
    sha256: str | None = None

    def __post_init__(self) -> None:
        safe_path(self.path)
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 0:
            raise ValueError(f"{self.path!r} has the size {self.size!r}; expected bytes, 0 or more")
        if self.sha256 is not None and not SHA256.match(self.sha256):
            raise ValueError(
                f"{self.path!r} has the sha256 {self.sha256!r}; expected 64 hexadecimal digits"
            )


@dataclass(frozen=True)
class Manifest:
    """All files of one commit of one model, sorted by path.

    revision: what the user named. commit: names the folder of the weights (see `build`).
    ref: what the hub is asked for when a file is fetched: the commit where the hub serves
    commits, else the revision. It is no part of the digest, nor of equality.
    """

    model: str
    revision: str
    commit: str
    files: tuple[FileEntry, ...]
    ref: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        safe_model(self.model)
        safe_commit(self.commit)
        object.__setattr__(self, "files", tuple(sorted(self.files)))
        if not self.files:
            raise ValueError(f"{self.model} at {self.revision!r} has no files")
        _refuse_clashes(self.files)

    @property
    def total_bytes(self) -> int:
        """Size of all files in bytes."""
        return sum(entry.size for entry in self.files)

    @cached_property
    def digest(self) -> str:
        """'sha256:<64 hex>' over the sorted (path, size, sha256) of all files."""
        return digest_of(self.files)

    @property
    def short_digest(self) -> str:
        """The digest for people: 'sha256:<12 hex>'."""
        return self.digest[: len("sha256:") + 12]

    @property
    def fetch_ref(self) -> str:
        """What the hub is asked for when a file is fetched."""
        return self.ref or self.revision

    def entry(self, path: str) -> FileEntry | None:
        """The file at `path`, or None."""
        return next((entry for entry in self.files if entry.path == path), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the inverse of `from_dict`."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "revision": self.revision,
            "commit": self.commit,
            "ref": self.ref,
            "digest": self.digest,
            "files": [
                {"path": entry.path, "size": entry.size, "sha256": entry.sha256}
                for entry in self.files
            ],
        }

    def to_json(self) -> str:
        """JSON text of `to_dict`."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Manifest:
        """Build from `to_dict`'s data; ValueError when a field is missing, wrong or altered."""
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise ValueError(f"this is no manifest of schema {SCHEMA}")
        try:
            files = tuple(FileEntry(f["path"], f["size"], f["sha256"]) for f in data["files"])
            found = cls(data["model"], data["revision"], data["commit"], files, data.get("ref", ""))
        except (KeyError, TypeError) as error:
            raise ValueError(f"the manifest lacks a field or has a wrong type: {error}") from error
        if data.get("digest") != found.digest:
            raise ValueError(
                f"the manifest says digest {data.get('digest')}, its files give {found.digest}"
            )
        return found

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Parse `to_json`'s text; ValueError when it is not one."""
        return cls.from_dict(json.loads(text))


def digest_of(files: Iterable[FileEntry]) -> str:
    """'sha256:<64 hex>' over the sorted (path, size, sha256); the order given does not matter."""
    rows = [[entry.path, entry.size, entry.sha256] for entry in sorted(files)]
    text = json.dumps(rows, ensure_ascii=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def changed_files(old: Manifest, new: Manifest) -> dict[str, Any]:
    """What became of the files: added, changed and removed paths, NAMED of each at most, how many
    of all kinds (changed_files), and the bytes of those added or changed (changed_bytes)."""
    before = {entry.path: entry for entry in old.files}
    after = {entry.path: entry for entry in new.files}
    added = [path for path in after if path not in before]
    changed = [path for path in after if path in before and after[path] != before[path]]
    removed = [path for path in before if path not in after]
    return {
        "added": added[:NAMED],
        "changed": changed[:NAMED],
        "removed": removed[:NAMED],
        "changed_files": len(added) + len(changed) + len(removed),
        "changed_bytes": sum(after[path].size for path in (*added, *changed)),
    }


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a glob pattern matches the whole path, or its last name when it has no slash."""
    name = path.rsplit("/", 1)[-1]
    return any(
        fnmatchcase(path, pattern) or ("/" not in pattern and fnmatchcase(name, pattern))
        for pattern in patterns
    )


def build(
    model: str,
    revision: str,
    hub_commit: str | None,
    files: Iterable[FileEntry],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    ref: str = "",
) -> Manifest:
    """Choose files by glob and name the commit.

    commit is the hub's id; with '-<8 hex of the digest>' behind it when globs dropped files, so
    that two selections of one commit never share a folder; 'digest-<16 hex>' when the hub gave
    no id. An empty `include` means every file. ValueError when nothing is left.
    """
    every = list(files)
    kept = [
        entry
        for entry in every
        if (not include or matches(entry.path, include)) and not matches(entry.path, exclude)
    ]
    if every and not kept:
        raise ValueError(f"the patterns exclude all {len(every)} files of {model}")
    digest = digest_of(kept).removeprefix("sha256:")
    if hub_commit is None or not HUB_COMMIT.match(hub_commit):
        commit = BY_FILES + digest[:16]
    elif len(kept) < len(every):
        commit = f"{hub_commit}-{digest[:8]}"
    else:
        commit = hub_commit
    return Manifest(model, revision, commit, tuple(kept), ref)


def _refuse_clashes(files: Sequence[FileEntry]) -> None:
    """No two paths may be one on a case-insensitive disk, nor one be the folder of another."""
    seen: dict[str, str] = {}
    for entry in files:
        key = unicodedata.normalize("NFC", entry.path).casefold()
        if key in seen:
            raise ValueError(f"{entry.path!r} and {seen[key]!r} would be one file on some disks")
        seen[key] = entry.path
    for key, path in seen.items():
        parent = key
        while "/" in parent:
            parent = parent.rsplit("/", 1)[0]
            if parent in seen:
                raise ValueError(f"{seen[parent]!r} is a file and the folder of {path!r}")
