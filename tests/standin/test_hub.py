"""The local hub's own promises, and the models we make for it."""

from __future__ import annotations

import json
import stat
import struct
from pathlib import Path

import httpx
import pytest

from deployments.local.errors import StandInError
from deployments.local.hub import Fault, LocalHub, head, publish, tag
from deployments.local.model import ensure_model, tiny_model
from tests.support.hubs import MODEL, client, publish_tiny

API = f"/api/v1/models/{MODEL}"
# through no proxy of the machine; a port comes again, and what was kept open to it has ended
HTTP = httpx.Client(timeout=60, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


def test_commits_are_immutable_and_branches_move(tmp_path: Path) -> None:
    first = publish(tmp_path, MODEL, "master", {"a": b"1", "b": b"2"}, "one")
    assert publish(tmp_path, MODEL, "master", {"b": b"2", "a": b"1"}, "again") == first
    second = publish(tmp_path, MODEL, "master", {"a": b"1", "b": b"3"}, "two")
    tag(tmp_path, MODEL, "v1", first)
    assert head(tmp_path, MODEL, "master") == second != first == head(tmp_path, MODEL, "v1")
    with LocalHub(tmp_path) as hub:
        for revision, body in (("master", b"3"), ("v1", b"2"), (first, b"2")):
            query = {"Revision": revision, "FilePath": "b"}
            assert HTTP.get(f"{hub.url}{API}/repo", params=query).content == body
        rows = HTTP.get(f"{hub.url}{API}/repo/files?Revision=master&Recursive=True").json()
        assert {row["Path"]: row["CommitId"] for row in rows["Data"]["Files"]} == {
            "a": first,
            "b": second,
        }
    with pytest.raises(ValueError, match="no commit"):
        tag(tmp_path, MODEL, "v2", "0" * 40)


def test_large_files_are_linked_not_copied(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "model", 4 << 20)
    publish(tmp_path / "hub", MODEL, "master", model)
    assert (model / "model.safetensors").stat().st_nlink == 2
    assert (model / "config.json").stat().st_nlink == 1


def test_ranges_direct_and_through_the_cdn(tmp_path: Path) -> None:
    publish(tmp_path, MODEL, "master", {"big": bytes(range(256)) * 8192})
    query, part = {"FilePath": "big"}, {"Range": "bytes=256-511"}
    with LocalHub(tmp_path) as hub:
        direct = HTTP.get(f"{hub.url}{API}/repo", params=query, headers=part)
        assert direct.status_code == 200 and direct.content == bytes(range(256))
        assert direct.headers["Content-Range"] == f"bytes 256-511/{256 * 8192}"
        past = {"Range": f"bytes={256 * 8192}-"}
        assert HTTP.get(f"{hub.url}{API}/repo", params=query, headers=past).status_code == 416
    with LocalHub(tmp_path, cdn=True) as hub:
        moved = HTTP.get(f"{hub.url}{API}/repo", params=query, headers=part)
        assert moved.status_code == 302 and not moved.headers["Location"].startswith(hub.url)
        followed = HTTP.get(moved.headers["Location"], headers=part)
        assert followed.status_code == 206 and followed.content == bytes(range(256))


def test_faults_by_http_and_counters(tmp_path: Path) -> None:
    publish_tiny(tmp_path)
    with LocalHub(tmp_path) as hub:
        url, query = f"{hub.url}{API}/repo", {"FilePath": "config.json"}
        fault = {"kind": "status", "path": "*.json", "status": 429, "retry_after": 7}
        assert HTTP.post(f"{hub.url}/debug/faults", json=fault).json()[0]["times"] == 1
        struck = HTTP.get(url, params=query)
        assert (struck.status_code, struck.headers["Retry-After"]) == (429, "7")
        assert HTTP.get(url, params=query).status_code == 200  # once only
        bad = HTTP.post(f"{hub.url}/debug/faults", json={"kind": "nonsense"})
        assert bad.status_code == 400 and "known are" in bad.json()["error"]
        HTTP.post(f"{hub.url}/debug/faults", json=[{**fault, "times": None}])
        assert HTTP.get(url, params=query).status_code == 429
        assert HTTP.delete(f"{hub.url}/debug/faults").json() == []
        size = len(HTTP.get(url, params=query).content)
        assert HTTP.get(f"{hub.url}/debug/counters").json()["bytes"] == 2 * size


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with LocalHub(tmp_path) as hub, pytest.raises(OSError, match="in use"):
        LocalHub(tmp_path, port=int(hub.url.rsplit(":", 1)[1])).start()


def test_slow_means_slow(tmp_path: Path) -> None:
    publish(tmp_path, MODEL, "master", {"f": b"x" * 4000})
    with LocalHub(tmp_path, [Fault("slow", rate=40_000)]) as hub:
        answer = HTTP.get(f"{hub.url}{API}/repo", params={"FilePath": "f"})
        assert len(answer.content) == 4000 and answer.elapsed.total_seconds() >= 0.08


def test_tiny_models_are_valid_and_repeatable(tmp_path: Path) -> None:
    one = tiny_model(tmp_path / "one", 10_000, shards=2, seed=5)
    two = tiny_model(tmp_path / "two", 10_000, shards=2, seed=5)
    other = tiny_model(tmp_path / "other", 10_000, shards=2, seed=6)
    names = sorted(path.name for path in one.iterdir())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)
    index = json.loads((one / "model.safetensors.index.json").read_text())
    for tensor, name in index["weight_map"].items():
        raw = (one / name).read_bytes()
        assert raw != (other / name).read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        about = json.loads(raw[8 : 8 + length])[tensor]
        assert about["data_offsets"] == [0, len(raw) - 8 - length] == [0, about["shape"][0] * 2]
    assert json.loads((one / "config.json").read_text())["model_type"] == "llama"
    publish(tmp_path / "hub", MODEL, "master", one)
    with LocalHub(tmp_path / "hub") as hub:
        manifest = client(hub).resolve(MODEL, "master")
        assert client(hub).read_small(MODEL, manifest, "config.json", 4096)


def _fake_python(folder: Path, body: str) -> Path:
    """Stands where the engine's Python is asked for; $2 is the target folder."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nif [ "$2" = --version ]; then echo 9.9; exit; fi\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_model_is_built_once_and_appears_whole(tmp_path: Path) -> None:
    python = _fake_python(tmp_path, 'echo step; echo built >> "$2/../count"; touch "$2/x"')
    said: list[str] = []
    cache = tmp_path / "cache"
    made = [ensure_model(python, cache, said.append) for _ in range(2)]
    assert made[0] == made[1] == cache / "smollm2-135m-instruct-9.9-r1"
    assert (cache / "count").read_text() == "built\n" and said[0] == "step"
    assert sorted(path.name for path in cache.iterdir()) == ["count", made[0].name]


def test_a_failed_build_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    python = _fake_python(tmp_path, "echo no memory >&2; exit 3")
    with pytest.raises(StandInError, match=r"failed \(3\): no memory"):
        ensure_model(python, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    with pytest.raises(StandInError, match="run make setup"):
        ensure_model(tmp_path / "missing", tmp_path / "cache")
