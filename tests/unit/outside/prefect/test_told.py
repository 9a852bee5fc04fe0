"""An error that a person may see is its message in a run's log, once; a fault of ours is not. What
a step is doing is a line of it now and then."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from tasks.base.clock import FakeClock
from tasks.base.errors import StepFailed
from tasks.base.progress import Progress, emit, listening
from tasks.outside.prefect import told

FLOW, TASK = "prefect.flow_runs", "prefect.task_runs"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the two loggers write, tracebacks and all."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    for name in (FLOW, TASK):
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "handlers", [handler])
        monkeypatch.setattr(logger, "propagate", False)
        monkeypatch.setattr(logger, "disabled", False)
        monkeypatch.setattr(logger, "level", logging.INFO)
    yield out


def ends(name: str, error: BaseException) -> None:
    """As Prefect logs what ends a run."""
    logging.getLogger(name).error("Encountered an exception: %s", "x", exc_info=error)


def test_an_error_is_its_message_once_in_each_log(log: io.StringIO) -> None:
    error = StepFailed("the disk is full; free it")
    for _ in range(3):
        ends(TASK, error)
    assert log.getvalue() == "the disk is full; free it\n"
    ends(FLOW, error)
    ends(FLOW, error)
    assert log.getvalue() == "the disk is full; free it\n" * 2
    ends(FLOW, StepFailed("another"))
    assert log.getvalue().endswith("\nanother\n")


def test_a_percent_sign_in_a_message_is_one(log: io.StringIO) -> None:
    ends(FLOW, StepFailed("99 % of the disk, %s left"))
    assert log.getvalue() == "99 % of the disk, %s left\n"


def test_what_is_told_already_is_left_out(log: io.StringIO) -> None:
    error, half = StepFailed("by the state's message"), StepFailed("half told")
    told.is_told(error)
    told.is_told(half, [TASK])
    for name in (TASK, FLOW):
        ends(name, error)
        ends(name, half)
    assert log.getvalue() == "half told\n"


def test_a_fault_of_ours_keeps_its_traceback(log: io.StringIO) -> None:
    try:
        raise KeyError("spec")
    except KeyError as error:
        ends(FLOW, error)
        ends(FLOW, error)
    assert log.getvalue().count("Traceback (most recent call last)") == 2


def test_other_lines_pass(log: io.StringIO) -> None:
    logging.getLogger(FLOW).info("smoke done")
    assert log.getvalue() == "smoke done\n"


def test_setting_the_rule_again_is_harmless() -> None:
    before = [list(logging.getLogger(name).filters) for name in (FLOW, TASK)]
    told.install()
    after = [list(logging.getLogger(name).filters) for name in (FLOW, TASK)]
    assert before == after and all(len(found) >= 1 for found in after)


def test_a_sentence_outside_a_run_is_for_debugging(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="tasks"):
        told.say("100 % done")
    assert caplog.messages == ["100 % done"]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is told while a listener says it aloud."""
    lines: list[str] = []
    monkeypatch.setattr(told, "say", lines.append)
    return lines


def test_a_change_is_a_line_and_of_a_step_one_in_half_a_minute(
    time: FakeClock, said: list[str]
) -> None:
    """What came sooner is told once its time has come, as it is by then."""
    with listening(told.Aloud().hear, own=True):
        emit(Progress("deploy", "started"))
        emit(Progress("deploy", "running", "m-0", "Pending"))
        time.sleep(told.CHANGE_EVERY_S - 1)
        emit(Progress("deploy", "running", "m-0", "ContainerCreating"))
        emit(Progress("fetch_weights", "running", "node-a", "", 4096, 8192, "bytes"))
        assert said == ["m-0: Pending", "node-a: 4,096 of 8,192 bytes"]
        time.sleep(1)
        for _ in range(2):
            emit(Progress("deploy", "running", "m-0", "Running, not ready yet"))
            time.sleep(told.COUNT_EVERY_S)
        emit(Progress("deploy", "done", message="m is ready"))
    assert said[2:] == ["m-0: Running, not ready yet"]


def test_what_only_counts_on_is_told_seldom(time: FakeClock, said: list[str]) -> None:
    aloud = told.Aloud()
    for left in range(1200, 0, -5):
        left_s = f"soaking, {left} s left"
        aloud.hear(Progress("promote", "running", "m", left_s, 1200 - left, 1200, "s"))
        time.sleep(5)
    assert said == [f"m: soaking, {left} s left" for left in (1200, 900, 600, 300)]


def test_a_round_that_ended_is_told_between_its_requests(time: FakeClock, said: list[str]) -> None:
    aloud = told.Aloud()
    aloud.hear(Progress("benchmark", "running", "", "0 of 3 targets decided", 0, 8, "rounds"))
    time.sleep(told.CHANGE_EVERY_S)
    for done in (40, 60):
        aloud.hear(Progress("benchmark", "running", "c2", "round 1", done, 120, "requests"))
        time.sleep(told.CHANGE_EVERY_S)
    aloud.hear(Progress("benchmark", "running", "", "2 of 3 targets decided", 1, 8, "rounds"))
    assert said == [
        "0 of 3 targets decided, 0 of 8 rounds",
        "c2: round 1, 40 of 120 requests",
        "2 of 3 targets decided, 1 of 8 rounds",
    ]


def test_a_step_taken_again_is_told_at_once_and_its_ends_are_its_own(
    time: FakeClock, said: list[str]
) -> None:
    aloud = told.Aloud()
    for state in ("started", "running", "done", "started", "running", "failed"):
        aloud.hear(Progress("smoke", state, "" if state == "started" else "m", "looking"))
    assert said == ["m: looking"] * 2
