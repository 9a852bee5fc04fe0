"""`rollout store gc --delete` beside a rollout that names the model for the first time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from flows.cli import store
from tasks.objects.pods import Object
from tasks.outside.kubernetes.jobs import JobResult
from tasks.release.state import Release, State, to_configmap, wanting
from tasks.weights.messages import Cleared, line_of
from tests.support.nodedata import make_spec

SPEC = make_spec({"name": "m", "namespace": "models"})
COMMIT = "c" * 40


def release(model: str, commit: str) -> Release:
    return Release("j", "other-j", model, "main", commit, "sha256:0", "img", "n")


class Cluster:
    """Rollout `other` serves another model. It names this one as Job number `names` runs."""

    def __init__(self, names: int) -> None:
        self.states = {
            "m": State("m"),
            "other": State("other", stable=release("some/where", "d" * 40)),
        }
        self.names, self.jobs = names, list[list[str]]()

    def list(self, kind: str, *_: Any, **__: Any) -> list[Object]:
        if kind == "ConfigMap":
            return [to_configmap(state, "models") for state in self.states.values()]
        return [{"metadata": {"name": "n"}}] if kind == "Node" else []

    def run_job(self, job: Object, *, timeout_s: float, on_line: Any) -> JobResult:
        self.jobs.append(job["spec"]["template"]["spec"]["containers"][0]["command"])
        if len(self.jobs) == self.names:
            other = self.states["other"]
            self.states["other"] = wanting(other, release(SPEC.model.id, COMMIT))
        on_line(line_of(Cleared()))
        return JobResult(True, 0, (), None)


def collect(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *, delete: bool) -> list[list[str]]:
    """The commands of the Jobs."""

    @contextmanager
    def connect(*_: Any) -> Iterator[Cluster]:
        yield cluster

    @contextmanager
    def locked(_: Any, namespace: str, name: str, identity: str) -> Iterator[Cluster]:
        assert name == "m", "only who names the model is kept from running"
        yield cluster

    monkeypatch.setattr(store, "Cluster", SimpleNamespace(connect=connect))
    monkeypatch.setattr(store, "locked", locked)
    monkeypatch.setattr(store, "is_candidate", lambda *_: True)
    store.collect(SPEC, None, None, delete=delete)
    return cluster.jobs


def word_of(command: list[str], option: str) -> str:
    (found,) = [item.partition("=")[2] for item in command if item.startswith(f"{option}=")]
    return found


def test_what_is_named_while_it_is_marked_is_kept_by_the_job_that_removes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    marks, removes = collect(Cluster(names=1), monkeypatch, delete=True)
    assert f"--keep={COMMIT}" not in marks and not any("--delete" in item for item in marks)
    assert f"--keep={COMMIT}" in removes
    assert word_of(marks, "--mark") == word_of(removes, "--delete") != ""


def test_the_word_is_of_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is named later than the second look is found by a fetch, which takes the mark off: a
    clean-up goes by no mark of another one."""
    words = {
        word_of(collect(Cluster(names=0), monkeypatch, delete=True)[0], "--mark") for _ in range(2)
    }
    assert len(words) == 2


def test_one_that_only_looks_marks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    (looks,) = collect(Cluster(names=0), monkeypatch, delete=False)
    assert not any(item.startswith(("--mark", "--delete")) for item in looks)
