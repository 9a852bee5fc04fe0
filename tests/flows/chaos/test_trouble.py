"""A whole rollout while one call in five to the API server goes wrong: refused, or done and not
answered; and watches are cut. What serves never notices."""

from __future__ import annotations

import pytest

from deployments.local.kube.api.trouble import Trouble
from tests.flows.house import House

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("seed", [1])
def test_a_rollout_and_a_way_back_in_trouble(home: House, seed: int) -> None:
    home.publish(1)
    spec = str(home.spec())
    home.rollout("run", spec, expect=0)
    before = home.state().stable
    home.publish(2)
    trouble = Trouble(seed, 0.2)
    with home.asking() as seen:
        home.cluster.befall(trouble)
        home.rollout("run", spec, expect=0)
        home.rollout("rollback", "tiny", "-n", "models", expect=0)
        home.cluster.befall(None)
    assert not seen.failed and seen.answered > 20
    assert home.state().stable == before and home.state().phase == "idle"
    assert {"429", "500", "503", "lost", "cut"} <= {*trouble.seen}
