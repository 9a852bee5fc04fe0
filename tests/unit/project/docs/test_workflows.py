"""What can be held of the workflows without GitHub, where nobody has run them yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support.places import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@(v\d+|[0-9a-f]{40})")
# workflow -> what a job of it may write
WRITES = {"docs": {"pages", "id-token"}, "release": {"packages"}}
GOALS = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text())


def read(name: str) -> dict[str, Any]:
    found = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yaml").read_text())
    return {("on" if key is True else key): value for key, value in found.items()}


def steps(name: str) -> Iterator[dict[str, Any]]:
    for job in read(name)["jobs"].values():
        yield from job["steps"]


NAMES = [path.stem for path in FILES]


def test_which_there_are() -> None:
    assert NAMES == ["ci", "conformance", "docs", "release"]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_that_it_is_untried(name: str) -> None:
    path = ROOT / ".github" / "workflows" / f"{name}.yaml"
    assert path.read_text().startswith("# Untried: nobody has run this on GitHub yet.")


@pytest.mark.parametrize("name", NAMES)
def test_an_action_is_pinned(name: str) -> None:
    used = [step["uses"] for step in steps(name) if "uses" in step]
    assert used and all(PINNED.fullmatch(action) for action in used), used


@pytest.mark.parametrize("name", NAMES)
def test_it_may_do_no_more_than_it_needs(name: str) -> None:
    found = read(name)
    assert found["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in found["on"]
    for job in found["jobs"].values():
        granted = {key for key, value in job.get("permissions", {}).items() if value == "write"}
        assert granted <= WRITES.get(name, set())
        assert job["timeout-minutes"] <= 90
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        # what somebody else wrote (a title, a branch's name) never becomes a part of a script
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("name", NAMES)
def test_what_it_calls_is_there(name: str) -> None:
    for step in steps(name):
        for goal in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
            assert goal in GOALS


def test_every_change_passes_what_the_repository_asks_of_one() -> None:
    assert ".ci/run" in [step.get("run") for step in steps("ci")]
    assert "pull_request" in read("ci")["on"]
    assert [*read("conformance")["on"]] == ["workflow_dispatch"]
    script = (ROOT / ".ci" / "run").read_text()
    for goal in ("lock-check", "lint", "docs", "test"):
        assert f"make {goal}\n" in script


def test_every_image_is_built_by_the_name_that_the_manifests_have() -> None:
    job = read("release")["jobs"]["image"]
    given = [step["with"] for step in job["steps"] if "file" in step.get("with", {})]
    folder = ROOT / "deployments" / "images"
    built = {}
    for row in job["strategy"]["matrix"]["include"]:
        mark = "${{ matrix.dockerfile }}"
        assert mark in given[0]["file"] and "/${{ matrix.name }}:" in given[0]["tags"]
        built[ROOT / given[0]["file"].replace(mark, row["dockerfile"])] = row["name"]
    assert set(built) == set(folder.glob("*.Dockerfile"))
    manifests = [path.read_text() for path in (ROOT / "deployments/cluster").rglob("*.yaml")]
    named = re.findall(r"(?m)^ +image: ([\w-]+):", "\n".join(manifests))
    assert set(built.values()) == set(named)


def test_an_image_has_a_list_of_what_is_in_it() -> None:
    (build,) = [step for step in steps("release") if "build-push-action" in step.get("uses", "")]
    assert build["with"]["sbom"] is True and build["with"]["provenance"] == "mode=max"
