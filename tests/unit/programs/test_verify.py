"""The Job that hashes published weights again: by their own record, without a hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deployments.local.hub import LocalHub, publish
from tasks.outside.disk.store import WeightStore
from tasks.programs import verify
from tasks.weights.manifest import RECORD_NAME, Manifest
from tests.support.hubs import MODEL, client, files


@pytest.fixture
def there(tmp_path: Path) -> tuple[Path, Manifest]:
    """A store with one commit; its hub is gone."""
    root = tmp_path / "store"
    with LocalHub(tmp_path / "hub") as hub:
        publish(hub.folder, MODEL, "master", files(2000, 1))
        manifest = client(hub).resolve(MODEL, "master")
        WeightStore(root).fetch(manifest, client(hub))
    return root, manifest


def run(
    capsys: pytest.CaptureFixture[str], root: Path, manifest: Manifest, **other: str
) -> tuple[int, dict[str, Any]]:
    wanted = {"commit": manifest.commit, "digest": manifest.digest, **other}
    flags = [f"--{key}={value}" for key, value in wanted.items()]
    code = verify.main([f"--store={root}", f"--model={MODEL}", *flags])
    last: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return code, last


def change(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


def test_every_byte_is_hashed_again(
    there: tuple[Path, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    root, manifest = there
    code, said = run(capsys, root, manifest)
    assert code == 0 and said["event"] == "done"
    assert said["bytes_rehashed"] == manifest.total_bytes and said["digest"] == manifest.digest
    assert WeightStore(root).untouched(manifest) is not None


def test_a_byte_that_is_another_is_named(
    there: tuple[Path, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    root, manifest = there
    file = WeightStore(root).path(MODEL, manifest.commit) / manifest.files[0].path
    content = file.read_bytes()
    change(file, bytes([content[0] ^ 1]) + content[1:])
    code, said = run(capsys, root, manifest)
    assert (code, said["event"], said["kind"]) == (1, "error", "damaged")
    assert "was damaged" in said["message"] and manifest.files[0].path in said["message"]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"commit": "c" * 40}, "is not there"),
        ({"digest": "sha256:" + "0" * 64}, "expected sha256:000000000000"),
    ],
)
def test_what_is_not_there_or_another(
    there: tuple[Path, Manifest],
    capsys: pytest.CaptureFixture[str],
    other: dict[str, str],
    why: str,
) -> None:
    root, manifest = there
    code, said = run(capsys, root, manifest, **other)
    assert (code, said["kind"]) == (1, "damaged") and why in said["message"]


def test_a_record_that_cannot_be_read_is_no_proof(
    there: tuple[Path, Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    root, manifest = there
    change(WeightStore(root).path(MODEL, manifest.commit) / RECORD_NAME, b'{"manifest": {}}')
    code, said = run(capsys, root, manifest)
    assert code == 1 and "does not say what it holds" in said["message"]


def test_unsafe_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        verify.main([f"--store={tmp_path}", "--model=../x", "--commit=c", "--digest=sha256:0"])
