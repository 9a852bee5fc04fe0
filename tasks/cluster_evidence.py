"""What the cluster can tell about a pod in trouble, collected while it still exists. THIN."""

from __future__ import annotations

import logging
from typing import Any

from tasks.cluster_objects import Objects
from tasks.cluster_rest import ApiError
from tasks.diagnose_container import failing_container

_log = logging.getLogger(__name__)
_LOG_LINES = 400
Object = dict[str, Any]


class Evidence:
    """Events, logs and nodes for a diagnosis. What cannot be read is left out, never an error:
    the trouble of the pod must not be hidden by a missing right."""

    def __init__(self, cluster: Objects, ns: str) -> None:
        self._cluster, self._ns = cluster, ns
        self._logs: dict[tuple[str, int], str] = {}
        self._nodes: list[Object] | None = None

    def events(self, pod: Object) -> list[Object]:
        """The pod's events, oldest first."""
        selector = f"involvedObject.name={pod['metadata']['name']}"
        try:
            events = self._cluster.list("Event", self._ns, field_selector=selector)
        except ApiError as error:
            _log.debug("no events: %s", error)
            return []
        return sorted(events, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""))

    def logs(self, pod: Object, *, crashed_only: bool = True) -> str:
        """The last lines of the container that fails; each life of a crashed one is read once."""
        found = failing_container(pod)
        if found is None:
            return ""
        name, previous = found
        entries = (pod["status"].get("containerStatuses") or []) + (
            pod["status"].get("initContainerStatuses") or []
        )
        entry = next(e for e in entries if e["name"] == name)
        ended = "terminated" in (entry.get("state") or {}) or bool(entry.get("restartCount"))
        if crashed_only and not ended:
            return ""
        life = (f"{pod['metadata'].get('uid')}/{name}/{previous}", entry.get("restartCount", 0))
        if ended and self._logs.get(life):
            return self._logs[life]
        try:
            text = self._cluster.logs(
                pod["metadata"]["name"], self._ns, name, tail_lines=_LOG_LINES, previous=previous
            )
        except ApiError as error:
            _log.debug("no logs: %s", error)
            return ""
        self._logs[life] = text
        return text

    def nodes(self, pods: list[Object]) -> list[Object]:
        """All nodes, read once, and only when a pod finds none."""
        waiting = any(
            condition["type"] == "PodScheduled" and condition["status"] == "False"
            for pod in pods
            for condition in (pod.get("status") or {}).get("conditions") or []
        )
        if waiting and self._nodes is None:
            try:
                self._nodes = self._cluster.list("Node")
            except ApiError as error:
                _log.debug("no nodes: %s", error)
                self._nodes = []
        return self._nodes or [] if waiting else []
