"""A candidate that does not start is remembered, where it is its own fault."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.base.clock import FakeClock
from tasks.base.errors import NotNow, OutsideError, StepFailed
from tasks.diagnose.containers import Diagnosis
from tasks.outside.kubernetes.ready import NotReady
from tasks.record.parts import ResolveModel
from tasks.steps.deploy import deploy
from tests.support.cluster.actor_world import NEW, deployment, world
from tests.support.cluster.runs import locked, run_of

pytestmark = pytest.mark.usefixtures("quick")


def pod(**status: Any) -> dict[str, Any]:
    engine = {"name": "engine", **status}
    spec = {"containers": [{"name": "engine"}]}
    return {
        "metadata": {"name": "m-new-0"},
        "spec": spec,
        "status": {"containerStatuses": [engine]},
    }


CRASHES = pod(restartCount=2, state={"waiting": {"reason": "CrashLoopBackOff"}})
STARTS = pod(restartCount=0, state={"running": {}})
WAITS = pod(restartCount=0, state={"waiting": {"reason": "ContainerCreating"}})


def remembered(
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    pods: list[dict[str, Any]],
    strategy: str = "parallel",
) -> str:
    """The verdict that the cluster remembers of a candidate which did not get ready."""
    at = world()
    run = run_of(at)
    cluster = locked(run)
    run.record.resolve_model = ResolveModel(release="new")
    module = sys.modules["tasks.steps.deploy"]

    def fails(*_: object, **__: object) -> None:
        raise error

    for name, value in {
        "as_it_is": lambda _, planned, **__: planned,
        "must_come_back": lambda *_: (),
        "must_have_room": lambda *_: None,
        "decide_start": lambda *_: None,
        "service": lambda *_, **__: None,
        "made_of": lambda *_: "",
        "until_ready": fails,
        "release_pods": lambda *_: pods,
    }.items():
        monkeypatch.setattr(module, name, value)
    for name in ("run", "apply", "change_state"):
        monkeypatch.setattr(cluster.actor, name, lambda *_: None)
    kept: list[Any] = []
    monkeypatch.setattr(cluster, "remember", kept.append)
    plan = SimpleNamespace(strategy=strategy, lend=None)
    seen = SimpleNamespace(seen=at.actor().observe())
    planned: Any = SimpleNamespace(release=NEW, plan=plan, body=deployment(NEW, 2), survey=seen)
    with pytest.raises(type(error)):
        deploy.function(run, cluster, planned)
    return kept[0].verdict if kept else ""


@pytest.mark.parametrize("there", [CRASHES, STARTS])
def test_an_engine_that_ran_and_did_not_come_up_is_unfit(
    there: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remembered(monkeypatch, NotReady("no"), [there]) == "unfit"


def test_what_can_never_start_is_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    error = NotReady("no", Diagnosis("image-absent", "there is no such image"))
    assert remembered(monkeypatch, error, [WAITS]) == "unfit"


@pytest.mark.parametrize("there", [[], [WAITS]])
@pytest.mark.parametrize("error", [NotReady("no node"), OutsideError("no answer")])
def test_what_never_ran_says_nothing_of_it(
    error: StepFailed, there: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remembered(monkeypatch, error, there) == ""


def test_for_what_served_was_stopped_it_counts_whatever_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert remembered(monkeypatch, NotReady("no node"), [], "replace") == "unfit"
    assert remembered(monkeypatch, OutsideError("no answer"), [], "replace") == ""


@pytest.mark.parametrize("strategy", ["lend", "replace"])
def test_nothing_is_taken_once_the_window_is_over_however_long_proofs_took(
    strategy: str, monkeypatch: pytest.MonkeyPatch, time: FakeClock
) -> None:
    module = sys.modules["tasks.steps.deploy"]
    at = world()
    time.sleep(9 * 3600)
    run = run_of(at, maintenance_windows=[{"cron": "0 9 * * *", "hours": 8}])
    run.by_itself, cluster = True, locked(run)

    def proves(*_: object) -> tuple[()]:
        time.sleep(9 * 3600)
        return ()

    for name, value in {
        "as_it_is": lambda _, planned, **__: planned,
        "must_come_back": proves,
        "must_have_room": lambda *_: None,
    }.items():
        monkeypatch.setattr(module, name, value)
    plan = SimpleNamespace(strategy=strategy, lend=None)
    seen = SimpleNamespace(seen=at.actor().observe())
    planned: Any = SimpleNamespace(release=NEW, plan=plan, body=deployment(NEW, 2), survey=seen)
    before = len(at.writes)
    with pytest.raises(NotNow, match="is not started now: its next window opens at 2026-01-02"):
        deploy.function(run, cluster, planned)
    assert len(at.writes) == before
