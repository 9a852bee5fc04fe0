"""The site's policy on disk, and which files a flow may read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.guard import settle_parameters
from tasks.base.errors import Refused, SpecError
from tasks.outside.disk import site
from tasks.outside.disk.site import files_outside, site_policy, spec_below
from tasks.spec.policy import Policy
from tasks.steps.resolve_model import look_around
from tests.support.nodedata import make_spec


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(site.ENV, raising=False)
    monkeypatch.setattr(site, "PLACE", tmp_path / "etc" / "policy.yaml")
    here = tmp_path / "work"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def test_without_a_file_everything_is_allowed() -> None:
    assert site_policy() == Policy()


def test_a_file_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(site.ENV, "/nowhere/policy.yaml")
    with pytest.raises(SpecError, match="MODEL_ROLLOUT_POLICY: there is no file"):
        site_policy()


def test_a_file_that_cannot_be_read_allows_nothing(tmp_path: Path) -> None:
    site.PLACE.parent.mkdir()
    site.PLACE.write_text("digests: true")
    assert site_policy().digests
    site.PLACE.write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match="cannot be read"):
        site_policy()


def test_a_hub_is_refused_before_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    site.PLACE.parent.mkdir()
    site.PLACE.write_text("hubs: [https://modelscope.cn]")
    nobody: Any = SimpleNamespace()
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "https://hub.example")
    with pytest.raises(Refused, match=r"hub https://hub\.example is not allowed here"):
        look_around(nobody, make_spec())


def test_a_spec_file_lies_below_the_working_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "models").mkdir()
    inside = folder / "models" / "a.yaml"
    inside.write_text("name: a")
    assert spec_below(str(inside), "p") and spec_below("models/a.yaml", "p")
    outside = tmp_path / "secret.yaml"
    outside.write_text("name: a")
    (folder / "link.yaml").symlink_to(outside)
    (folder / "out").symlink_to(tmp_path)
    for path in ("/etc/passwd", "../secret.yaml", "models/../../secret.yaml", "link.yaml"):
        with pytest.raises(SpecError, match="outside the working folder"):
            spec_below(path, "p")
    with pytest.raises(SpecError, match="outside the working folder"):
        spec_below("out/secret.yaml", "p")
    with pytest.raises(SpecError, match=r"parameters\.spec_file"):
        settle_parameters({"spec_file": "../secret.yaml"})


def test_files_that_a_spec_names() -> None:
    spec = make_spec(
        {
            "benchmark": {"workload": {"profile": "file", "file": "/etc/passwd"}},
            "quality": {"questions": "exam.jsonl", "minimum_percent": 50},
        }
    )
    assert files_outside(spec) == {"benchmark.workload.file": "/etc/passwd"}
