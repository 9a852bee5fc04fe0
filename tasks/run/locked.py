"""The lock of a rollout, and the only object that can write under it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from tasks.base.errors import LockLost, Refused, StepFailed
from tasks.base.halt import Halt, heeding
from tasks.base.heard import Heard
from tasks.base.progress import listening
from tasks.objects.pods import Object
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.jobs import JobResult, run_job
from tasks.outside.kubernetes.lease import LeaseLock, lease_seconds
from tasks.record.news import written
from tasks.release.course import Course
from tasks.release.moves import decide_recovery, decide_resume, may_begin_over
from tasks.release.seats.edited import drifted
from tasks.release.state import Judged, Release, breached, wanting, with_verdict
from tasks.run.carry_out import carry_out
from tasks.run.counting import Counter
from tasks.run.seats import room
from tasks.run.telling.settled import given_up, tell_superseded

_log = logging.getLogger(__name__)


class Locked:
    """What may write while the lease is held. After the lock every use raises LockLost.

    ready_timeout_s: how long a release may take to get ready.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        lock: LeaseLock,
        *,
        ready_timeout_s: float = 1800,
    ) -> None:
        self._cluster, self._lock = cluster, lock
        self._open, self.halt = True, Halt(lambda: lock.abort)
        self._actor = Actor(
            cluster,
            namespace,
            name,
            fence=self.fence,
            epoch=lock.epoch,
            ready_timeout_s=ready_timeout_s,
            count=Counter(cluster, namespace, name),
        )

    def close(self) -> None:
        """Nothing is written any more."""
        self._open = False

    def fence(self) -> None:
        """Before every write: raises LockLost unless this process holds the lease, Aborted where a
        person asked it to stop."""
        if not self._open:
            not_held()
        self._lock.check()
        self.halt.heed()

    @property
    def actor(self) -> Actor:
        """Observes and moves this rollout's objects."""
        if not self._open:
            not_held()
        return self._actor

    def remember(self, verdict: Judged) -> None:
        """Write a verdict down, before it is acted on."""
        self.actor.change_state(lambda held: with_verdict(held, verdict))

    def want(self, release: Release) -> None:
        """Write down whose weights are fetched, before the first is: `rollout store gc` keeps them,
        and takes this rollout's lock."""
        state, _ = self.actor.read_state()
        if (named := wanting(state, release)) != state:
            self.actor.save(named)

    def run_job(
        self, job: Object, *, timeout_s: float, on_line: Callable[[str], None]
    ) -> JobResult:
        """Run a Job to its end, and hear its lines."""
        return run_job(self._cluster, job, timeout_s=timeout_s, on_line=on_line, fence=self.fence)

    def begin(self, release: Release, *, keep_previous: bool) -> str:
        """What there is to do: 'fresh', 'done', 'promote', 'retest' or, where what another rollout
        left behind could not be settled first, still 'clear' (see decide_resume). What became of
        that one is told."""
        actor = self.actor
        seen = actor.observe()
        if seen.recalled:
            actor.save(seen.state)
            seen = actor.observe()
        if decide_resume(seen, release) == "clear":
            before, over = seen.state, False
            try:
                said = carry_out(
                    actor, self._clears(keep_previous), decide=lambda: self._clears(keep_previous)
                )
            except StepFailed as error:
                if not may_begin_over(actor.observe()):
                    raise
                said, over = f"what another rollout left is not settled: {error}", True
                _log.warning("%s", said)
            seen = actor.observe()
            after = given_up(seen.state) if over else seen.state
            tell_superseded(actor, before, after, said, release)
            seen = actor.observe()
        found = decide_resume(seen, release)
        if found == "changed":
            raise Refused(drifted(seen))
        return found

    def _clears(self, keep_previous: bool) -> Course:
        """What another rollout left goes."""
        seen = self.actor.observe()
        goes_back = seen.state.phase == "reverting" or breached(seen.state)
        return decide_recovery(
            seen,
            keep_previous=keep_previous,
            superseded=True,
            room=room(self.actor, seen.state.previous, seen.serving) if goes_back else None,
        )


def not_held() -> None:
    """The fence of who never took the lock. Raises LockLost."""
    raise LockLost("this run does not hold the lease: it writes inside locked() only")


@contextmanager
def locked(
    cluster: Cluster,
    namespace: str,
    name: str,
    identity: str,
    *,
    ready_timeout_s: float = 1800,
    wait_s: float | None = None,
    heard: Heard | None = None,
) -> Iterator[Locked]:
    """Hold the lease of a rollout, and give the only object that can write; afterwards it cannot.
    What it is at is told on the lease.

    identity: of who holds it, in words a person can follow. wait_s: for a holder that is alive;
    None: not at all. heard: what listens already; None: from here on. Raises Refused, LockLost.
    """
    seen = Actor(cluster, namespace, name, fence=not_held, epoch=0).highest_epoch()
    told = heard or Heard()
    with (
        nullcontext() if heard else listening(told.hear, own=True),
        LeaseLock(
            cluster,
            namespace,
            name,
            identity,
            duration_s=lease_seconds(),
            wait_s=wait_s,
            least_epoch=seen,
            tell=lambda holder, epoch: written(told, holder, epoch, cluster.now()),
        ) as lock,
    ):
        held = Locked(cluster, namespace, name, lock, ready_timeout_s=ready_timeout_s)
        try:
            held.actor.take_over()
            with heeding(held.halt):
                yield held
        finally:
            held.close()
