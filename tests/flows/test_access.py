"""Each way of reaching a release, from the first promotion to the way back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.house import NAMESPACE, House
from tests.support.cluster.hand import Hand

pytestmark = pytest.mark.timeout(900)

# what each mode makes of the stable Service; test_rollout goes the same way by mode cluster
TYPES = {
    "node-port": "NodePort",
    "pod-ip": "ClusterIP",
    "port-forward": "ClusterIP",
}
SHORT = {
    "benchmark__requests_per_round": 16,
    "benchmark__min_rounds": 2,
    "targets": {"success_rate_percent": 50},
}


def service_of(home: House) -> dict[str, Any]:
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        found = api.get("Service", "tiny", NAMESPACE)
    assert found is not None
    return dict(found["spec"])


@pytest.mark.parametrize("mode", list(TYPES))
def test_promotes_twice_and_goes_back(home: House, mode: str) -> None:
    access: dict[str, Any] = {"mode": mode}
    if mode == "port-forward":
        access["benchmark_through_port_forward"] = True
    spec = str(home.spec(access=access, **SHORT))
    first = home.publish(1)
    home.rollout("run", spec, expect=0)
    service = service_of(home)
    assert service["type"] == TYPES[mode]

    second = home.publish(2)
    with home.asking() as seen:
        home.rollout("run", spec, expect=0)
    assert seen.answered and not seen.failed
    state = home.state()
    assert state.stable is not None and state.stable.commit == second

    with home.asking() as seen:
        home.rollout("rollback", "tiny", "-n", NAMESPACE, expect=0)
    assert seen.answered and not seen.failed
    state = home.state()
    assert state.phase == "idle"
    assert state.stable is not None and state.stable.commit == first
    # clients keep their address, and the same node port
    after = service_of(home)
    assert {**after, "selector": None} == {**service, "selector": None}
