"""By what else clients reach a release's pods."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.objects.beside import (
    Cut,
    led_by_hand,
    left_behind,
    listens,
    named,
    not_agreed,
    other_ports,
    others_on,
    picks,
    target_of,
    ways_of,
)
from tasks.objects.endpoints import MAKER, MAKER_LABEL

PODS = {"app": "vllm", "tier": "chat", "pod-template-hash": "5d8"}
COMES = {"app.kubernetes.io/instance": "m", "model-rollout/release": "new"}


def service(name: str, selector: dict[str, str] | None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"selector": selector, **spec}}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({"app": "vllm"}, True),
        ({"app": "vllm", "tier": "chat"}, True),
        ({"pod-template-hash": "5d8"}, True),  # of the pods alone, not of their template
        ({"app": "vllm", "tier": "batch"}, False),
        ({}, False),  # of nobody's pods
        (None, False),
    ],
)
def test_services_that_choose_the_same_pods(selector: dict[str, str] | None, found: bool) -> None:
    every = [service("m", {"app": "vllm"}), service("m-internal", selector)]
    names = [item["metadata"]["name"] for item in others_on(every, ["m"], [{"app": "x"}, PODS])]
    assert names == ["m-internal"] * found


def test_ports_that_a_switch_leaves_as_they_are() -> None:
    def ports(*given: dict[str, Any]) -> list[str]:
        return [named(port) for port in other_ports(service("m", {}, ports=list(given)))]

    http, grpc = {"name": "http", "port": 80, "targetPort": 8000}, {"name": "grpc", "port": 9000}
    assert ports(http, grpc) == ["grpc"] == ports(grpc, http)
    assert ports({"port": 80}) == ports({"name": "web", "port": 80}) == ports() == []
    # which is the engine's nobody can tell: that is refused where it is asked for
    assert ports(grpc, {"name": "web", "port": 80}) == []
    assert (target_of(http), target_of(grpc)) == (8000, 9000)
    assert target_of({"port": 80, "targetPort": "metrics"}) == "metrics"


def test_where_a_template_says_that_it_listens() -> None:
    engine = {"name": "engine", "ports": [{"name": "http", "containerPort": 8000}]}
    sidecar = {"name": "s", "restartPolicy": "Always", "ports": [{"containerPort": 9000}]}
    once = {"name": "o", "ports": [{"containerPort": 7000}]}
    template = {"spec": {"containers": [engine, {"name": "x"}], "initContainers": [sidecar, once]}}
    assert [listens(template, at) for at in (8000, "http", 9000)] == [True] * 3
    assert [listens(template, at) for at in (7000, "grpc", 80)] == [False] * 3


@pytest.mark.parametrize(("host", "found"), [(False, ["kubernetes"]), (True, [])])
def test_the_address_of_a_node_names_no_pod(host: bool, found: list[str]) -> None:
    """The API server's own Service is led by hand, too, to nodes."""
    pod = {
        "metadata": {"name": "p"},
        "spec": {"hostNetwork": host},
        "status": {"podIPs": [{"ip": "10.0.0.1"}]},
    }
    item = {
        "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "endpoints": [{"addresses": ["10.0.0.1"]}],
    }
    assert led_by_hand({"kubernetes"}, [item], [pod]) == found


@pytest.mark.parametrize(
    ("leaves", "value"),
    [
        ([], "[chat, chat/grpc]"),
        (["chat"], "[chat, chat/grpc]"),
        (["chat/grpc"], "[chat/grpc, chat]"),  # a port's name agrees to no Service
        (["grpc"], "[grpc, chat, chat/grpc]"),
        (["chat", "chat/grpc"], ""),
    ],
)
def test_what_is_cut_off_is_agreed_to_by_its_own_name(leaves: list[str], value: str) -> None:
    cut = [Cut("chat", "one"), Cut("chat/grpc", "two"), Cut("before", "three", agreed=True)]
    said = not_agreed(cut, leaves, "m")
    assert said.endswith(f"promotion.leaves: {value}" if value else "") and "three" not in said
    assert bool(said) == bool(value)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"internalTrafficPolicy": "Local"}, "internalTrafficPolicy Local"),
        ({"externalTrafficPolicy": "Local"}, "externalTrafficPolicy Local"),
        ({"sessionAffinity": "ClientIP"}, "sessionAffinity ClientIP"),
        ({"publishNotReadyAddresses": True}, "publishNotReadyAddresses"),
        ({"clusterIP": "None"}, "headless"),
    ],
)
def test_every_policy_of_a_service_that_a_switch_meets_is_told(
    spec: dict[str, Any], word: str
) -> None:
    (said,) = ways_of(service("m", {}, **spec))
    assert said.startswith("Service m ") and word in said


def test_of_a_plain_service_nothing_is_told() -> None:
    plain = {
        "internalTrafficPolicy": "Cluster",
        "externalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
        "publishNotReadyAddresses": False,
        "clusterIP": "10.0.0.1",
    }
    made = {"metadata": {"name": "m-x", "labels": {MAKER_LABEL: MAKER}}}
    assert ways_of(service("m", {}, **plain), [made]) == []
    (said,) = ways_of(service("m", {}, **plain), [made, {"metadata": {"name": "mine"}}])
    assert "does not make: mine;" in said


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({}, True),
        ({"matchLabels": {"app": "vllm"}}, True),
        ({"matchLabels": {"app": "other"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["vllm"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["vllm"]}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "of tomorrow"}]}, False),
        ({"matchLabels": {"app": "vllm"}, "matchExpressions": [
            {"key": "x", "operator": "Exists"}]}, False),
    ],
)  # fmt: skip
def test_whom_a_label_selector_picks(selector: dict[str, Any], found: bool) -> None:
    assert picks(selector, PODS) == found


def about(kind: str, **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "it"}, "spec": spec}


HPA = "HorizontalPodAutoscaler"
ONLY = {"matchLabels": {"app": "vllm"}}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (about("NetworkPolicy", podSelector=ONLY), True),
        (about("PodDisruptionBudget", selector=ONLY), True),
        (about(HPA, scaleTargetRef={"kind": "Deployment", "name": "d"}), True),
        # of all pods, of others, and of nothing
        (about("NetworkPolicy", podSelector={}), False),
        (about("PodDisruptionBudget", selector={}), False),
        (about("NetworkPolicy", podSelector={"matchLabels": {"app": "x"}}), False),
        (about("PodDisruptionBudget"), False),
        (about(HPA, scaleTargetRef={"kind": "Deployment", "name": "e"}), False),
    ],
)  # fmt: skip
def test_what_holds_for_the_pods_of_one_deployment_alone(item: dict[str, Any], said: bool) -> None:
    found = left_behind([item], "d", PODS, COMES)
    assert len(found) == said and all(line.startswith(f"{item['kind']} it is") for line in found)
