"""This process: what asks it to end, and where what it says goes.

Ctrl-C, SIGTERM and a closed terminal (SIGHUP) take one road, that of KeyboardInterrupt, so that
what was begun is cleaned up under its lock. Further ones stop no cleaning up, but for a third
Ctrl-C.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TextIO

ASKS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# As git and kubectl die of SIGPIPE. Not 0: that says promoted, and nobody has read what was found.
UNREAD = 128 + signal.SIGPIPE
_GONE = (errno.EIO, errno.EPIPE)
GOES_ON = (
    "rollout: interrupted; cleaning up goes on. Ctrl-C once more stops that, and "
    "`rollout recover NAME` settles what it leaves\n"
)


@dataclass
class _Asked:
    """first: the signal that asked first, 0 for none. again: Ctrl-C since then. taken: signals
    that are heard."""

    first: int = 0
    again: int = 0
    taken: list[signal.Signals] = field(default_factory=list)
    outputs: list[_Output] = field(default_factory=list)


_asked = _Asked()


def begin(*, acts: bool) -> None:
    """Hear what asks this process to end, and own its outputs. acts: it changes something, so that
    no output that is gone may stop it."""
    # what is ignored stays so: nohup, a job in the background of a shell
    _asked.taken = [number for number in ASKS if signal.getsignal(number) is not signal.SIG_IGN]
    hold()
    sys.stdout, sys.stderr = _owned(sys.stdout, acts), _owned(sys.stderr, acts)


def hold(event: object = None) -> None:
    """Hear signals again where something else has taken them: Prefect does, for SIGTERM, as a flow
    begins. A listener of progress, so that it is called within the flow."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _asked.taken:
        if signal.getsignal(number) is not _hear:
            signal.signal(number, _hear)


def _hear(number: int, frame: object) -> None:
    if not _asked.first:
        _asked.first = number
        raise KeyboardInterrupt
    if number != signal.SIGINT:
        return  # a shell that ends sends a second SIGHUP, a supervisor a SIGTERM: nobody insists
    _asked.again += 1
    if _asked.again > 1:
        raise KeyboardInterrupt
    with suppress(OSError):
        os.write(2, GOES_ON.encode())  # sys.stderr may be in the middle of a line


def interrupted() -> int:
    """Exit status of what was interrupted, as a shell has it of the signal that asked first."""
    return 128 + (_asked.first or signal.SIGINT)


def lost() -> OSError | None:
    """Why an output of what only reads took no more; None where all was taken."""
    return next((out.lost for out in _asked.outputs if out.lost and not out.acts), None)


def unread(error: OSError) -> bool:
    """Whether nobody reads on, as with `| head -1`."""
    return error.errno in _GONE


class _Output(io.FileIO):
    """A file descriptor that fails at most once: what it does not take goes nowhere then."""

    def __init__(self, number: int, *, acts: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self.acts = acts
        self.lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Raises OSError where it is lost, unless something has to be ended in order."""
        try:
            return super().write(data)
        except OSError as error:
            self.lost = error
            if unread(error) or not self.acts:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)
            if self.acts or _asked.first:
                return memoryview(data).nbytes
            raise


def _owned(stream: TextIO, acts: bool) -> TextIO:
    """The same output, that takes any letter and is lost in order. None where it was closed."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    raw = _Output(stream.fileno(), acts=acts)
    _asked.outputs.append(raw)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
