"""What runs at the release that served before ends there, after a switch and after a way back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.house import House
from tests.support.streams import clients
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)
# 160 tokens are 8 s: much longer than a pod's pause, and than the soak
LAWS: dict[str, Any] = {"itl": {"mean": 0.05}}
SERVING = {
    "serving__extra_args": ["--shutdown-timeout=20"],
    "serving__pod": {"terminationGracePeriodSeconds": 36},
}


def pods_of(home: House, deployment: str) -> list[str]:
    return [name for name in home.objects("Pod") if name.startswith(deployment)]


def test_streams_and_kept_connections_outlive_a_promotion_and_a_roll_back(home: House) -> None:
    first = home.publish(1, LAWS)
    home.rollout("run", str(home.spec(**SERVING)), expect=0)
    old = home.objects("Deployment")[0]
    home.publish(2, LAWS)
    # one client uses its connection to the old release all the while
    with clients(home.address(), kept_chats=1) as seen:
        said = home.rollout("run", str(home.spec(**SERVING, promotion__drain_s=25)), expect=0)
        until(lambda: not pods_of(home, old))
        until(lambda: seen.reopened == 2)  # both kept ones, now that their pod has ended
    assert seen.broken == [] and seen.longest_s > 7
    assert seen.answered["stream"] > 6 and seen.answered["kept chat"] > 20
    assert "25 s (promotion.drain_s) are over" in said

    with clients(home.address()) as seen:
        home.rollout("rollback", "tiny", "-n", "models", expect=0)
        assert home.objects("Deployment") == [old]
        until(lambda: seen.reopened == 1)
    assert seen.broken == [] and seen.longest_s > 7 and seen.answered["stream"] >= 3
    state = home.state()
    assert state.stable is not None and state.stable.commit == first
