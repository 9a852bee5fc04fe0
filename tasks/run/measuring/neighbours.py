"""What goes on beside a measurement of what serves, look after look: others come first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tasks.base import clock
from tasks.base.errors import OutsideError, RolloutError
from tasks.measure.harm import Company, Crowding, no_room
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
BY_RATE = "its requests came by a rate: which of those in the engines were others' nobody can tell"


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
    None for arrivals by a rate. alone: see Crowding. company: what others asked meanwhile. unseen:
    why that is not known, nor whether others wait; '' where it is.
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
        self.company, self.unseen = Company(unknown="" if own is not None else BY_RATE), ""

    @property
    def note(self) -> str:
        """What is to be known of who else asked; '' where nobody did."""
        return self.unseen or self.company.told

    def begin(self, seats: float | None, *, blind: bool = False) -> None:
        """Before the load. seats: see `no_room`. blind: it runs also where nobody can read the
        engines' counters; the lease is looked at all the same. Raises GaveWay, else also there."""
        try:
            now = counters(self._look())
        except OutsideError as error:
            if not blind:
                raise GaveWay(f"nobody can see whether a load would harm: {error}") from error
            self.unseen = (
                "whether others waited for it, and how much they asked beside it, is not known: "
                f"{error}"
            )
            return
        if why := no_room(now, self._own or 0.0, seats):
            raise GaveWay(why)
        self.company = self.company.seen(now, 0.0)

    def __call__(self) -> None:
        """A look, where one is due."""
        now = clock.monotonic()
        if self._last is not None and now - self._last < self._every_s:
            return
        self._last = now
        try:
            if by := self._taken():
                raise GaveWay(f"{by} began, and comes first")
            why = self._crowds()
            self._blind = 0
        except OutsideError as error:
            self._blind += 1
            self.company = self.company.unseen()
            why = f"nobody can see whether it harms: {error}" if self._blind >= BLIND else ""
        if why:
            raise GaveWay(why)

    def _crowds(self) -> str:
        """A look at the engines; why the load ends now, '' where it goes on."""
        if self.unseen:
            return ""
        found = counters(self._look())
        self.company = self.company.seen(found, self._own or 0.0)
        return self._crowded(found)


def counters(said: Mapping[str, EngineSaid]) -> Sequence[Counters]:
    """Of each engine."""
    return [item.counters for item in said.values()]


def nobody() -> str:
    """Who has taken the lease, where there is none."""
    return ""
