"""What is not started again by itself."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.base.errors import Refused
from tasks.release.course import DeploymentView, Observed
from tasks.release.seats.edited import drifted
from tasks.release.state import Judged, State, from_configmap, to_configmap, with_verdict
from tasks.release.versions.order import Order
from tasks.steps.resolve_model import drift, resolve_model
from tasks.verdict.decide import asked_of
from tests.support.cluster.actor_world import world
from tests.support.cluster.runs import run_of
from tests.support.surveys import survey

pytestmark = pytest.mark.usefixtures("quick")


FAILED = (("failed", "parallel"),)


def asked(
    monkeypatch: pytest.MonkeyPatch,
    *,
    again: bool,
    demands: str = "",
    by_itself: bool = False,
    verdicts: tuple[tuple[str, str], ...] = FAILED,
    **spec: Any,
) -> str:
    """What becomes of a release that was judged so under these demands; default: the same."""
    run = run_of(world(), **spec)
    run.again = again
    found = survey(run.spec)
    state = found.seen.state
    for at, (word, strategy) in enumerate(verdicts):
        verdict = Judged(
            found.release.id,
            demands or asked_of(run.spec),
            word,
            f"run-{at}",
            "today",
            strategy=strategy,
        )
        state = with_verdict(with_verdict(state, verdict), verdict)  # told twice, counted once
    seen = replace(found.seen, state=from_configmap(run.spec.name, to_configmap(state, "models")))
    module = sys.modules["tasks.steps.resolve_model"]
    monkeypatch.setattr(module, "look_around", lambda *_: replace(found, seen=seen))
    run.by_itself = by_itself
    said: str = resolve_model.function(run).not_again
    return said if by_itself else run.subject


def test_what_failed_is_not_started_again_by_a_schedule_or_an_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(Refused, match=r"failed at today \(rollout run-0\).*rollout run"):
        asked(monkeypatch, again=False)


def test_which_is_no_error_where_nobody_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = asked(monkeypatch, again=False, by_itself=True)
    assert "failed at today (rollout run-0). It is not started again by itself" in said


def test_what_was_gone_back_from_starts_by_hand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["tasks.steps.resolve_model"]
    monkeypatch.setattr(module, "served_before", lambda *_: True)
    run = run_of(world())
    found = survey(run.spec)
    monkeypatch.setattr(module, "look_around", lambda *_: found)
    assert resolve_model.function(run).not_again == ""
    run.by_itself = True
    assert "served before and was gone back from" in resolve_model.function(run).not_again
    # what serves is put right, whatever it was called once
    state = replace(found.seen.state, stable=found.release)
    again = replace(found, seen=replace(found.seen, state=state), drift=("image",))
    monkeypatch.setattr(module, "look_around", lambda *_: again)
    monkeypatch.setattr(module, "standing", lambda *_: Order("same", "it serves"))
    assert resolve_model.function(run).not_again == ""


def test_a_person_may_try_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, again=True)


def test_other_targets_are_another_question(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, again=False, demands="others")


UNFIT, OPEN = ("unfit", "parallel"), ("inconclusive", "parallel")


@pytest.mark.parametrize(
    "verdicts", [(UNFIT,), (OPEN, OPEN), (UNFIT, OPEN), (("failed", "parallel"), OPEN)]
)
def test_what_is_open_is_tried_again(
    verdicts: tuple[tuple[str, str], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(monkeypatch, again=False, verdicts=verdicts)


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ((OPEN, UNFIT, OPEN), "inconclusive 3 time\\(s\\), last at today"),
        ((("unfit", "replace"),), "unfit 1 time"),
        ((OPEN, ("inconclusive", "replace")), "inconclusive 2 time"),
    ],
)
def test_but_not_for_ever_and_once_where_it_interrupts(
    verdicts: tuple[tuple[str, str], ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match=said):
        asked(monkeypatch, again=False, verdicts=verdicts)
    assert asked(monkeypatch, again=True, verdicts=verdicts)


def test_how_often_is_the_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    once = {"tries": 1}
    with pytest.raises(Refused, match="unfit 1 time"):
        asked(monkeypatch, again=False, verdicts=(UNFIT,), promotion=once)
    assert asked(monkeypatch, again=False, verdicts=(UNFIT, UNFIT, UNFIT), promotion={"tries": 4})


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({}, ()),
        ({"image": "evil:1"}, ("image",)),
        ({"image": "mirror/{}"}, ()),  # as the cluster itself writes it
        ({"args": ["--other"]}, ("args",)),
    ],
)
def test_what_serves_and_is_not_as_the_spec_says_is_not_done(
    other: dict[str, Any], said: tuple[str, ...]
) -> None:
    """Whatever is remembered of it: somebody changed it by hand, and it was noted so since."""
    found = survey(run_of(world()).spec)
    ident, name = found.release.id, found.release.deployment
    body = found.deployment(["a"])
    (engine,) = body["spec"]["template"]["spec"]["containers"]
    image = engine["image"]
    engine.update(other)
    engine["image"] = engine["image"].format(image)
    view = DeploymentView(name, ident, 1, 1, 1)
    state = State("m", stable=found.release)
    found = replace(found, seen=Observed(state, ident, {ident: view}))

    def create(pod: Any) -> Any:
        (asked,) = pod["spec"]["containers"]
        assert asked["image"] == image
        return {"spec": {"containers": [{**asked, "image": f"mirror/{image}"}]}}

    cluster = SimpleNamespace(
        get=lambda kind, asked, ns: body if asked == name else None,
        list=lambda *_, **__: [],
        trial=lambda: SimpleNamespace(create=create),
    )
    there = replace(found, drift=drift(cluster, found))  # type: ignore[arg-type]
    assert [line.partition(":")[0] for line in there.drift] == list(said)
    assert there.serves_already is (not said)
    why = drifted(there.seen, *there.drift)
    assert (f"rollout undo deployment/{name}" in why) is bool(said)


NIGHT = [{"cron": "0 22 * * *", "hours": 4}]  # it is midnight: open
DAY = [{"cron": "0 9 * * *", "hours": 8}]


def started(
    monkeypatch: pytest.MonkeyPatch, *, age: str = "newer", by_itself: bool = True, **spec: Any
) -> str:
    """What becomes of a rollout that a schedule or an event started."""
    run = run_of(world(), **spec)
    run.by_itself = by_itself
    module = sys.modules["tasks.steps.resolve_model"]
    monkeypatch.setattr(module, "look_around", lambda *_: survey(run.spec))
    monkeypatch.setattr(module, "standing", lambda *_: Order(age, "by the log"))  # type: ignore[arg-type]
    found: str = resolve_model.function(run).not_now
    return found


def test_by_itself_it_starts_in_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch) == started(monkeypatch, maintenance_windows=NIGHT) == ""
    opens = "its next window opens at 2026-01-01T{}:00+00:00"
    assert started(monkeypatch, maintenance_windows=DAY) == opens.format("09")
    assert started(monkeypatch, quiet_hours=NIGHT) == opens.format("02")


@pytest.mark.parametrize("age", ["older", "unknown"])
def test_by_itself_nothing_starts_that_is_not_known_to_be_newer(
    age: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match=r"than what serves: by the log\. By hand it may"):
        started(monkeypatch, age=age)


def test_by_hand_it_always_may(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not started(monkeypatch, age="older", by_itself=False, maintenance_windows=DAY)
