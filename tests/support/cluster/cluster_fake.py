"""A few objects in memory with the methods of Objects that waiting and Jobs use."""

from __future__ import annotations

import copy
import queue
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tasks.outside.kubernetes.rest import AlreadyExists
from tests.support.cluster.hand import FakeWrites

Object = dict[str, Any]


class FakeObjects(FakeWrites):
    """Objects by kind and name. `set` and `remove` are what controllers would do."""

    address = "https://api:6443"

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.said: dict[str, list[str]] = {}
        self.calls: list[tuple[str, str, str]] = []
        self.on_create: Callable[[Object], None] = lambda obj: None
        self.on_events: Callable[[], None] = lambda: None  # once, when those of a pod are asked for
        self._watchers: list[tuple[str, queue.SimpleQueue[tuple[str, Object]]]] = []
        self._lock = threading.RLock()
        self._uid = 0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 8, 0, 10, tzinfo=UTC)

    def set(self, obj: Object) -> Object:
        with self._lock:
            key = (obj["kind"], obj["metadata"]["name"])
            change = "MODIFIED" if key in self.objects else "ADDED"
            if "uid" not in obj["metadata"]:
                self._uid += 1
                obj["metadata"]["uid"] = f"uid-{self._uid}"
            self.objects[key] = copy.deepcopy(obj)
            self._tell(change, obj)
            return copy.deepcopy(obj)

    def _tell(self, change: str, obj: Object) -> None:
        for kind, heard in self._watchers:
            if kind == obj["kind"]:
                heard.put((change, copy.deepcopy(obj)))

    def get(self, kind: str, name: str, ns: str | None = None) -> Object | None:
        with self._lock:
            return copy.deepcopy(self.objects.get((kind, name)))

    def remove(self, kind: str, name: str) -> None:
        with self._lock:
            self._tell("DELETED", self.objects.pop((kind, name)))

    def list(self, kind: str, ns: str | None = None, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            if kind == "Event" and "kind=Pod" in str(kwargs.get("field_selector")):
                act, self.on_events = self.on_events, lambda: None
                act()
            return [copy.deepcopy(o) for (k, _), o in self.objects.items() if k == kind]

    def watch(
        self, kind: str, ns: str | None, *, stop: threading.Event, **kwargs: Any
    ) -> Iterator[tuple[str, Object]]:
        heard: queue.SimpleQueue[tuple[str, Object]] = queue.SimpleQueue()
        with self._lock:
            for obj in self.list(kind):
                heard.put(("ADDED", obj))
            self._watchers.append((kind, heard))
        while not stop.is_set():
            try:
                yield heard.get(timeout=0.02)
            except queue.Empty:
                continue

    def wait_for(
        self, kind: str, ns: str, predicate: Callable[[Any], Any], timeout_s: float, **kwargs: Any
    ) -> Any:
        return predicate(self.list(kind))

    def create(self, obj: Object, *, fence: Callable[[], None] | None = None) -> Object:
        if fence:
            fence()
        self.calls.append(("create", obj["kind"], obj["metadata"]["name"]))
        if (obj["kind"], obj["metadata"]["name"]) in self.objects:
            raise AlreadyExists("exists", 409)
        made = self.set(obj)
        self.on_create(made)
        return made

    def delete(
        self,
        kind: str,
        name: str,
        ns: str | None = None,
        *,
        propagation: str = "Background",
        uid: str | None = None,
        fence: Callable[[], None] | None = None,
    ) -> bool:
        if fence:
            fence()
        self.calls.append(("delete", kind, name))
        with self._lock:
            old = self.objects.pop((kind, name), None)
            if old:
                assert uid in (None, old["metadata"]["uid"])
                self._tell("DELETED", old)
                for key in [k for k in self.objects if kind == "Job" and k[0] == "Pod"]:
                    self._tell("DELETED", self.objects.pop(key))
        return old is not None

    def logs(self, pod: str, ns: str, container: str, **kwargs: Any) -> str:
        return "\n".join(self.said.get(pod, []))

    def follow_logs(
        self, pod: str, ns: str, container: str, stop: threading.Event | None = None
    ) -> Iterator[str]:
        yield from self.said.get(pod, [])
