"""Kubernetes Events: how a rollout ended, told about what serves and its Service, so that `kubectl
describe` shows it and whoever collects Events has it. Nothing depends on them."""

from __future__ import annotations

import hashlib
from typing import Any

from tasks.objects.labels import MANAGER
from tasks.objects.pods import ReadObject

MOST_LETTERS = 1024  # of a message, by the API server's validation of the newer events.k8s.io


def event(about: ReadObject, reason: str, message: str, *, bad: bool, at: str) -> dict[str, Any]:
    """One Event. about: an object as it was read. reason: a word in CamelCase. at: ISO 8601.

    The same words about the same object have the same name, so that what is found again every
    minute is told once for as long as the API server keeps it.
    """
    meta, short = about["metadata"], message[:MOST_LETTERS]
    which = hashlib.sha256(f"{meta['uid']}/{reason}/{short}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.{which}", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        },
        "reason": reason,
        "message": short,
        "type": "Warning" if bad else "Normal",
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
