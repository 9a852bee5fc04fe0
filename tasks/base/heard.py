"""What was heard of the steps of one rollout, put together: what runs, how others ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime

from tasks.base import clock
from tasks.base.progress import Progress, TargetSoFar

ENDS = ("done", "failed")
ROUNDS = "rounds"  # the unit of a Progress that counts them, of at most `total`


@dataclass
class StepHeard:
    """A step that has begun. began: of clock.monotonic. since: the same, UTC. seconds: how long it
    took, None while it runs. subjects: the last Progress of each, the newest last."""

    state: str = "running"
    message: str = ""
    began: float = field(default_factory=clock.monotonic)
    since: datetime = field(default_factory=clock.now)
    seconds: float | None = None
    subjects: dict[str, Progress] = field(default_factory=dict)


class Heard:
    """A listener that keeps what it heard last. Several threads may tell it, and ask it."""

    def __init__(self) -> None:
        self._steps: dict[str, StepHeard] = {}
        self._runs = ""  # the step that began last, while it runs
        self._targets: tuple[TargetSoFar, ...] = ()
        self._rounds: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def hear(self, event: Progress) -> Progress:
        """Take one event; gives it as what it is of. What a room below says by the name of a step
        that does not run is of the one that does."""
        with self._lock:
            if self._runs and event.subject and event.step != self._runs:
                event = replace(event, step=self._runs)
            self._hear(event)
        return event

    def _hear(self, event: Progress) -> None:
        name, again = event.step, event.state == "started"
        if again:
            self._runs = name
            self._steps.pop(name, None)  # taken again, it is the last one
        step = self._steps.setdefault(name, StepHeard())
        self._targets = event.targets or self._targets
        if event.unit == ROUNDS and event.total:
            self._rounds = (int(event.done or 0), int(event.total))
        if event.subject:
            step.subjects.pop(event.subject, None)
            step.subjects[event.subject] = event
            return
        step.message = event.message or step.message
        step.state = event.state if event.state in ENDS else "running"
        if event.state in ENDS:
            step.seconds = clock.monotonic() - step.began
            self._runs = "" if self._runs == name else self._runs

    def steps(self) -> dict[str, StepHeard]:
        """The steps that have begun, in their order, by name."""
        with self._lock:
            return {
                name: replace(step, subjects=dict(step.subjects))
                for name, step in self._steps.items()
            }

    @property
    def targets(self) -> tuple[TargetSoFar, ...]:
        """All targets, as they were told last; none before that."""
        return self._targets

    @property
    def rounds(self) -> tuple[int, int] | None:
        """(done, at most) of the benchmark; None before it."""
        return self._rounds
