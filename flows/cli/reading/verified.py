"""What the last verification of what serves came to, as `rollout status` tells it."""

from __future__ import annotations

from typing import Any

from tasks.outside.kubernetes.client import Cluster
from tasks.record.outcome import in_short
from tasks.record.parts import Judge, TargetJudged
from tasks.record.record import Record, read
from tasks.run.measuring.remember import recall_verified


def last_verified(cluster: Cluster, namespace: str, name: str) -> Record | None:
    """The newest that the cluster remembers; None where there was none. Raises OutsideError."""
    entries, _ = recall_verified(cluster, namespace, name)
    return read(entries[0]) if entries else None


def verified_of(found: Record | None) -> dict[str, Any] | None:
    """The part `verified` of the document of `status`. missed: the binding targets that it was
    shown not to meet."""
    if found is None:
        return None
    return {
        "finished": found.finished,
        "outcome": found.outcome,
        "sentence": found.sentence,
        "release": _release(found),
        "rollout": found.rollout,
        "missed": [item.model_dump() for item in _missed(found)],
    }


def verified_row(found: Record | None, serving: str | None) -> str:
    """It in one line; '' where there was none. serving: the release that serves."""
    if found is None:
        return ""
    missed = found.model_copy(update={"judge": Judge(targets=_missed(found))})
    line = f"{found.finished} {found.outcome}: {in_short(missed) or found.sentence}"
    release = _release(found)
    return line if release == serving else f"{line} (of release {release}, which does not serve)"


def _missed(found: Record) -> list[TargetJudged]:
    return [item for item in found.targets if item.verdict == "fail" and not item.advisory]


def _release(found: Record) -> str:
    return found.resolve_model.release if found.resolve_model else ""
