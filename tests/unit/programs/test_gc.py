"""The Jobs that mark weights and remove them: one looks only, or keeps what it is told to, and may
be killed; what somebody finds there in between stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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


def remove(
    capsys: pytest.CaptureFixture[str], root: Path, *keep: str, word: str = "w"
) -> list[dict[str, Any]]:
    """Both Jobs, nothing in between."""
    run(capsys, root, *keep, f"--mark={word}")
    return run(capsys, root, *keep, f"--delete={word}")


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
    assert run(capsys, root, *keep, "--delete=w")[-1]["bytes"] == 0, "nothing is marked"
    *_, end = run(capsys, root, *keep, "--mark=w")
    assert there(root) == {first, second, third, other} and not end["deleted"]
    *gone, end = run(capsys, root, *keep, "--delete=w")
    assert [item["commit"] for item in gone] == [first] and end["bytes"] > 2000
    assert end["kept"] == 2 and there(root) == {second, third, other}
    assert run(capsys, root, *keep, "--delete=w") == [
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
        remove(capsys, root, f"--keep={third}")
    # its name is gone, its bytes are trash; every folder with a name is whole
    left = there(root)
    assert third in left and len(left) == 3
    monkeypatch.setattr(store_module, "delete_tree", real)
    remove(capsys, root, f"--keep={third}")
    assert there(root) == {third, other} and not list((root / ".trash").iterdir())


@pytest.fixture
def one(tmp_path: Path) -> Iterator[tuple[Path, Callable[..., Any]]]:
    """A store with one commit, and what fetches it again."""
    root = tmp_path / "store"
    with LocalHub(tmp_path / "hub") as hub:
        publish(hub.folder, MODEL, "master", files(2000, 1))
        manifest = client(hub).resolve(MODEL, "master")

        def fetch(**how: Any) -> Any:
            return WeightStore(root).fetch(manifest, client(hub), **how)

        fetch()
        yield root, fetch


@pytest.mark.parametrize("rehash", [False, True])
def test_what_somebody_finds_there_meanwhile_stays(
    one: tuple[Path, Callable[..., Any]], capsys: pytest.CaptureFixture[str], rehash: bool
) -> None:
    """Its rollout names it since both looks: nobody else knows."""
    root, fetch = one
    run(capsys, root, "--mark=w")
    assert fetch(rehash=rehash).bytes_fetched == 0
    assert run(capsys, root, "--delete=w")[-1] == {
        "event": "cleared",
        "bytes": 0,
        "kept": 1,
        "deleted": True,
    }
    assert len(there(root)) == 1


def test_what_is_found_while_it_is_marked_stays(
    one: tuple[Path, Callable[..., Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A fetch that hashes for minutes: the mark comes after it began."""
    root, fetch = one
    fetch(rehash=True, on_wait=lambda _: run(capsys, root, "--mark=w"))
    assert run(capsys, root, "--delete=w")[-1]["kept"] == 1 and len(there(root)) == 1


def test_a_mark_is_of_one_clean_up(
    one: tuple[Path, Callable[..., Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Another one marks it after somebody found it: the first one has not looked since."""
    root, fetch = one
    run(capsys, root, "--mark=w")
    fetch()
    run(capsys, root, "--mark=other")
    assert run(capsys, root, "--delete=w")[-1]["kept"] == 1 and len(there(root)) == 1
    assert run(capsys, root, "--delete=other")[-1]["kept"] == 0 and not there(root)
    assert not any((root / ".doomed").iterdir())


def test_a_mark_that_is_left_over_is_in_nobodys_way(
    one: tuple[Path, Callable[..., Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    root, fetch = one
    run(capsys, root, "--mark=w")  # and killed
    assert remove(capsys, root, word="next")[-1]["kept"] == 0
    assert fetch().bytes_fetched > 0 and len(there(root)) == 1


def test_one_word_of_an_older_version_removes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        gc.parse([f"--store={tmp_path}", f"--model={MODEL}", "--delete"])


def test_an_empty_store_is_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert remove(capsys, tmp_path / "none")[-1]["bytes"] == 0


@pytest.mark.parametrize("bad", ["--keep=../x", "--model=../../etc"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, bad: str) -> None:
    with pytest.raises(SystemExit):
        gc.parse([f"--store={tmp_path}", f"--model={MODEL}", bad])
