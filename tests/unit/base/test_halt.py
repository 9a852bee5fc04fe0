"""A run that is asked to stop hears it once in each of its threads, and nowhere else."""

from __future__ import annotations

import threading

import pytest

from tasks.base.errors import Aborted
from tasks.base.halt import Halt, heed, heeding, within
from tasks.base.progress import Progress, emit


def test_it_is_heard_at_progress_and_once() -> None:
    asked = ""
    with heeding(Halt(lambda: asked)):
        emit(Progress("benchmark", "running"))
        asked = "alice@host at noon"
        emit(Progress("benchmark", "done"))  # what has ended is not stopped
        with pytest.raises(Aborted, match="aborted by alice@host at noon"):
            emit(Progress("benchmark", "running"))
        heed()  # cleaning up goes on
    emit(Progress("benchmark", "running"))


def test_what_settles_what_it_has_begun_stops_for_nobody() -> None:
    halt = Halt(lambda: "alice")
    halt.deafen()
    halt.heed()


def test_another_threads_run_is_not_meant() -> None:
    heard: list[BaseException] = []

    def other() -> None:
        try:
            heed()
        except Aborted as error:
            heard.append(error)

    halt = Halt(lambda: "alice")
    with heeding(halt):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert heard == []
        with pytest.raises(Aborted):
            heed()


def test_what_is_asked_within_a_time_gives_raises_or_is_left_alone() -> None:
    # it heeds as this context does
    with heeding(Halt(lambda: "alice")), pytest.raises(Aborted):
        within(60, heed)
    assert within(60, lambda: 5) == 5
    end = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.01, end.wait)
    end.set()
