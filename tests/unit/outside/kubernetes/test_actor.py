"""The Actor's writes: versions, epochs, what belongs to others, what serves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.base import clock
from tasks.base.errors import LockLost, Refused, StepFailed
from tasks.objects.labels import EPOCH_ANNOTATION, MANAGED_LABEL, SERVICE_ANNOTATION
from tasks.outside.kubernetes.client import Conflict
from tasks.release.course import AwaitFreed, Drain, Observed, PointService, Remove, Save, Scale
from tasks.release.draining import APART_S, Count
from tasks.release.wish import decide_wish
from tests.support.cluster.actor_world import (
    DRAIN,
    NAME,
    NEW,
    NS,
    OLD,
    World,
    deployment,
    in_test,
    stable_service,
    world,
)
from tests.support.cluster.courses import settle

pytestmark = pytest.mark.usefixtures("quick")
SERVICE = ("Service", NAME)


def meddling(at: World, kind: str, change: dict[str, Any], times: int = 1) -> None:
    """Somebody changes an object of a kind between our look and our write."""
    left = [times]

    def meddle(verb: str, written: str) -> None:
        if written == kind and left[0]:
            left[0] -= 1
            key = next(k for k in at.objects if k[0] == kind and k[1] in (NAME, "m-old"))
            at.put({**at.objects[key], **change})

    at.meddle = meddle


def test_no_write_without_the_lease() -> None:
    at = in_test()
    state = at.actor().observe().state

    def lost() -> None:
        raise LockLost("the lease is another's")

    for move in (
        Save(state),
        PointService(NEW),
        Scale("m-old", 0, interrupts=True),
        Remove("m-new"),
    ):
        actor = at.actor()
        actor.owned.write = at.writer(lost)
        with pytest.raises(LockLost):
            actor.move(move)
    assert at.writes == [] and at.leads_to() == "old"


def test_a_write_names_the_version_it_read() -> None:
    """A concurrent change is looked at anew, and survives."""
    at = in_test()
    service = at.objects[SERVICE]
    meddling(at, "Service", {"spec": {**service["spec"], "sessionAffinity": "ClientIP"}})
    at.actor().move(PointService(NEW))
    after = at.objects[SERVICE]["spec"]
    assert after["sessionAffinity"] == "ClientIP" and at.leads_to() == "new"
    # the first one was refused: it named the version before
    assert [verb for verb, kind, _ in at.writes if kind == "Service"] == ["patch", "patch"]


def test_a_service_that_never_rests_is_a_conflict_and_not_overwritten() -> None:
    at = in_test()
    meddling(at, "Service", {}, times=99)
    with pytest.raises(Conflict):
        at.actor().move(PointService(NEW))
    assert at.leads_to() == "old"


def test_a_service_handed_to_others_between_look_and_write_is_theirs() -> None:
    at = in_test()
    meta = at.objects[SERVICE]["metadata"]
    theirs = {**meta, "labels": {**meta["labels"], MANAGED_LABEL: "helm"}}
    meddling(at, "Service", {"metadata": theirs})
    with pytest.raises(Refused, match="is not this rollout's"):
        at.actor().move(PointService(NEW))
    assert at.leads_to() == "old"


def test_a_state_written_between_look_and_write_is_not_overwritten() -> None:
    at = in_test()
    actor = at.actor()
    actor.take_over()
    state = replace(actor.observe().state, phase="held")
    at.meddle = lambda verb, kind: at.put(at.objects["ConfigMap", "rollout-m"])
    with pytest.raises(Conflict):
        actor.move(Save(state))
    at.meddle = lambda verb, kind: None
    assert actor.observe().state.phase == "testing"


@pytest.mark.parametrize("move", [PointService(NEW), Save(in_test().actor().observe().state)])
def test_a_predecessor_that_wakes_up_stops(move: Any) -> None:
    at = in_test()
    before = at.actor()
    before.take_over()
    after = at.actor()
    after.take_over()
    with pytest.raises(LockLost, match="newer run"):
        before.move(move)
    assert at.leads_to() == "old"
    stamped = at.objects[SERVICE]["metadata"]["annotations"][EPOCH_ANNOTATION]
    assert stamped == str(after.epoch)


def test_a_lease_made_anew_does_not_go_below_the_state() -> None:
    at = in_test()
    for _ in range(3):
        at.actor().take_over()
    at.epoch = 0
    with pytest.raises(StepFailed, match="it takes an epoch above that one"):
        at.actor().take_over()


def test_what_serves_is_never_removed() -> None:
    at = in_test()
    with pytest.raises(StepFailed, match="neither changed nor removed"):
        at.actor().move(Remove("m-old"))
    assert ("Deployment", "m-old") in at.objects


def test_the_first_service_is_made_by_somebody_else_at_the_same_time() -> None:
    at = in_test()
    found = at.objects.pop(SERVICE)

    def meddle(verb: str, kind: str) -> None:
        if (verb, kind) == ("create", "Service"):
            at.put(found)

    at.meddle = meddle
    at.actor().move(PointService(NEW))
    assert at.leads_to() == "new"


def test_a_switch_keeps_what_the_service_has() -> None:
    at = in_test()
    service = at.objects[SERVICE]
    service["spec"]["ports"] = [{"name": "web", "port": 80, "targetPort": 8000, "nodePort": 31000}]
    service["spec"]["selector"]["tier"] = "blue"
    service["metadata"]["annotations"] = {"owner": "team"}
    at.actor().move(PointService(NEW))
    after = at.objects[SERVICE]
    port = {"name": "web", "port": 80, "targetPort": "http", "nodePort": 31000}
    assert after["spec"]["ports"] == [port] and "tier" not in after["spec"]["selector"]
    assert after["metadata"]["annotations"]["owner"] == "team"


@pytest.mark.parametrize(
    ("asked", "found", "then"),
    [
        ("ClusterIP", "ClusterIP", "ClusterIP"),
        ("NodePort", "ClusterIP", "NodePort"),
        # a type is only ever widened
        ("ClusterIP", "NodePort", "NodePort"),
        ("ClusterIP", "LoadBalancer", "LoadBalancer"),
    ],
)
def test_a_switch_widens_the_type_at_most(asked: str, found: str, then: str) -> None:
    at = in_test()
    at.objects["Deployment", "m-new"]["metadata"]["annotations"][SERVICE_ANNOTATION] = asked
    at.objects[SERVICE]["spec"]["type"] = found
    at.actor().move(PointService(NEW))
    assert at.objects[SERVICE]["spec"]["type"] == then


def test_what_answers_makes_way_only_for_what_can() -> None:
    at = in_test()
    at.broken.add("new")
    at.put(at.objects[SERVICE])
    with pytest.raises(StepFailed, match="stays with m-old, which answers"):
        at.actor().move(PointService(NEW))
    assert at.leads_to() == "old"
    with pytest.raises(Refused, match="0 of 2 of its replicas ready"):
        decide_wish("promote", replace_phase(at, "promoting"))


def replace_phase(at: World, phase: Any) -> Observed:
    """What is observed, in another phase."""
    seen = at.actor().observe()
    return replace(seen, state=replace(seen.state, phase=phase))


def test_try_switch_changes_nothing() -> None:
    at = in_test()
    before = {key: item["metadata"]["resourceVersion"] for key, item in at.objects.items()}
    at.actor().owned.try_switch(at.objects["Deployment", "m-new"])
    assert at.writes == [] and at.leads_to() == "old"
    assert before == {k: o["metadata"]["resourceVersion"] for k, o in at.objects.items()}


def test_a_scale_remembers_what_a_release_serves_with() -> None:
    at, actor = in_test(), in_test().actor()
    actor = at.actor()
    for _ in range(2):
        actor.move(Scale("m-old", 0, interrupts=True))
    at.may_interrupt = True
    view = actor.observe().view("old")
    assert view is not None and (view.replicas, view.serves_with) == (0, 2)


def test_scaling_what_is_gone() -> None:
    at = in_test()
    at.actor().move(Scale("m-gone", 0))
    assert at.writes == []
    with pytest.raises(StepFailed, match="roll a known good revision out"):
        at.actor().move(Scale("m-gone", 2))


def test_a_drain_waits_from_the_moment_the_service_led_there() -> None:
    at = in_test()
    actor = at.actor()
    actor.move(PointService(NEW))
    began = clock.monotonic()
    actor.move(Drain("new", DRAIN))
    assert clock.monotonic() - began == pytest.approx(DRAIN)
    actor.move(Drain("new", DRAIN))  # it led there all the while
    assert clock.monotonic() - began == pytest.approx(DRAIN)
    actor.move(PointService(OLD))
    again = clock.monotonic()
    actor.move(Drain("old", DRAIN))
    assert clock.monotonic() - again == pytest.approx(DRAIN)
    # what it was led to before does not count
    actor.move(PointService(NEW))
    third = clock.monotonic()
    actor.move(Drain("new", DRAIN))
    assert clock.monotonic() - third == pytest.approx(DRAIN)


def test_a_drain_ends_when_the_others_have_no_request_left() -> None:
    at = in_test()
    actor = at.actor()
    asked = []

    def count(serving: str) -> Count:
        asked.append(serving)
        return Count(1 if len(asked) < 4 else 0)

    actor.count = count
    actor.move(PointService(NEW))
    began = clock.monotonic()
    actor.move(Drain("new", 600))
    # three looks were busy, two in a row were not
    assert clock.monotonic() - began == pytest.approx(4 * APART_S)
    assert asked == ["new"] * 5


def test_a_service_that_leads_elsewhere_stops_nothing() -> None:
    at = in_test()
    with pytest.raises(StepFailed, match="nothing that served before was stopped"):
        at.actor().move(Drain("new", DRAIN))


def test_pods_that_do_not_end_in_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    at = in_test()
    left = at._pods()
    monkeypatch.setattr(at, "_pods", lambda: left)
    with pytest.raises(StepFailed, match="m-new-0"):
        at.actor().move(Remove("m-new"))
    # whoever needs the seats judges by itself
    at.actor().move(AwaitFreed("m-old"))


def test_another_mans_service_is_refused() -> None:
    at = in_test()
    at.objects[SERVICE]["metadata"]["labels"].pop(MANAGED_LABEL)
    with pytest.raises(Refused, match="give the rollout another name"):
        at.actor().observe()
    assert at.actor().cluster.get("Service", NAME, NS) is not None


def test_a_state_whose_answer_was_lost_is_saved() -> None:
    """The API server took it; asked again, it has changed since."""
    at = in_test()
    actor = at.actor()
    actor.take_over()
    state = replace(actor.read_state()[0], verdict="pass")
    real, lost = at.replace, [True]

    def replace_and_lose(body: Any, **given: Any) -> Any:
        real(body, **given)
        if lost.pop():
            lost.append(False)
            raise Conflict("the object has been modified", 409)

    at.replace = replace_and_lose  # type: ignore[method-assign, assignment]
    actor.save(state)
    assert actor.read_state()[0].verdict == "pass"


def test_replicas_set_by_hand_or_by_an_autoscaler_are_kept() -> None:
    at = in_test()
    at.objects["Deployment", "m-old"]["spec"]["replicas"] = 3
    at.may_interrupt = True
    actor = at.actor()
    actor.take_over()
    view = actor.observe().view("old")
    assert view is not None and view.serves_with == 3
    actor.move(Scale("m-old", 0, interrupts=True))
    settle(at)
    assert at.available("old") == 3


@pytest.mark.parametrize(("kind", "name"), [("Service", "m-candidate"), ("Deployment", "m-new")])
def test_what_a_candidate_would_be_called_may_be_somebody_elses(kind: str, name: str) -> None:
    """It is refused before anything is changed, and never written."""
    at = world()
    theirs = {"kind": kind, "metadata": {"name": name, "labels": {"app": "theirs"}}, "spec": {}}
    body = {
        "kind": kind,
        "metadata": {"name": name, "labels": {"model-rollout/kind": "candidate"}},
        "spec": {"selector": {}},
    }
    at.objects[kind, name] = theirs
    actor = at.actor()
    with pytest.raises(Refused, match="found labels app=theirs"):
        actor.owned.get(kind, name, "candidate")
    with pytest.raises(Refused, match="give the rollout another name"):
        actor.apply(body)
    assert at.objects[kind, name] is theirs


def test_what_serves_is_never_applied_to() -> None:
    at = in_test()
    actor = at.actor()
    before = at.get("Deployment", "m-old")
    with pytest.raises(StepFailed, match="m-old serves models/m"):
        actor.apply(deployment(OLD, 1))
    assert at.get("Deployment", "m-old") == before


def test_what_a_person_led_the_service_to_is_not_scaled_down() -> None:
    """The course was decided before."""
    at = in_test()
    actor = at.actor()
    actor.take_over()
    at.put(stable_service(NEW))
    with pytest.raises(StepFailed, match="m-new serves models/m"):
        actor.move(Scale("m-new", 0))
    assert at.available("new") == 2


def test_a_lease_made_anew_begins_above_all_that_was_ever_written() -> None:
    at = in_test()
    at.epoch = 41
    at.actor().take_over()
    assert at.actor().highest_epoch() == 42
    del at.objects["ConfigMap", "rollout-m"]  # and the memory is lost, too
    assert at.actor().highest_epoch() == 42


def test_a_state_that_is_deleted_under_a_run_is_not_forgotten() -> None:
    at = in_test()
    actor = at.actor()
    actor.take_over()
    del at.objects["ConfigMap", "rollout-m"]
    seen = actor.observe().state
    assert seen.candidate is not None and seen.phase == "testing"
    actor.save(seen)
    assert replace(at.actor().observe().state, since="") == seen
