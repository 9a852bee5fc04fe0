"""Who waits for what a rollout would free."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.nodes.queue import queueing

DCU = "hygon.com/dcu"


def pod(name: str, ns: str = "jobs", *, asks: str = DCU, **more: Any) -> dict[str, Any]:
    spec = {"containers": [{"resources": {"limits": {asks: "1"}}}], **more.pop("spec", {})}
    return {
        "metadata": {"name": name, "namespace": ns, **more.pop("meta", {})},
        "spec": spec,
        **more,
    }


OURS = {"labels": {"app.kubernetes.io/instance": "m"}}


@pytest.mark.parametrize(
    ("found", "waits"),
    [
        (pod("a"), True),
        (pod("a", asks="nvidia.com/gpu"), False),
        (pod("a", asks="cpu"), False),
        (pod("a", spec={"nodeName": "n"}), False),  # it has its place
        (pod("a", status={"phase": "Succeeded"}), False),
        (pod("a", meta={"deletionTimestamp": "now"}), False),
        (pod("a", "models", meta=OURS), False),  # a rollout's own
        (pod("a", "jobs", meta=OURS), True),  # another rollout that is called so
        (pod("a", meta={"labels": {"app.kubernetes.io/instance": "n"}}), True),
    ],
)
def test_pods_that_wait_for_devices(found: dict[str, Any], waits: bool) -> None:
    assert queueing([found], (DCU, "pods"), "models", "m") == (("jobs/a",) if waits else ())


def test_on_cpus_whoever_waits_for_the_host_waits() -> None:
    pods = [pod("b", asks="cpu"), pod("a", asks="memory"), pod("c")]
    assert queueing(pods, ("pods", "cpu"), "models", "m") == ("jobs/a", "jobs/b")


def test_any_device_of_a_replica_may_be_waited_for() -> None:
    assert queueing([pod("a")], ("cpu", "rdma/hca", DCU), "models", "m") == ("jobs/a",)
