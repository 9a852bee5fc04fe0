"""Who else reaches what serves is looked at before it is replaced, and before it stops."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.outside.kubernetes import waits
from tasks.outside.kubernetes.client import Forbidden
from tasks.run.beside import cut_off, cut_off_now
from tests.support.cluster.actor_world import NAME, NEW, NS, OLD, World, deployment, world
from tests.support.cluster.by_hand import HAND, PORTS, SELECTOR, adopted, plain_service

pytestmark = pytest.mark.usefixtures("quick")
GRPC = {"name": "grpc", "port": 9000, "protocol": "TCP", "targetPort": 9000}
SERVICE = ("Service", NAME)


def second(selector: dict[str, str], name: str = "m-internal") -> Any:
    body = plain_service(selector=selector)
    body["metadata"]["name"] = name
    return body


def edited(at: World, **spec: Any) -> World:
    body = copy.deepcopy(at.objects[SERVICE])
    body["spec"].update(spec)
    at.put(body)
    return at


def cut(at: World, comes: Any = None, which: str = "m-old") -> tuple[list[str], list[str]]:
    found: Any = at
    template = (comes or deployment(NEW, 2))["spec"]["template"]
    return cut_off(found, NAME, at.objects["Deployment", which], template)


def named(port: dict[str, Any]) -> dict[str, Any]:
    body = deployment(NEW, 2)
    body["spec"]["template"]["spec"]["containers"].append({"name": "grpc", "ports": [port]})
    return body


def test_another_service_is_told_with_where_it_leads() -> None:
    at = world()
    assert cut(at) == ([], [])
    at.put(second({"model-rollout/release": "old"}))
    at.put(second({"app.kubernetes.io/instance": NAME}, "all"))
    at.put(second({"app": "another"}, "else"))
    at.put(second({"model-rollout/release": "old"}, f"{NAME}-candidate"))
    assert cut(at)[0] == [
        "Service m-internal leads to pods of m-old, and nowhere once they stop",
        "Service all leads to pods of m-old, and to a candidate before its verdict",
    ]
    assert cut_off_now(at, NAME, at.objects["Deployment", "m-old"]) == [  # type: ignore[arg-type]
        "Service m-internal leads to pods of m-old, too",
        "Service all leads to pods of m-old, too",
    ]


def test_of_an_adopted_release_the_labels_of_its_own_pods_count() -> None:
    at = adopted()
    assert cut(at, which=HAND) == ([], [])
    at.put(second(SELECTOR))
    at.put(second({"extra": "x"}, "by-the-pods"))
    assert [said.split(" leads")[0] for said in cut(at, which=HAND)[0]] == [
        "Service m-internal",
        "Service by-the-pods",
    ]


def test_a_port_that_the_new_release_does_not_listen_on() -> None:
    at = edited(adopted(), ports=[{**PORTS[0], "name": "http"}, GRPC])
    (said,) = cut(at, which=HAND)[0]
    assert said.startswith(
        "port grpc of Service m leads to 9000 in the pods, where the new release"
    )
    assert cut(at, named({"containerPort": 9000}), HAND) == ([], [])
    # one of ours that did not listen there either loses nothing by it
    at = edited(world(), ports=[{"name": "http", "port": 8000, "targetPort": "http"}, GRPC])
    assert cut(at) == ([], [])
    at.put(
        named({"containerPort": 9000}) | {"metadata": at.objects["Deployment", "m-old"]["metadata"]}
    )
    assert len(cut(at)[0]) == 1


def test_what_a_person_should_know_of_the_service_is_told_each_time() -> None:
    at = edited(world(), internalTrafficPolicy="Local", publishNotReadyAddresses=True)
    said, told = cut(at)
    assert said == [] and len(told) == 2


def test_an_account_that_may_not_list_services_says_so() -> None:
    at = world()

    def forbidden(*_: object, **__: object) -> Any:
        raise Forbidden("services is forbidden", 403)

    vars(at).update(list=forbidden)
    said, (told,) = cut(at)
    assert said == [] and "is not known: services is forbidden" in told
    assert cut_off_now(at, NAME, at.objects["Deployment", "m-old"]) == []  # type: ignore[arg-type]


# -- a switch, where the Service is not a plain one ----------------------------------------------


def not_ready_too(at: World) -> None:
    """One of its pods is led to although it does not answer."""
    edited(at, publishNotReadyAddresses=True)
    late = at._pod(at.objects["Deployment", "m-new"], "late", "False")
    at.bare.append(late)


def a_slice_by_hand(at: World) -> None:
    at.put(
        {
            "kind": "EndpointSlice",
            "metadata": {"name": "mine", "labels": {"team": "a"}},
            "ports": [{}],
            "endpoints": [{"addresses": ["10.9.9.9"]}],
        }
    )


@pytest.mark.parametrize("odd", [not_ready_too, a_slice_by_hand])
def test_a_switch_is_seen_to_have_happened(odd: Callable[[World], None]) -> None:
    at: Any = world()
    at.put(deployment(NEW, 2))
    body = copy.deepcopy(at.objects[SERVICE])
    body["spec"]["selector"]["model-rollout/release"] = "new"
    at.put(body)
    odd(at)
    waits.until_led(at, NS, NAME, "new")
    with pytest.raises(StepFailed, match="does not lead to exactly its ready pods"):
        waits.until_led(at, NS, NAME, OLD.id)


@pytest.mark.parametrize(("address", "after"), [("None", waits.CACHED_S), ("10.0.0.1", 0.0)])
def test_a_drain_begins_once_clients_of_a_headless_service_have_asked_dns_again(
    address: str, after: float
) -> None:
    at: Any = edited(world(), clusterIP=address)
    assert waits.led_at(at, NS, NAME) == clock.monotonic() + after
