"""Whether a load beside what serves takes something from those who ask it, and they from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.measure.traffic import Counters

# a request waits for an instant before the engine sees it: a queue is what two looks find
QUEUE_LOOKS = 2
# of the looks at a load, so many may find a request of others: what ran beside them then is less
# than a p99 leaves out
OTHERS_SHARE = 0.01
# fewer looks miss who comes and goes: one that is there a tenth of the time escapes twenty in one
# of eight measurements, and two of them in one of sixty
LEAST_LOOKS = 20


@dataclass(frozen=True)
class Company:
    """Requests of others beside a load of ours, as looks at the engines found them.

    looks: how many. found: at how many of them others had requests. total: of those, all looks
    together. most: at one look. blind: looks that failed. unknown: why nobody can tell ours from
    others', in words; '' where one can.
    """

    looks: int = 0
    found: int = 0
    total: float = 0.0
    most: float = 0.0
    blind: int = 0
    unknown: str = ""

    def seen(self, now: Sequence[Counters], own: float) -> Company:
        """With one more look. own: requests of ours in flight at most."""
        others = max(0.0, sum(_sums(now)) - own)
        return replace(
            self,
            looks=self.looks + 1,
            found=self.found + (others > 0),
            total=self.total + others,
            most=max(self.most, others),
        )

    def unseen(self) -> Company:
        """With one more look that failed."""
        return replace(self, looks=self.looks + 1, blind=self.blind + 1)

    @property
    def told(self) -> str:
        """How much others asked; '' where no look found any."""
        if self.unknown or not self.found:
            return ""
        return (
            f"beside it others had requests at {self.found} of {self.looks} looks, "
            f"{self.total / self.looks:.1f} on average and {self.most:.0f} at most"
        )

    @property
    def doubt(self) -> str:
        """Why what was measured may be the doing of others; '' where that is excluded."""
        if self.unknown:
            return self.unknown
        if self.found + self.blind > OTHERS_SHARE * self.looks:
            blind = f"{self.blind} of {self.looks} looks failed" if self.blind else ""
            return "; ".join(filter(None, (self.told, blind)))
        if self.looks < LEAST_LOOKS:
            return (
                f"{self.looks} look(s) do not exclude that others asked meanwhile: {LEAST_LOOKS} do"
            )
        return ""


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
