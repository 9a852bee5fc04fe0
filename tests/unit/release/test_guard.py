"""What the guard does about a rollout at rest, and that it leaves alone what a person made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import StepFailed
from tasks.objects.down import Down
from tasks.objects.labels import KIND_LABEL, MANAGED_LABEL, MANAGER, SCALED_ANNOTATION
from tasks.outside.kubernetes.actor import Actor
from tasks.release.course import Course, Observed, Room, Save, Scale, release_on
from tasks.release.guard import Around, decide_guard
from tasks.release.state import Judged, State, Terms, in_doubt, to_configmap
from tasks.render.release import selector
from tests.support.cluster.actor_world import (
    NAME,
    NEW,
    NS,
    OLD,
    OLDER,
    World,
    deployment,
    in_test,
    release,
    stable_service,
    world,
)
from tests.support.cluster.courses import at_rest

pytestmark = pytest.mark.usefixtures("quick")
LATE = release("late")


def looked(at: World) -> tuple[Actor, Observed, Around]:
    actor = at.actor()
    seen = actor.observe()
    tested = ("Service", f"{NAME}-candidate") in at.objects
    return actor, seen, Around(tested)


def decided(at: World) -> Course:
    _, seen, around = looked(at)
    return decide_guard(seen, around)


def guarded(at: World) -> str:
    """As the guard does, until nothing is left."""
    actor, seen, around = looked(at)
    course = decide_guard(seen, around)
    actor.take_over()
    actor.run(course)
    assert decided(at).moves == () and at.harm == []
    return course.sentence


def state_of(at: World) -> State:
    return at.actor().observe().state


def with_state(at: World, **changes: Any) -> World:
    at.put(to_configmap(replace(state_of(at), **changes), NS))
    return at


def service_of_candidate() -> dict[str, Any]:
    body = stable_service(NEW)
    labels = {**selector(NAME, "new"), MANAGED_LABEL: MANAGER, KIND_LABEL: "candidate"}
    return {**body, "metadata": {"name": f"{NAME}-candidate", "namespace": NS, "labels": labels}}


def test_what_is_at_rest_is_left_alone() -> None:
    assert decided(world()).moves == ()
    for phase in ("held", "unproven"):
        assert decided(world(phase=phase, candidate=phase == "held")).moves == ()


def test_what_is_not_at_rest_is_recovered() -> None:
    at = in_test()
    assert guarded(at) == "removed candidate m-new"
    assert at_rest(at) == "old"


def test_what_came_late_is_removed_and_what_has_a_role_stays() -> None:
    at = world()
    at.put(deployment(LATE, 2))
    at.put(service_of_candidate())
    assert guarded(at) == (
        "removed what came late: m-late; removed the Service of a candidate that is gone"
    )
    assert set(at.actor().observe().deployments) == {"old", "older"}
    assert at_rest(at) == "old"


def test_a_held_candidate_keeps_its_service_and_what_came_late_goes() -> None:
    at = world(phase="held", candidate=True)
    at.put(deployment(LATE, 2))
    at.put(service_of_candidate())
    assert guarded(at) == "removed what came late: m-late"
    assert set(at.actor().observe().deployments) == {"old", "older", "new"}
    assert at.get("Service", f"{NAME}-candidate") is not None and state_of(at).phase == "held"


def test_a_candidate_that_nobody_approved_in_time_goes() -> None:
    at = world(phase="held", candidate=True)
    with_state(at, until="2000-01-01T00:00:00+00:00")
    actor, seen, around = looked(at)
    assert decide_guard(seen, around).moves == ()
    actor.take_over()
    actor.run(decide_guard(seen, replace(around, expired=True)))
    assert state_of(at).phase == "idle" and set(seen.deployments) - {"new"} == {"old", "older"}
    assert at.available("new") == 0 and at.harm == []


def test_what_served_a_moment_ago_is_drained_before_it_goes() -> None:
    """A Service moved by hand: what it led to has no role any more, and ends what it has begun."""
    at = with_state(world(), stable=NEW, previous=None)
    at.put(deployment(NEW, 2))
    at.put(stable_service(NEW))
    at.switched["old"] = 0.0
    assert "m-old" in guarded(at)


def test_idle_is_a_lie_where_we_scaled_what_serves_down() -> None:
    at = world()
    at.may_interrupt = True
    actor = at.actor()
    actor.move(Scale("m-old", 0, interrupts=True))
    assert guarded(at) == "m-old serves and was scaled down: it is back"
    assert at_rest(at) == "old" and at.available("old") == 2


def test_what_a_person_scales_down_stays_down() -> None:
    at = world()
    at.may_interrupt = True
    at.actor().move(Scale("m-old", 2))
    body = at.objects["Deployment", "m-old"]
    at.put({**body, "spec": {**body["spec"], "replicas": 0}})
    assert body["metadata"]["annotations"][SCALED_ANNOTATION] == "2"
    assert decided(at).moves == ()
    at.put(deployment(LATE, 2))  # also where there is something else to do
    assert guarded(at) == "removed what came late: m-late"
    assert at.available("old") == 0


def test_a_lost_memory_is_rebuilt_from_what_serves() -> None:
    at = with_state(world(), stable=None, previous=None)
    assert guarded(at).startswith("m-old serves and is remembered again")
    stable = state_of(at).stable
    assert stable is not None and (stable.id, stable.deployment, stable.replicas) == (
        "old",
        "m-old",
        2,
    )
    del at.objects["ConfigMap", f"rollout-{NAME}"]
    guarded(at)
    assert at_rest(at) == "old"


def test_a_service_moved_by_hand_to_the_previous_release_is_believed() -> None:
    at = world()
    at.put(deployment(OLDER, 2))
    at.put(stable_service(OLDER))
    guarded(at)
    state = state_of(at)
    assert (state.stable, state.previous) == (OLDER, OLD) and at.available("old") == 2


def test_without_service_and_memory_nothing_is_touched() -> None:
    at = World()
    at.put(deployment(LATE, 2))
    assert decided(at).moves == ()


def test_a_service_that_leads_nowhere_is_said() -> None:
    at = world()
    del at.objects["Deployment", "m-old"]
    with pytest.raises(StepFailed, match="release old, which has no Deployment"):
        decided(at)


def test_a_release_is_read_from_its_deployment() -> None:
    body = deployment(OLD, 2)
    body["metadata"]["annotations"].update(
        {
            "model-rollout/model": "o/m",
            "model-rollout/commit": "c-old",
            "model-rollout/manifest": "sha256:0",
        }
    )
    engine = body["spec"]["template"]["spec"]["containers"][0]
    engine["args"] = ["--served-model-name=m", "--port=8000"]
    assert release_on(body, "old") == replace(OLD, revision="")
    body["spec"]["replicas"] = 0
    del engine["args"]
    assert release_on(body, "old").replicas == 2 and release_on(body, "old").served_name == "o/m"


@pytest.mark.parametrize("phase", ["idle", "unproven"])
def test_a_service_that_asks_for_more_than_its_pods_have_gets_them_back(phase: Any) -> None:
    """Somebody applied the manifest of the Service that was adopted once more."""
    at = with_state(world(), phase=phase)
    service = at.get("Service", NAME)
    straight = dict(service["spec"]["selector"])
    service["spec"]["selector"] = {"app": "vllm", **straight}
    service["spec"]["ports"] = [{"port": 80, "targetPort": 8123}]
    at.put(service)
    assert at.actor().observe().bent
    assert guarded(at).endswith("led to no pod: it leads to old again")
    spec = at.get("Service", NAME)["spec"]
    assert spec["selector"] == straight and spec["ports"][0]["targetPort"] == "http"
    assert state_of(at).phase == phase


def test_a_service_that_a_person_led_elsewhere_stays() -> None:
    at = world()
    service = at.get("Service", NAME)
    service["spec"]["selector"] = {"app": "elsewhere"}
    at.put(service)
    assert not at.actor().observe().bent and decided(at).moves == ()


def test_where_the_memory_is_lost_the_way_back_is_kept() -> None:
    at = world()
    actor = at.actor()
    actor.move(Scale("m-older", 2))
    actor.move(Scale("m-older", 0))
    at.put(deployment(LATE, 2))
    del at.objects["ConfigMap", "rollout-m"]
    # who knows what else there was: nothing is removed until a rollout is remembered
    assert guarded(at) == "m-old serves and is remembered again"
    assert at.available("late") == 2
    state = state_of(at)
    assert state.stable is not None and state.stable.id == "old"
    assert state.previous is not None and state.previous.deployment == "m-older"


# -- what serves does not answer ----------------------------------------------------------------

WHY = "m-old serves and none of its replicas answers: its engine ends again and again"
ROOM = Room(2, 2, "one cpu")


def broken(**changes: Any) -> tuple[World, Actor, Observed, Around]:
    """`old` serves and every pod of it crashes again and again; `older` served before."""
    at = with_state(world(), **changes)
    if "previous" in changes:
        del at.objects["Deployment", "m-older"]
    at.broken = {"old"}
    actor, seen, around = looked(at)
    found = Judged("", "asked", "failed", "run-0", "today")
    return at, actor, replace(seen, down=Down(WHY, True)), replace(around, room=ROOM, found=found)


def test_from_what_is_broken_the_guard_goes_back_and_remembers_why() -> None:
    at, actor, seen, around = broken()
    course = decide_guard(seen, around)
    assert course.sentence == f"went back to m-older: {WHY}"
    actor.take_over()
    actor.run(course)
    assert at_rest(at) == "older" and at.available("older") == 2 and at.harm == []
    (judged,) = state_of(at).judged
    assert (judged.release, judged.demands, judged.verdict) == ("old", "asked", "failed")


def test_bad_news_is_written_down_before_anything_moves() -> None:
    _, _, seen, around = broken()
    first = decide_guard(seen, around).moves[0]
    assert isinstance(first, Save) and first.state.phase == "reverting"
    assert first.state.judged[0].release == "old"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"previous": None}, id="nothing to go back to"),
        pytest.param({"doubts": {"older": "fail"}}, id="not proven"),
        pytest.param({"made": {"older": "u/another"}}, id="changed since"),
    ],
)
def test_where_nothing_proven_can_be_gone_back_to_it_is_told(changes: dict[str, Any]) -> None:
    _, _, seen, around = broken(**changes)
    with pytest.raises(StepFailed, match=f"{WHY}; look at its pods .*`rollout run`"):
        decide_guard(seen, around)


def test_where_there_is_no_room_that_is_told() -> None:
    _, _, seen, around = broken()
    with pytest.raises(StepFailed, match=f"{WHY}; there is no way back: m-older needs room for 2"):
        decide_guard(seen, replace(around, room=Room(0, 1, "one cpu")))


@pytest.mark.parametrize("phase", ["idle", "unproven"])
def test_what_only_does_not_answer_is_told_and_stays(phase: Any) -> None:
    _, _, seen, around = broken(phase=phase)
    down = Down("m-old serves and none of its replicas answers: a pod waits for a node")
    with pytest.raises(StepFailed, match=r"a pod waits for a node; look at its pods.*rollback m"):
        decide_guard(replace(seen, down=down), around)


def test_what_else_is_to_be_done_is_done_first() -> None:
    at, _, seen, around = broken(previous=None)
    at.put(deployment(LATE, 2))
    _, seen, around = looked(at)
    course = decide_guard(replace(seen, down=Down(WHY)), around)
    assert course.sentence.startswith("removed what came late: m-late")


def test_a_candidate_that_waits_for_a_person_is_left_to_them() -> None:
    _, _, seen, around = broken(phase="held")
    with pytest.raises(StepFailed, match=WHY):
        decide_guard(seen, around)


# -- unproven for too long ----------------------------------------------------------------------


def overdue(**changes: Any) -> tuple[World, Actor, Observed, Around]:
    """`old` serves unproven, `older` runs beside it, and nobody came in time."""
    why = "no route to it"
    at = with_state(
        world(),
        **{
            "phase": "unproven",
            "verdict": "inconclusive",
            "doubt": "inconclusive",
            "doubted": "old",
            "why": why,
            "since": SINCE,
            **changes,
        },
    )
    at.put(deployment(OLDER, 2))
    actor, seen, around = looked(at)
    return at, actor, seen, replace(around, expired=True, room=ROOM)


SINCE = "2026-03-01T12:00:00+00:00"
LATE_BY = "nobody decided until 2026-03-04T12:00:00+00:00"


def test_what_answers_is_kept_and_the_other_put_away() -> None:
    at, actor, seen, around = overdue()
    assert decide_guard(seen, replace(around, expired=False)).moves == ()
    course = decide_guard(seen, around)
    assert course.sentence == (
        "m-old is kept without a look. Whether it serves as well as was measured is not known; "
        f"last known of its soak: inconclusive: no route to it; {LATE_BY}"
    )
    actor.take_over()
    actor.run(course)
    assert at_rest(at) == "old" and at.available("older") == 0 and at.harm == []
    state = state_of(at)
    # nobody has proven it: what is gone back to after the next promotion is the other
    assert state.phase == "idle" and in_doubt(state, "old") == "inconclusive"
    assert state.previous == OLDER and decided(at).moves == ()


@pytest.mark.parametrize("failed", [False, True])
def test_where_the_spec_says_so_or_it_failed_it_goes_back(failed: bool) -> None:
    """What failed is not waited with."""
    said = {"old": Terms({"promotion": {"on_unproven": "roll-back"}})}
    at, actor, seen, around = overdue(**({"verdict": "fail"} if failed else {"terms": said}))
    course = decide_guard(seen, replace(around, expired=not failed))
    assert course.sentence == "went back to m-older" + f"; {LATE_BY}" * (not failed)
    actor.take_over()
    actor.run(course)
    assert at_rest(at) == "older" and at.harm == []


def test_what_failed_and_has_no_way_back_goes_on_alone() -> None:
    at, actor, seen, around = overdue(verdict="fail", doubts={"older": "fail"})
    course = decide_guard(seen, around)
    assert course.sentence == f"m-old serves on, unproven; {LATE_BY}"
    actor.take_over()
    actor.run(course)
    assert at.available("older") == 0 and at.available("old") == 2 and at.harm == []
    assert state_of(at).phase == "unproven"
    _, seen, around = looked(at)
    assert decide_guard(seen, replace(around, expired=True)).moves == ()


def test_what_does_not_answer_is_not_kept() -> None:
    at, _, _, _ = overdue(previous=None)
    at.broken = {"old"}
    _, seen, around = looked(at)
    assert "kept" not in decide_guard(seen, replace(around, expired=True)).sentence
