"""Whether what serves answers, and where it does not, whether its own engine is why.

A node that restarts, a pod that waits for a seat or an image, a model that takes its time to load:
none of these says anything of a release, however long it lasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.objects.pods import (
    ContainerStatus,
    ReadObject,
    conditions,
    ending,
    engine_container,
    state,
    statuses,
)
from tasks.objects.replicas import available_of

# A node that restarts restarts its containers once; three times is an engine that fails by itself.
RESTARTS = 3
# whatever a release's own start-up allows
LEAST_S = 300.0
# of an adopted Deployment that has no startup probe
STARTUP_S = 1800.0
_OVER = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Down:
    """What serves does not answer. why: in words, the same as long as it lasts. broken: longer than
    its start-up may take, and in each of its pods because its engine ends again and again."""

    why: str
    broken: bool = False


def down_of(deploy: ReadObject, pods: Sequence[ReadObject], now: datetime) -> Down | None:
    """What is wrong with a Deployment of which no replica is available though some are asked for;
    None where that is not known, or may be a start-up.

    pods: its own. now: by the cluster's clock.
    """
    if available_of(deploy) or not deploy["spec"].get("replicas", 1):
        return None
    live = [pod for pod in pods if not ending(pod) and _phase(pod) not in _OVER]
    loops = [pod for pod in live if _loops(pod)]
    since = _since(deploy, live)
    late = since is not None and (now - since).total_seconds() > _allowed(deploy)
    name, every = deploy["metadata"]["name"], bool(live) and len(loops) == len(live)
    if not (late or every):
        return None
    told = f" since {since.isoformat(timespec='seconds')}" if since and late else ""
    what = ", ".join(sorted({_word(pod) for pod in live} or {"it has no pods"}))
    return Down(f"{name} serves and none of its replicas answers{told}: {what}", late and every)


def _phase(pod: ReadObject) -> str:
    return str((pod.get("status") or {}).get("phase") or "")


def _engine(pod: ReadObject) -> ContainerStatus | None:
    name = engine_container(pod.get("spec") or {}).get("name")
    return next((entry for entry in statuses(pod) if entry.get("name") == name), None)


def _loops(pod: ReadObject) -> bool:
    """Its engine has ended and was restarted again and again, and does so still."""
    found = _engine(pod)
    if found is None or found.get("ready") or int(found.get("restartCount") or 0) < RESTARTS:
        return False
    last = (found.get("lastState") or {}).get("terminated") or state(found).get("terminated")
    ended, down = _time((last or {}).get("finishedAt")), _unready(pod)
    # one that ended before this pod was last ready says nothing of now
    return last is not None and not (ended and down and ended < down)


def _word(pod: ReadObject) -> str:
    """How one of its pods is, in words that do not change from look to look."""
    if _loops(pod):
        return "its engine ends again and again"
    waiting = state(found).get("waiting") if (found := _engine(pod)) else None
    if waiting and waiting.get("reason"):
        return f"its engine waits ({waiting['reason']})"
    return "a pod waits for a node" if not pod["spec"].get("nodeName") else "a pod is not ready"


def _since(deploy: ReadObject, pods: Sequence[ReadObject]) -> datetime | None:
    """From when on nothing of it was ready; None where that is not told."""
    found = [_unready(pod) for pod in pods]
    if not found:
        refused = conditions(deploy).get("ReplicaFailure", {})
        return _time(refused.get("lastTransitionTime"))
    known = [item for item in found if item is not None]
    return max(known) if len(known) == len(found) else None


def _unready(pod: ReadObject) -> datetime | None:
    said = conditions(pod).get("Ready", {}).get("lastTransitionTime")
    return _time(said or pod["metadata"].get("creationTimestamp"))


def _allowed(deploy: ReadObject) -> float:
    """How long its start-up may take (s)."""
    probe = engine_container(deploy["spec"]["template"]["spec"]).get("startupProbe")
    if not probe:
        return STARTUP_S
    tries, every = int(probe.get("failureThreshold") or 3), float(probe.get("periodSeconds") or 10)
    return max(LEAST_S, float(probe.get("initialDelaySeconds") or 0) + tries * every)


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
