"""What the watcher remembers, as the cluster has it. It needs no lease: nothing that serves
depends on it, and of two watchers one loses by the version that it read."""

from __future__ import annotations

from tasks.outside.kubernetes.client import Cluster, Object
from tasks.outside.kubernetes.rest import AlreadyExists, Conflict, NotFound, unfenced
from tasks.release.versions.memory import (
    WatchMemory,
    memory_name,
    remembered_watch,
    watch_configmap,
)
from tasks.spec.rollout import Rollout


def recall_watch(cluster: Cluster, spec: Rollout) -> tuple[WatchMemory, str]:
    """What the watcher remembers, and the version it was read at; '' where nothing is there."""
    found = cluster.get("ConfigMap", memory_name(spec.name), spec.namespace)
    version = str(found["metadata"].get("resourceVersion", "")) if found else ""
    return remembered_watch(spec.name, found), version


def remember_watch(
    cluster: Cluster, namespace: str, name: str, memory: WatchMemory, version: str
) -> bool:
    """Write it over the version that was read ('' for none); False where another was faster. Raises
    OutsideError."""
    return written_over(cluster, watch_configmap(name, namespace, memory), version)


def written_over(cluster: Cluster, body: Object, version: str) -> bool:
    """Write a memory that nothing hangs on over the version that was read ('' for none); False
    where another was faster. Raises OutsideError."""
    write = cluster.writer(unfenced)
    if not version:
        try:
            write.create(body)
        except AlreadyExists:
            return False
        return True
    body["metadata"]["resourceVersion"] = version
    try:
        write.replace(body)
    except (Conflict, NotFound):
        return False
    return True
