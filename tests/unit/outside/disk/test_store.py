"""The store on disk, with a download that needs no network."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tasks.base.errors import OutsideError, Refused, StepFailed
from tasks.outside.disk.downloads import Update
from tasks.outside.disk.files import Journal, delete_tree, locked
from tasks.outside.disk.store import WeightStore
from tasks.weights.disk import KeepFree
from tasks.weights.manifest import RECORD_NAME, FileEntry, Manifest
from tests.support.hubs import files, same
from tests.support.stores import HEAD, Copy, manifest_of


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "models"


DATA = files(40_000)


def test_fetch_publishes_read_only_and_leaves_nothing_behind(root: Path) -> None:
    store, manifest, seen = WeightStore(root), manifest_of(DATA), list[Update]()
    verified: list[str] = []
    done = store.fetch(manifest, Copy(DATA), on_update=seen.append, on_verified=verified.append)
    assert done.path == root / "demo" / "tiny" / HEAD and same(done.path, DATA)
    assert done.bytes_fetched == manifest.total_bytes and done.unhashed == ()
    assert sorted(verified) == sorted(DATA)
    assert (seen[-1].present, seen[-1].fetched) == (manifest.total_bytes, manifest.total_bytes)
    modes = {path.stat().st_mode & 0o222 for path in (done.path, *done.path.rglob("*"))}
    assert modes == {0}
    assert not list((root / ".staging").iterdir()) and not list((root / ".trash").iterdir())
    assert [(p.model, p.commit, p.digest) for p in store.list()] == [
        ("demo/tiny", HEAD, manifest.digest)
    ]
    assert store.prove(manifest) == done.path


def test_a_published_commit_is_not_fetched_again(root: Path) -> None:
    store, manifest = WeightStore(root), manifest_of(DATA)
    store.fetch(manifest, Copy(DATA))
    again = Copy(DATA)
    assert store.fetch(manifest, again).bytes_fetched == 0 and again.started == []
    assert store.inspect(manifest).published


def test_a_failed_fetch_publishes_nothing_and_is_gone_on_with(root: Path) -> None:
    store, manifest = WeightStore(root), manifest_of(DATA)
    with pytest.raises(OutsideError, match=r"no config.json today"):
        store.fetch(manifest, Copy(DATA, fail="config.json"), parallel=1)
    assert not (root / "demo").exists() and store.list() == ()
    state = store.inspect(manifest)
    assert (state.published, state.bytes_missing) == (False, len(DATA["config.json"]))
    again = Copy(DATA)
    assert store.fetch(manifest, again).bytes_fetched == len(DATA["config.json"])
    assert "weights/model.safetensors" not in again.started


def test_a_staged_file_that_was_touched_is_hashed_again(root: Path) -> None:
    store, manifest, big = WeightStore(root), manifest_of(DATA), "weights/model.safetensors"
    with pytest.raises(OutsideError):
        store.fetch(manifest, Copy(DATA, fail="config.json"), parallel=1)
    staged = next(root.glob(f".staging/*/files/{big}"))
    staged.write_bytes(b"x" + staged.read_bytes()[1:])
    again = Copy(DATA)
    with pytest.raises(Exception, match="sha256"):
        store.fetch(manifest, again)
    assert big in again.started and not (root / "demo").exists()


def test_staging_of_other_files_under_the_same_commit_is_not_mixed_in(root: Path) -> None:
    store, old = WeightStore(root), files(40_000, seed=1)
    with pytest.raises(OutsideError):
        store.fetch(manifest_of(old), Copy(old, fail="config.json"), parallel=1)
    done = store.fetch(manifest_of(DATA), Copy(DATA))
    assert same(done.path, DATA) and done.bytes_fetched == sum(map(len, DATA.values()))


@pytest.mark.parametrize(
    ("keep", "kept", "why"),
    [
        (KeepFree(gib=2), 2 << 30, "store.keep_free_gib"),
        # 10 % evict, and one more
        (KeepFree(1, 10), 11 * 10**10, "the kubelet evicts pods below 10 % free"),
    ],
)
def test_a_full_disk_is_refused_before_anything_is_written(
    root: Path, keep: KeepFree, kept: int, why: str
) -> None:
    manifest, disk = manifest_of(DATA), 10**12
    need = manifest.total_bytes + kept
    with pytest.raises(Refused, match=rf"must stay free \(.*{why}"):
        WeightStore(root, lambda _: (need - 1, disk)).fetch(manifest, Copy(DATA), keep_free=keep)
    assert not [p for p in root.rglob("*") if p.is_file() and p.suffix != ".lock"]
    WeightStore(root, lambda _: (need, disk)).fetch(manifest, Copy(DATA), keep_free=keep)


def test_only_what_is_missing_counts_against_the_disk(root: Path) -> None:
    manifest = manifest_of(DATA)
    with pytest.raises(OutsideError):
        WeightStore(root).fetch(manifest, Copy(DATA, fail="config.json"), parallel=1)
    small = len(DATA["config.json"])
    WeightStore(root, lambda _: (small, 10**12)).fetch(manifest, Copy(DATA))


def test_files_without_a_server_hash_are_recorded_and_said(root: Path) -> None:
    store, manifest = WeightStore(root), manifest_of(DATA, hashed=False)
    done = store.fetch(manifest, Copy(DATA))
    assert done.unhashed == tuple(sorted(DATA))
    record = store.record("demo/tiny", HEAD)
    assert record is not None
    assert record["sha256"] == {path: sha256(body).hexdigest() for path, body in DATA.items()}


def change(path: Path, body: bytes) -> None:
    """Write over a published file, in place, as root could."""
    path.chmod(0o644)
    path.write_bytes(body)
    path.chmod(0o444)


def publish(root: Path) -> tuple[WeightStore, Manifest, Path]:
    store, manifest = WeightStore(root), manifest_of(DATA)
    return store, manifest, store.fetch(manifest, Copy(DATA)).path


def test_damage_is_found_and_never_repaired_in_place(root: Path) -> None:
    store, manifest, path = publish(root)
    weights = path / "weights" / "model.safetensors"
    change(weights, b"x" + weights.read_bytes()[1:])
    path.chmod(0o755)
    (path / "stray").write_text("")
    assert store.check_published(manifest) == path  # sizes cannot tell
    again = Copy(DATA)
    with pytest.raises(StepFailed, match="was damaged") as caught:
        store.fetch(manifest, again)
    assert "weights/model.safetensors has sha256" in str(caught.value)
    assert "stray does not belong here" in str(caught.value) and again.started == []
    change(weights, b"short")
    with pytest.raises(StepFailed, match="5 bytes instead of 40000"):
        store.fetch(manifest, Copy(DATA))
    weights.parent.chmod(0o755)
    weights.unlink()
    with pytest.raises(StepFailed, match=r"model\.safetensors is missing or no plain file: the"):
        store.fetch(manifest, Copy(DATA))


def hashed(root: Path, manifest: Manifest) -> int:
    """What a fetch of something published had to hash again."""
    again = Copy(DATA)
    done = WeightStore(root).fetch(manifest, again)
    assert again.started == [] and done.bytes_fetched == 0
    return done.bytes_rehashed


def test_what_nobody_touched_is_not_hashed_again(root: Path) -> None:
    _, manifest, _ = publish(root)
    assert hashed(root, manifest) == 0
    done = WeightStore(root).fetch(manifest, Copy(DATA), rehash=True)
    assert done.bytes_rehashed == manifest.total_bytes


@pytest.mark.parametrize("what", ["copied", "restored", "touched", "no seal", "torn seal"])
def test_what_is_not_as_we_left_it_is_hashed_again_once(root: Path, what: str) -> None:
    """The same bytes each time: whole, but nobody could have known."""
    _, manifest, path = publish(root)
    weights, seal = path / "weights" / "model.safetensors", next((root / ".seals").iterdir())
    if what == "copied":  # another folder under the same name
        path.chmod(0o755)
        shutil.copytree(path, root / "copy")
        path.rename(root / "old")
        (root / "copy").rename(path)
    elif what == "restored":  # size and mtime as they were
        seen = weights.stat()
        change(weights, weights.read_bytes())
        os.utime(weights, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    elif what == "touched":
        weights.touch()
    elif what == "no seal":  # of a store before there were any, or a kill before it was written
        seal.unlink()
    else:
        seal.write_text(seal.read_text()[:40])
    assert hashed(root, manifest) == manifest.total_bytes
    assert hashed(root, manifest) == 0


def test_hashing_again_tells_how_far_it_is(root: Path) -> None:
    store, manifest, _ = publish(root)
    seen, said = list[Update](), list[str]()
    store.fetch(manifest, Copy(DATA), rehash=True, on_update=seen.append, on_wait=said.append)
    assert (seen[-1].present, seen[-1].total) == (manifest.total_bytes, manifest.total_bytes)
    assert "hashed again" in said[0]


def test_a_file_without_a_server_hash_is_held_against_what_was_fetched(root: Path) -> None:
    store, manifest = WeightStore(root), manifest_of(DATA, hashed=False)
    path = store.fetch(manifest, Copy(DATA)).path
    change(path / "config.json", b"x" * len(DATA["config.json"]))
    with pytest.raises(StepFailed, match=r"config.json has sha256"):
        store.fetch(manifest, Copy(DATA))


def test_a_folder_that_is_gone_is_fetched_again(root: Path) -> None:
    store, manifest, path = publish(root)
    path.chmod(0o755)
    delete_tree(path)
    assert store.fetch(manifest, Copy(DATA)).bytes_fetched == manifest.total_bytes
    assert hashed(root, manifest) == 0


def test_a_commit_whose_files_changed_is_an_error(root: Path) -> None:
    store = WeightStore(root)
    store.fetch(manifest_of(DATA), Copy(DATA))
    other = files(40_000, seed=1)
    with pytest.raises(StepFailed, match="holds other files"):
        store.fetch(manifest_of(other), Copy(other))


def test_the_fence_is_asked_before_publish(root: Path) -> None:
    store, manifest = WeightStore(root), manifest_of(DATA)

    def lost() -> None:
        raise StepFailed("the lease is gone")

    with pytest.raises(StepFailed, match="lease"):
        store.fetch(manifest, Copy(DATA), check=lost)
    assert not (root / "demo").exists()


def test_remove(root: Path) -> None:
    store, manifest = WeightStore(root), manifest_of(DATA)
    store.fetch(manifest, Copy(DATA))
    freed = store.remove("demo/tiny", HEAD, dry_run=True)
    assert freed > manifest.total_bytes and store.list()
    assert store.remove("demo/tiny", HEAD) == freed
    assert store.list() == () and not list((root / ".trash").iterdir())
    assert not list((root / ".seals").iterdir())
    assert store.remove("demo/tiny", HEAD) == 0
    for model, commit in (("../x/y", HEAD), ("demo/tiny", "../..")):
        with pytest.raises(ValueError, match="expected"):
            store.remove(model, commit)


@pytest.mark.parametrize(
    "place", ["demo", "demo/tiny", f"demo/tiny/{HEAD}", ".staging", ".locks", ".seals", ".doomed"]
)
def test_symlinks_in_the_store_are_not_followed(root: Path, tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / place).parent.mkdir(parents=True)
    (root / place).symlink_to(outside)
    with pytest.raises(OutsideError, match="symlink"):
        WeightStore(root).fetch(manifest_of(DATA), Copy(DATA))
    assert not list(outside.iterdir())


def test_a_disk_that_cannot_be_written_is_an_outside_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideError, match="cannot write"):
        WeightStore(tmp_path / "file" / "models").fetch(manifest_of(DATA), Copy(DATA))


def test_the_lock_waits_and_says_so(tmp_path: Path) -> None:
    path, said, order = tmp_path / "x.lock", list[str](), list[str]()
    entered = threading.Event()

    def first() -> None:
        with locked(path):
            entered.set()
            while not said:
                os.sched_yield()
            order.append("first out")

    other = threading.Thread(target=first)
    other.start()
    entered.wait()
    with locked(path, said.append):
        order.append("second in")
    other.join()
    assert order == ["first out", "second in"] and "waiting for another fetch of x" in said[0]


def test_a_torn_journal_line_is_skipped(tmp_path: Path) -> None:
    entry = FileEntry("a", 1, sha256(b"a").hexdigest())
    (tmp_path / "a").write_bytes(b"a")
    path = tmp_path / "j"
    Journal(path).add(tmp_path, entry, entry.sha256 or "")
    whole = path.read_text()
    path.write_text(whole + whole.strip()[:30])
    second = FileEntry("b", 0, None)
    (tmp_path / "b").touch()
    Journal(path).add(tmp_path, second, "ee")
    assert Journal(path).verified(tmp_path, entry) == entry.sha256
    assert Journal(path).verified(tmp_path, second) == "ee"


def test_record_names_do_not_leak_into_the_manifest(root: Path) -> None:
    done = WeightStore(root).fetch(manifest_of(DATA), Copy(DATA))
    assert (done.path / RECORD_NAME).stat().st_mode & 0o777 == 0o444
