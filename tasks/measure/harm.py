"""Whether a load beside what serves takes something from those who ask it."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.measure.traffic import Counters

# a request waits for an instant before the engine sees it: a queue is what two looks find
QUEUE_LOOKS = 2


def no_room(now: Sequence[Counters], own: float, seats: float | None) -> str:
    """Why a load may not begin beside what the engines do now; '' where it may.

    own: requests that it will have in flight. seats: how many the engines run at once, all of them
    together, None where that is not known.
    """
    waiting, running = _sums(now)
    if waiting:
        return f"{waiting:.0f} request(s) wait in the engines already"
    if seats is not None and running + own > seats:
        return (
            f"the engines run {running:.0f} request(s), and {own:.0f} more would be over the "
            f"{seats:.0f} that they run at once"
        )
    return ""


class Crowding:
    """Look after look, whether somebody waits while a load of ours runs.

    own: how many requests we have in flight at most; None where nobody can say (arrivals by a
    rate). alone: our own queue is no harm, others' is.
    """

    def __init__(self, own: float | None, *, alone: bool = False) -> None:
        self._own, self._alone, self._queued = own, alone, 0

    def __call__(self, now: Sequence[Counters]) -> str:
        """Why the load has to end now; '' where it may go on."""
        waiting, running = _sums(now)
        self._queued = self._queued + 1 if waiting else 0
        if waiting and self._own is not None and waiting + running > self._own:
            return (
                f"{waiting:.0f} request(s) wait in the engines and {running:.0f} run, where ours "
                f"are at most {self._own:.0f}: others wait"
            )
        if self._queued >= QUEUE_LOOKS and not self._alone:
            return f"{waiting:.0f} request(s) wait in the engines: our own load pushes them"
        return ""


def _sums(now: Sequence[Counters]) -> tuple[float, float]:
    return sum(item.waiting for item in now), sum(item.running for item in now)
