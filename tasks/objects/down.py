"""Whether what serves answers, and where it does not, whether its own engine is why.

A node that restarts, a pod that waits for a seat or an image, a model that takes its time to load:
none of these says anything of a release, however long it lasts. A pod counts its restarts all its
life and tells of one end, the last: how many there were since it last answered on a node that was
Ready is taken from that end and from the kubelet's back-off, which doubles with each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.objects.pods import (
    ContainerStatus,
    Ended,
    ReadObject,
    conditions,
    ending,
    engine_container,
    is_true,
    state,
    statuses,
)
from tasks.objects.replicas import available_of

# A node that restarts restarts its containers once; three times is an engine that fails by itself.
RESTARTS = 3
# The kubelet's first back-off (10 s) doubles with each end; one that ran for ten minutes, or a
# kubelet that restarts, begins anew.
BACK_OFF_S = 10.0 * 2 ** (RESTARTS - 1)
# How runtimes tell of what they found dead after their node's restart: nobody saw it end.
_UNSEEN, _UNSEEN_CODE = ("Unknown", "ContainerStatusUnknown"), 255
# whatever a release's own start-up allows
LEAST_S = 300.0
# of an adopted Deployment that has no startup probe
STARTUP_S = 1800.0
_OVER = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Down:
    """What serves does not answer. why: in words, the same as long as it lasts. broken: in each of
    its pods, for longer than its start-up may take on a node that is Ready, its engine has ended by
    itself again and again, and does not run."""

    why: str
    broken: bool = False


def down_of(
    deploy: ReadObject,
    pods: Sequence[ReadObject],
    now: datetime,
    nodes: Iterable[ReadObject] = (),
) -> Down | None:
    """What is wrong with a Deployment of which no replica is available though some are asked for;
    None where that is not known, or may be a start-up.

    pods: its own. now: by the cluster's clock. nodes: of its pods; on one that nobody knows no
    engine is told to be broken.
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
    there = {node["metadata"]["name"]: node for node in nodes}
    allowed = timedelta(seconds=_allowed(deploy))
    broken = every and all(_broken(pod, there.get(_node(pod)), now, allowed) for pod in live)
    return Down(f"{name} serves and none of its replicas answers{told}: {what}", broken)


def _phase(pod: ReadObject) -> str:
    return str((pod.get("status") or {}).get("phase") or "")


def _engine(pod: ReadObject) -> ContainerStatus | None:
    name = engine_container(pod.get("spec") or {}).get("name")
    return next((entry for entry in statuses(pod) if entry.get("name") == name), None)


def _node(pod: ReadObject) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def _loops(pod: ReadObject) -> bool:
    """Its engine has ended and was restarted again and again, and does so still."""
    found = _engine(pod)
    if found is None or found.get("ready") or int(found.get("restartCount") or 0) < RESTARTS:
        return False
    last, down = _last(found), _unready(pod)
    ended = _time((last or {}).get("finishedAt"))
    # one that ended before this pod was last ready says nothing of now
    return last is not None and not (ended and down and ended < down)


def _last(found: ContainerStatus) -> Ended | None:
    """Its last end; None where it has none, or nobody saw it."""
    last = state(found).get("terminated") or (found.get("lastState") or {}).get("terminated")
    if not last or last.get("reason") in _UNSEEN or last.get("exitCode") == _UNSEEN_CODE:
        return None
    return last


def _broken(pod: ReadObject, node: ReadObject | None, now: datetime, allowed: timedelta) -> bool:
    """As many lives as RESTARTS, each like the last one, have begun and ended since this pod last
    answered and its node is Ready: that engine fails by itself. One that runs may still load."""
    found, down = _engine(pod), _unready(pod)
    last = _last(found) if found else None
    if found is None or last is None or down is None or node is None or not is_true(node, "Ready"):
        return False
    up = _time(conditions(node)["Ready"].get("lastTransitionTime"))
    ended, pause = _time(last.get("finishedAt")), _back_off(found)
    if up is None or ended is None or pause is None or pause.total_seconds() < BACK_OFF_S:
        return False
    since, began = max(up, down), _time(last.get("startedAt")) or ended
    fits = ended - (RESTARTS - 1) * (ended - began + pause) >= since
    return now - since > allowed and fits


def _back_off(found: ContainerStatus) -> timedelta | None:
    """How long a kubelet waits before it starts an engine again; None where it does not wait."""
    waiting = state(found).get("waiting") or {}
    told = re.match(r"back-off ((?:[\d.]+[hms])+) restarting", waiting.get("message") or "")
    if waiting.get("reason") != "CrashLoopBackOff" or told is None:
        return None
    unit = {"h": 3600, "m": 60, "s": 1}
    parts = re.findall(r"([\d.]+)([hms])", told[1])
    return timedelta(seconds=sum(float(count) * unit[name] for count, name in parts))


def _word(pod: ReadObject) -> str:
    """How one of its pods is, in words that do not change from look to look."""
    if _loops(pod):
        return "its engine ends again and again"
    waiting = state(found).get("waiting") if (found := _engine(pod)) else None
    if waiting and waiting.get("reason"):
        return f"its engine waits ({waiting['reason']})"
    return "a pod waits for a node" if not _node(pod) else "a pod is not ready"


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
