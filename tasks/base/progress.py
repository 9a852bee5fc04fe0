"""What a long step is doing right now, told to whoever listens (terminal, Prefect artifact).

Steps call `emit`; they never know who is listening. Listeners must be quick and never raise
into the step: an error of a listener is dropped, because a broken display must not stop a rollout.
What shows progress can also be asked to stop there (tasks/base/halt).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from tasks.base.halt import heed
from tasks.base.scrub import mask

_log = logging.getLogger(__name__)

OnBytes = Callable[[int, int], None]  # (bytes of the file there, bytes just received)


@dataclass(frozen=True)
class TargetSoFar:
    """A target at a load point, as far as it is known. limit, measured, low, high: in `unit`; None:
    no data, or no bound yet. verdict: inconclusive as long as it is open."""

    metric: str
    load: str
    direction: str
    limit: float | None
    unit: str
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str = "inconclusive"
    advisory: bool = False


@dataclass(frozen=True)
class Progress:
    """One observation of a step.

    step: the name of a row in STEPS (tasks/steps).
    state: started, running, done or failed.
    subject: what within the step (a node, a pod, a load point), or ''.
    message: one short sentence for a person.
    done, total: units of `unit` ('bytes', 'requests', ...); None where unknown.
    figures: running figures such as {'ttft_mean_ms': 104.2}.
    targets: all of them, where one may have closed.
    """

    step: str
    state: str
    subject: str = ""
    message: str = ""
    done: float | None = None
    total: float | None = None
    unit: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    targets: tuple[TargetSoFar, ...] = ()


Listener = Callable[[Progress], object]
_listeners: list[Listener] = []
_lock = threading.Lock()
_own: ContextVar[tuple[Listener, ...]] = ContextVar("own listeners", default=())


@contextmanager
def listening(listener: Listener, *, own: bool = False) -> Iterator[None]:
    """Hear every Progress emitted in this process inside a `with` block. own: only what this
    context emits, and the threads that go on in it (as with halt.heeding)."""
    if own:
        token = _own.set((*_own.get(), listener))
        try:
            yield
        finally:
            _own.reset(token)
        return
    with _lock:
        _listeners.append(listener)
    try:
        yield
    finally:
        with _lock:
            _listeners.remove(listener)


def emit(event: Progress) -> None:
    """Tell all listeners. Raises Aborted where the run was asked to stop; never at an end."""
    if event.message and (said := mask(event.message)) != event.message:
        event = replace(event, message=said)
    with _lock:
        current = [*_listeners, *_own.get()]
    for listener in current:
        try:
            listener(event)
        except Exception:
            _log.debug("a progress listener failed", exc_info=True)
    if event.state not in ("done", "failed"):
        heed()
