"""What befalls a release while it is looked at: restarts, lost replicas, cards that throttle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tasks.accelerators.types import Profile
from tasks.nodes.metrics import device_problems
from tasks.objects.pods import ReadObject, ready, restarts


class CardWatch:
    """Called from time to time: what befell the cards of these pods since the last call.

    exporters: the address of the vendor's exporter by node. read: an exporter's page by its
    address, None where it does not answer: its cards are not watched then.
    """

    def __init__(
        self,
        profile: Profile,
        exporters: Mapping[str, str],
        read: Callable[[str], str | None],
    ) -> None:
        self._profile, self._exporters, self._read = profile, exporters, read
        self._metrics: dict[str, str] = {}

    @property
    def watched(self) -> int:
        """On how many nodes they were seen."""
        return len(self._metrics)

    def __call__(self, pods: Sequence[ReadObject]) -> list[str]:
        """One sentence for each thing that went wrong."""
        out = []
        for node in sorted({str(pod["spec"].get("nodeName")) for pod in pods}):
            url = self._exporters.get(node)
            text = self._read(url) if url else None
            if text is None:
                continue
            here = [p["metadata"]["name"] for p in pods if p["spec"].get("nodeName") == node]
            before = self._metrics.get(node, text)
            found = device_problems(before, text, self._profile, here)
            out += [f"{node}: {problem}" for problem in found]
            self._metrics[node] = text
        return out


class HealthWatch:
    """Called after each round: what went wrong since the last call (or since it was made).

    pods: the candidate's pods as they are. exporters: the address of the vendor's exporter by node;
    where none answers, cards are not watched (`watched` says on how many nodes they are).
    read: an exporter's page by its address, None where it does not answer.
    """

    def __init__(
        self,
        pods: Callable[[], Sequence[ReadObject]],
        replicas: int,
        profile: Profile,
        exporters: Mapping[str, str],
        read: Callable[[str], str | None],
    ) -> None:
        self._pods, self._replicas = pods, replicas
        self._cards = CardWatch(profile, exporters, read)
        self._restarts = 0
        self()
        self.watched = self._cards.watched

    def __call__(self) -> list[str]:
        """One sentence for each thing that went wrong."""
        pods = self._pods()
        return [*self._of_pods(pods), *self._cards(pods)]

    def _of_pods(self, pods: Sequence[ReadObject]) -> list[str]:
        before, self._restarts = self._restarts, restarts(pods)
        out = []
        if self._restarts > before:
            more = self._restarts - before
            out.append(f"{more} container restart(s) of the candidate during the round")
        up = sum(ready(pod) for pod in pods)
        if up < self._replicas:
            out.append(f"{up} of {self._replicas} candidate replicas ready after the round")
        return out
