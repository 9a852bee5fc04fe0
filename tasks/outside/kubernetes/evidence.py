"""What the cluster can tell about a pod in trouble, collected while it still exists."""

from __future__ import annotations

import logging

from tasks.base.scrub import scrub_text
from tasks.diagnose.containers import failing_container
from tasks.objects.pods import Object, conditions, state, statuses
from tasks.outside.kubernetes.objects import Objects
from tasks.outside.kubernetes.rest import ApiError

_log = logging.getLogger(__name__)
# A kubelet keeps 10 MiB of a container's log unless told otherwise; the end tells why it ended.
LOG_BYTES = 4 << 20


class Evidence:
    """Events, logs and nodes for a diagnosis. What cannot be read is left out, never an error:
    the trouble of the pod must not be hidden by a missing right.

    kept: every log that was read, by the name of a file for it: POD-CONTAINER.log, with -1, -2 of
    later lives of the container. Credentials are taken out as it is read.
    """

    def __init__(self, cluster: Objects, ns: str) -> None:
        self._cluster, self._ns = cluster, ns
        self.kept: dict[str, str] = {}
        self._ended: set[str] = set()
        self._nodes: list[Object] | None = None

    def events(self, obj: Object, kind: str = "Pod") -> list[Object]:
        """An object's events, oldest first."""
        meta = obj["metadata"]
        selector = f"involvedObject.name={meta['name']},involvedObject.kind={kind}"
        try:
            events = self._cluster.list("Event", self._ns, field_selector=selector)
        except ApiError as error:
            _log.debug("no events: %s", error)
            return []
        return sorted(events, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""))

    def logs(self, pod: Object, *, crashed_only: bool = True) -> str:
        """The log of the container that fails; each life of a crashed one is read once."""
        found = failing_container(pod)
        if found is None:
            return ""
        name, previous = found
        entry = next(e for e in statuses(pod, init=True) if e["name"] == name)
        now, restarts = state(entry), int(entry.get("restartCount") or 0)
        if crashed_only and not restarts and "terminated" not in now:
            return ""
        life = restarts - previous
        file = f"{pod['metadata']['name']}-{name}{f'-{life}' if life else ''}.log"
        if file in self._ended:
            return self.kept[file]
        text = self._read(pod, name, previous)
        if not text and restarts and not previous:
            # Between two lives a kubelet may know only the previous one.
            text = self._read(pod, name, True)
        if text:
            self.kept[file] = text
            if previous or "running" not in now:
                self._ended.add(file)
        return text

    def _read(self, pod: Object, container: str, previous: bool) -> str:
        try:
            text = self._cluster.logs(
                pod["metadata"]["name"],
                self._ns,
                container,
                previous=previous,
                most_bytes=LOG_BYTES,
            )
        except ApiError as error:
            _log.debug("no logs: %s", error)
            return ""
        return scrub_text(text)

    def nodes(self, pods: list[Object]) -> list[Object]:
        """All nodes, read once, and only when a pod finds none."""
        waiting = any(
            conditions(pod).get("PodScheduled", {}).get("status") == "False" for pod in pods
        )
        if waiting and self._nodes is None:
            try:
                self._nodes = self._cluster.list("Node")
            except ApiError as error:
                _log.debug("no nodes: %s", error)
                self._nodes = []
        return self._nodes or [] if waiting else []
