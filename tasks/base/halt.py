"""A run that is asked to stop: it hears so before a write, and wherever it shows progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import TypeVar

from tasks.base.errors import Aborted

T = TypeVar("T")


class Halt:
    """asked: by whom and when this run was asked to stop, '' where it was not.

    Each thread hears it once: what cleans up after Aborted goes on to its end.
    """

    def __init__(self, asked: Callable[[], str]) -> None:
        self._asked = asked
        self._deaf = False
        self._told: set[int] = set()

    def deafen(self) -> None:
        """From here on the run settles what it has begun, and stops for nobody."""
        self._deaf = True

    def heed(self) -> None:
        """Raises Aborted where somebody asked, once in a thread."""
        thread = threading.get_ident()
        if self._deaf or thread in self._told:
            return
        if by := self._asked():
            self._told.add(thread)
            raise Aborted(f"aborted by {by}")


_current: ContextVar[Halt | None] = ContextVar("halt", default=None)


@contextmanager
def heeding(halt: Halt) -> Iterator[None]:
    """What this context does inside a `with` block heeds it, also through `heed` alone."""
    token = _current.set(halt)
    try:
        yield
    finally:
        _current.reset(token)


def heed() -> None:
    """Raises Aborted where the run of this context was asked to stop; long waits call it."""
    if (halt := _current.get()) is not None:
        halt.heed()


def at_once(asked: Sequence[Callable[[], T]], width: int) -> list[T]:
    """What they give, each asked in a thread of its own where there are more than one, `width` at
    the same time; they heed, and show progress, as this context does."""
    if len(asked) < 2:
        return [ask() for ask in asked]
    with ThreadPoolExecutor(width) as pool:
        given = [pool.submit(copy_context().run, ask) for ask in asked]
    try:
        return [item.result() for item in given]
    except Aborted:
        with suppress(Aborted):
            heed()  # heard for this thread, too: what it cleans up goes on to its end
        raise


def within(seconds: float, ask: Callable[[], T]) -> T:
    """What it gives. Raises TimeoutError where it takes longer than that in all, however often
    something of it comes: it is left alone then, in a daemon, which keeps nobody's end."""
    given: Future[T] = Future()

    def answer() -> None:
        try:
            given.set_result(ask())
        except BaseException as error:
            given.set_exception(error)

    threading.Thread(target=copy_context().run, args=(answer,), daemon=True).start()
    return given.result(seconds)
