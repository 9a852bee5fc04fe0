"""What goes on beside a measurement of what serves, look after look: others come first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tasks.base import clock
from tasks.base.errors import OutsideError, RolloutError
from tasks.measure.harm import Crowding, no_room
from tasks.measure.traffic import Counters
from tasks.objects.pods import Object, ready
from tasks.outside.kubernetes.access import release_pods
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.lease import holder_of
from tasks.outside.vllm.metrics import EngineSaid, said_at
from tasks.release.state import Release
from tasks.run.counting import Ways
from tasks.spec.rollout import Rollout

# looks in a row that may fail: a load that nobody watches is ended
BLIND = 3


class GaveWay(RolloutError):
    """A measurement ended, or did not begin, for the sake of others."""


class Engines:
    """The engines of a release. read: what one says by its pod; default: as the pod is reached."""

    def __init__(
        self,
        cluster: Cluster,
        spec: Rollout,
        release: Release,
        read: Callable[[Object], EngineSaid] | None = None,
    ) -> None:
        self._cluster, self._spec, self._release = cluster, spec, release
        ways = Ways(cluster, spec.namespace)
        self._read = read or (lambda pod: ways.ask(pod, said_at))

    def __call__(self) -> dict[str, EngineSaid]:
        """What each says now, by its pod's name. Raises OutsideError where one says nothing, or
        none is ready."""
        where = (self._spec.namespace, self._spec.name)
        pods = filter(ready, release_pods(self._cluster, *where, self._release.id))
        if found := {pod["metadata"]["name"]: self._read(pod) for pod in pods}:
            return found
        raise OutsideError(f"no pod of {self._release.deployment} is ready")

    def taken(self) -> str:
        """Who has taken the rollout's lease; '' for nobody. Raises OutsideError."""
        return holder_of(self._cluster, self._spec.namespace, self._spec.name)


class Neighbours:
    """Called while a load runs: raises GaveWay where it has to end. It looks at most every
    `every_s`.

    look: the engines by name. taken: who has the lease. own: requests of ours in flight at most,
    None for arrivals by a rate. alone: see Crowding.
    """

    def __init__(
        self,
        look: Callable[[], Mapping[str, EngineSaid]],
        taken: Callable[[], str],
        *,
        own: float | None,
        every_s: float,
        alone: bool = False,
    ) -> None:
        self._look, self._taken, self._every_s = look, taken, every_s
        self._own, self._crowded = own, Crowding(own, alone=alone)
        self._last: float | None = None
        self._blind = 0

    def begin(self, seats: float | None) -> None:
        """Before the load. seats: see `no_room`. Raises GaveWay, also where nobody can look."""
        try:
            now = counters(self._look())
        except OutsideError as error:
            raise GaveWay(f"nobody can see whether a load would harm: {error}") from error
        if why := no_room(now, self._own or 0.0, seats):
            raise GaveWay(why)

    def __call__(self) -> None:
        """A look, where one is due."""
        now = clock.monotonic()
        if self._last is not None and now - self._last < self._every_s:
            return
        self._last = now
        try:
            if by := self._taken():
                raise GaveWay(f"{by} began, and comes first")
            why = self._crowded(counters(self._look()))
            self._blind = 0
        except OutsideError as error:
            self._blind += 1
            why = f"nobody can see whether it harms: {error}" if self._blind >= BLIND else ""
        if why:
            raise GaveWay(why)


def counters(said: Mapping[str, EngineSaid]) -> Sequence[Counters]:
    """Of each engine."""
    return [item.counters for item in said.values()]


def nobody() -> str:
    """Who has taken the lease, where there is none."""
    return ""
