"""Lists: selectors, pages, versions."""

from __future__ import annotations

import base64
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from deployments.local.kube.api.target import Target
from deployments.local.kube.objects import selectors
from deployments.local.kube.objects.status import StatusError, gone
from deployments.local.kube.objects.store import Listing, Object, Store

_SNAPSHOTS = 64
_POD = "spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName"
# Source: the field selectors each kind registers in the Kubernetes API ("Field Selectors").
_FIELDS = {
    "pods": f"{_POD} spec.hostNetwork status.phase status.podIP status.nominatedNodeName",
    "events": "involvedObject.kind involvedObject.namespace involvedObject.name "
    "involvedObject.uid involvedObject.apiVersion involvedObject.resourceVersion "
    "involvedObject.fieldPath reason reportingComponent source type",
    "nodes": "spec.unschedulable",
    "namespaces": "status.phase",
    "secrets": "type",
    "services": "spec.clusterIP spec.type",
    "replicasets": "status.replicas",
    "jobs": "status.successful",
}
Selected = Callable[[Object], bool]


class Reader:
    """Lists over a store. A paged list goes on from the snapshot its first page was taken from,
    as Kubernetes does; a snapshot is dropped after others were taken, then its token is a 410."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._snapshots: OrderedDict[str, tuple[int, Listing]] = OrderedDict()
        self._taken = 0

    def select(self, target: Target, query: Mapping[str, str]) -> tuple[int, Listing]:
        """The version and the matching objects of a collection, as of one instant."""
        selected = selection(target, query)
        with self.store.lock:
            items = self.store.list(target.plural, target.ns or None)
            return self.store.version, [obj for obj in items if selected(obj)]

    def list(self, target: Target, query: Mapping[str, str]) -> Object:
        """A List object; query: labelSelector, fieldSelector, limit, continue, resourceVersion."""
        limit = number(query, "limit") or 0
        if token := query.get("continue"):
            version, name, start = self._continued(token)
            items = self._snapshots[name][1]
        else:
            wanted = number(query, "resourceVersion") or 0
            if wanted > self.store.version:
                raise too_large(wanted, self.store.version)
            version, items = self.select(target, query)
            name, start = "", 0
        page = items[start : start + limit] if limit else items[start:]
        meta: dict[str, Any] = {"resourceVersion": str(version)}
        left = len(items) - start - len(page)
        if left:
            name = name or self._keep(version, items)
            meta["continue"] = _token(version, name, start + len(page))
            meta["remainingItemCount"] = left
        return {
            "kind": f"{target.kind.kind}List",
            "apiVersion": target.kind.api_version,
            "metadata": meta,
            "items": page,
        }

    def _keep(self, version: int, items: Listing) -> str:
        with self._lock:
            self._taken += 1
            name = f"{id(self):x}-{self._taken}"
            self._snapshots[name] = (version, items)
            while len(self._snapshots) > _SNAPSHOTS:
                self._snapshots.popitem(last=False)
            return name

    def _continued(self, token: str) -> tuple[int, str, int]:
        try:
            read = json.loads(base64.urlsafe_b64decode(token.encode()))
            version, name, start = int(read["v"]), str(read["of"]), int(read["start"])
        except (ValueError, KeyError, TypeError) as error:
            raise StatusError(400, "BadRequest", "continue key is not valid") from error
        self.store.changes(version)  # 410 when the window has moved on
        if name not in self._snapshots:
            raise gone("The provided continue parameter is too old; list again without it")
        return version, name, start


def selection(target: Target, query: Mapping[str, str]) -> Selected:
    """Whether an object is one of a collection's chosen by labelSelector and fieldSelector.

    StatusError 400 for a selector that cannot be read or a field that cannot be selected by.
    """
    labels = selectors.labels(query.get("labelSelector"))
    fields = selectors.fields(query.get("fieldSelector"))
    known = {"metadata.name", "metadata.namespace", *_FIELDS.get(target.plural, "").split()}
    for part in (query.get("fieldSelector") or "").split(","):
        name = part.partition("=")[0].rstrip("! ").strip()
        if name and name not in known:
            raise StatusError(400, "BadRequest", f"field label not supported: {name}")
    return lambda obj: (
        (not target.ns or obj["metadata"].get("namespace") == target.ns)
        and (labels is None or labels(obj["metadata"].get("labels") or {}))
        and (fields is None or fields(obj))
    )


def _token(version: int, name: str, start: int) -> str:
    text = json.dumps({"v": version, "of": name, "start": start})
    return base64.urlsafe_b64encode(text.encode()).decode()


def number(query: Mapping[str, str], key: str) -> int | None:
    """A whole number of the query; StatusError 400 when it is none."""
    text = query.get(key)
    if text in (None, ""):
        return None
    if not str(text).isdigit():
        raise StatusError(400, "BadRequest", f"{key}: Invalid value: {text!r}: expected a number")
    return int(str(text))


def too_large(wanted: int, current: int) -> StatusError:
    """A version from the future, such as one of another life of the cluster."""
    return StatusError(504, "Timeout", f"Too large resource version: {wanted}, current: {current}")
