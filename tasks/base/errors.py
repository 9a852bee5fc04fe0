"""The few errors the pipeline raises. Each maps to one exit status of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class Exit(IntEnum):
    """Exit status of the command line, everywhere. DONE: promoted, or nothing to do. REFUSED:
    before anything was changed."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    FAILED = 3
    INCONCLUSIVE = 4
    REFUSED = 5


class RolloutError(Exception):
    """Base of all errors a person may see; the message says found, expected, what to do."""

    exit_code = Exit.ERROR


class SpecError(RolloutError):
    """The rollout spec, or a command's argument, is wrong; nothing was changed.

    `problems` holds one line each, every line starting with the place in the file.
    """

    exit_code = Exit.USAGE

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[SpecError], tuple[list[str]]]:
        return (type(self), (self.problems,))


class OutsideError(RolloutError):
    """A system outside (hub, cluster, bucket, engine, disk) failed or did not answer."""


class StepFailed(RolloutError):
    """A step could not be completed although every outside system answered.

    `logs` are the containers' logs that were read for it, whole, by file name; whoever has the
    record keeps them beside it.
    """

    def __init__(self, message: str, logs: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.logs = dict(logs or {})

    def __reduce__(self) -> tuple[type[StepFailed], tuple[object, ...]]:
        return (type(self), (str(self), self.logs))


class LockLost(RolloutError):
    """Another rollout holds the lease now; this one must stop writing at once."""


class Aborted(RolloutError):
    """A person asked this run to stop (`rollout abort`); it cleans up as after any error."""


class Refused(RolloutError):
    """The rollout was refused before anything was changed."""

    exit_code = Exit.REFUSED


class NotNow(Refused):
    """Nobody asked for it by hand, and its window has closed before anything was taken for it."""


class Busy(Refused):
    """Somebody alive holds the lease."""
