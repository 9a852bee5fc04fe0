"""What a person reads in the Prefect UI. Outside a Prefect run, and when its API fails, silent:
an artifact that could not be written must not stop a rollout.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.context import FlowRunContext, TaskRunContext
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL

from tasks.base import clock
from tasks.base.progress import Progress, emit
from tasks.base.scrub import mask, scrub

_log = logging.getLogger(__name__)
PROGRESS_EVERY_S = 3.0


def key_of(what: str, namespace: str, name: str, *more: str) -> str:
    """The key of a model's artifacts, under which Prefect keeps their history. more: what it is
    about beside the model, such as a node. Prefect takes small letters, digits and dashes alone."""
    text = "-".join((what, name, namespace, *more)).lower()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")


def ui() -> str:
    """The address of the UI of the server that is asked here; '' where there is none."""
    return PREFECT_UI_URL.value() or (PREFECT_API_URL.value() or "").removesuffix("/api")


def _quietly(act: Callable[[], Any]) -> Any:
    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        return None
    try:
        return act()
    except Exception:
        _log.warning("a Prefect artifact could not be written", exc_info=True)
        return None


# what Markdown may read as an order; a line's end begins a new block
_ORDERS = re.compile(r"([!-/:-@\[-`{-~])")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def escape(text: object) -> str:
    """Text from outside as Markdown shows it: as it is, on one line. Prefect renders descriptions
    as Markdown, too."""
    return _ORDERS.sub(r"\\\1", _UNSEEN.sub(" ", mask(str(text))).strip())


def markdown(
    key: str, text: str, description: str = "", links: Mapping[str, str] | None = None
) -> UUID | None:
    """A text, whose parts from outside are escaped; gives its id. links: addresses that stand above
    it, by their words; signatures in them stay, or they would open nothing."""
    named = [f"[{escape(said)}](<{address}>)" for said, address in (links or {}).items()]
    above = f"{' · '.join(named)}\n\n" if named else ""
    found: UUID | None = _quietly(
        lambda: create_markdown_artifact(
            above + mask(text), key=key, description=escape(description)
        )
    )
    return found


def table(key: str, rows: Sequence[Mapping[str, Any]], description: str = "") -> None:
    """A table; rows share their keys."""
    plain = [scrub(dict(row)) for row in rows]
    _quietly(lambda: create_table_artifact(plain, key=key, description=escape(description)))


class ProgressArtifact:
    """A bar in the UI, written at most every few seconds."""

    def __init__(self, key: str, description: str) -> None:
        self.key, self.description = key, description
        self._id: UUID | None = None
        self._last = -1e9

    def tell(self, event: Progress) -> None:
        """Pass a step's progress on to who listens, and set the bar by it."""
        emit(event)
        self.update(event.done or 0, event.total or 0, event.message)

    def update(self, done: float, total: float, note: str = "", *, final: bool = False) -> None:
        """Set the bar to done/total."""
        now = clock.monotonic()
        if total <= 0 or (now - self._last < PROGRESS_EVERY_S and not final):
            return
        self._last = now
        percent = round(min(100.0, 100.0 * done / total), 1)
        text = escape(f"{self.description}: {note}" if note else self.description)
        if self._id is None:
            self._id = _quietly(
                lambda: create_progress_artifact(percent, key=self.key, description=text)
            )
        else:
            known = self._id
            _quietly(lambda: update_progress_artifact(known, progress=percent, description=text))
