"""What is heard of steps is put together by the step that runs."""

from __future__ import annotations

import pytest

from tasks.base.clock import FakeClock
from tasks.base.heard import ROUNDS, Heard
from tasks.base.progress import Progress, TargetSoFar, emit, listening

pytestmark = pytest.mark.usefixtures("time")


def test_a_step_runs_until_it_ends(time: FakeClock) -> None:
    heard = Heard()
    heard.hear(Progress("deploy", "started"))
    time.sleep(5)
    assert (heard.steps()["deploy"].state, heard.steps()["deploy"].seconds) == ("running", None)
    heard.hear(Progress("deploy", "failed", message="no image"))
    step = heard.steps()["deploy"]
    assert (step.state, step.seconds, step.message) == ("failed", 5, "no image")


def test_what_a_room_below_says_by_another_steps_name_is_of_the_one_that_runs() -> None:
    heard = Heard()
    heard.hear(Progress("promote", "running", "m", "before any step"))
    heard.hear(Progress("roll_back", "started"))
    assert heard.hear(Progress("promote", "running", "m-new", "ends")).step == "roll_back"
    heard.hear(Progress("roll_back", "done"))
    assert heard.hear(Progress("promote", "running", "m", "after it")).step == "promote"
    assert list(heard.steps()["roll_back"].subjects) == ["m-new"]


def test_a_step_taken_again_begins_anew_and_comes_last(time: FakeClock) -> None:
    heard = Heard()
    for name in ("fetch_weights", "deploy"):
        heard.hear(Progress(name, "started"))
        heard.hear(Progress(name, "done", message=name))
    time.sleep(7)
    heard.hear(Progress("fetch_weights", "started"))
    assert list(heard.steps()) == ["deploy", "fetch_weights"]
    assert heard.steps()["fetch_weights"].since == time.now()


def test_targets_and_rounds_stay_until_they_are_told_anew() -> None:
    heard = Heard()
    one = TargetSoFar("ttft_p95_ms", "c2", "at_most", 800, "ms")
    heard.hear(Progress("benchmark", "running", "", "", 1, 10, ROUNDS, targets=(one,)))
    heard.hear(Progress("benchmark", "done", message="said", done=4, unit=ROUNDS))
    assert (heard.targets, heard.rounds) == ((one,), (1, 10))


def test_an_own_listener_hears_its_own_context_alone() -> None:
    inner, outer = Heard(), Heard()
    with listening(outer.hear, own=True):
        emit(Progress("plan", "started"))
        with listening(inner.hear, own=True):
            emit(Progress("deploy", "started"))
    emit(Progress("smoke", "started"))
    assert list(outer.steps()) == ["plan", "deploy"] and list(inner.steps()) == ["deploy"]
