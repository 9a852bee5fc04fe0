"""A replacement dies, and its memory cannot be read any more: what served serves again all the
same, on a real API and under a real lease."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.flows.house import NAMESPACE, House
from tests.support.cluster.hand import Hand
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)
WIDE = {"cpu": "3", "memory": "4Gi", "shm_gib": 0}
MEMORY = ("ConfigMap", "rollout-tiny", NAMESPACE)


def test_what_served_serves_again_though_its_memory_is_unreadable(home: House) -> None:
    # the node has 4 cores: two replicas of 3 do not fit
    spec = str(home.spec(serving__resources=WIDE, promotion__allow_interruption=True))
    home.publish(1)
    home.rollout("run", spec, "--yes", expect=0)
    stable = home.state().stable
    assert stable is not None

    home.publish(2)
    process = home.start("run", spec, "--yes", lease_s=12)
    try:
        until(lambda: len(home.objects("Deployment")) == 2)
    finally:
        process.kill()
        process.communicate()
    candidate = home.state().candidate
    assert candidate is not None
    until(lambda: not answers(home))

    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        memory = api.get(*MEMORY)
        assert memory is not None
        whole = memory["data"]["state"]
        api.patch(*MEMORY, {"data": {"state": "{"}})
        said = home.rollout("guard", "--once", "-n", NAMESPACE, expect=1)
        assert f"{stable.deployment} serves and was scaled down to 0: it is scaled up to 1" in said
        assert f"{candidate.deployment}, which may hold its seats, is stopped" in said
        assert "and what failed is this: ConfigMap models/rollout-tiny does not hold" in said
        until(lambda: answers(home))

        # it is told again, and nothing more is done
        asked = len(home.cluster.audit)
        home.rollout("guard", "--once", "-n", NAMESPACE, expect=1)
        assert "deployments" not in {
            plural
            for verb, _, plural, *_ in home.cluster.audit[asked:]
            if verb not in ("get", "list", "watch")
        }
        api.patch(*MEMORY, {"data": {"state": whole}})
    home.rollout("recover", "tiny", "-n", NAMESPACE, "--yes", expect=0)
    state: Any = home.state()
    assert state.phase == "idle" and state.stable == stable
    until(lambda: answers(home))
    assert home.objects("Deployment") == [stable.deployment]


def answers(home: House) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{home.address()}/v1/models", timeout=30, trust_env=False).is_success
    return False
