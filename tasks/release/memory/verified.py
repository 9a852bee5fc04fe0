"""What verifications of what serves came to, in a ConfigMap of its own: nothing that serves depends
on it, so it needs no lease, and no rollout finds its own memory changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tasks.objects.ours import marks, must_be_ours
from tasks.release.state import configmap_name

ROLE = "verify"
SCHEMA = 1
KEEP = 20
# letters of a sentence: of so many entries the ConfigMap has room for
LETTERS = 4000

Entry = Mapping[str, Any]  # a record, as the history of a rollout has it


def verified_name(name: str) -> str:
    """Name of the ConfigMap. No rollout's name has a dot, so it is nobody's `rollout-<name>`."""
    return f"{configmap_name(name)}.verify"


def entries_of(name: str, configmap: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The verifications that are remembered, the newest first; what is absent, of another version
    or unreadable is none. Raises Refused for somebody else's object of that name."""
    if configmap is None:
        return []
    must_be_ours(configmap, name, ROLE)
    try:
        raw = json.loads((configmap.get("data") or {})["verify"])
        kept = raw["entries"] if raw["schema"] == SCHEMA else []
        return [dict(item) for item in kept if _readable(item)]
    except (KeyError, ValueError, TypeError):
        return []


def _readable(item: Any) -> bool:
    """Whether it can be compared with another one: a person may have written in it."""
    try:
        news(item, item)
    except (AttributeError, KeyError, TypeError):
        return False
    return True


def with_entry(entries: Sequence[Entry], new: Entry) -> list[Entry]:
    """One more, in front."""
    short = {**new, "sentence": str(new.get("sentence", ""))[:LETTERS]}
    return [short, *entries][:KEEP]


def verified_configmap(name: str, namespace: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """The ConfigMap for them."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": verified_name(name),
            "namespace": namespace,
            "labels": marks(name, ROLE),
        },
        "data": {"verify": json.dumps({"schema": SCHEMA, "entries": list(entries)}, default=str)},
    }


def news(new: Entry, before: Entry | None) -> Literal["", "earned", "missed"]:
    """What of a verification is told as an event: 'missed' where it misses what it did not miss
    before, 'earned' where it is met again; '' where nothing is new, or nothing is known."""
    was = before.get("outcome") if before and _release(before) == _release(new) else None
    if new.get("outcome") == "missed":
        return "" if before and was == "missed" and _missed(new) <= _missed(before) else "missed"
    return "earned" if new.get("outcome") == "earned" and was == "missed" else ""


def decided(entries: Sequence[Entry]) -> Entry | None:
    """The newest that decided: one that was open says nothing of the one before."""
    return next((item for item in entries if item.get("outcome") in ("earned", "missed")), None)


def _release(entry: Entry) -> str:
    return str((entry.get("resolve_model") or {}).get("release", ""))


def _missed(entry: Entry) -> set[tuple[str, str]]:
    targets = (entry.get("judge") or {}).get("targets") or []
    return {(t["metric"], t["load"]) for t in targets if t.get("verdict") == "fail"}
