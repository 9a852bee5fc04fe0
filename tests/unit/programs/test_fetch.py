"""The fetch Job against the local hub: its lines, its exit status, kills and collisions."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.local.hub import Fault, LocalHub, publish
from tasks.base.errors import OutsideError
from tasks.outside.disk.files import delete_tree
from tasks.programs import fetch
from tasks.weights.manifest import Manifest
from tests.support.hubs import MODEL, client, events, files, job, publish_tiny, same, start

BIG = "weights/model.safetensors"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    publish_tiny(tmp_path / "hub")
    with LocalHub(tmp_path / "hub") as served:
        yield served


@pytest.fixture
def manifest(hub: LocalHub) -> Manifest:
    return client(hub).resolve(MODEL, "master")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "models"


def run(
    capsys: pytest.CaptureFixture[str],
    hub: LocalHub,
    store: Path,
    manifest: Manifest,
    *more: str,
    idle_s: str = "60",
) -> tuple[int, list[dict[str, Any]]]:
    """Run the Job in this process; its exit status and its lines. idle_s: brief for a hub that is
    silent on purpose."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        status = fetch.main(job(hub, store, manifest, "--idle-timeout-s", idle_s, *more)[5:])
    finally:
        signal.signal(signal.SIGTERM, before)
    return status, events(capsys.readouterr().out)


def test_fetches_publishes_and_tells(
    hub: LocalHub, manifest: Manifest, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines = run(capsys, hub, store, manifest)
    assert status == 0 and same(store / MODEL / manifest.commit, files())
    assert {line["event"] for line in lines} == {"progress", "verified", "done"}
    last = [line for line in lines if line["event"] == "progress"][-1]
    assert last["done"] == last["total"] == manifest.total_bytes and last["rate"] >= 0
    done = lines[-1]
    assert done["commit"] == manifest.commit and done["digest"] == manifest.digest
    assert done["bytes_fetched"] == manifest.total_bytes == hub.counters["bytes"]
    status, lines = run(capsys, hub, store, manifest)
    assert (status, [line["event"] for line in lines]) == (0, ["done"])
    assert lines[0]["bytes_fetched"] == 0 and hub.counters["bytes"] == manifest.total_bytes


def test_every_fault_at_once_is_survived(
    hub: LocalHub, manifest: Manifest, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.add(
        Fault("status", "@files", status=503),
        Fault("status", BIG, status=429, retry_after=0),
        Fault("cut", BIG, after=50_000),
        Fault("stall", BIG, after=60_000),
        Fault("corrupt", "config.json"),
        Fault("redirect", BIG, times=None),
    )
    status, _ = run(capsys, hub, store, manifest, idle_s="3")
    assert status == 0 and same(store / MODEL / manifest.commit, files())


def test_lasting_corruption_is_an_error_and_publishes_nothing(
    hub: LocalHub, manifest: Manifest, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.add(Fault("corrupt", "config.json", times=None))
    status, lines = run(capsys, hub, store, manifest)
    assert status == 1 and lines[-1]["kind"] == "outside" and "wrong bytes" in lines[-1]["message"]
    assert not (store / MODEL).exists()


def test_a_moved_branch_is_refused(
    hub: LocalHub, manifest: Manifest, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_tiny(hub.folder, seed=1)
    status, lines = run(capsys, hub, store, manifest)
    assert status == 1 and lines[-1]["kind"] == "moved" and "has moved" in lines[-1]["message"]
    assert not store.exists()


def test_a_branch_that_moves_after_the_listing_is_told_apart_from_damage(
    tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "hub"
    publish_tiny(root)
    with LocalHub(root, commits=False) as hub:  # nothing pins the listing here
        manifest = client(hub).resolve(MODEL, "master")
        real = fetch._fetch

        def moves_first(*args: Any) -> Any:
            publish_tiny(root, seed=1)
            return real(*args)

        monkeypatch.setattr(fetch, "_fetch", moves_first)
        status, lines = run(capsys, hub, store, manifest)
    assert status == 1 and lines[-1]["kind"] == "moved"
    assert not (store / MODEL).exists()


def test_a_pinned_commit_is_fetched_although_the_branch_moves(
    hub: LocalHub, manifest: Manifest, store: Path
) -> None:
    publish_tiny(hub.folder, seed=1)
    entry = manifest.entry("config.json")
    assert entry is not None
    client(hub).download(manifest, entry, store)
    assert (store / "config.json").read_bytes() == files()["config.json"]


def test_a_small_disk_is_refused(
    hub: LocalHub, manifest: Manifest, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines = run(capsys, hub, store, manifest, "--keep-free-gib", "1e9")
    assert status == 1 and lines[-1]["kind"] == "disk" and hub.counters["bytes"] == 0


def test_the_disk_is_proof_and_no_earlier_fetch(
    hub: LocalHub, manifest: Manifest, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, hub, store, manifest)
    status, lines = run(capsys, hub, store, manifest, "--verify")
    assert status == 0 and lines[-1]["bytes_rehashed"] == manifest.total_bytes
    path = store / MODEL / manifest.commit / "config.json"
    path.chmod(0o644)
    path.write_bytes(b"X" + path.read_bytes()[1:])
    status, lines = run(capsys, hub, store, manifest)
    assert status == 1 and lines[-1]["kind"] == "damaged" and "config.json" in lines[-1]["message"]
    path.parent.chmod(0o755)
    delete_tree(path.parent)
    status, lines = run(capsys, hub, store, manifest)
    assert status == 0 and lines[-1]["bytes_fetched"] == manifest.total_bytes


def test_excluded_files_make_another_folder(
    hub: LocalHub, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = client(hub).resolve(MODEL, "master", ["*.txt"])
    assert run(capsys, hub, store, part, "--exclude=*.txt")[0] == 0
    wanted = {path: body for path, body in files().items() if not path.endswith(".txt")}
    assert same(store / MODEL / part.commit, wanted)


def test_bad_arguments_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        fetch.parse(["--model=a/b", "--revision=m", "--commit=../x", "--digest=d", "--store=/s"])
    assert caught.value.code == 2 and "no commit" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_while_bytes_come_it_goes_on_where_it_was(
    tmp_path: Path, number: signal.Signals
) -> None:
    size = 8 << 20
    wanted = publish_tiny(tmp_path / "hub", size)
    store = tmp_path / "models"
    with LocalHub(tmp_path / "hub", [Fault("stall", BIG, after=size // 2)]) as hub:
        manifest = client(hub).resolve(MODEL, "master")
        command = job(hub, store, manifest)
        child = start(command, tmp_path)
        assert child.stdout is not None
        for line in child.stdout:  # half of it is on disk, the rest stalls
            if json.loads(line).get("done", 0) >= size // 2:
                break
        child.send_signal(number)
        child.communicate()
        assert child.returncode == (-9 if number == signal.SIGKILL else 128 + number)
        assert not (store / MODEL).exists()
        child = start(command, tmp_path)
        out, err = child.communicate(timeout=300)
        assert child.returncode == 0, out + err
        assert same(store / MODEL / manifest.commit, wanted)
        done = events(out)[-1]
        assert 0 < done["bytes_fetched"] <= size // 2
        assert hub.counters["bytes"] <= manifest.total_bytes + (1 << 20)


def test_two_jobs_on_one_store_fetch_once(tmp_path: Path) -> None:
    wanted = publish_tiny(tmp_path / "hub", 2 << 20)
    store = tmp_path / "models"
    with LocalHub(tmp_path / "hub", [Fault("slow", BIG, times=None, rate=2e6)]) as hub:
        manifest = client(hub).resolve(MODEL, "master")
        both = [start(job(hub, store, manifest), tmp_path / str(at)) for at in range(2)]
        outs = [child.communicate(timeout=300) for child in both]
        assert [child.returncode for child in both] == [0, 0], outs
        fetched = sorted(events(out)[-1]["bytes_fetched"] for out, _ in outs)
        assert fetched == [0, manifest.total_bytes] and hub.counters["bytes"] == fetched[1]
        assert same(store / MODEL / manifest.commit, wanted)


def test_the_token_of_the_environment_is_used_and_never_printed(tmp_path: Path) -> None:
    publish_tiny(tmp_path / "hub")
    with LocalHub(tmp_path / "hub", token="s3cret") as hub:
        with pytest.raises(OutsideError, match="401"):
            client(hub).resolve(MODEL, "master")
        manifest = client(hub, token="s3cret").resolve(MODEL, "master")
        command = job(hub, tmp_path / "models", manifest)
        here = {"MODEL_ROLLOUT_HUB_TOKEN_FOR": hub.url, "MODELSCOPE_API_TOKEN": "of-modelscope"}
        bad = start(command, tmp_path, MODEL_ROLLOUT_HUB_TOKEN="other", **here)
        out, err = bad.communicate(timeout=300)
        assert bad.returncode == 1 and "refused the login" in events(out)[-1]["message"]
        good = start(command, tmp_path, MODEL_ROLLOUT_HUB_TOKEN="s3cret", **here)
        out, err = good.communicate(timeout=300)
        assert good.returncode == 0 and "s3cret" not in out + err
    assert {path.name for path in tmp_path.iterdir()} == {"hub", "models"}  # nothing in its HOME


def test_what_a_hub_with_an_evil_listing_gets(
    hub: LocalHub, manifest: Manifest, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(hub.folder, MODEL, "master", {"../../../evil": b"boo", "config.json": b"{}"})
    status, lines = run(capsys, hub, store, manifest)
    assert status == 1 and "could leave the folder" in lines[-1]["message"]
    assert not store.exists() and {path.name for path in store.parent.iterdir()} == {"hub"}
