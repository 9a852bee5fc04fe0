"""What the log of a run says: sentences. A traceback is for a fault in the program.

Prefect writes a traceback for every exception that ends a task or a flow, and another one when a
worker's process ends. An error that a person may see says all there is to know in its message, so
its first mention in a log becomes that message, and the others are left out.

What a step is doing is told too, now and then (`Aloud`): a run's page shows nothing else of it.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger
from prefect.logging.handlers import APILogWorker

from tasks.base import clock
from tasks.base.errors import RolloutError
from tasks.base.progress import Progress
from tasks.base.scrub import mask, masked

_log = logging.getLogger(__name__)
# where Prefect writes the logs of runs
_RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
_TOLD = "_told_in"
CHANGE_EVERY_S = 30.0  # of a step, a sentence that says something else
COUNT_EVERY_S = 300.0  # one that only counts on: a soak may take a day


def say(sentence: str) -> None:
    """One sentence into the log of the task run, or else of the flow run, that runs here."""
    said = mask(sentence)
    try:
        get_run_logger().info("%s", said)
    except MissingContextError:
        _log.debug("%s", said)


class Aloud:
    """A listener that says what a step is doing, where that has changed: of each step at most one
    sentence in CHANGE_EVERY_S, and of the same words with other numbers one in COUNT_EVERY_S. How
    it ends is left to the step, which says it in full. Several threads may tell it."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, str, str]] = {}  # when, the sentence, its words
        self._lock = threading.Lock()

    def hear(self, event: Progress) -> None:
        """Take one event."""
        sentence, words = _doing(event)
        with self._lock:
            if event.state == "started":
                self._last.pop(event.step, None)
            if event.state != "running" or not sentence:
                return
            now = clock.monotonic()
            at, said, before = self._last.get(event.step, (-1e9, "", ""))
            pause = COUNT_EVERY_S if words == before else CHANGE_EVERY_S
            if sentence == said or now - at < pause:
                return
            self._last[event.step] = (now, sentence, words)
        say(sentence)


def _doing(event: Progress) -> tuple[str, str]:
    """The sentence of an event, '' for none; and what of it stays while it only counts on."""
    counted = ""
    if event.total and event.unit != "s":  # of a wait the message says how long it lasts
        counted = f"{event.done or 0:,.0f} of {event.total:,.0f} {event.unit}"
    said = ", ".join(filter(None, (event.message, counted)))
    if not said:
        return "", ""
    sentence = f"{event.subject}: {said}" if event.subject else said
    return sentence, f"{event.subject}: {re.sub(r'[0-9.,]+', '#', said)}"


def is_told(error: RolloutError, loggers: Iterable[str] = _RUN_LOGGERS) -> None:
    """These logs say it already, in other words or in these."""
    setattr(error, _TOLD, {*getattr(error, _TOLD, ()), *loggers})


class _Sentences(logging.Filter):
    """A record about a RolloutError becomes its message, once in a logger; and no record holds a
    credential of this process."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, RolloutError):
            return masked(record)
        if record.name in getattr(error, _TOLD, ()):
            return False
        is_told(error, [record.name])
        record.msg, record.args = mask(str(error)), ()
        record.exc_info = record.exc_text = None
        return True


def flush() -> None:
    """Send what of the logs is not sent yet, before the server goes."""
    APILogWorker.drain_all(timeout=5)


def install() -> None:
    """Set the rule for the logs of runs; again is harmless."""
    for name in _RUN_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(item, _Sentences) for item in logger.filters):
            logger.addFilter(_Sentences())


install()
