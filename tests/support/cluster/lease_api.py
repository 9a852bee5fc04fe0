"""The Lease API in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tasks.outside.kubernetes.rest import AlreadyExists, ApiError, Conflict, NotFound


class Api:
    """The Lease API in memory: versions, conflicts, absence, outages."""

    def __init__(self) -> None:
        self.leases: dict[str, dict[str, Any]] = {}
        self.version = 0
        self.down = False
        self.reads = 0
        self.writes = 0
        self.lose_answer = False
        self.on_read: Callable[[], None] = lambda: None

    def writer(self, fence: object) -> Api:
        return self

    def limited(self, timeout_s: float, patience_s: float) -> Api:
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
