"""Where a Service leads is told by the pods that its selector chooses now, and no write of ours
takes it from pods that answer to a release that has none."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tasks.base.errors import Refused, RolloutError, StepFailed
from tasks.objects.labels import INSTANCE_LABEL, REACHED_ANNOTATION, RELEASE_LABEL
from tasks.objects.reached import Reached, leads_to
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.guard import decide_guard
from tasks.run.carry_out import carry_out
from tasks.run.recall import around
from tests.support.cluster.actor_world import NAME, NEW, NS, OLD, World, deployment, in_test, world
from tests.support.cluster.bodies import labels_of, stable_service
from tests.support.cluster.courses import once, settle

pytestmark = pytest.mark.usefixtures("quick")
HASH = {"pod-template-hash": "5d8"}


class Hashed(World):
    """Its pods carry their template's hash, as a ReplicaSet's do."""

    def _pod(self, item: dict[str, Any], number: object, ready: str) -> dict[str, Any]:
        pod = super()._pod(item, number, ready)
        pod["metadata"]["labels"].update(HASH)
        return pod


def hashed(at: World) -> World:
    at.__class__ = Hashed
    return at


def selects(at: World, **more: str | None) -> None:
    """A person edits the Service's selector; None takes a label away."""
    body = copy.deepcopy(at.objects["Service", NAME])
    found = {**body["spec"]["selector"], **more}
    body["spec"]["selector"] = {key: value for key, value in found.items() if value is not None}
    at.put(body)


def selector(at: World) -> dict[str, str]:
    return dict(at.objects["Service", NAME]["spec"]["selector"])


def answering(at: World) -> int:
    text = ",".join(f"{key}={value}" for key, value in selector(at).items())
    return sum(p["status"]["conditions"][0]["status"] == "True" for p in at.list("Pod", NS, text))


def guards(actor: Actor) -> None:
    seen = actor.observe()
    carry_out(actor, decide_guard(seen, around(actor, seen)))


def twin(at: World, count: int = 2) -> None:
    """Pods of another rollout's release, which has the same id: it rolls the same out."""
    labels = {**labels_of(deployment(OLD, 2)), INSTANCE_LABEL: "k"}
    for number in range(count):
        owner = {"kind": "ReplicaSet", "name": "k-old-5d8"}
        meta = {"name": f"k-old-5d8-{number}", "namespace": NS, "labels": labels}
        at.bare.append(
            {
                "metadata": {**meta, "ownerReferences": [owner]},
                "spec": {"nodeName": "n", "containers": [{"name": "engine", "ports": []}]},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
            }
        )


@pytest.mark.parametrize("broken", [True, False])
def test_a_failover_to_another_rollout_stays(broken: bool) -> None:
    at = world()
    if broken:
        at.broken.add("old")
    twin(at)
    selects(at, **{INSTANCE_LABEL: "k"})
    assert answering(at) == 2 and at.actor().observe().serving is None
    for what in (guards, lambda actor: carry_out(actor, moves.decide_recovery(actor.observe()))):
        once(at, what)
        assert selector(at)[INSTANCE_LABEL] == "k" and answering(at) == 2


@pytest.mark.parametrize(
    ("chosen", "serves"),
    [
        ({RELEASE_LABEL: "old", INSTANCE_LABEL: NAME}, "old"),
        ({RELEASE_LABEL: "old", INSTANCE_LABEL: NAME, **HASH}, "old"),
        ({RELEASE_LABEL: "old"}, "old"),
        ({RELEASE_LABEL: "old", INSTANCE_LABEL: "k"}, None),
        ({"app": "mine"}, None),
    ],
)
def test_a_release_is_named_by_both_labels(chosen: dict[str, str], serves: str | None) -> None:
    body = stable_service(OLD)
    body["spec"]["selector"] = chosen
    assert leads_to(body) == serves


def test_a_selector_narrowed_to_what_its_pods_carry_is_left_alone() -> None:
    at = hashed(world())
    selects(at, **HASH)
    seen = at.actor().observe()
    assert not seen.bent and seen.serving == "old"
    once(at, guards)
    settle(at)
    assert selector(at).items() >= HASH.items() and answering(at) == 2


@pytest.mark.parametrize("more", [{"pod-template-hash": "gone"}, {"app": "other"}])
def test_one_that_chooses_none_of_its_pods_is_led_back(more: dict[str, str]) -> None:
    at = hashed(world())
    selects(at, **more)
    assert at.actor().observe().bent and answering(at) == 0
    once(at, guards)
    assert answering(at) == 2 and not more.items() <= selector(at).items()


def test_no_straightening_takes_it_from_pods_that_answer() -> None:
    """It names what does not answer, and chooses other pods that do."""
    at = world()
    at.broken.add("old")
    twin(at)
    selects(at, **{INSTANCE_LABEL: None})
    assert answering(at) == 2
    with pytest.raises(StepFailed, match="some do now"):
        at.actor().move(moves.PointService(OLD))
    assert answering(at) == 2


@pytest.mark.parametrize("release", [None, "old"])
def test_what_it_chooses_is_not_stopped_whatever_it_is_called_by(release: str | None) -> None:
    """Also by a label that only the pods carry."""
    at = hashed(in_test())
    selects(at, **{RELEASE_LABEL: release, **HASH})
    actor = at.actor()
    for move in (moves.Scale("m-old", 0), moves.Remove("m-old")):
        with pytest.raises(RolloutError, match=r"serves|answers"):
            actor.move(move)
    with pytest.raises(RolloutError, match="serves"):
        actor.apply(deployment(OLD, 2))
    assert at.available("old") == 2


def test_it_is_led_to_ready_pods_from_whatever_answers() -> None:
    at = in_test()
    twin(at)
    selects(at, **{INSTANCE_LABEL: "k"})
    at.broken.add("new")
    at.put(at.objects["Deployment", "m-new"])
    with pytest.raises(StepFailed, match="no ready"):
        at.actor().move(moves.PointService(NEW))
    assert answering(at) == 2


def test_an_adopted_one_is_narrowed_by_what_its_pods_carry() -> None:
    body = stable_service(OLD)
    reached = Reached("adopted-1", {"app": "vllm"}, [])
    body["metadata"]["annotations"] = {REACHED_ANNOTATION: reached.text()}
    body["spec"]["selector"] = {"app": "vllm", **HASH}
    assert leads_to(body) == "adopted-1"
    body["spec"]["selector"] = HASH
    with pytest.raises(Refused, match="somebody changed it"):
        leads_to(body)
