"""Event objects: what a controller, the scheduler or a kubelet has to say about an object."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

from deployments.local.kube.objects.kinds import BY_KIND
from deployments.local.kube.objects.status import StatusError
from deployments.local.kube.objects.store import Store, now


class Recorder:
    """Writes events; the same words about the same object raise its count; old ones go."""

    def __init__(self, store: Store, kept: int) -> None:
        self._store, self._kept = store, kept
        self._known: OrderedDict[tuple[str, str, str], tuple[str, str]] = OrderedDict()
        self._order: deque[tuple[str, str]] = deque()
        self._lock = threading.Lock()

    def __call__(
        self,
        obj: Mapping[str, Any],
        reason: str,
        message: str,
        *,
        warning: bool = False,
        source: str = "controller",
        host: str = "",
    ) -> None:
        """Record one event; a namespace that is gone swallows it."""
        meta = obj["metadata"]
        key = (meta["uid"], reason, message)
        with self._lock:
            place = self._known.get(key)
            old = self._store.get("events", *place) if place else None
            try:
                if old is not None:
                    self._store.update(
                        "events", {**old, "count": old["count"] + 1, "lastTimestamp": now()}
                    )
                    return
                made = self._store.create(
                    "events", self._event(obj, reason, message, warning, source, host)
                )
            except StatusError:
                return
            where = (made["metadata"]["namespace"], made["metadata"]["name"])
            self._known[key] = where
            self._order.append(where)
            while len(self._order) > self._kept:
                self._store.remove("events", *self._order.popleft())
            while len(self._known) > self._kept:
                self._known.popitem(last=False)

    @staticmethod
    def _event(
        obj: Mapping[str, Any], reason: str, message: str, warning: bool, source: str, host: str
    ) -> dict[str, Any]:
        meta = obj["metadata"]
        ns, stamp = meta.get("namespace") or "default", now()
        return {
            "metadata": {"name": f"{meta['name']}.{uuid.uuid4().hex[:16]}", "namespace": ns},
            "involvedObject": {
                "kind": obj["kind"],
                "apiVersion": BY_KIND[obj["kind"]].api_version,
                "namespace": ns,
                "name": meta["name"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
            },
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "source": {"component": source, **({"host": host} if host else {})},
            "reportingComponent": source,
            "reportingInstance": host,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
