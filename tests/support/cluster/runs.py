"""A Run over a cluster in memory, with a lease that is had at once; and the API of leases."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tasks.base.errors import LockLost
from tasks.outside.kubernetes.rest import AlreadyExists, ApiError, Conflict, NotFound
from tasks.run.locked import Locked
from tasks.run.run import Run
from tests.support.cluster.actor_world import NAME, NS, World
from tests.support.nodedata import make_spec


class LeaseApi:
    """The Lease API in memory: versions, conflicts, absence, outages."""

    def __init__(self) -> None:
        self.leases: dict[str, dict[str, Any]] = {}
        self.version = 0
        self.down = False
        self.reads = 0
        self.writes = 0
        self.lose_answer = False
        self.on_read: Callable[[], None] = lambda: None

    def writer(self, fence: object) -> LeaseApi:
        return self

    def limited(self, timeout_s: float, patience_s: float) -> LeaseApi:
        return self

    def _store(self, obj: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        obj = copy.deepcopy(obj)
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.leases[obj["metadata"]["name"]] = obj
        if self.lose_answer:
            self.lose_answer = False
            raise Conflict("the retry of a write whose answer was lost", 409)
        return copy.deepcopy(obj)

    def get(self, kind: str, name: str, ns: str) -> dict[str, Any] | None:
        if self.down:
            raise ApiError("no answer")
        self.reads += 1
        self.on_read()
        return copy.deepcopy(self.leases.get(name))

    def create(self, obj: dict[str, Any]) -> dict[str, Any]:
        if obj["metadata"]["name"] in self.leases:
            raise AlreadyExists("exists", 409)
        return self._store(obj)

    def replace(self, obj: dict[str, Any]) -> dict[str, Any]:
        if self.down:
            raise ApiError("no answer")
        current = self.leases.get(obj["metadata"]["name"])
        if current is None:
            raise NotFound("gone", 404)
        if current["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise Conflict("changed", 409)
        return self._store(obj)

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.leases["rollout-m"]["spec"]
        return spec

    def touch(self) -> None:
        """Another writer changes something beside the spec."""
        self._store(self.leases["rollout-m"])


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
    run = Run(wanted, at, rollout="run-1")  # type: ignore[arg-type]
    # real processes, and an import that goes on in a thread, would outlive the test
    vars(run).update(begin_ahead=lambda: None)
    return run


def locked(run: Run) -> Locked:
    """What writes for it, until the test ends."""
    return Locked(run.cluster, NS, NAME, Lease())  # type: ignore[arg-type]
