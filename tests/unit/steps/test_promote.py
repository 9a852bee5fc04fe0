"""One look at a release that serves, and what the promotion says."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.base.errors import OutsideError
from tasks.outside.kubernetes.actor import NotProven, SoakFailed
from tasks.release.soaking import Look
from tasks.run.run import Run
from tasks.steps.promote import look, promote
from tests.support.cluster.actor_world import NEW, world
from tests.support.cluster.runs import locked, run_of


def pod(name: str, *, restarts: int = 0, up: bool = True, going: bool = False) -> dict[str, Any]:
    meta = {"name": name, **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if going else {})}
    status = {
        "conditions": [{"type": "Ready", "status": str(up)}],
        "containerStatuses": [{"restartCount": restarts}],
    }
    return {"metadata": meta, "status": status}


def seen(
    pods: list[Any],
    answer: Look | None = None,
    names: tuple[str, ...] = ("m",),
    *,
    leads_to: list[Any] | None = None,
) -> Run:
    """A Run whose cluster has these pods, whose Service leads to those, and answers so."""
    run: Any = run_of(world())

    def listed(kind: str, *_: Any, **__: Any) -> list[Any]:
        if kind == "Pod":
            return pods
        led = pods if leads_to is None else leads_to
        ends = [{"targetRef": {"name": item["metadata"]["name"]}} for item in led]
        return [{"ports": [{"port": 8000}], "endpoints": ends}]

    run.cluster.list = listed
    run.ask = lambda service, release: (answer or Look(), list(names))
    return run


A, B, SICK = pod("a"), pod("b"), pod("b", up=False)


def test_a_good_look() -> None:
    assert look(seen([A, B]), NEW) == Look()


@pytest.mark.parametrize(
    ("pods", "ready", "trouble"),
    [
        ([A, SICK], [A], ("1 of 2 replicas ready",)),
        ([A], [A], ("1 of 2 replicas ready",)),
        ([A, B, pod("c")], [A, B, pod("c")], ()),
    ],
)
def test_the_clusters_word_stands_beside_the_answer(
    pods: list[Any], ready: list[Any], trouble: tuple[str, ...]
) -> None:
    assert look(seen(pods, leads_to=ready), NEW) == Look(trouble)


def test_restarts_count_from_the_first_look() -> None:
    """The ones before are no news of the soak, and what ends is no part of it."""
    pods = [pod("a", restarts=3), pod("b", restarts=1), pod("c", restarts=9, going=True)]
    run = seen(pods, leads_to=pods[:2])
    assert look(run, NEW).trouble == ()
    assert run.record.promote is not None and run.record.promote.restarts_before == 4
    pods[1] = pod("b", restarts=2)
    assert look(run, NEW).trouble == ("1 container restart(s)",)
    assert run.record.promote.restarts_before == 4


def test_a_cluster_that_does_not_answer_is_no_news() -> None:
    run: Any = seen([])

    def down(*_: Any, **__: Any) -> None:
        raise OutsideError("the API server does not answer")

    run.cluster.list = down
    assert look(run, NEW) == Look(None, "none", "the API server does not answer")
    assert run.record.promote is None


def test_a_service_that_leads_elsewhere_is_not_asked() -> None:
    run: Any = seen([A, B], leads_to=[A, pod("old")])
    run.ask = None
    assert look(run, NEW) == Look((), "none", "Service models/m: it does not lead to b yet")


@pytest.mark.parametrize(("names", "said"), [(("other", "old"), "other, old"), ((), "no model")])
def test_another_models_answer_is_the_ways_fault(names: tuple[str, ...], said: str) -> None:
    """Its own pods said the right name before."""
    found = look(seen([A, B], names=names), NEW)
    assert found == Look((), "none", f"Service models/m answers with {said}, not m")


@pytest.mark.parametrize(
    "answer", [Look(answer="bad", why="HTTP 500"), Look(answer="none", why="no route")]
)
def test_what_it_answers_is_passed_on(answer: Look) -> None:
    assert look(seen([A, B], answer, ()), NEW) == answer


@pytest.mark.usefixtures("quick")
def test_a_promotion_says_what_serves_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    at = world(phase="testing", candidate=True)
    run = run_of(at)
    monkeypatch.setattr(run, "ask", lambda *_: (Look(), ["m"]))
    with run.step("promote"):
        ended = promote.function(run, locked(run), NEW, "every target is met")
    assert (ended.kind, ended.sentence) == ("promoted", "m-new promoted: every target is met")
    assert at.leads_to() == "new" and at.harm == []
    assert run.record.steps[0].sentence == "m-new serves models/m"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Look(answer="bad", why="HTTP 500"), SoakFailed),
        (Look(answer="none", why="no route"), NotProven),
    ],
)
def test_a_soak_that_is_not_passed_is_raised(
    answer: Look, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = world(phase="testing", candidate=True)
    run = run_of(at)
    monkeypatch.setattr(run, "ask", lambda *_: (answer, []))
    with pytest.raises(error, match=answer.why):
        promote.function(run, locked(run), NEW, "why")
    assert at.leads_to() == "new" and at.available("old") == 2
