"""What serves gets back what we took from it although nothing else can be done: neither the memory
nor any other object has to be readable, or writable, for that."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from tasks.base.errors import Aborted, Busy, LockLost, OutsideError, RolloutError, StepFailed
from tasks.objects.labels import EPOCH_ANNOTATION
from tasks.objects.ours import is_ours
from tasks.objects.pods import Object
from tasks.objects.reached import release_labelled
from tasks.objects.replicas import available_of, replicas_of, scaled_marks
from tasks.objects.taken import taken_of
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.lease import LeaseLock, lease_seconds, new_run_id, who
from tasks.outside.kubernetes.owned import Owned
from tasks.release.state import configmap_name, from_configmap

_log = logging.getLogger(__name__)


# a person decides about these, and what is lent until then is lent on purpose
_DECIDED_BY_HAND = ("held", "unproven")


@contextmanager
def rescuing(
    cluster: Cluster, namespace: str, name: str, what: str, *, looks: bool = False
) -> Iterator[None]:
    """Where the block fails, what serves is given back what we took from it, and the error says so.

    what: who is at it, for the lease. looks: the block only looks (see `rescue`). Somebody alive
    who is at it does that by himself: raises Busy.
    """
    try:
        yield
    except (Busy, LockLost, Aborted):
        raise
    except Exception as error:
        try:
            said = rescue(cluster, namespace, name, what, looks=looks)
        except Busy:
            raise
        except Exception as other:  # what failed first is told in any case
            why = other if isinstance(other, RolloutError) else repr(other)
            said = f"what serves could not be given back what was taken from it: {why}"
        if not said:
            raise
        _log.warning("%s/%s: %s", namespace, name, said)
        raise StepFailed(f"{said}; and what failed is this: {error or repr(error)}") from error


def rescue(cluster: Cluster, namespace: str, name: str, what: str, *, looks: bool = False) -> str:
    """Scale what the Service leads to up to what its own mark says, and stop what holds its seats,
    under the lease; gives what was done, '' where we took nothing from it.

    Nor is anything done while some of it answers, and a person is to decide, or may be: what it
    lends is lent on purpose. looks: nor where only a look failed, which the next one may take.
    It is written at the very version that was read (uid, resourceVersion), with the lease's epoch.
    Raises Busy, LockLost, OutsideError, Refused for a Lease that is somebody else's.
    """
    taken, others = _look(cluster, namespace, name)
    if not taken:
        return ""
    if any(map(available_of, taken)) and _may_wait(cluster, namespace, name, looks=looks):
        return ""
    identity = f"{who()}/{what}-{new_run_id()}"
    least = _highest_epoch(cluster, namespace, name, [*taken, *others])
    duration = lease_seconds()
    with LeaseLock(cluster, namespace, name, identity, duration, least_epoch=least) as lock:
        owned = Owned(cluster, namespace, name, lock.check, lock.epoch)
        taken, others = _look(cluster, namespace, name)
        said = []
        for item in taken:
            owned.adopt("Deployment", item["metadata"]["name"], _given_back)
            now = replicas_of(item)
            said.append(
                f"{item['metadata']['name']} serves and was scaled down to {now.asked}: it is "
                f"scaled up to {now.serves_with}"
            )
        starved = taken and not any(map(available_of, taken))
        under_test = _under_test(cluster, namespace, name) if starved else ""
        for item in others if starved else ():
            if not available_of(item) or release_labelled(item) == under_test:
                owned.change("Deployment", item["metadata"]["name"], "engine", _stopped, gone=True)
                said.append(f"{item['metadata']['name']}, which may hold its seats, is stopped")
    return "; ".join(said)


def _look(cluster: Cluster, namespace: str, name: str) -> tuple[list[Object], list[Object]]:
    service = cluster.get("Service", name, namespace)
    return taken_of(name, service, cluster.list("Deployment", namespace))


def _may_wait(cluster: Cluster, namespace: str, name: str, *, looks: bool) -> bool:
    """Whether what is taken may stay taken. Where its memory says nothing that can be read, and
    never will by itself, nobody could go on from it."""
    try:
        found = cluster.get("ConfigMap", configmap_name(name), namespace)
        if found is None:
            return looks
        if not is_ours(found, name, "state"):
            return False
        phase = from_configmap(name, found).phase
        return looks or phase in _DECIDED_BY_HAND
    except OutsideError:
        return True
    except Exception:
        return False


def _given_back(found: Object) -> Object:
    now = replicas_of(found)
    if not now.stopped:
        return {}  # somebody was faster
    marks = scaled_marks(now.serves_with, now.serves_with)
    meta = {"uid": found["metadata"]["uid"], "annotations": marks}
    return {"metadata": meta, "spec": {"replicas": now.serves_with}}


def _stopped(found: Object) -> Object:
    marks = scaled_marks(0, replicas_of(found).serves_with)
    meta = {"uid": found["metadata"]["uid"], "annotations": marks}
    return {"metadata": meta, "spec": {"replicas": 0}}


def _under_test(cluster: Cluster, namespace: str, name: str) -> str:
    """The release that the candidate's Service leads to: it serves nobody. '' where there is none,
    or it is somebody else's."""
    found = cluster.get("Service", f"{name}-candidate", namespace)
    return (
        release_labelled(found) if found is not None and is_ours(found, name, "candidate") else ""
    )


def _highest_epoch(cluster: Cluster, namespace: str, name: str, engines: Sequence[Object]) -> int:
    """The newest epoch that can be read: a Lease that was deleted begins above it."""
    found = [*engines, cluster.get("Service", name, namespace) or {}]
    marks = [
        ((item.get("metadata") or {}).get("annotations") or {}).get(EPOCH_ANNOTATION)
        for item in found
    ]
    with suppress(RolloutError, LookupError, ValueError, TypeError, AttributeError):
        memory = cluster.get("ConfigMap", configmap_name(name), namespace) or {}
        marks.append(json.loads(memory["data"]["state"])["epoch"])
    return max((int(mark) for mark in map(str, marks) if mark.isdecimal()), default=0)
