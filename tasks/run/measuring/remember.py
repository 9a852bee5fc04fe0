"""What a verification came to, as the cluster keeps and tells it: one entry, and an Event."""

from __future__ import annotations

from typing import Literal

from tasks.base.errors import OutsideError
from tasks.outside.disk import records
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.rest import unfenced
from tasks.record.outcome import compact
from tasks.record.record import Record
from tasks.release.memory.verified import (
    Entry,
    decided,
    entries_of,
    news,
    verified_configmap,
    verified_name,
    with_entry,
)
from tasks.run.versions.remember import written_over

TRIES = 5


def recall_verified(cluster: Cluster, namespace: str, name: str) -> tuple[list[Entry], str]:
    """The verifications that are remembered, the newest first, and the version that was read."""
    found = cluster.get("ConfigMap", verified_name(name), namespace)
    version = str(found["metadata"].get("resourceVersion", "")) if found else ""
    return list(entries_of(name, found)), version


def remember_verified(cluster: Cluster, record: Record) -> Literal["", "earned", "missed"]:
    """Put one more there; gives what of it is news (see `news`). Raises OutsideError."""
    namespace, name = record.namespace, record.name
    entry: Entry = records.scrub(compact(record).as_dict())
    for _ in range(TRIES):
        entries, version = recall_verified(cluster, namespace, name)
        body = verified_configmap(name, namespace, with_entry(entries, entry))
        if written_over(cluster, body, version):
            return news(entry, decided(entries))
    raise OutsideError(
        f"ConfigMap {namespace}/{verified_name(name)} changes faster than it can be written; the "
        f"verification is on this machine's disk alone: {record.record}"
    )


def teller(cluster: Cluster, namespace: str, name: str) -> Actor:
    """Who tells it in Events: they change nothing, and need no lease."""
    return Actor(cluster, namespace, name, fence=unfenced, epoch=0)
