"""Puts pods on nodes."""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal

from deployments.local.kube.control import fit
from deployments.local.kube.objects import pods
from deployments.local.kube.objects.amounts import summed
from deployments.local.kube.objects.index import Index
from deployments.local.kube.objects.record import Recorder
from deployments.local.kube.objects.store import Event, Object, Store
from deployments.local.kube.objects.work import Work

PAUSE_S = 0.02  # lets a burst of writes settle into one round


class Scheduler:
    """One round looks at every pending pod; rounds follow what may have changed the answer."""

    def __init__(self, store: Store, index: Index, record: Recorder, resync_s: float) -> None:
        self._store, self._index, self._record = store, index, record
        self._resync_s = resync_s
        self._used: dict[str, dict[str, Decimal]] = {}
        self._said: dict[str, str] = {}
        self._work = Work("scheduler", self._round)

    def start(self) -> None:
        """Begin."""
        self._store.listen(self._hear)
        self._work.add("round")
        self._work.start()

    def stop(self) -> None:
        """End."""
        self._store.unlisten(self._hear)
        self._work.stop()

    def _hear(self, event: Event) -> None:
        _, plural, what, obj = event
        if plural == "nodes":
            if what == "DELETED":
                self._used.pop(obj["metadata"]["name"], None)
            self._work.add("round", PAUSE_S)
        elif plural == "pods":
            node = obj["spec"].get("nodeName")
            if not node:
                if what == "ADDED":
                    self._work.add("round", PAUSE_S)
                elif what == "DELETED":
                    self._said.pop(obj["metadata"]["uid"], None)
            elif what != "MODIFIED" or pods.phase(obj) in pods.FINISHED:
                self._used.pop(node, None)
                if what != "ADDED" and self._index.pending():
                    self._work.add("round", PAUSE_S)

    def _usage(self, node: str) -> dict[str, Decimal]:
        with self._store.lock:
            found = self._used.get(node)
            if found is None:
                found = {}
                for pod in self._index.pods_on(node):
                    if pods.phase(pod) not in pods.FINISHED:
                        found = summed(found, fit.needs(pod["spec"]))
                self._used[node] = found
            return found

    def _round(self, _: Hashable) -> None:
        waiting = [pod for pod in self._index.pending() if not pods.terminating(pod)]
        if waiting:
            nodes = self._store.list("nodes")
            for pod in waiting:
                self._place(pod, nodes)
            self._work.add("round", self._resync_s)

    def _place(self, pod: Object, nodes: list[Object]) -> None:
        spec = pod["spec"]
        need = fit.needs(spec)
        best: tuple[int, str] | None = None
        obstacles: list[fit.Obstacle] = []
        for node in nodes:
            name = node["metadata"]["name"]
            used = self._usage(name)
            why = fit.obstacle(spec, need, node, used)
            if why.reasons:
                obstacles.append(why)
                continue
            rank = (int(used.get("pods", Decimal(0))), name)  # the emptiest, then by name
            if best is None or rank < best:
                best = rank
        if best is not None:
            self._bind(pod, best[1])
            return
        self._refuse(pod, fit.verdict(obstacles))

    def _bind(self, pod: Object, node: str) -> None:
        meta = pod["metadata"]
        with self._store.lock:
            fresh = self._store.get("pods", meta["namespace"], meta["name"])
            if fresh is None or fresh["metadata"]["uid"] != meta["uid"] or pods.terminating(fresh):
                return
            status = dict(fresh.get("status") or {})
            self._store.update("pods", {**fresh, "spec": {**fresh["spec"], "nodeName": node}})
            self._used.pop(node, None)
            conditions = pods.set_condition(status.get("conditions") or [], "PodScheduled", True)
            self._store.set_status(
                "pods",
                meta["namespace"],
                meta["name"],
                {"phase": "Pending", **status, "conditions": conditions},
            )
        self._said.pop(meta["uid"], None)
        text = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self._record(pod, "Scheduled", text, source="default-scheduler")

    def _refuse(self, pod: Object, message: str) -> None:
        meta = pod["metadata"]
        if self._said.get(meta["uid"]) == message:
            return
        self._said[meta["uid"]] = message
        with self._store.lock:
            fresh = self._store.get("pods", meta["namespace"], meta["name"])
            if fresh is None:
                return
            status = dict(fresh.get("status") or {})
            status["conditions"] = pods.set_condition(
                status.get("conditions") or [], "PodScheduled", False, "Unschedulable", message
            )
            self._store.set_status(
                "pods", meta["namespace"], meta["name"], {"phase": "Pending", **status}
            )
        self._record(pod, "FailedScheduling", message, warning=True, source="default-scheduler")
