"""Who else reaches what serves is looked at before it is replaced, and before it stops."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.objects.beside import Cut
from tasks.objects.endpoints import MAKER_LABEL
from tasks.outside.kubernetes import waits
from tasks.outside.kubernetes.client import Forbidden
from tasks.run.beside import cut_off
from tests.support.cluster.actor_world import NAME, NEW, NS, OLD, World, deployment, world
from tests.support.cluster.by_hand import (
    HAND,
    PORTS,
    SELECTOR,
    adopted,
    another_service,
)

pytestmark = pytest.mark.usefixtures("quick")
GRPC = {"name": "grpc", "port": 9000, "protocol": "TCP", "targetPort": 9000}
SERVICE = ("Service", NAME)


def edited(at: World, **spec: Any) -> World:
    body = copy.deepcopy(at.objects[SERVICE])
    body["spec"].update(spec)
    at.put(body)
    return at


def cuts(at: World, comes: Any = None, which: str = "m-old") -> tuple[list[Cut], list[str]]:
    found: Any = at
    return cut_off(found, NAME, at.objects["Deployment", which], comes or deployment(NEW, 2))


def cut(at: World, comes: Any = None, which: str = "m-old") -> tuple[list[str], list[str]]:
    said, told = cuts(at, comes, which)
    return [item.text for item in said], told


def named(port: dict[str, Any]) -> dict[str, Any]:
    body = deployment(NEW, 2)
    body["spec"]["template"]["spec"]["containers"].append({"name": "grpc", "ports": [port]})
    return body


def test_another_service_is_told_with_where_it_leads() -> None:
    at = world()
    assert cut(at) == ([], [])
    at.put(another_service({"model-rollout/release": "old"}))
    at.put(another_service({"app": "another"}, "else"))
    at.put(another_service({"model-rollout/release": "old"}, f"{NAME}-candidate"))
    assert cuts(at) == (
        [
            Cut(
                "m-internal",
                "Service m-internal leads to pods of m-old, and nowhere once they stop",
            )
        ],
        [],
    )


@pytest.mark.parametrize(
    "selector",
    [
        {"app.kubernetes.io/instance": NAME},
        {"app.kubernetes.io/managed-by": "model-rollout"},
        {"app.kubernetes.io/instance": NAME, "model-rollout/kind": "engine"},
    ],
)
@pytest.mark.parametrize("spec", [{}, {"clusterIP": "None"}])
def test_what_chooses_the_next_release_as_well_is_told(
    selector: dict[str, str], spec: dict[str, Any]
) -> None:
    at = world()
    body = another_service(selector, "metrics")
    body["spec"] |= {"ports": [{"name": "metrics", "port": 80, "targetPort": "http"}], **spec}
    at.put(body)
    said, (told,) = cut(at)
    assert said == [] and told.startswith("Service metrics chooses the pods of m-new as well")


def test_a_port_of_such_a_service_that_leads_nowhere_later_is_cut_off() -> None:
    at = world()
    body = another_service({"app.kubernetes.io/instance": NAME}, "metrics")
    body["spec"]["ports"] = [{"port": 80, "targetPort": "http"}, GRPC, {"port": 7000}]
    at.put(body)
    assert cut(at)[0] == []  # nothing listens there now either
    at.put(
        named({"containerPort": 9000}) | {"metadata": at.objects["Deployment", "m-old"]["metadata"]}
    )
    assert [item.key for item in cuts(at)[0]] == ["metrics/grpc"]
    assert cut(at, named({"containerPort": 9000}))[0] == []


@pytest.mark.parametrize(
    "spec", [{"selector": {}}, {"type": "ExternalName", "externalName": "m.models.svc"}]
)
def test_a_service_of_which_nobody_reads_a_selector_cuts_nothing_off(spec: dict[str, Any]) -> None:
    at = world()
    body = another_service({"model-rollout/release": "old"})
    body["spec"] |= spec
    at.put(body)
    assert cut(at) == ([], [])


@pytest.mark.parametrize(
    ("mesh", "follows"),
    [
        (lambda pod: {"mesh": "on"}, True),
        (lambda pod: {"mesh": pod["metadata"]["generateName"]}, False),  # of the Deployment's name
        (lambda pod: {}, False),
    ],
)
def test_a_label_that_only_the_cluster_puts_on_pods_is_asked_of_it(
    mesh: Callable[[Any], dict[str, str]], follows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    at: Any = world()
    pod = at._pod(at.objects["Deployment", "m-old"], "meshed", "True")
    pod["metadata"]["labels"] = {**pod["metadata"]["labels"], "mesh": "on"}
    at.bare.append(pod)
    plain = at.create

    def create(body: Any, **how: Any) -> Any:
        made = plain(body, **how)
        return {**made, "metadata": {**made["metadata"], "labels": mesh(body)}}

    monkeypatch.setattr(at, "create", create)
    at.put(another_service({"mesh": "on"}))
    said, told = cut(at)
    assert (said == [], len(told)) == (follows, int(follows)) and at.writes == []
    # without what the templates say themselves nobody is asked
    at.put(another_service({"mesh": "on", "model-rollout/release": "old"}))
    assert len(cut(at)[0]) == 1


def test_of_a_release_that_runs_its_pods_tell_such_labels() -> None:
    at: Any = world(candidate=True)
    for name in ("m-old", "m-new"):
        pod = at._pod(at.objects["Deployment", name], "meshed", "True")
        pod["metadata"]["labels"] = {**pod["metadata"]["labels"], "mesh": name}
        at.bare.insert(0, pod)
    at.put(another_service({"mesh": "m-old"}))
    assert len(cut(at)[0]) == 1


def slices(service: str, maker: str | None, **end: Any) -> Any:
    labels = {"kubernetes.io/service-name": service, **({MAKER_LABEL: maker} if maker else {})}
    meta = {"name": f"{service}-x", "labels": labels}
    return {"kind": "EndpointSlice", "metadata": meta, "endpoints": [end]}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (slices("by-hand", None, targetRef={"kind": "Pod", "name": "m-old-0"}), True),
        (slices("by-hand", "endpointslicemirroring-controller.k8s.io",
                targetRef={"name": "m-old-0"}), True),
        # another cluster's copy follows the Service that it is of
        (slices("by-hand", "gke-mcs-importer.gke.io", targetRef={"name": "m-old-0"}), False),
        (slices("by-hand", None, addresses=["10.9.9.9"]), False),
        (slices("by-hand", None, targetRef={"kind": "Node", "name": "m-old-0"}), False),
        (slices("another", None, targetRef={"name": "m-old-0"}), False),
    ],
)  # fmt: skip
def test_endpoints_that_somebody_wrote_by_hand_name_what_stops(item: Any, said: bool) -> None:
    at = world()
    body = another_service({}, "by-hand")
    del body["spec"]["selector"]
    at.put(body)
    at.put(item)
    found = [one.key for one in cuts(at)[0]]
    assert found == ["by-hand"] * said


def test_what_was_agreed_to_at_the_adoption_is_told_as_such() -> None:
    at = adopted()
    edited(at, ports=[{**PORTS[0], "name": "http"}, GRPC])
    at.put(another_service(SELECTOR))
    at.put(another_service(SELECTOR, "later"))
    deploy = at.objects["Deployment", HAND]
    deploy["metadata"]["annotations"]["model-rollout/leaves"] = "m-internal,m/grpc"
    found = cuts(at, which=HAND)[0]
    assert {item.key: item.agreed for item in found} == {
        "m-internal": True,
        "later": False,
        "m/grpc": True,
    }
    assert all(
        item.text.endswith("(agreed to when it was adopted)") == item.agreed for item in found
    )


def test_of_an_adopted_release_the_labels_of_its_own_pods_count() -> None:
    at = adopted()
    assert cut(at, which=HAND) == ([], [])
    at.put(another_service(SELECTOR))
    at.put(another_service({"extra": "x"}, "by-the-pods"))
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
