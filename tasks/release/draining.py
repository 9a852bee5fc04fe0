"""When what served before has ended what it began.

Its pods are asked again and again how many requests they have. A look is one of three: busy, empty,
or unread, where a pod could not be asked. An unread look is no empty one: whoever cannot count
waits the whole `promotion.drain_s`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from tasks.objects.labels import ENGINE_CONTAINER, KIND_LABEL, RELEASE_LABEL
from tasks.objects.pods import Object, ending, state, statuses

# Between two looks: a request that has come and is not counted yet is counted by the second.
APART_S = 5.0
# After the EndpointSlices have followed, nodes follow them: kube-proxy's rules come later.
LEAST_S = 10.0

DrainEnd = Literal["", "empty", "over"]


@dataclass(frozen=True)
class Count:
    """One look at all pods. requests: running and waiting. unread: which pod could not be asked,
    and why. answered: requests that were answered so far."""

    requests: int = 0
    unread: str = ""
    answered: int = 0

    @property
    def look(self) -> Literal["busy", "empty", "unread"]:
        """What it comes to: one pod that has requests is enough to be busy."""
        if self.requests:
            return "busy"
        return "unread" if self.unread else "empty"


@dataclass(frozen=True)
class Draining:
    """The looks so far; times are seconds of one monotonic clock.

    since: when the Service was first seen to lead away. empty: the first of the empty looks in a
    row between which nothing was answered, None where the last look was another.
    """

    since: float
    empty: float | None = None
    last: Count | None = None

    def saw(self, at: float, count: Count) -> Draining:
        """With one more look."""
        # one that came and went since the last look came over a connection that is still used
        again = self.last is not None and self.last.answered != count.answered
        first = at if self.empty is None or again else self.empty
        return replace(self, empty=first if count.look == "empty" else None, last=count)

    def end(self, at: float, drain_s: float) -> tuple[DrainEnd, str]:
        """How the drain ends at `at`, with its reason; '' while it goes on."""
        gone = at - self.since
        if self.empty is not None and at - self.empty >= APART_S and gone >= LEAST_S:
            return "empty", f"it had no request for {at - self.empty:.0f} s"
        if gone < drain_s:
            return "", self._said()
        return "over", f"{drain_s:g} s (promotion.drain_s) are over; {self._said()}"

    def wait_s(self, at: float, drain_s: float) -> float:
        """Seconds until the next look, or the end."""
        # what is left may be too little to move a clock of floats on
        return max(0.001, min(APART_S, self.since + drain_s - at))

    def _said(self) -> str:
        if self.last is None or self.last.look == "empty":
            return "it has no request, but had some a moment ago"
        if self.last.look == "busy":
            return f"{self.last.requests} request(s) run or wait there"
        return f"its requests cannot be counted: {self.last.unread}"


def may_hold(pods: Iterable[Object], serving: str) -> list[Object]:
    """Engines of other releases than the one that serves, which may have requests.

    One that has ended, or has not started yet, has none. One that was asked to end has its own
    time for it.
    """
    return [pod for pod in pods if _other(pod, serving) and not ending(pod) and _answers(pod)]


def _other(pod: Object, serving: str) -> bool:
    labels = pod["metadata"].get("labels") or {}
    is_engine = labels.get(KIND_LABEL, "engine") == "engine"
    return is_engine and labels.get(RELEASE_LABEL) not in (None, serving)


def _answers(pod: Object) -> bool:
    if (pod.get("status") or {}).get("phase") != "Running":
        return False
    entry = next((e for e in statuses(pod) if e.get("name") == ENGINE_CONTAINER), None)
    return entry is None or ("running" in state(entry) and entry.get("started") is not False)
