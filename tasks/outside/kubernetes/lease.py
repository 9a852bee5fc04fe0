"""One rollout at a time: the Lease `rollout-<name>`, and the check before each write.

The rules are those of client-go's leader election: a holder is dead when its lease has not changed
for the lease's duration by our own clock (clocks of two machines are never compared), and every
write names the version it was read at, so that of two takers one loses.
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any

from tasks.base import clock
from tasks.base.errors import Busy, LockLost, OutsideError
from tasks.base.progress import Progress, emit
from tasks.objects.ours import marks, must_be_ours
from tasks.objects.pods import Object
from tasks.outside.kubernetes.objects import Objects
from tasks.outside.kubernetes.rest import AlreadyExists, ApiError, Conflict, NotFound, unfenced
from tasks.record.news import Tell, with_news

_log = logging.getLogger(__name__)
LEASE_ENV = "MODEL_ROLLOUT_LEASE_SECONDS"
# on a Lease: who asks its holder to stop. Of one hold alone, which its epoch names.
ABORT_ANNOTATION = "model-rollout/abort"
ROLE = "lock"
# answers to a document that is not taken as it is, and never will be
_NOT_TAKEN = (400, 403, 413, 422)
# what an identity begins with, behind who it is, where no rollout runs but one is settled
SETTLES = ("guard", "recover", "rollback", "abort", "approve", "promote", "reject")


def lease_seconds() -> int:
    """How long a dead holder blocks the next rollout: MODEL_ROLLOUT_LEASE_SECONDS, else 60."""
    return int(os.environ.get(LEASE_ENV, "60"))


def who() -> str:
    """user@host of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def new_run_id() -> str:
    """Sortable by time, unique."""
    return f"{clock.now():%Y%m%dT%H%M%S}-{clock.rng().getrandbits(24):06x}"


_STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"


def lease_of(cluster: Objects, ns: str, name: str) -> Object | None:
    """A rollout's Lease, None where there is none. Raises Refused for somebody else's."""
    found = cluster.get("Lease", f"rollout-{name}", ns)
    if found is not None:
        must_be_ours(found, name, ROLE)
    return found


def holder_of(cluster: Objects, ns: str, name: str) -> str:
    """Who is written in a rollout's lease, alive or not; '' where nobody is. Raises Refused."""
    return holder_in(lease_of(cluster, ns, name))


def holder_in(lease: Mapping[str, Any] | None) -> str:
    """Who is written in a lease; '' where nobody is."""
    return str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")


def run_of(holder: str) -> str:
    """The rollout, or the command with its id, that a holder is at, by its identity."""
    return holder.rpartition("/")[2]


def at_it(holder: str, name: str) -> str:
    """What a living holder is at, by its identity, and what whoever finds it there may do."""
    by, what = holder.rpartition("/")[0], run_of(holder).partition("-")[0]
    if what not in SETTLES:
        return "one rollout of a name runs at a time: wait for it to end, or cancel it"
    said = "the guard" if what == "guard" else f"`rollout {what}`"
    return (
        f"{said} of {by} is at it, and settles it: there is nothing left to do but to wait, "
        f"`rollout status {name}` shows how far it is"
    )


def ask_to_stop(cluster: Objects, ns: str, name: str, by: str) -> str:
    """Ask the holder of a rollout's lease to stop, which it hears when it renews; gives who that
    is, '' where nobody holds it. Raises Refused for somebody else's Lease."""
    write = cluster.writer(unfenced)
    while True:
        lease = lease_of(cluster, ns, name)
        spec = (lease or {}).get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        if lease is None or not holder:
            return ""
        at = clock.now().isoformat(timespec="seconds")
        wish = json.dumps({"epoch": spec.get("leaseTransitions"), "by": by, "at": at})
        meta = lease["metadata"]
        marks = {**(meta.get("annotations") or {}), ABORT_ANNOTATION: wish}
        try:
            write.replace({**lease, "metadata": {**meta, "annotations": marks}})
            return holder
        except NotFound:
            return ""
        except Conflict:
            clock.sleep(0.1)  # it was renewed meanwhile


class LeaseLock:
    """Holds Lease `rollout-<name>` while a `with` block runs.

    identity: of this run, in words a person can follow ('alice@host flow-run 7f3c'). duration_s:
    how long a holder that stopped renewing keeps it; renewed three times in that span.
    wait_s: how long to wait for another holder; None waits until it proves alive (then Refused) or
    dead (then it is taken over). step: whose Progress tells about the waiting. least_epoch: the
    highest one that was ever seen at work; a Lease that was deleted begins above it. tell: gives
    what this holder is at; it rides on what is written anyway.
    """

    def __init__(
        self,
        cluster: Objects,
        ns: str,
        name: str,
        identity: str,
        duration_s: int = 60,
        *,
        wait_s: float | None = None,
        step: str = "plan",
        least_epoch: int = 0,
        tell: Tell | None = None,
    ) -> None:
        if not identity:
            raise ValueError("a lease needs an identity: an empty holder means nobody holds it")
        # whoever does not hold it yet has time to ride a trouble out
        self._patient = cluster
        # A renewal that waits out a long trouble comes too late; better the next one tries anew.
        self._cluster = cluster.limited(max(1.0, duration_s / 6), duration_s / 6)
        # nothing guards the guard: each write names the version it was read at
        self._write_to = self._cluster.writer(unfenced)
        self._ns, self._name, self.lease_name = ns, name, f"rollout-{name}"
        self.identity, self.duration_s = identity, duration_s
        self._wait_s, self._step, self._least_epoch = wait_s, step, least_epoch
        self._tell = tell
        self._epoch: int | None = None
        self._renewed = self._renewed_wall = 0.0
        self._lost = ""
        self._lease: Object = {}
        # Guards the lease document and its version between the renewing thread and check().
        self._mutex = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def epoch(self) -> int:
        """How often the lease changed hands, this hold included; grows with every acquire."""
        if self._epoch is None:
            raise RuntimeError("the lease was never acquired")
        return self._epoch

    @property
    def abort(self) -> str:
        """By whom and when this hold was asked to stop, as of its last renewal; else ''."""
        marks = (self._lease.get("metadata") or {}).get("annotations") or {}
        try:
            wish = json.loads(marks.get(ABORT_ANNOTATION, "{}"))
            mine = wish.get("epoch") == self._epoch
            return f"{wish['by']} at {wish['at']}" if mine else ""
        except (ValueError, KeyError, AttributeError):
            return ""

    def __enter__(self) -> LeaseLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    # -- getting it

    def acquire(self) -> None:
        """Take the lease and start to renew it.

        Raises Refused naming the holder, or a Lease of that name that is somebody else's, and
        OutsideError when the cluster does not answer.
        """
        began = seen_at = clock.monotonic()
        seen: tuple[Any, ...] | None = None
        told = moved = False
        while True:
            lease = lease_of(self._patient, self._ns, self._name)
            spec = (lease or {}).get("spec") or {}
            holder = spec.get("holderIdentity") or ""
            now = clock.monotonic()
            mark = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
            if mark != seen:
                moved = seen is not None
                seen, seen_at = mark, now
            span = float(spec.get("leaseDurationSeconds") or self.duration_s)
            # Our own name in it is a former life of this run: the epoch fences that one off.
            free = holder in ("", self.identity) or now - seen_at >= span
            if free:
                if self._take(lease):
                    break
                clock.sleep(clock.rng().uniform(0, span / 50))
                continue
            who = f"{self.lease_name} in {self._ns} is held by '{holder}' since " + str(
                spec.get("acquireTime", "an unknown time")
            )
            alive = self._wait_s is None and moved
            if alive or (self._wait_s is not None and now - began >= self._wait_s):
                raise Busy(
                    f"{who} (last renewed {spec.get('renewTime')}); {at_it(holder, self._name)}"
                )
            if not told:
                emit(Progress(self._step, "running", self.lease_name, f"waiting: {who}"))
                told = True
            clock.sleep(min(2.0, span / 10))
        self._stop.clear()
        self._thread = threading.Thread(target=self._keep, daemon=True, name=self.lease_name)
        self._thread.start()

    def _take(self, lease: Object | None) -> bool:
        """Write ourselves in; False when another was quicker."""
        asked, asked_wall = clock.monotonic(), clock.now()
        stamp = asked_wall.strftime(_STAMP)
        old = (lease or {}).get("spec") or {}
        epoch = max(int(old.get("leaseTransitions") or 0), self._least_epoch) + 1
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.duration_s,
            "acquireTime": stamp,
            "renewTime": stamp,
            "leaseTransitions": epoch,
        }
        try:
            if lease is None:
                written = self._put(
                    self._write_to.create,
                    {
                        "apiVersion": "coordination.k8s.io/v1",
                        "kind": "Lease",
                        "metadata": {
                            "name": self.lease_name,
                            "namespace": self._ns,
                            "labels": marks(self._name, ROLE),
                        },
                        "spec": spec,
                    },
                )
            else:
                written = self._put(self._write_to.replace, {**lease, "spec": spec})
        except (AlreadyExists, Conflict):
            return False
        with self._mutex:
            self._lease, self._epoch, self._lost = written, epoch, ""
            self._confirmed(asked, asked_wall)
        return True

    def _put(self, write: Callable[[Object], Object], lease: Object) -> Object:
        """Write it, with what its holder is at; where that is refused, without, from then on."""
        try:
            return write(with_news(lease, self._tell))
        except ApiError as error:
            if self._tell is None or error.status not in _NOT_TAKEN:
                raise
            _log.warning("%s does not take what this rollout is at: %s", self.lease_name, error)
            self._tell = None
            return write(with_news(lease, None))

    # -- keeping it

    def check(self) -> None:
        """The fence: raises LockLost unless this process surely holds the lease.

        Costs nothing when the lease was renewed lately. Else it is renewed on the spot: a renewal
        that names the version read last can only succeed when nobody took the lease in between.
        Without an answer the lease is ours until two thirds of its duration have passed.
        """
        if self._lost or self._epoch is None:
            raise LockLost(f"{self.lease_name}: {self._lost or 'it was never acquired'}")
        if self._age() < self.duration_s / 2:
            return
        try:
            self.renew()
        except OutsideError as error:
            if self._age() >= self.duration_s * 2 / 3:
                raise LockLost(
                    f"{self.lease_name} could not be renewed for {self._age():.0f} s of its "
                    f"{self.duration_s} s; another run may hold it now"
                ) from error

    def renew(self) -> None:
        """Renew once. Raises LockLost when it is another's, OutsideError without an answer."""
        with self._mutex:
            if self._lost:
                raise LockLost(f"{self.lease_name}: {self._lost}")
            asked, wall = clock.monotonic(), clock.now()
            self._write({"renewTime": wall.strftime(_STAMP)})
            self._confirmed(asked, wall)

    def _age(self) -> float:
        """Seconds since the last renewal, by the clock that says more: the monotonic one stands
        still while a machine sleeps, the wall clock does not."""
        asleep = clock.now().timestamp() - self._renewed_wall
        return max(clock.monotonic() - self._renewed, asleep)

    def _confirmed(self, at: float, wall: datetime) -> None:
        # Counted from before the request: the others count from when they saw it, which is later.
        self._renewed, self._renewed_wall = at, wall.timestamp()

    def _write(self, changes: Object) -> None:
        """Change the lease over the version we know. Raises LockLost when it is another's."""
        why = "it changes faster than it can be renewed"
        for _ in range(3):
            try:
                spec = {**self._lease["spec"], **changes}
                self._lease = self._put(self._write_to.replace, {**self._lease, "spec": spec})
                return
            except NotFound:
                why = "the Lease was deleted"
                break
            except Conflict:
                # Another holder, a hand that touched it, or a lost answer of ours: look.
                lease = self._cluster.get("Lease", self.lease_name, self._ns)
                found = (lease or {}).get("spec") or {}
                mine = (self.identity, self._epoch)
                if lease is None:
                    why = "the Lease was deleted"
                    break
                if (found.get("holderIdentity"), found.get("leaseTransitions")) != mine:
                    why = (
                        f"held by '{found.get('holderIdentity')}' since "
                        f"{found.get('acquireTime')} (epoch {found.get('leaseTransitions')}, "
                        f"ours was {self._epoch})"
                    )
                    break
                self._lease = lease
        self._lost = f"{why}; this run must not write any more"
        self._stop.set()
        raise LockLost(f"{self.lease_name}: {self._lost}")

    def _keep(self) -> None:
        while not self._stop.wait(self.duration_s / 3):
            try:
                self.renew()
            except LockLost as error:
                _log.error("%s", error)
                return
            except OutsideError as error:
                _log.warning("could not renew %s: %s", self.lease_name, error)

    def release(self) -> None:
        """Stop renewing and let the next one in at once. Never raises."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self.duration_s)
        with self._mutex:
            if self._epoch is None or self._lost:
                return
            try:
                self._write({"holderIdentity": "", "renewTime": clock.now().strftime(_STAMP)})
                self._lost = "it was released"
            except (OutsideError, LockLost) as error:
                _log.warning("could not release %s: %s", self.lease_name, error)
                self._lost = self._lost or "it was released"
