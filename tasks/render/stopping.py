"""How an engine's pod ends: a pause in which nodes stop sending to it, SIGTERM, time for what runs.

A pod that is evicted ends like this without a rollout. After a promotion its release has ended its
requests before (`tasks/release/draining.py`), and this is for those that come late.

Sources: Kubernetes KEP-3960 (preStop sleep: on by default from 1.30; on the clock of the grace
period); vLLM PR 36666 (`--shutdown-timeout`: in the source of 0.18.0, not of 0.17.1; without it
SIGTERM aborts what runs) and PR 43208 (a grace period longer than both).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tasks.objects.labels import ENGINE_CONTAINER
from tasks.spec.flags import SHUTDOWN, value_of
from tasks.spec.images import vllm_release
from tasks.spec.rollout import GRACE, Rollout

PAUSE_S = 10
# A release that a rollout stops was drained before, by promotion.drain_s: this much is for one that
# is evicted. An engine that hangs holds its devices as long, and whoever waits for them (`replace`,
# a way back) serves nobody meanwhile, so it is not the whole of a long drain. Who wants more for
# evictions gives the flag, and the grace period follows it.
STREAMS_S = 120
# From an engine's last answer to its exit.
EXIT_S = 10
SINCE = (0, 18)


@dataclass(frozen=True)
class Stopping:
    """Whole seconds. grace: of the pod. pause: before SIGTERM, 0 for none. streams: from SIGTERM
    until what runs is aborted."""

    grace: int
    pause: int
    streams: int

    @property
    def hook(self) -> dict[str, Any]:
        """The container's lifecycle, empty for none."""
        return {"preStop": {"sleep": {"seconds": self.pause}}} if self.pause else {}


def stopping(spec: Rollout) -> Stopping:
    """What the spec's drain asks for; within the grace period where the spec has its own."""
    pod, told = spec.serving.pod, _told(spec)
    streams = min(math.ceil(spec.promotion.drain_s), STREAMS_S) if told is None else told
    pause, last = PAUSE_S, EXIT_S
    grace = pod.get(GRACE)
    if isinstance(grace, int) and told is not None:
        # the spec is refused where the grace period is the shorter one
        pause = min(pause, (grace - told) // 2)
    elif isinstance(grace, int):
        pause, last = min(pause, grace // 3), min(last, grace // 3)
        streams = max(grace - pause - last, 0)
    else:
        grace = pause + streams + last
    return Stopping(grace, 0 if _hooked(pod) else pause, streams)


def shutdown_args(spec: Rollout) -> list[str]:
    """The flag, where the image is known to have it and the spec does not give it."""
    version, left = vllm_release(spec.serving.image), stopping(spec).streams
    if version is None or version < SINCE or _told(spec) is not None or not left:
        return []
    return [f"{SHUTDOWN}={left}"]


def _told(spec: Rollout) -> int | None:
    """The spec's own word for the flag, as vLLM reads it."""
    told = value_of(spec.serving.extra_args, SHUTDOWN)
    return None if told is None else int(told)


def _hooked(pod: dict[str, Any]) -> bool:
    """The site's own PodSpec says what happens before SIGTERM: two handlers would be refused."""
    containers = pod.get("containers")
    for item in containers if isinstance(containers, list) else []:
        if isinstance(item, dict) and item.get("name") == ENGINE_CONTAINER:
            life = item.get("lifecycle", {})
            return not isinstance(life, dict) or "preStop" in life
    return False
