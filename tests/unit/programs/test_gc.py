"""The Job that removes weights: looks only, keeps what it is told to, and may be killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deployments.local.hub import LocalHub, publish
from tasks.outside.disk import store as store_module
from tasks.outside.disk.store import WeightStore
from tasks.programs import gc
from tests.support.hubs import MODEL, client, files


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Path, list[str]]:
    """A store with three commits of a model and one of another."""
    root, commits = tmp_path / "store", []
    with LocalHub(tmp_path / "hub") as hub:
        for model, seed in ((MODEL, 1), (MODEL, 2), (MODEL, 3), ("demo/other", 4)):
            publish(hub.folder, model, "master", files(2000, seed))
            manifest = client(hub).resolve(model, "master")
            WeightStore(root).fetch(manifest, client(hub))
            commits.append(manifest.commit)
    return root, commits


def run(capsys: pytest.CaptureFixture[str], root: Path, *more: str) -> list[dict[str, Any]]:
    assert gc.main([f"--store={root}", f"--model={MODEL}", *more]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def there(root: Path) -> set[str]:
    return {item.commit for item in WeightStore(root).list()}


def test_it_looks_only_until_it_is_told(
    filled: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    root, (first, second, third, other) = filled
    keep = (f"--keep={second}", f"--keep={third}")
    *found, end = run(capsys, root, *keep)
    assert [item["commit"] for item in found] == [first] and not end["deleted"]
    assert there(root) == {first, second, third, other}
    *gone, end = run(capsys, root, *keep, "--delete")
    assert [item["commit"] for item in gone] == [first] and end["bytes"] > 2000
    assert end["kept"] == 2 and there(root) == {second, third, other}
    assert run(capsys, root, *keep, "--delete") == [
        {"event": "cleared", "bytes": 0, "kept": 2, "deleted": True}
    ]


def test_killed_at_any_removal_it_goes_on(
    filled: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    root, (*_, third, other) = filled
    real = store_module.delete_tree

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store_module, "delete_tree", killed)
    with pytest.raises(KeyboardInterrupt):
        gc.main([f"--store={root}", f"--model={MODEL}", f"--keep={third}", "--delete"])
    # its name is gone, its bytes are trash; every folder with a name is whole
    left = there(root)
    assert third in left and len(left) == 3
    monkeypatch.setattr(store_module, "delete_tree", real)
    run(capsys, root, f"--keep={third}", "--delete")
    assert there(root) == {third, other} and not list((root / ".trash").iterdir())


def test_an_empty_store_is_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, tmp_path / "none", "--delete")[-1]["bytes"] == 0


@pytest.mark.parametrize("bad", ["--keep=../x", "--model=../../etc"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, bad: str) -> None:
    with pytest.raises(SystemExit):
        gc.parse([f"--store={tmp_path}", f"--model={MODEL}", bad])
