"""An error that a person may see is its message in a run's log, once; a fault of ours is not."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from tasks.base.errors import StepFailed
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
