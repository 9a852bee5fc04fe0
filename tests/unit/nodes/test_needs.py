"""What a replica asks of a node is what its pod asks, the site's own fields among it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.accelerators.profiles import profile
from tasks.base.errors import SpecError
from tasks.nodes.assess import judge_node
from tasks.nodes.facts import api_facts, pod_requests
from tasks.nodes.rules_api import replica_needs, room_of, room_reasons
from tasks.render.release import PodNeeds, deployment, release_of
from tests.support.nodedata import make_spec

GPU = "example.com/gpu"
ENGINE = {"name": "engine", "resources": {"limits": {GPU: "4"}}}
SIDECAR = {"name": "proxy", "image": "proxy:1", "resources": {"requests": {"cpu": "2"}}}
DCU = {"nodes": {"accelerator": "hygon-dcu"}}


def node(**amounts: str) -> dict[str, Any]:
    status = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": amounts}
    return {"metadata": {"name": "n1"}, "status": status}


def serving(amounts: dict[str, str]) -> dict[str, Any]:
    """A pod of the release that serves."""
    labels = {"app.kubernetes.io/instance": "r1", "model-rollout/release": "s"}
    return {
        "metadata": {"name": "p", "namespace": "default", "labels": labels},
        "spec": {"nodeName": "n1", "containers": [{"resources": {"requests": amounts}}]},
    }


@pytest.mark.parametrize(
    "pod",
    [
        {},
        {"containers": [ENGINE]},
        {"containers": [SIDECAR], "overhead": {"memory": "1Gi"}},
        {"initContainers": [{"name": "first", "resources": {"requests": {"memory": "99Gi"}}}]},
        {"containers": [{"name": "engine", "resources": {"requests": {"memory": None}}}]},
        {"containers": [{"name": "engine", "resources": {"$patch": "replace"}}]},
        {"containers": [{"name": "engine", "resources": {"limits": {"rdma/hca": "1"}}}]},
        {"resources": {"requests": {"cpu": "8"}}},
    ],
)
@pytest.mark.parametrize("accelerator", [{}, DCU])
def test_the_plan_counts_what_the_pod_asks(
    accelerator: dict[str, Any], pod: dict[str, Any]
) -> None:
    asked_for = {"resources": {"cpu": "1", "memory": "6Gi"}, "pod": pod}
    spec = make_spec(accelerator, {"serving": asked_for})
    resource = "hygon.com/dcu" if spec.devices else ""
    needs = PodNeeds(resource=resource)
    body = deployment(spec, release_of(spec, "c", "d", needs), needs, [])
    asked = pod_requests(body["spec"]["template"]["spec"])
    assert replica_needs(spec, resource) == {**asked, "pods": 1}


def claiming(count: str, name: str = "p", **labels: str) -> dict[str, Any]:
    """A pod with a claim of devices."""
    claims = [{"name": "d", "resourceClaimTemplateName": "two"}]
    return {
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"nodeName": "n1", "resourceClaims": claims, "containers": [{}]},
    }


CLAIM = {"nodes": {"accelerator": "hygon-dcu", "claim_template": "two-dcus"}}


def test_a_claim_takes_the_place_of_the_extended_resource() -> None:
    spec = make_spec(CLAIM, {"serving": {"tensor_parallel_size": 2}})
    needs = PodNeeds()
    pod = deployment(spec, release_of(spec, "c", "d", needs), needs, [])["spec"]["template"]["spec"]
    assert pod["resourceClaims"] == [{"name": "devices", "resourceClaimTemplateName": "two-dcus"}]
    assert pod["containers"][0]["resources"] == {"claims": [{"name": "devices"}]}
    assert replica_needs(spec, "") == {"pods": 1}
    plain = make_spec(DCU)
    assert (
        "resourceClaims"
        not in deployment(plain, release_of(plain, "c", "d", needs), needs, [])["spec"]["template"][
            "spec"
        ]
    )


def test_claims_are_counted_by_the_cards_and_by_who_holds_some() -> None:
    spec = make_spec(CLAIM, {"serving": {"tensor_parallel_size": 2}})
    ours = {"app.kubernetes.io/instance": "r1", "model-rollout/release": "s"}
    facts = api_facts(node(cpu="64"), [claiming("2", **ours), claiming("2", "other")])
    full = room_of(spec, facts, "", "s", 2)
    assert (full.seats, full.seats_without_stable, full.by_gone) == (0, 1, (0, 1))
    assert full.lacks == ("1 claim of devices a replica, 0 free of 0",)
    assert [r.code for r in room_reasons(spec, facts, "", full)] == ["RESOURCE_BUSY"]
    roomy = room_of(spec, facts, "", "s", 4)
    assert (roomy.seats, roomy.seats_without_stable) == (2, 3)
    assert room_reasons(spec, facts, "", roomy) == []


@pytest.mark.parametrize(
    "nodes",
    [
        {"accelerator": "hygon-dcu", "claim_template": "two", "resource": "hygon.com/hcu"},
        {"accelerator": "cpu", "claim_template": "two"},
        {"accelerator": "hygon-dcu", "claim_template": "Two_"},
    ],
)
def test_a_claim_that_cannot_be_meant(nodes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="claim_template"):
        make_spec({"nodes": nodes})


def test_a_device_of_the_sites_own_fields_bounds_the_seats() -> None:
    spec = make_spec({"serving": {"resources": {"cpu": "1"}, "pod": {"containers": [ENGINE]}}})

    def judged(free: str) -> Any:
        facts = api_facts(node(cpu="64", **{GPU: free}), [serving({"cpu": "1", GPU: "4"})])
        return judge_node(spec, profile("cpu"), facts, None, stable_release="s")

    beside = judged("6")
    assert beside.usable and (beside.seats, beside.seats_without_stable) == (0, 1)
    assert beside.lacks == ("4 example.com/gpu a replica, 2 free of 6",)
    assert {r.code for r in beside.reasons} == {"RESOURCE_BUSY", "NOT_PROBED"}
    for short in ("3", "0"):
        assert [r.code for r in judged(short).errors] == ["RESOURCE_INSUFFICIENT"]


@pytest.mark.parametrize(
    "pod", [{"containers": 1}, {"containers": [{"name": "x", "resources": {"limits": {GPU: "?"}}}]}]
)
def test_what_cannot_be_counted_is_the_specs_fault(pod: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"^serving\.pod"):
        replica_needs(make_spec({"serving": {"pod": pod}}), "")
