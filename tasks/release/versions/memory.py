"""What the watcher remembers of a rollout, in a ConfigMap of its own: what it told and how often,
which commits it saw, how often a look failed. Prefect forgets its events; this outlives every
restart.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tasks.base.clock import moment
from tasks.objects.ours import marks, must_be_ours
from tasks.release.state import configmap_name

ROLE = "watch"
SCHEMA = 1
# commits seen, and releases that served, that are remembered
SEEN = 50
# what is told and not taken up, or failed, is told again after this, twice as long each time (s)
AGAIN_S, MOST_S = 1800.0, 6 * 3600.0
# a look that failed is taken again after this (s)
LOOK_S = 300.0
# waits are longer by up to this part, so that what failed together does not come back together
JITTER = 0.2


@dataclass(frozen=True)
class WatchMemory:
    """The memory of one rollout's watch.

    ref, head, excluded: what was followed, the hub's commit of it, and the patterns its listing was
    read by; commit, digest, size: what those came to (size in bytes), so that what has not moved is
    not listed again. seen: hub commits that were there, the newest first. served: ids of releases
    that were seen to serve.
    told: the wish (see `wish_of`) that was told last; times, at: how often, and when last, ISO
    8601. gave_up: the wish that is not told any more.
    failures, failed_at, error: looks that failed in a row, the last one's time and words.
    """

    ref: str = ""
    head: str = ""
    excluded: tuple[str, ...] = ()
    commit: str = ""
    digest: str = ""
    size: int = 0
    seen: tuple[str, ...] = ()
    served: tuple[str, ...] = ()
    told: str = ""
    times: int = 0
    gave_up: str = ""
    at: str = ""
    failures: int = 0
    failed_at: str = ""
    error: str = ""


def _texts(items: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(str, items))


# how a field is read, by its type
_AS: dict[str, Callable[[Any], Any]] = {"str": str, "int": int, "tuple[str, ...]": _texts}


def memory_name(name: str) -> str:
    """Name of the ConfigMap. No rollout's name has a dot, so it is nobody's `rollout-<name>`."""
    return f"{configmap_name(name)}.watch"


def remembered_watch(name: str, configmap: Mapping[str, Any] | None) -> WatchMemory:
    """What is remembered; what is absent, of another version or unreadable is nothing: at worst a
    version is told once more, and the rollout itself knows what it judged.

    Raises Refused for somebody else's object of that name.
    """
    if configmap is None:
        return WatchMemory()
    must_be_ours(configmap, name, ROLE)
    try:
        raw = json.loads((configmap.get("data") or {})["watch"])
        if raw.pop("schema") != SCHEMA:
            return WatchMemory()
        known: dict[str, Any] = {}
        for item in dataclasses.fields(WatchMemory):
            if item.name in raw:
                known[item.name] = _AS[str(item.type)](raw[item.name])
        return WatchMemory(**known)
    except (KeyError, ValueError, TypeError, AttributeError):
        return WatchMemory()


def watch_configmap(name: str, namespace: str, memory: WatchMemory) -> dict[str, Any]:
    """The ConfigMap for a memory."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": memory_name(name),
            "namespace": namespace,
            "labels": marks(name, ROLE),
        },
        "data": {
            "watch": json.dumps({"schema": SCHEMA, **dataclasses.asdict(memory)}, sort_keys=True)
        },
    }


def with_seen(memory: WatchMemory, commit: str, release: str = "") -> WatchMemory:
    """A hub's commit is there, and a release serves; '' is none. Both come in front."""
    return replace(
        memory, seen=_in_front(commit, memory.seen), served=_in_front(release, memory.served)
    )


def _in_front(new: str, others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([new, *(item for item in others if item != new)][:SEEN]) if new else others


def seen_before(memory: WatchMemory, commit: str) -> tuple[str, ...]:
    """Commits that were there before this one; none where it was never seen."""
    at = memory.seen.index(commit) if commit in memory.seen else len(memory.seen)
    return memory.seen[at + 1 :]


def with_told(memory: WatchMemory, wish: str, now: datetime) -> WatchMemory:
    """A wish is told, once more or for the first time."""
    times = memory.times + 1 if memory.told == wish else 1
    return replace(memory, told=wish, times=times, at=now.isoformat(timespec="seconds"))


def with_failure(memory: WatchMemory, error: str, now: datetime) -> WatchMemory:
    """A look failed."""
    at = now.isoformat(timespec="seconds")
    return replace(memory, failures=memory.failures + 1, failed_at=at, error=error[:1000])


def without_failure(memory: WatchMemory) -> WatchMemory:
    """A look succeeded."""
    return replace(memory, failures=0, failed_at="", error="")


def told_again_at(memory: WatchMemory, wish: str, spread: float) -> datetime | None:
    """When a wish that was told may be told again; None: at once. spread: 0 to 1, by chance."""
    if memory.told != wish:
        return None
    return _after(memory.at, AGAIN_S, memory.times, spread)


def looked_again_at(memory: WatchMemory, spread: float) -> datetime | None:
    """When to look again after looks that failed; None: at once."""
    return _after(memory.failed_at, LOOK_S, memory.failures, spread)


def _after(at: str, first_s: float, times: int, spread: float) -> datetime | None:
    begun = moment(at)
    if begun is None or times < 1:
        return None
    wait = min(first_s * 2 ** min(times - 1, 20), MOST_S)
    return begun + timedelta(seconds=wait * (1 + JITTER * spread))
