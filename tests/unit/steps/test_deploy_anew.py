"""Between a plan and the first thing taken lie hours, of fetching and hashing: what serves is
looked at anew after each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.base.errors import Refused, RolloutError, StepFailed
from tasks.outside.kubernetes.jobs import JobResult
from tasks.release import moves
from tasks.release.lend import Lend
from tasks.run.comeback import as_it_is
from tasks.run.findings import Planned
from tasks.steps.deploy import deploy
from tests.support.cluster.actor_world import NEW, OLD, OLDER, World, deployment
from tests.support.cluster.courses import by_hand
from tests.support.cluster.runs import locked, run_of
from tests.support.cluster.tight import WHOLE, tight
from tests.support.surveys import survey

pytestmark = pytest.mark.usefixtures("quick")


class Made(Exception):
    """The candidate is about to be made."""


def deployed(
    monkeypatch: pytest.MonkeyPatch,
    strategy: str,
    hashing: Callable[[World], None],
    fetching: Callable[[World], None] = lambda _: None,
) -> tuple[World, Exception]:
    """One of two seats lent, or both taken. hashing, fetching: what somebody does meanwhile."""
    at = tight()
    run = run_of(at)
    found = replace(survey(run.spec), seen=at.actor().observe())
    plan: Any = SimpleNamespace(
        strategy=strategy, lend=Lend(1, 2, 1, 1, 1) if strategy == "lend" else None
    )
    cluster = locked(run)

    def run_job(job: Any, *, timeout_s: float, on_line: Callable[[str], None]) -> JobResult:
        hashing(at)
        on_line(WHOLE)
        return JobResult(True, 0, (), None)

    def made(*_: Any, **__: Any) -> None:
        raise Made

    monkeypatch.setattr(cluster, "run_job", run_job)
    monkeypatch.setattr(sys.modules["tasks.steps.deploy"], "service", made)
    fetching(at)
    with pytest.raises((RolloutError, Made)) as caught:
        deploy.function(run, cluster, Planned(plan, found, deployment(NEW, 1)))
    return at, caught.value


def more(at: World) -> None:
    """An autoscaler: two more, and they answer."""
    at.seats = 4
    by_hand(at, "old", 4)


def hotfix(at: World) -> None:
    body = at.get("Deployment", "m-old")
    assert body is not None
    body["spec"]["template"]["metadata"].setdefault("annotations", {})["hotfix"] = "1"
    at.put(body)


def led_elsewhere(at: World) -> None:
    at.put(deployment(OLDER, 1))
    service = at.get("Service", "m")
    assert service is not None
    service["spec"]["selector"]["model-rollout/release"] = OLDER.id
    at.put(service)


def nothing(_: World) -> None:
    pass


@pytest.mark.parametrize(("strategy", "asks"), [("lend", 1), ("replace", 0)])
def test_what_is_as_it_was_makes_way(
    strategy: str, asks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, error = deployed(monkeypatch, strategy, nothing)
    assert isinstance(error, Made)
    assert at.objects["Deployment", "m-old"]["spec"]["replicas"] == asks


@pytest.mark.parametrize("when", ["fetching", "hashing"])
def test_a_loan_is_not_taken_from_more_than_it_was_decided_of(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching, hashing = (more, nothing) if when == "fetching" else (nothing, more)
    at, error = deployed(monkeypatch, "lend", hashing, fetching)
    assert isinstance(error, StepFailed) and "has 4 of 4 ready" in str(error)
    assert at.available("old") == 4


def test_nor_where_they_come_between_the_look_and_the_write() -> None:
    """The API server has the last word: the write says what it is taken from."""
    at = tight()
    actor = at.actor()
    actor.take_over()
    course = moves.decide_start(actor.observe(), NEW, "r", "lend", 600, {}, Lend(1, 2, 1, 1, 1))
    more(at)
    with pytest.raises(StepFailed, match="asks for 4 replicas by now, and asked for 2"):
        actor.run(course)
    assert at.available("old") == 4


def test_replicas_that_came_meanwhile_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    at, error = deployed(monkeypatch, "replace", more)
    assert isinstance(error, Made)
    view = at.actor().observe().view("old")
    assert view is not None and (view.replicas, view.serves_with) == (0, 4)


@pytest.mark.parametrize("strategy", ["lend", "replace"])
def test_nothing_is_taken_from_another_than_was_proven(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, error = deployed(monkeypatch, strategy, hotfix)
    assert isinstance(error, Refused)
    assert "m-old was changed while it was proven that it can come back" in str(error)
    assert at.objects["Deployment", "m-old"]["spec"]["replicas"] == 2


@pytest.mark.parametrize("strategy", ["lend", "replace"])
def test_a_hotfix_before_that_is_what_is_proven_and_noted(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, error = deployed(monkeypatch, strategy, nothing, hotfix)
    assert isinstance(error, Made)
    seen = at.actor().observe()
    assert seen.changed("old", which=False) == ""


@pytest.mark.parametrize("when", ["fetching", "hashing"])
def test_nor_from_what_a_person_led_the_service_to(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching, hashing = (led_elsewhere, nothing) if when == "fetching" else (nothing, led_elsewhere)
    at, error = deployed(monkeypatch, "replace", hashing, fetching)
    assert isinstance(error, Refused) and "another release serves by now" in str(error)
    assert at.objects["Deployment", "m-old"]["spec"]["replicas"] == 2


def test_beside_what_serves_any_look_will_do() -> None:
    at = tight()
    run = run_of(at)
    found = replace(survey(run.spec), seen=replace(at.actor().observe(), serving=None))
    plan: Any = SimpleNamespace(strategy="parallel", lend=None)
    planned = as_it_is(at.actor(), Planned(plan, found, deployment(NEW, 1)))
    assert planned.survey.seen.serving == OLD.id
