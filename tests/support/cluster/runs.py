"""A Run over a cluster in memory, with a lease that is had at once."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from tasks.base.errors import LockLost
from tasks.run.locked import Locked
from tasks.run.run import Run
from tests.support.cluster.actor_world import NAME, NS, World
from tests.support.nodedata import make_spec


class Lease:
    """In place of LeaseLock: its epoch is above all others."""

    def __init__(self, *_: object, least_epoch: int = 0, **__: object) -> None:
        self.epoch, self.lost, self.abort = max(99, least_epoch + 1), False, ""

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.lost = True

    def check(self) -> None:
        if self.lost:
            raise LockLost("the lease is another's")


def run_of(at: World, **spec: Any) -> Run:
    """The Run of a world's rollout."""

    def apply(body: Any, *, fence: Any) -> Any:
        fence()
        return body

    vars(at).update(address="https://api:6443", apply=apply)
    wanted = make_spec({"name": NAME, "namespace": NS, **spec})
    return Run(wanted, at, rollout="run-1")  # type: ignore[arg-type]


def locked(run: Run) -> Locked:
    """What writes for it, until the test ends."""
    return Locked(run.cluster, NS, NAME, Lease())  # type: ignore[arg-type]
