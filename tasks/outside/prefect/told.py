"""What the log of a run says: sentences. A traceback is for a fault in the program.

Prefect writes a traceback for every exception that ends a task or a flow, and another one when a
worker's process ends. An error that a person may see says all there is to know in its message, so
its first mention in a log becomes that message, and the others are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger
from prefect.logging.handlers import APILogWorker

from tasks.base.errors import RolloutError
from tasks.base.scrub import mask, masked

_log = logging.getLogger(__name__)
# where Prefect writes the logs of runs
_RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
_TOLD = "_told_in"


def say(sentence: str) -> None:
    """One sentence into the log of the task run, or else of the flow run, that runs here."""
    said = mask(sentence)
    try:
        get_run_logger().info("%s", said)
    except MissingContextError:
        _log.debug("%s", said)


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
