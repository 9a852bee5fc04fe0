"""An adoption looks at everything by which clients reach the pods, before it changes anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flows.adopt import adopt, decide
from flows.cli.commands.app import build
from flows.cli.named import foretold
from tasks.base.errors import Refused
from tasks.objects.beside import not_agreed
from tasks.outside.kubernetes.client import Forbidden, NotFound
from tasks.run.beside import cut_off
from tests.support.cluster.actor_world import NAME, NEW, NS, World, deployment, in_test, world
from tests.support.cluster.by_hand import (
    HAND,
    PORTS,
    SELECTOR,
    another_service,
    by_hand,
    plain_service,
    specs,
)

HTTP = {**PORTS[0], "name": "http"}
GRPC = {"name": "grpc", "port": 9000, "protocol": "TCP", "targetPort": 9000}


def beside(*services: dict[str, str], **spec: Any) -> World:
    """The Service, and others that choose by these selectors: m-0, m-1."""
    at = by_hand()
    if spec:
        at.put(plain_service(**spec))
    for number, selector in enumerate(services):
        body = plain_service(selector=selector)
        body["metadata"]["name"] = f"m-{number}"
        at.put(body)
    return at


CUT: dict[str, tuple[World, list[str]]] = {
    "the same selector": (beside(SELECTOR), ["m-0"]),
    "a wider one": (beside({"app": "vllm"}), ["m-0"]),
    "a label of the pods": (beside({"extra": "x"}), ["m-0"]),
    "two of them": (beside(SELECTOR, {"app": "vllm"}), ["m-0", "m-1"]),
    "another port": (beside(ports=[HTTP, GRPC]), ["m/grpc"]),
    "one without a name, and a Service": (
        beside(SELECTOR, ports=[HTTP, {"port": 9000, "targetPort": 8123}]),
        ["m-0", "m/9000"],
    ),
}


@pytest.mark.parametrize("name", CUT)
def test_what_no_later_release_is_reached_by_is_left_on_purpose_only(
    name: str, reached: list[World]
) -> None:
    at, open_ = CUT[name]
    reached.append(at)
    before = specs(at)
    flags = " ".join(f"--leaves {item}" for item in open_)
    with pytest.raises(Refused, match="nothing answers there") as error:
        adopt(NAME, NS)
    assert f"or pass {flags}:" in str(error.value)
    if len(open_) > 1:
        with pytest.raises(Refused, match=f"or pass --leaves {open_[1]}:"):
            adopt(NAME, NS, leaves=open_[:1])
    assert specs(at) == before and at.writes == []
    assert "is release adopted-" in adopt(NAME, NS, leaves=[*open_, "of-no-use"])
    marks = at.objects["Deployment", HAND]["metadata"]["annotations"]
    assert marks["model-rollout/leaves"] == ",".join(sorted(open_))
    # it is remembered, by the next adoption as well, and by the plans
    assert "is release adopted-" in adopt(NAME, NS)
    world_: Any = at
    found, _ = cut_off(world_, NAME, at.objects["Deployment", HAND], deployment(NEW, 2))
    assert sorted(item.key for item in found) == sorted(open_)
    assert not_agreed(found, [], NAME) == ""
    at.put(another_service(SELECTOR, "later"))
    with pytest.raises(Refused, match=r"or pass --leaves later:"):
        adopt(NAME, NS)


def test_a_service_and_a_port_of_one_name_are_agreed_to_each_for_itself(
    reached: list[World],
) -> None:
    at = beside(ports=[HTTP, {**GRPC, "name": "metrics"}])
    at.put(another_service(SELECTOR, "metrics"))
    reached.append(at)
    with pytest.raises(Refused, match=r"or pass --leaves metrics --leaves m/metrics:"):
        adopt(NAME, NS)
    for given, other in (("metrics", "m/metrics"), ("m/metrics", "metrics")):
        with pytest.raises(Refused, match=f"or pass --leaves {other}:"):
            adopt(NAME, NS, leaves=[given])


def test_what_chooses_every_later_release_as_well_is_told(reached: list[World]) -> None:
    at = by_hand()
    hand = at.objects["Deployment", HAND]
    hand["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/instance"] = NAME
    at.put(another_service({"app.kubernetes.io/instance": NAME}, "metrics"))
    reached.append(at)
    said = adopt(NAME, NS)
    assert (
        "warning: Service metrics (app.kubernetes.io/instance=m) chooses the pods of every" in said
    )
    assert "model-rollout/leaves" not in at.objects["Deployment", HAND]["metadata"]["annotations"]


def test_endpoints_by_hand_that_name_its_pods_are_left_on_purpose_only(
    reached: list[World],
) -> None:
    at = by_hand()
    body = another_service({}, "by-hand")
    del body["spec"]["selector"]
    at.put(body)
    mine = {"name": "mine", "labels": {"kubernetes.io/service-name": "by-hand"}}
    end = {"targetRef": {"kind": "Pod", "name": f"{HAND}-0"}}
    at.put({"kind": "EndpointSlice", "metadata": mine, "endpoints": [end]})
    reached.append(at)
    with pytest.raises(Refused, match=r"or pass --leaves by-hand:"):
        adopt(NAME, NS)
    assert "is release adopted-" in adopt(NAME, NS, leaves=["by-hand"])


@pytest.mark.parametrize("selector", [{"app": "another"}, {}, {**SELECTOR, "more": "x"}])
def test_what_leads_elsewhere_is_nobodys_concern(
    selector: dict[str, str], reached: list[World]
) -> None:
    reached.append(beside(selector))
    assert "is release adopted-" in adopt(NAME, NS)


def test_the_command_takes_them_one_by_one() -> None:
    _, given, _ = build().parse_args(["adopt", "m", "--leaves", "a", "--leaves", "b"])
    assert given.arguments["leaves"] == ["a", "b"]


def test_what_is_about_its_pods_alone_is_told(reached: list[World]) -> None:
    at = beside(internalTrafficPolicy="Local", publishNotReadyAddresses=True, clusterIP="None")
    chosen = {"matchLabels": {"app": "vllm"}}
    for kind, spec in (
        ("NetworkPolicy", {"podSelector": chosen}),
        ("PodDisruptionBudget", {"selector": chosen}),
        ("HorizontalPodAutoscaler", {"scaleTargetRef": {"kind": "Deployment", "name": HAND}}),
    ):
        at.put({"kind": kind, "metadata": {"name": "it"}, "spec": spec})
    mine = {"name": "mine", "labels": {"kubernetes.io/service-name": NAME}}
    at.put({"kind": "EndpointSlice", "metadata": mine, "endpoints": []})
    said = decide(at.actor(), None, force=False).warnings
    for word in (
        "internalTrafficPolicy Local",
        "publishNotReadyAddresses",
        "headless",
        "does not make: mine",
        "NetworkPolicy it is about",
        "PodDisruptionBudget it is about",
        "HorizontalPodAutoscaler it is about",
    ):
        assert [line for line in said if word in line], word


@pytest.mark.parametrize("error", [Forbidden("no", 403), NotFound("no", 404)])
def test_what_cannot_be_listed_is_said(error: Exception) -> None:
    at = by_hand()
    plain = at.list

    def listed(kind: str, ns: str | None = None, label_selector: str = "", **more: Any) -> Any:
        if kind in ("NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler"):
            raise error
        return plain(kind, ns, label_selector, **more)

    vars(at).update(list=listed)
    said = decide(at.actor(), None, force=False).warnings
    assert [line.split(" ")[2] for line in said if "could not be listed" in line] == [
        "NetworkPolicy",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
    ]


@pytest.mark.parametrize(("what", "asks"), [("rollback", True), ("recover", False)])
def test_who_stops_what_another_service_leads_to_is_asked(what: str, asks: bool) -> None:
    at = world()
    body = plain_service(selector={"model-rollout/release": "old"})
    body["metadata"]["name"] = "m-internal"
    actor = at.actor()
    assert "m-internal" not in foretold(what, actor, allow_interruption=False)[0]
    at.put(
        another_service({"app.kubernetes.io/instance": NAME}, "metrics")
    )  # chooses what follows, too
    assert not foretold(what, actor, allow_interruption=False)[1]
    at.put(body)
    said, interrupts = foretold(what, actor, allow_interruption=False)
    assert ("Service m-internal leads to pods of m-old, and nowhere" in said) == asks == interrupts


def test_who_promotes_a_candidate_is_asked_as_well() -> None:
    at = in_test()
    actor = at.actor()
    actor.save(replace(actor.read_state()[0], phase="held"))
    body = plain_service(selector={"model-rollout/release": "old"})
    body["metadata"]["name"] = "m-internal"
    for what in ("approve", "promote"):
        assert not foretold(what, at.actor(), allow_interruption=False)[1]
    at.put(body)
    for what in ("approve", "promote"):
        said, interrupts = foretold(what, at.actor(), allow_interruption=False)
        assert interrupts and "Service m-internal leads to pods of m-old, and nowhere" in said
