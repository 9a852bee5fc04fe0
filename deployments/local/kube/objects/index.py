"""The store seen by owner, by node and by namespace, kept up to date under the store's lock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from deployments.local.kube.objects.kinds import BY_PLURAL
from deployments.local.kube.objects.store import Event, Object, Store

Place = tuple[str, str, str]  # plural, namespace, name
_LOUD = ("events", "leases")


def place(plural: str, obj: Mapping[str, Any]) -> Place:
    """Where an object is."""
    meta = obj["metadata"]
    return plural, meta.get("namespace", ""), meta["name"]


def controller(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference that controls an object."""
    for ref in obj["metadata"].get("ownerReferences") or []:
        if ref.get("controller"):
            return dict(ref)
    return None


class Index:
    """Lookups that need no walk over all objects."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._children: dict[str, dict[Place, Object]] = defaultdict(dict)
        self._on: dict[str, dict[Place, Object]] = defaultdict(dict)
        self._pods: dict[str, dict[Place, Object]] = defaultdict(dict)
        self._pending: dict[Place, Object] = {}
        self._owner: dict[Place, str] = {}
        self._uids: set[str] = set()
        with store.lock:
            for plural in BY_PLURAL:
                for obj in store.list(plural):
                    self._hear((0, plural, "ADDED", obj))
            store.listen(self._hear)

    def children(self, uid: str, plural: str | None = None) -> list[Object]:
        """Objects whose controller has this uid."""
        with self._store.lock:
            found = self._children.get(uid) or {}
            return [obj for key, obj in found.items() if plural in (None, key[0])]

    def places(self, uid: str) -> list[Place]:
        """Where the children of this uid are."""
        with self._store.lock:
            return list(self._children.get(uid) or ())

    def exists(self, uid: str) -> bool:
        """Some object has this uid."""
        return uid in self._uids

    def pods_on(self, node: str) -> list[Object]:
        """Pods bound to a node, finished ones too."""
        with self._store.lock:
            return list((self._on.get(node) or {}).values())

    def pods_in(self, ns: str) -> list[Object]:
        """Pods of a namespace."""
        with self._store.lock:
            return list((self._pods.get(ns) or {}).values())

    def pending(self) -> list[Object]:
        """Pods bound to no node, oldest first."""
        with self._store.lock:
            return list(self._pending.values())

    def _hear(self, event: Event) -> None:
        _, plural, what, obj = event
        if plural in _LOUD:
            return
        key, meta = place(plural, obj), obj["metadata"]
        owner = controller(obj)
        gone = what == "DELETED"
        if gone:
            self._uids.discard(meta["uid"])
        else:
            self._uids.add(meta["uid"])
        uid = str(owner.get("uid")) if owner and not gone else ""
        before = self._owner.pop(key, "")
        if before and before != uid:
            self._put(self._children, before, key, obj, True)
        if uid:
            self._owner[key] = uid
            self._put(self._children, uid, key, obj, False)
        if plural == "pods":
            node = (obj.get("spec") or {}).get("nodeName")
            self._put(self._pods, key[1], key, obj, gone)
            if node:
                self._put(self._on, node, key, obj, gone)
            if node or gone:
                self._pending.pop(key, None)
            else:
                self._pending[key] = obj

    @staticmethod
    def _put(
        table: dict[str, dict[Place, Object]], group: str, key: Place, obj: Object, gone: bool
    ) -> None:
        if not gone:
            table[group][key] = obj
            return
        table[group].pop(key, None)
        if not table[group]:
            del table[group]
