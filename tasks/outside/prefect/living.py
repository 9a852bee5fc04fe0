"""Which processes of a service live, and their end.

Each of NAMES holds a lock on a file of its folder while it lives, whatever becomes of the others,
so that a pid which a stranger has by now is never signalled. Where somebody removed that file, its
process still has it open: on Linux it is known by that, together with its command line.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from tasks.base import clock
from tasks.base.errors import OutsideError

KEEPER = "tasks.outside.prefect.keeping"
STOP_S = 60.0
TICK_S = 0.3
# by words that follow each other on its command line
_WORDS = {"keeper": ["-m", KEEPER], "worker": ["worker", "start"], "server": ["server", "start"]}
NAMES = tuple(_WORDS)


@contextlib.contextmanager
def locked(folder: Path, name: str) -> Iterator[IO[str]]:
    """The lock of a process, for it to inherit and `note`. Raises OutsideError where one lives."""
    with _file(folder, name).open("a+") as file:
        for left in reversed(range(20)):
            if (pid := pid_of(folder, name)) is None:
                with contextlib.suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
            if pid is not None or not left:
                raise OutsideError(
                    f"a {name} runs already with {folder}, pid {pid or 'unknown'}: `rollout down` "
                    "ends it"
                )
            clock.sleep(0.05)  # somebody only looks who lives
        file.truncate(0)  # the pid of who had it before is nobody's now
        yield file


def note(file: IO[str], pid: int) -> None:
    """Write whose lock it is."""
    file.seek(0)
    file.truncate()
    file.write(str(pid))
    file.flush()


def pid_of(folder: Path, name: str) -> int | None:
    """The pid of one of NAMES that lives; None where it does not."""
    try:
        with _file(folder, name).open() as file:
            try:
                # shared: two who look at once take each other for nobody
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(file.read() or 0) or None
    except (OSError, ValueError):
        pass
    return _unlocked(folder, name)


def end(folder: Path, names: Sequence[str] = NAMES) -> list[str]:
    """End what lives, the keeper first, which ends the others; gives names."""
    ended = [name for name in names if pid_of(folder, name) is not None]
    for name in names:
        for number, patience in ((signal.SIGTERM, 2.5 * STOP_S), (signal.SIGKILL, 10.0)):
            if (pid := pid_of(folder, name)) is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            until = clock.monotonic() + patience
            while pid_of(folder, name) == pid and clock.monotonic() < until:
                clock.sleep(TICK_S)
    return ended


def option(folder: Path, name: str, wanted: str) -> str | None:
    """What one of NAMES that lives was started with, by its command line."""
    pid = pid_of(folder, name)
    words = [] if pid is None else _command(pid)
    return words[words.index(wanted) + 1] if wanted in words[:-1] else None


def variables(folder: Path, name: str) -> dict[str, str]:
    """The environment that one of NAMES that lives was started with, credentials and all; {} where
    the machine does not say."""
    pid = pid_of(folder, name)
    if pid is None:
        return {}
    try:
        text = Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return {}
    return dict(item.split("=", 1) for item in text.split("\0") if "=" in item)


def children(folder: Path, name: str) -> list[int]:
    """Pids of what one of NAMES that lives has started, and runs; on Linux."""
    pid = pid_of(folder, name)
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            # what it is called, in brackets, may hold anything
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if int(parent) == pid and state not in "ZX":
                found.append(int(path.parent.name))
    return sorted(found)


def moved(folder: Path) -> tuple[Path, Path] | None:
    """(from, to) where a keeper lives whose folder was moved from here, or to here, since it
    began: what it writes goes to where it was."""
    here = folder.resolve()
    for pid, words in _pids("keeper").items():
        began = Path(words[words.index(KEEPER) + 1]).resolve()
        for path in _open(pid):
            now = path.parent
            if path == _file(now, "keeper") and began != now and here in (began, now):
                return began, now
    return None


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.lock"


def _unlocked(folder: Path, name: str) -> int | None:
    """The pid of one of NAMES whose lock's file was removed; never our own."""
    path = _file(folder.resolve(), name)
    return next((pid for pid in _pids(name) if pid != os.getpid() and path in _open(pid)), None)


def _pids(name: str) -> dict[int, list[str]]:
    """Pids, each with the words of its command line, by which alone none may be ended."""
    wanted, found = _WORDS[name], {}
    for path in Path("/proc").glob("[0-9]*"):
        words = _command(int(path.name))
        # something follows: the keeper's folder, options
        if any(words[at : at + 2] == wanted for at in range(len(words) - 2)):
            found[int(path.name)] = words
    return found


def _command(pid: int) -> list[str]:
    """Nothing for one that has ended, or where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _open(pid: int) -> list[Path]:
    """Files a process has open, by where they are, or were; nothing of another user's."""
    found = []
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(Path(str(path.readlink()).removesuffix(" (deleted)")))
    return found
