"""Objects with uid, resourceVersion and history; the truth everything else reads.

Stored objects are never changed in place: a write puts a new dict, so readers may keep what they
got, and must copy before changing it. Spec changes raise metadata.generation, annotations of a
Deployment too. A delete of an object with finalizers, or with a grace period (Pod), only marks it;
the kubelet or the finalizer's owner finishes it.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from deployments.local.kube.objects.kinds import BY_PLURAL, Kind
from deployments.local.kube.objects.selectors import Fields, Labels
from deployments.local.kube.objects.status import already_exists, conflict, gone, invalid, not_found

Object = dict[str, Any]
Event = tuple[int, str, str, Object]  # resourceVersion, plural, ADDED|MODIFIED|DELETED, object
Listener = Callable[[Event], None]
Events = list[Event]
Change = tuple[Event, Object | None]  # and the object before it
Changes = list[Change]
Listing = list[Object]
Key = tuple[str, str]  # namespace ('' for cluster scope), name


def now() -> str:
    """Now as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _notes(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """Annotations but for the one that a Deployment's controller writes with its status."""
    every = meta.get("annotations") or {}
    return {k: v for k, v in every.items() if k != "deployment.kubernetes.io/revision"}


class Store:
    """All objects of one cluster. Thread-safe."""

    def __init__(self, window: int = 20_000) -> None:
        self.lock = threading.RLock()
        self._version = 1
        self._objects: dict[str, dict[Key, Object]] = {plural: {} for plural in BY_PLURAL}
        self._history: deque[Change] = deque(maxlen=window)
        self._listeners: list[Listener] = []

    # -- reading ------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._version

    def get(self, plural: str, ns: str, name: str) -> Object | None:
        """One object or None."""
        return self._objects[plural].get((ns, name))

    def must(self, plural: str, ns: str, name: str) -> Object:
        """One object; StatusError 404."""
        found = self.get(plural, ns, name)
        if found is None:
            raise not_found(plural, name)
        return found

    def list(
        self,
        plural: str,
        ns: str | None = None,
        labels: Labels | None = None,
        fields: Fields | None = None,
    ) -> Listing:
        """Matching objects by namespace and name; ns None is all namespaces."""
        with self.lock:
            items = list(self._objects[plural].items())
        return [
            obj
            for (where, _), obj in sorted(items, key=lambda item: item[0])
            if (ns is None or where == ns)
            and (labels is None or labels(obj["metadata"].get("labels") or {}))
            and (fields is None or fields(obj))
        ]

    def since(self, version: int) -> Events:
        """Events after a resourceVersion; StatusError 410 when they are no longer kept."""
        return [event for event, _ in self.changes(version)]

    def changes(self, version: int) -> Changes:
        """Events after a resourceVersion, each with the object before it; StatusError 410."""
        with self.lock:
            oldest = self._history[0][0][0] if self._history else self._version + 1
            if version + 1 < oldest and version < self._version:
                raise gone(f"too old resource version: {version} ({oldest})")
            newer: Changes = []
            for change in reversed(self._history):
                if change[0][0] <= version:
                    break
                newer.append(change)
            return newer[::-1]

    def listen(self, listener: Listener) -> None:
        """Hear every event, in order, under the store's lock: be quick, never write back."""
        with self.lock:
            self._listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        """Hear no more."""
        with self.lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    # -- writing ------------------------------------------------------------------------------

    def create(self, plural: str, obj: Object, *, dry_run: bool = False) -> Object:
        """Add an object; StatusError 409 when its name is taken, 404 without its namespace."""
        kind = BY_PLURAL[plural]
        meta = dict(obj.get("metadata") or {})
        with self.lock:
            if meta.get("generateName") and not meta.get("name"):
                meta["name"] = f"{meta['generateName']}{uuid.uuid4().hex[:5]}"
            if not meta.get("name"):
                raise invalid(plural, "", "metadata.name: Required value: name or generateName")
            key = self._key(kind, meta)
            if key in self._objects[plural]:
                raise already_exists(plural, meta["name"])
            if kind.namespaced and ("", key[0]) not in self._objects["namespaces"]:
                raise not_found("namespaces", key[0])
            meta["uid"] = str(uuid.uuid4())
            meta["creationTimestamp"] = now()
            if "spec" in obj:
                meta["generation"] = 1
            new = {**obj, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}
            return self._put(plural, key, new, "ADDED", dry_run)

    def update(
        self,
        plural: str,
        obj: Object,
        *,
        status_only: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """Replace an object (or only its status). A metadata.resourceVersion in `obj` that is not
        the stored one is a 409. An update that changes nothing makes no event."""
        kind = BY_PLURAL[plural]
        meta = dict(obj["metadata"])
        with self.lock:
            key = self._key(kind, meta)
            old = self._objects[plural].get(key)
            if old is None:
                raise not_found(plural, meta["name"])
            was = old["metadata"]
            if meta.get("resourceVersion") not in (None, "", was["resourceVersion"]):
                raise conflict(plural, meta["name"])
            if meta.get("uid") not in (None, "", was["uid"]):
                raise conflict(plural, meta["name"])
            if status_only:
                new = {**old, "status": obj.get("status") or {}}
            else:
                new = {**obj, "apiVersion": kind.api_version, "kind": kind.kind}
                if "status" in kind.subresources:
                    new.pop("status", None)
                    if "status" in old:
                        new["status"] = old["status"]
                for field in ("uid", "creationTimestamp", "deletionTimestamp", "generation"):
                    if field in was:
                        meta[field] = was[field]
                    else:
                        meta.pop(field, None)
                moved = new.get("spec") != old.get("spec")
                if plural == "deployments":
                    moved |= _notes(meta) != _notes(was)
                if moved and "generation" in was:
                    meta["generation"] = was["generation"] + 1
                new["metadata"] = meta
            comparable = {**new, "metadata": {**new["metadata"], "resourceVersion": ""}}
            if comparable == {**old, "metadata": {**was, "resourceVersion": ""}}:
                return old
            last = new["metadata"]
            released = last.get("deletionTimestamp") and not last.get("finalizers")
            if released and not self._graceful(plural, new):
                return self._drop(plural, key, new, dry_run)
            return self._put(plural, key, new, "MODIFIED", dry_run)

    def set_status(self, plural: str, ns: str, name: str, status: Object) -> Object | None:
        """Replace the status of an object if it still exists; for controllers."""
        with self.lock:
            old = self.get(plural, ns, name)
            if old is None:
                return None
            meta = {k: v for k, v in old["metadata"].items() if k != "resourceVersion"}
            return self.update(
                plural, {**old, "metadata": meta, "status": status}, status_only=True
            )

    def delete(
        self,
        plural: str,
        ns: str,
        name: str,
        *,
        grace: int | None = None,
        preconditions: Mapping[str, Any] | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Delete, or mark for deletion where finalizers or a running pod's grace demand it.

        grace: seconds; 0 deletes a pod at once. StatusError 404, or 409 on preconditions.
        """
        with self.lock:
            key = (ns if BY_PLURAL[plural].namespaced else "", name)
            old = self._objects[plural].get(key)
            if old is None:
                raise not_found(plural, name)
            for field in ("uid", "resourceVersion"):
                wanted = (preconditions or {}).get(field)
                if wanted and wanted != old["metadata"][field]:
                    raise conflict(plural, name)
            meta = dict(old["metadata"])
            if plural == "pods":
                default = int(old.get("spec", {}).get("terminationGracePeriodSeconds", 30))
                seconds = default if grace is None else grace
                meta["deletionGracePeriodSeconds"] = seconds
                if not old.get("spec", {}).get("nodeName"):
                    meta["deletionGracePeriodSeconds"] = 0
            meta.setdefault("deletionTimestamp", now())
            new = {**old, "metadata": meta}
            if meta.get("finalizers") or self._graceful(plural, new):
                if meta == old["metadata"]:
                    return old
                return self._put(plural, key, new, "MODIFIED", dry_run)
            return self._drop(plural, key, new, dry_run)

    def remove(self, plural: str, ns: str, name: str) -> None:
        """Take an object away for good; the kubelet's last word on a pod. Absent is fine."""
        with self.lock:
            key = (ns, name)
            old = self._objects[plural].get(key)
            if old is not None:
                self._drop(plural, key, old, False)

    # -- inside -------------------------------------------------------------------------------

    @staticmethod
    def _key(kind: Kind, meta: Mapping[str, Any]) -> Key:
        return (str(meta.get("namespace") or "default") if kind.namespaced else "", meta["name"])

    @staticmethod
    def _graceful(plural: str, obj: Object) -> bool:
        """A pod on a node waits for its kubelet unless its grace is 0."""
        return plural == "pods" and obj["metadata"].get("deletionGracePeriodSeconds", 0) > 0

    def _put(self, plural: str, key: Key, obj: Object, what: str, dry_run: bool) -> Object:
        version = self._version + 1
        meta = {**obj["metadata"], "resourceVersion": str(version)}
        if BY_PLURAL[plural].namespaced:
            meta["namespace"] = key[0]
        else:
            meta.pop("namespace", None)
        new = {**obj, "metadata": meta}
        if dry_run:
            return new
        self._version = version
        old = self._objects[plural].get(key)
        self._objects[plural][key] = new
        self._tell((version, plural, what, new), old)
        return new

    def _drop(self, plural: str, key: Key, obj: Object, dry_run: bool) -> Object:
        if dry_run:
            return obj
        self._version += 1
        meta = {**obj["metadata"], "resourceVersion": str(self._version)}
        last = {**obj, "metadata": meta}
        old = self._objects[plural].pop(key)
        self._tell((self._version, plural, "DELETED", last), old)
        return last

    def _tell(self, event: Event, old: Object | None) -> None:
        self._history.append((event, old))
        for listener in list(self._listeners):
            listener(event)


def owned_by(objects: Iterable[Object], owner: Object) -> list[Object]:
    """Those of `objects` whose controller is `owner`."""
    uid = owner["metadata"]["uid"]
    return [
        obj
        for obj in objects
        if any(
            ref.get("uid") == uid and ref.get("controller")
            for ref in obj["metadata"].get("ownerReferences") or []
        )
    ]
