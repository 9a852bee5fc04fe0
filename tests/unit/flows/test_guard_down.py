"""The guard, and what serves while it does not answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flows.rollback import decide
from tasks.base import clock
from tasks.base.errors import StepFailed
from tests.support.cluster.tight import tight

pytestmark = pytest.mark.usefixtures("quick")


def ago(minutes: float) -> str:
    return (clock.now() - timedelta(minutes=minutes)).isoformat()


def test_a_release_that_loads_after_its_node_came_back_is_kept() -> None:
    at = tight(rollout="r")
    plain = at._pod
    seen_dead = {"exitCode": 255, "reason": "Unknown", "finishedAt": ago(1)}
    engine = {
        "name": "engine",
        "ready": False,
        "restartCount": 4,
        "state": {"running": {"startedAt": ago(1)}},
        "lastState": {"terminated": seen_dead},
    }

    def rebooted(item: Any, number: object, ready: str) -> Any:
        out = plain(item, number, ready)
        if ready == "False":
            out["status"]["conditions"][0]["lastTransitionTime"] = ago(40)
            out["status"]["containerStatuses"] = [engine]
        return out

    at._pod = rebooted  # type: ignore[method-assign]
    at.broken.add("old")  # it loads
    actor = at.actor()
    actor.take_over()
    actor.asked = "demands"
    at.writes.clear()
    with pytest.raises(StepFailed, match=r"none of its replicas answers.*a pod is not ready"):
        decide("guard", actor)
    assert at.writes == [] and not actor.observe().state.judged
