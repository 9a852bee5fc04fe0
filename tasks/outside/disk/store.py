"""Weights on one host's disk.

<root>/<owner>/<name>/<commit>/            published, complete, read-only
<root>/.staging/<owner>--<name>--<commit>/ one fetch: files/, verified.jsonl, manifest.json
<root>/.seals/                             whether a published folder was touched since we hashed it
<root>/.locks/                             one flock per target: containers share a hostPath
<root>/.trash/                             renamed here first, then deleted
<root>/.doomed/                            what a clean-up is about to remove (see doomed)

A folder under its final name is complete, always: it appears by one rename, after every byte was
hashed by us and made durable. A fetch killed at any instruction goes on where it was.

What is published is looked at anew by every fetch: names and sizes against the manifest, and the
seal against the file system, which costs one stat a file. A folder that is not as its seal says is
hashed again, at the speed of the disk or of sha256, whichever is slower.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.base import clock
from tasks.base.errors import OutsideError, Refused, StepFailed
from tasks.outside.disk.doomed import Doom, taken
from tasks.outside.disk.downloads import Downloader, Downloads, Update
from tasks.outside.disk.files import (
    Journal,
    delete_tree,
    freeze,
    locked,
    plain_dir,
    present,
    sync_tree,
    thaw,
    write_whole,
)
from tasks.outside.disk.seal import differences, marks, sealed, write_seal
from tasks.weights.disk import KeepFree
from tasks.weights.manifest import RECORD_NAME, Manifest, safe_commit, safe_model

StopCheck = Callable[[], None]


@dataclass(frozen=True)
class StoreState:
    """What is there of a manifest; bytes. free, total: of the store's file system."""

    published: bool
    bytes_present: int
    bytes_missing: int
    free: int
    total: int


@dataclass(frozen=True)
class Fetched:
    """A finished fetch. unhashed: paths the hub gave no sha256 for (size checked, hash recorded).

    bytes_fetched: over the network, in this run. bytes_rehashed: of a published folder that was
    not as we left it, and proved whole again.
    """

    path: Path
    commit: str
    digest: str
    bytes_fetched: int
    seconds: float
    unhashed: tuple[str, ...]
    bytes_rehashed: int = 0


@dataclass(frozen=True)
class Published:
    """One published folder; digest: of the manifest it was fetched by."""

    model: str
    commit: str
    digest: str
    bytes: int
    path: Path
    published_at: str


# what to do about a folder that is to be fetched
AGAIN = "; remove it, then fetch again"


class WeightStore:
    """The store at `root`. space(path) -> (free, total) bytes, replaceable for tests."""

    def __init__(self, root: Path, space: Callable[[Path], tuple[int, int]] | None = None) -> None:
        self.root = root
        self._space = space or _disk_space

    def path(self, model: str, commit: str) -> Path:
        """The final folder of a commit; ValueError when either name is unsafe."""
        owner, name = safe_model(model)
        return self.root / owner / name / safe_commit(commit)

    def record(self, model: str, commit: str) -> dict[str, Any] | None:
        """What was written at publishing (schema, manifest, unhashed, published_at), or None."""
        path = plain_dir(self.root, self.path(model, commit)) / RECORD_NAME
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StepFailed(f"{path} cannot be read: {error}; remove the folder") from error
        return found if isinstance(found, dict) else None

    def inspect(self, manifest: Manifest) -> StoreState:
        """Look only: what is there, what is missing, how much disk is free."""
        free, total = self._space(_nearest(self.root))
        if self.path(manifest.model, manifest.commit).is_dir():
            return StoreState(True, manifest.total_bytes, 0, free, total)
        files = self._staging(manifest.model, manifest.commit) / "files"
        here = sum(min(max(present(files / e.path), 0), e.size) for e in manifest.files)
        return StoreState(False, here, manifest.total_bytes - here, free, total)

    def check_published(self, manifest: Manifest) -> Path | None:
        """The published folder when it is whole by names and sizes; None when there is none.

        StepFailed when a folder is there that differs: it is never repaired in place, since an
        engine may be serving from it.
        """
        final = plain_dir(self.root, self.path(manifest.model, manifest.commit))
        if not final.exists():
            return None
        record = self.record(manifest.model, manifest.commit)
        stored = (record or {}).get("digest")
        if stored != manifest.digest:
            raise StepFailed(
                f"{final} holds other files ({stored}) than {manifest.model} lists for this commit "
                f"({manifest.digest}){AGAIN}"
            )
        for entry in manifest.files:
            found = present(final / entry.path)
            if found != entry.size:
                what = "is missing or no plain file"
                if found >= 0:
                    what = f"has {found} bytes instead of {entry.size}"
                raise StepFailed(
                    f"{final / entry.path} {what}: the published folder was damaged{AGAIN}"
                )
        with suppress(OSError):
            final.chmod(0o555)
        return final

    def untouched(self, manifest: Manifest) -> Path | None:
        """The published folder when nobody touched it since its bytes were hashed, else None.

        StepFailed as `check_published`.
        """
        final = self.check_published(manifest)
        if final is None:
            return None
        seal = sealed(self._seal_path(manifest.model, manifest.commit), manifest.digest)
        return final if seal is not None and seal == marks(final) else None

    def prove(
        self, manifest: Manifest, on_update: Callable[[Update], None] | None = None
    ) -> Path | None:
        """Hash the published folder again; None when there is none.

        on_update: present and fetched are the bytes hashed so far. StepFailed, with every
        difference, when the folder is not what the manifest and its record say.
        """
        final = self.check_published(manifest)
        if final is None:
            return None
        before = marks(final)
        sums = (self.record(manifest.model, manifest.commit) or {}).get("sha256") or {}
        problems = list(differences(manifest, final, sums, on_update))
        if not problems and marks(final) != before:
            problems.append("its files changed while they were hashed")
        if problems:
            raise StepFailed(
                f"the published folder {final} was damaged: {'; '.join(problems[:10])}{AGAIN}"
            )
        write_seal(self._seal_path(manifest.model, manifest.commit), manifest.digest, before)
        return final

    def fetch(
        self,
        manifest: Manifest,
        hub: Downloader,
        *,
        keep_free: KeepFree = KeepFree(),  # noqa: B008 - it is frozen
        parallel: int = 4,
        on_update: Callable[[Update], None] | None = None,
        on_verified: Callable[[str], None] | None = None,
        on_wait: Callable[[str], None] | None = None,
        check: StopCheck | None = None,
        rehash: bool = False,
    ) -> Fetched:
        """Bring the manifest's files here, verify every byte, publish by one rename.

        rehash: hash a published folder again although nobody touched it. keep_free: what
        must stay free afterwards. check: called before publishing, raises when this rollout may no
        longer write. on_update is called about once a second.
        Refused when the disk is too small (nothing was written), OutsideError when hub or disk
        fail (what came is kept), StepFailed when the published folder differs.
        """
        started = clock.monotonic()
        staging = self._staging(manifest.model, manifest.commit)
        self._seal_path(manifest.model, manifest.commit)
        doom = self.doom(manifest.model, manifest.commit)
        quick = not rehash and not staging.exists()
        if quick and (done := self.untouched(manifest)) and not doom.by:
            return _fetched(manifest, done, 0, started)
        with taken(self._lock_path(manifest.model, manifest.commit), doom, on_wait):
            if self.check_published(manifest):
                if staging.exists():  # of a fetch killed right after its rename
                    self._discard(staging)
                if not rehash and (done := self.untouched(manifest)):
                    return _fetched(manifest, done, 0, started)
                if on_wait is not None:
                    on_wait(_rehashing(manifest))
                if done := self.prove(manifest, on_update):
                    return _fetched(manifest, done, 0, started, manifest.total_bytes)
            self._refuse_full_disk(manifest, keep_free)
            staging = self._prepare(manifest)
            run = Downloads(manifest, staging, hub, on_verified)
            run.go(parallel, on_update)
            if check is not None:
                check()
            done = self._publish(manifest, staging, run.sums)
        self.sweep()
        return _fetched(manifest, done, run.received, started)

    def remove(
        self, model: str, commit: str, *, dry_run: bool = False, word: str | None = None
    ) -> int:
        """Delete a published folder and its staging; returns the bytes (to be) freed.

        word: only where it bears this mark still (see doomed), which goes too. It leaves its final
        name in one step, so nobody ever sees half of it.
        """
        final = plain_dir(self.root, self.path(model, commit))
        staging = self._staging(model, commit)
        size = sum(
            p.lstat().st_size for top in (final, staging) for p in top.rglob("*") if p.is_file()
        )
        if dry_run or not (final.exists() or staging.exists()):
            return size
        with locked(self._lock_path(model, commit)):
            doom = self.doom(model, commit)
            if word is not None and doom.by != word:
                return 0
            self._seal_path(model, commit).unlink(missing_ok=True)
            for path in (final, staging):
                if path.exists():
                    self._discard(path)
            doom.lift()
        self.sweep()
        return size

    def doom(self, model: str, commit: str) -> Doom:
        """Who is about to remove a commit."""
        return Doom(self.root, self._key(model, commit))

    def list(self) -> tuple[Published, ...]:
        """All published folders, sorted by model and commit."""
        found = []
        for path in sorted(self.root.glob(f"[!.]*/*/*/{RECORD_NAME}")):
            commit, name, owner = (path.parents[at].name for at in range(3))
            try:
                record = json.loads(path.read_text())
                model = f"{owner}/{name}"
                found.append(
                    Published(
                        model,
                        safe_commit(commit),
                        record["digest"],
                        sum(entry["size"] for entry in record["manifest"]["files"]),
                        path.parent,
                        record["published_at"],
                    )
                )
            except (OSError, ValueError, KeyError, TypeError):
                continue  # not ours
        return tuple(found)

    def sweep(self) -> None:
        """Delete what a killed removal left in the trash."""
        for path in (self.root / ".trash").glob("*"):
            delete_tree(path)

    def _key(self, model: str, commit: str) -> str:
        owner, name = safe_model(model)
        return f"{owner}--{name}--{safe_commit(commit)}"

    def _staging(self, model: str, commit: str) -> Path:
        return plain_dir(self.root, self.root / ".staging" / self._key(model, commit))

    def _lock_path(self, model: str, commit: str) -> Path:
        return plain_dir(self.root, self.root / ".locks") / f"{self._key(model, commit)}.lock"

    def _seal_path(self, model: str, commit: str) -> Path:
        return plain_dir(self.root, self.root / ".seals" / f"{self._key(model, commit)}.json")

    def _refuse_full_disk(self, manifest: Manifest, keep_free: KeepFree) -> None:
        state = self.inspect(manifest)
        keep = keep_free.bytes_of(state.total)
        if state.free - state.bytes_missing < keep:
            raise Refused(
                f"{self.root} has {_gib(state.free)} free of {_gib(state.total)}; "
                f"{manifest.model} still needs {_gib(state.bytes_missing)} and {_gib(keep)} must "
                f"stay free ({keep_free.why(state.total)}): make room, or lower that field"
            )

    def _prepare(self, manifest: Manifest) -> Path:
        """The staging folder for exactly this manifest; one of another manifest is discarded."""
        staging = self._staging(manifest.model, manifest.commit)
        mark = staging / "manifest.json"
        wanted = json.dumps({"model": manifest.model, "digest": manifest.digest})
        try:
            if staging.exists() and (not mark.exists() or mark.read_text() != wanted):
                self._discard(staging)
            (staging / "files").mkdir(parents=True, exist_ok=True)
            if not mark.exists():
                write_whole(mark, wanted)
            thaw(staging / "files")
            known = {entry.path for entry in manifest.files}
            for path in (staging / "files").rglob("*"):
                name = path.relative_to(staging / "files").as_posix()
                if path.is_symlink() or (not path.is_dir() and name not in known):
                    path.unlink()
        except OSError as error:
            raise OutsideError(f"cannot write the store {self.root}: {error}") from error
        return staging

    def _publish(self, manifest: Manifest, staging: Path, sums: dict[str, str]) -> Path:
        files, final = staging / "files", self.path(manifest.model, manifest.commit)
        record = {
            "schema": 1,
            "digest": manifest.digest,
            "manifest": manifest.to_dict(),
            "sha256": {entry.path: sums[entry.path] for entry in manifest.files},
            "unhashed": [entry.path for entry in manifest.files if entry.sha256 is None],
            "published_at": clock.now().isoformat(),
        }
        try:
            (files / RECORD_NAME).write_text(json.dumps(record, ensure_ascii=False, indent=1))
            freeze(files)
            sync_tree(files)
            final.parent.mkdir(parents=True, exist_ok=True)
            plain_dir(self.root, final)
            files.rename(final)
            # Last: moving a folder needs the right to write in it.
            final.chmod(0o555)
            sync_tree(self.root, *final.parents[:2], files_too=False)
            seen, journal = marks(final), Journal(staging / "verified.jsonl")
            if all(journal.verified(final, entry) for entry in manifest.files):
                # not touched between hashing and here
                write_seal(self._seal_path(manifest.model, manifest.commit), manifest.digest, seen)
            self._discard(staging)
        except OSError as error:
            raise OutsideError(f"cannot publish {final}: {error}") from error
        return final

    def _discard(self, path: Path) -> None:
        trash = plain_dir(self.root, self.root / ".trash")
        trash.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)
        gone = trash / f"{path.name}-{uuid.uuid4().hex}"
        path.rename(gone)
        delete_tree(gone)


def _fetched(
    manifest: Manifest, path: Path, received: int, started: float, rehashed: int = 0
) -> Fetched:
    unhashed = tuple(entry.path for entry in manifest.files if entry.sha256 is None)
    seconds = clock.monotonic() - started
    return Fetched(path, manifest.commit, manifest.digest, received, seconds, unhashed, rehashed)


def _rehashing(manifest: Manifest) -> str:
    return f"{_gib(manifest.total_bytes)} are there and are hashed again"


def _nearest(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())


def _disk_space(path: Path) -> tuple[int, int]:
    usage = shutil.disk_usage(path)
    return usage.free, usage.total


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 1 << 30 else f"{count / 2**20:.1f} MiB"
