"""Deployments roll their pods over from one ReplicaSet to the next.

The arithmetic of surge and unavailability follows the rolling update of Kubernetes' own
deployment controller (pkg/controller/deployment/rolling.go).
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from deployments.local.kube.control.replicas import FAILURE, Later
from deployments.local.kube.objects import pods
from deployments.local.kube.objects.index import Index
from deployments.local.kube.objects.record import Recorder
from deployments.local.kube.objects.status import StatusError
from deployments.local.kube.objects.store import Object, Store, now

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
SOURCE = "deployment-controller"
_KEEP_OFF = ("kubectl.kubernetes.io/last-applied-configuration", REVISION)


def template_hash(template: Mapping[str, Any]) -> str:
    """Ten characters that name a pod template."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _share(value: Any, of: int, *, up: bool) -> int:
    """An int-or-percent in pods."""
    text = str(value)
    if text.endswith("%"):
        part = of * int(text[:-1]) / 100
        return math.ceil(part) if up else math.floor(part)
    return int(text)


def bounds(spec: Mapping[str, Any]) -> tuple[int, int]:
    """maxSurge and maxUnavailable in pods; never both 0."""
    want = int(spec.get("replicas", 1))
    rolling = (spec.get("strategy") or {}).get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", "25%"), want, up=True)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), want, up=False)
    return surge, unavailable if surge or unavailable else 1


def _size(rs: Object) -> int:
    return int(rs["spec"].get("replicas", 1))


def _count(rs: Object, field: str) -> int:
    return int((rs.get("status") or {}).get(field, 0))


def _revision(obj: Object) -> int:
    try:
        return int((obj["metadata"].get("annotations") or {}).get(REVISION, "0"))
    except ValueError:
        return 0


class Roll:
    """One reconcile of one Deployment."""

    def __init__(
        self, store: Store, index: Index, record: Recorder, dep: Object, later: Later
    ) -> None:
        self.store, self.index, self.record, self.dep, self.later = store, index, record, dep, later
        self.spec, self.meta = dep["spec"], dep["metadata"]
        self.want = int(self.spec.get("replicas", 1))
        mine = index.children(self.meta["uid"], "replicasets")
        self.sets = sorted(
            mine, key=lambda rs: (rs["metadata"]["creationTimestamp"], _revision(rs))
        )
        self.hash = template_hash(self.spec["template"])
        self.new = next(
            (rs for rs in self.sets if rs["metadata"]["labels"].get(HASH) == self.hash), None
        )

    @property
    def old(self) -> list[Object]:
        """All ReplicaSets but the current one."""
        return [rs for rs in self.sets if rs is not self.new]

    def run(self) -> None:
        """Move one step towards the spec and write the status."""
        if not pods.terminating(self.dep):
            recreate = (self.spec.get("strategy") or {}).get("type") == "Recreate"
            if self.spec.get("paused"):
                if self.new is not None and not any(_size(rs) for rs in self.old):
                    self._scale(self.new, self.want)
            elif recreate:
                self._recreate()
            else:
                self._ensure_new()
                self._scale_new()
                self._scale_old()
            self._forget()
        self._status()

    def _recreate(self) -> None:
        for rs in self.old:
            self._scale(rs, 0)
        left = [
            pod
            for rs in self.old
            for pod in self.index.children(rs["metadata"]["uid"], "pods")
            if pods.phase(pod) not in pods.FINISHED
        ]
        if not left:
            self._ensure_new()
            assert self.new is not None
            self._scale(self.new, self.want)

    def _ensure_new(self) -> None:
        newest = max((_revision(rs) for rs in self.old), default=0)
        if self.new is None:
            template = copy.deepcopy(self.spec["template"])
            template.setdefault("metadata", {}).setdefault("labels", {})[HASH] = self.hash
            selector = copy.deepcopy(self.spec["selector"])
            selector.setdefault("matchLabels", {})[HASH] = self.hash
            carried = {
                key: value
                for key, value in (self.meta.get("annotations") or {}).items()
                if key not in _KEEP_OFF
            }
            made = self.store.create(
                "replicasets",
                {
                    "metadata": {
                        "name": f"{self.meta['name']}-{self.hash}",
                        "namespace": self.meta["namespace"],
                        "labels": template["metadata"]["labels"],
                        "annotations": {**carried, REVISION: str(newest + 1)},
                        "ownerReferences": [pods.owner_reference(self.dep)],
                    },
                    "spec": {
                        "replicas": 0,
                        "selector": selector,
                        "template": template,
                        "minReadySeconds": self.spec.get("minReadySeconds", 0),
                    },
                    "status": {"replicas": 0},
                },
            )
            self.new = made
            self.sets.append(made)
        elif _revision(self.new) <= newest:
            self._annotate("replicasets", self.new, newest + 1)
        self._annotate("deployments", self.dep, max(newest + 1, _revision(self.new)))

    def _annotate(self, plural: str, obj: Object, revision: int) -> None:
        meta = obj["metadata"]
        with self.store.lock:
            fresh = self.store.get(plural, meta["namespace"], meta["name"])
            if fresh is None or _revision(fresh) == revision:
                return
            notes = {**(fresh["metadata"].get("annotations") or {}), REVISION: str(revision)}
            new = {**fresh, "metadata": {**fresh["metadata"], "annotations": notes}}
            self._replace(obj, self.store.update(plural, new))

    def _replace(self, old: Object, new: Object) -> None:
        self.sets = [new if rs is old else rs for rs in self.sets]
        if old is self.new:
            self.new = new
        if old is self.dep:
            self.dep = new

    def _scale(self, rs: Object, size: int) -> None:
        if _size(rs) == size:
            return
        meta = rs["metadata"]
        with self.store.lock:
            fresh = self.store.must("replicasets", meta["namespace"], meta["name"])
            new = self.store.update(
                "replicasets", {**fresh, "spec": {**fresh["spec"], "replicas": size}}
            )
        was = _size(rs)
        self._replace(rs, new)
        way = "up" if size > was else "down"
        text = f"Scaled {way} replica set {meta['name']} from {was} to {size}"
        self.record(self.dep, "ScalingReplicaSet", text, source=SOURCE)

    def _scale_new(self) -> None:
        assert self.new is not None
        size = _size(self.new)
        if size >= self.want:
            self._scale(self.new, self.want)
            return
        room = self.want + bounds(self.spec)[0] - sum(_size(rs) for rs in self.sets)
        self._scale(self.new, size + max(0, min(self.want - size, room)))

    def _scale_old(self) -> None:
        assert self.new is not None
        if not any(_size(rs) for rs in self.old):
            return
        least = self.want - bounds(self.spec)[1]
        new_missing = _size(self.new) - _count(self.new, "availableReplicas")
        spare = sum(_size(rs) for rs in self.sets) - least - new_missing
        if spare <= 0:
            return
        for rs in self.old:  # unhealthy ones cost nothing
            sick = _size(rs) - _count(rs, "availableReplicas")
            cut = max(0, min(sick, spare, _size(rs)))
            self._scale(rs, _size(rs) - cut)
            spare -= cut
        up = sum(min(_size(rs), _count(rs, "availableReplicas")) for rs in self.sets)
        spare = min(spare, up - least)
        for rs in self.old:
            cut = max(0, min(_size(rs), spare))
            self._scale(rs, _size(rs) - cut)
            spare -= cut

    def _forget(self) -> None:
        limit = int(self.spec.get("revisionHistoryLimit", 10))
        empty = [rs for rs in self.old if not _size(rs) and not _count(rs, "replicas")]
        for rs in sorted(empty, key=_revision)[: max(0, len(empty) - limit)]:
            with contextlib.suppress(StatusError):
                self.store.delete(
                    "replicasets", rs["metadata"]["namespace"], rs["metadata"]["name"]
                )

    # -- status -------------------------------------------------------------------------------

    def _status(self) -> None:
        was = self.dep.get("status") or {}
        total = sum(_count(rs, "replicas") for rs in self.sets)
        ready = sum(_count(rs, "readyReplicas") for rs in self.sets)
        available = sum(_count(rs, "availableReplicas") for rs in self.sets)
        updated = _count(self.new, "replicas") if self.new is not None else 0
        counts = {
            "replicas": total,
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "availableReplicas": available,
            "unavailableReplicas": max(0, max(total, self.want) - available),
        }
        conditions = was.get("conditions") or []
        enough = available >= self.want - self._slack()
        conditions = pods.set_condition(
            conditions,
            "Available",
            enough,
            "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
            f"Deployment {'has' if enough else 'does not have'} minimum availability.",
            updated=True,
        )
        conditions = self._progressing(conditions, was, counts)
        conditions = self._failing(conditions)
        status = {key: value for key, value in counts.items() if value}
        status["observedGeneration"] = self.meta["generation"]
        self.store.set_status(
            "deployments",
            self.meta["namespace"],
            self.meta["name"],
            {**status, "conditions": conditions},
        )

    def _failing(self, conditions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """ReplicaFailure as the ReplicaSets have it, the current one's first."""
        rest = [item for item in conditions if item["type"] != FAILURE]
        sets = [*([self.new] if self.new is not None else []), *self.old]
        found = next((known for rs in sets if (known := pods.condition(rs, FAILURE))), None)
        if found is None:
            return rest
        text = (str(found["reason"]), str(found["message"]))
        return pods.set_condition(conditions, FAILURE, True, *text, updated=True)

    def _slack(self) -> int:
        recreate = (self.spec.get("strategy") or {}).get("type") == "Recreate"
        return 0 if recreate else min(bounds(self.spec)[1], self.want)

    def _progressing(
        self, conditions: list[dict[str, Any]], was: Mapping[str, Any], counts: Mapping[str, int]
    ) -> list[dict[str, Any]]:
        name = self.new["metadata"]["name"] if self.new is not None else ""
        done = (
            self.new is not None
            and counts["updatedReplicas"] == counts["replicas"] == self.want
            and counts["availableReplicas"] == self.want
        )
        old = next((item for item in conditions if item["type"] == "Progressing"), None)
        if done:
            text = f'ReplicaSet "{name}" has successfully progressed.'
            return pods.set_condition(
                conditions, "Progressing", True, "NewReplicaSetAvailable", text, updated=True
            )
        moved = any(
            counts[field] > int(was.get(field, 0))
            for field in ("updatedReplicas", "readyReplicas", "availableReplicas")
        ) or counts["replicas"] - counts["updatedReplicas"] < int(was.get("replicas", 0)) - int(
            was.get("updatedReplicas", 0)
        )
        changed = int(was.get("observedGeneration", 0)) != self.meta["generation"]
        if old is None or moved or changed:
            reason = "ReplicaSetUpdated" if old else "NewReplicaSetCreated"
            text = f'ReplicaSet "{name}" is progressing.'
            if old is None:
                text = f'Created new replica set "{name}"'
            fresh = pods.set_condition(conditions, "Progressing", True, reason, text)
            for item in fresh:  # any progress starts the deadline anew
                if item["type"] == "Progressing":
                    item["lastUpdateTime"] = now()
            self._watch_deadline(0.0)
            return fresh
        limit = self.spec.get("progressDeadlineSeconds", 600)
        age = pods.seconds_since(old.get("lastUpdateTime"))
        if old.get("reason") in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable"):
            return conditions
        if limit is None or age < float(limit) or self.spec.get("paused"):
            self._watch_deadline(age)
            return conditions
        text = f'ReplicaSet "{name}" has timed out progressing.'
        return pods.set_condition(
            conditions, "Progressing", False, "ProgressDeadlineExceeded", text, updated=True
        )

    def _watch_deadline(self, age: float) -> None:
        limit = self.spec.get("progressDeadlineSeconds", 600)
        if limit is not None:
            self.later(float(limit) - age + 0.2)
