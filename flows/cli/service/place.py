"""The folder of a service on this machine: whose turn it is there, and what is under way."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from tasks.base.errors import OutsideError
from tasks.outside.disk import records
from tasks.outside.disk.files import locked
from tasks.outside.prefect import keeping, living
from tasks.outside.prefect.service import facts
from tasks.service.kept import Running


def folder_of(state: str | None) -> Path:
    """The folder that is named, or the default's."""
    return Path(state).absolute() if state else records.home() / "service"


@contextmanager
def turn(console: Console, place: Path, *, ends: bool = False) -> Iterator[None]:
    """One command at a time looks at what runs, and starts or ends it. ends: nothing is written, so
    that a folder that cannot be written keeps nobody from it. Raises OutsideError."""
    said = f"another `rollout up` or `rollout down` is at work with {place}; waiting for its end"
    with ExitStack() as stack:
        try:
            # no *.lock: whoever clears those away would let two in
            lock = locked(place / ".turn", on_wait=lambda _: console.print(said, soft_wrap=True))
            stack.enter_context(lock)
        except OutsideError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            why = facts.unwritable(place, error.__cause__)
            if not ends:
                raise why from error
            console.print(f"{why}; what runs is ended all the same", soft_wrap=True)
        yield


def moved_to(way: tuple[Path, Path]) -> str:
    """What is said of a folder that was moved under what runs; way: from, to."""
    began, now = way
    return (
        f"server and worker of {began} run, but that folder has been moved to {now} since; "
        f"`rollout down --state {shlex.quote(str(now))}` ends them"
    )


def same(place: Path, *, demo: bool) -> str:
    """What names this service to the next command: without it, that means the default's."""
    if demo:
        from flows.cli.demo import SERVICE
    default = SERVICE if demo else folder_of(None)
    return " --demo" * demo + ("" if place == default else f" --state {shlex.quote(str(place))}")


def under_way(place: Path, kept: Running) -> tuple[list[str], str]:
    """What this service's worker has under way, as the server says. Where it does not: by
    processes, and with that why it does not."""
    from tasks.outside.prefect.service import runs

    if living.pid_of(place, "worker") is None:
        return [], ""
    if not keeping.answers(kept.api):
        return processes(place), f"the server at {kept.api} is away"
    try:
        return runs.under_way(kept.api), ""
    except OutsideError as error:
        return processes(place), failing(place, kept, error)


def failing(place: Path, kept: Running, error: OutsideError) -> str:
    """Why a server that answers does not do as asked."""
    return (
        f"the server at {kept.api} answers, and what it holds cannot be read or written ({error}; "
        f"see {keeping.log_of(place, 'server')})"
    )


def processes(place: Path) -> list[str]:
    """Of the worker's flows."""
    return [f"pid {pid}" for pid in living.children(place, "worker")]
