"""Manifests: untrusted paths, digests, commits, JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.weights.manifest import (
    FileEntry,
    Manifest,
    build,
    changed_files,
    digest_of,
    matches,
    safe_commit,
    safe_model,
    safe_path,
)

SHA = "ab" * 32
HEAD = "0123456789" * 4
shas = st.none() | st.text("0123456789abcdef", min_size=64, max_size=64)
names = st.text("abcdefgh-_0123456789.中", min_size=1, max_size=12).filter(
    lambda n: n.strip(".") and not n.startswith(".m")
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
entries = st.builds(FileEntry, paths, st.integers(0, 2**45), shas)


def _no_clash(files: list[FileEntry]) -> bool:
    keys = [f.path.casefold() for f in files]
    return not any(a.startswith(b + "/") for a in keys for b in keys)


file_lists = st.lists(
    entries, min_size=1, max_size=8, unique_by=lambda entry: entry.path.casefold()
).filter(_no_clash)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "no file path"),
        ("/etc/passwd", "absolute"),
        ("../x", "leave the folder"),
        ("a/../../x", "leave the folder"),
        ("a/./b", "leave the folder"),
        ("a//b", "leave the folder"),
        ("a/", "leave the folder"),
        ("a\\b", "backslash"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a\x7fb", "control character"),
        ("a\ud800b", "control character"),
        ("x" * 300, "longer than 240"),
        ("/".join(["x" * 200] * 6), "longer than 1024"),
        (".model-rollout.json", "kept for our own"),
        ("sub/.Model-Rollout", "kept for our own"),
    ],
)
def test_unsafe_paths_are_refused_with_the_reason(path: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        safe_path(path)


@given(st.text(max_size=40))
def test_whatever_passes_stays_below_its_folder(path: str) -> None:
    try:
        safe_path(path)
    except ValueError:
        return
    parts = PurePosixPath("/root/folder", path).parts
    assert parts[:3] == ("/", "root", "folder") and len(parts) > 3 and ".." not in parts
    assert str(PurePosixPath(path)) == path  # no second spelling of the same file


@given(file_lists, st.randoms())
def test_digest_knows_no_order_but_every_field(files: list[FileEntry], rng: object) -> None:
    shuffled = list(files)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert digest_of(shuffled) == digest_of(files)
    first, rest = files[0], files[1:]
    other = "0" * 64 if first.sha256 != "0" * 64 else "1" * 64
    for changed in (
        replace(first, size=first.size + 1),
        replace(first, sha256=other),
        replace(first, path=first.path + "x"),
    ):
        assert digest_of([changed, *rest]) != digest_of(files)


@given(file_lists)
def test_json_round_trip(files: list[FileEntry]) -> None:
    made = build("o/n", "master", HEAD, files, ref=HEAD)
    again = Manifest.from_json(made.to_json())
    assert again == made and again.ref == HEAD and again.digest == made.digest
    assert made.total_bytes == sum(entry.size for entry in files)


def test_altered_json_is_refused() -> None:
    data = build("o/n", "master", HEAD, [FileEntry("a", 1, SHA)]).to_dict()
    data["files"][0]["size"] = 2
    with pytest.raises(ValueError, match="its files give"):
        Manifest.from_json(json.dumps(data))
    del data["files"][0]["path"]
    with pytest.raises(ValueError, match="lacks a field"):
        Manifest.from_dict(data)
    with pytest.raises(ValueError, match="schema"):
        Manifest.from_dict({"schema": 99})


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        ("A.json", "a.json", "one file on some disks"),
        ("\u00e9", "e\u0301", "one file on some disks"),
        ("a", "a/b", "folder of"),
        ("A", "a/b/c", "folder of"),
    ],
)
def test_clashing_paths(one: str, two: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        build("o/n", "m", HEAD, [FileEntry(one, 1), FileEntry(two, 1)])


def test_the_commit_names_exactly_one_set_of_files() -> None:
    files = [FileEntry("a.bin", 1, SHA), FileEntry("b.json", 2, None)]
    assert build("o/n", "m", HEAD, files).commit == HEAD
    part = build("o/n", "m", HEAD, files, exclude=["*.bin"])
    other = build("o/n", "m", HEAD, files, include=["*.bin"])
    assert part.commit == f"{HEAD}-{part.digest[7:15]}"
    assert len({HEAD, part.commit, other.commit}) == 3
    assert [entry.path for entry in part.files] == ["b.json"]
    unknown = build("o/n", "m", None, files)
    assert unknown.commit == "digest-" + unknown.digest[7:23]
    assert build("o/n", "m", "../../etc", files).commit == unknown.commit
    with pytest.raises(ValueError, match="exclude all 2"):
        build("o/n", "m", HEAD, files, exclude=["*"])


def test_globs_match_a_path_or_a_bare_name() -> None:
    assert matches("sub/x.bin", ["*.bin"]) and matches("sub/x.bin", ["sub/*"])
    assert not matches("sub/x.bin", ["other/*", "x"]) and not matches("x.BIN", ["*.bin"])


@pytest.mark.parametrize("model", ["", "a", "a/b/c", "../b", "a/..", "a/.", ".a/b", "a b/c", "é/n"])
def test_unsafe_model_ids(model: str) -> None:
    with pytest.raises(ValueError, match="no model id"):
        safe_model(model)


@pytest.mark.parametrize("commit", ["", "master", "..", HEAD[:39], HEAD + "-1", HEAD.upper() + "Z"])
def test_unsafe_commits(commit: str) -> None:
    with pytest.raises(ValueError, match="no commit"):
        safe_commit(commit)


@pytest.mark.parametrize(("size", "sha"), [(-1, None), (1, "xyz"), (True, None), (1, SHA.upper())])
def test_wrong_sizes_and_hashes(size: int, sha: str | None) -> None:
    with pytest.raises(ValueError, match="expected"):
        FileEntry("a", size, sha)


def test_what_became_of_the_files() -> None:
    old = build("o/n", "m", "a" * 40, [FileEntry("a", 1), FileEntry("b", 2), FileEntry("c", 3)])
    new = build("o/n", "m", "b" * 40, [FileEntry("a", 1), FileEntry("b", 5), FileEntry("d", 7)])
    assert changed_files(old, new) == {
        "added": ["d"],
        "changed": ["b"],
        "removed": ["c"],
        "changed_files": 3,
        "changed_bytes": 12,
    }
    assert changed_files(old, old)["changed_files"] == 0
