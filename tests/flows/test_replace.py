"""No room beside what serves: refused, or, where an interruption is allowed, replaced."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.flows.house import House

pytestmark = pytest.mark.timeout(900)


def test_replace_promotes_a_good_version_and_brings_the_old_one_back_from_a_bad_one(
    home: House,
) -> None:
    # the node has 4 cores: two replicas of 3 do not fit
    wide = {"cpu": "3", "memory": "4Gi", "shm_gib": 0}
    spec = str(home.spec(serving__resources=wide))
    first = home.publish(1)
    home.rollout("run", spec, expect=0)

    second = home.publish(2)
    with home.asking() as seen:
        said = home.rollout("run", spec, expect=5)
    assert "allow_interruption" in said and not seen.failed
    state = home.state()
    assert state.stable is not None and state.stable.commit == first

    allowed = str(home.spec(serving__resources=wide, promotion__allow_interruption=True))
    plan = json.loads(home.rollout("plan", allowed, "--json", expect=0))
    assert plan["strategy"] == "replace" and "from the candidate's start" in plan["interruption"]
    home.rollout("run", allowed, expect=0)
    state = home.state()
    assert state.stable is not None and state.stable.commit == second

    home.publish(3, laws={"ttft": {"mean": 1.5}})
    home.rollout("run", allowed, "--target", "ttft_mean_ms=800", expect=3)
    state = home.state()
    assert state.phase == "idle" and state.stable is not None and state.stable.commit == second
    answer = httpx.get(f"{home.address()}/v1/models", timeout=30, trust_env=False)
    assert answer.status_code == 200
