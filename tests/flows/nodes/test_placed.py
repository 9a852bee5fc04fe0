"""Every node gets another name: what served finds no place, and is placed again by the tool."""

from __future__ import annotations

import httpx
import pytest

from tasks.base import clock
from tasks.objects.replicas import available_of
from tasks.release.seats.pins import pinned
from tests.flows.house import NAMESPACE, House
from tests.support.cluster.hand import Hand
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)


def renamed(home: House, name: str) -> None:
    """The node is another one by its host name, and what ran there is gone."""
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        (node,) = [item["metadata"]["name"] for item in api.list("Node")]
        api.patch("Node", node, None, {"metadata": {"labels": {"kubernetes.io/hostname": name}}})
        for pod in api.list("Pod", NAMESPACE, label_selector="model-rollout/kind=engine"):
            api.delete("Pod", pod["metadata"]["name"], NAMESPACE)
        while any(map(available_of, api.list("Deployment", NAMESPACE))):
            clock.sleep(0.2)


def hosts(home: House) -> list[tuple[str, ...]]:
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        return [pinned(item) for item in api.list("Deployment", NAMESPACE)]


def answers(home: House) -> bool:
    """Soon: a node learns of new pods a moment after the API does."""

    def asked() -> bool:
        return httpx.get(f"{home.address()}/v1/models", timeout=30, trust_env=False).is_success

    return until(asked, timeout_s=60, forgiving=(httpx.TransportError,))


def test_what_served_on_nodes_that_are_gone_is_placed_again(home: House) -> None:
    home.publish(1)
    spec = str(home.spec())
    home.rollout("run", spec, expect=0)
    made = home.state().made

    renamed(home, "pool-v2")
    assert "place: tiny-" in home.rollout("plan", spec, expect=0)
    assert "is gone" in home.rollout("status", "tiny", "-n", NAMESPACE, expect=0)
    said = home.rollout("run", spec, expect=0)
    assert "was placed again" in said and hosts(home) == [("pool-v2",)] and answers(home)
    assert "nothing was changed" in home.rollout("run", spec, expect=0)

    renamed(home, "pool-v3")
    said = home.rollout("recover", "tiny", "-n", NAMESPACE, expect=0)
    assert "was placed again" in said and hosts(home) == [("pool-v3",)] and answers(home)
    state = home.state()
    assert state.phase == "idle" and state.made == made
