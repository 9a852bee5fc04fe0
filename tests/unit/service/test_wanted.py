"""What a server is to hold for some specs."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.client.schemas.objects import TERMINAL_STATES, StateType
from prefect.server.events.schemas.automations import AutomationCore, EventTrigger
from prefect.server.events.schemas.events import Resource

import flows.watch_models
from flows.guard import guard
from flows.rollback import rollback
from flows.rollout import rollout
from flows.verify import verify
from flows.watch_models import watch_models
from tasks.base.errors import SpecError
from tasks.service.names import TAG
from tasks.service.parts import FlowDeployment, ServicePlan, Timetable
from tasks.service.wanted import NEW_VERSION, Tracked, tracked, wanted
from tasks.spec.starts.windows import Schedule
from tests.support.nodedata import make_spec

CHAT = Tracked("chat", "models", "specs/chat.yaml")
CODE = Tracked("code", "other", "specs/code.yaml")
FLOWS = {
    "flows.rollout.rollout": rollout,
    "flows.rollback.rollback": rollback,
    "flows.guard.guard": guard,
    "flows.verify.verify": verify,
    "flows.watch_models.watch_models": watch_models,
}


def named(plan: ServicePlan) -> dict[str, FlowDeployment]:
    return {item.name: item for item in plan.deployments}


def test_a_model_has_a_deployment_for_each_thing_it_can_be_asked() -> None:
    found = named(wanted([CHAT]))
    assert list(found) == [
        "rollout-chat",
        "approve-chat",
        "reject-chat",
        "abort-chat",
        "rollback-chat",
        "verify-chat",
        "watch-models",
        "guard",
        "rollout-any",
    ]
    for name, item in found.items():
        assert ("model:chat" in item.tags) == name.endswith("-chat")


def test_a_click_alone_breaks_nothing() -> None:
    found = named(wanted([CHAT]))
    which = {"name": "chat", "namespace": "models"}
    for what in ("approve", "reject"):  # refused until a person says which candidate is meant
        item = found[f"{what}-chat"]
        assert item.parameters == {**which, "what": what, "rollout": "", "plan": ""}
        assert item.form == ("rollout", "plan")
    for what in ("abort", "rollback"):
        assert found[f"{what}-chat"].parameters == {**which, "what": what}
    assert found["rollout-chat"].parameters == {"spec_file": "specs/chat.yaml"}


def test_the_form_of_a_rollout_is_small_and_the_whole_spec_is_apart() -> None:
    found = named(wanted([CHAT]))
    assert found["rollout-chat"].form[:5] == ("spec_file", "revision", "targets", "changes", "why")
    # who wants these is an event, or the command line
    assert not {"spec", "commit", "plan"} & set(found["rollout-chat"].form)
    assert found["rollout-any"].form[0] == "spec"
    assert {"commit", "plan"} < set(found["rollout-any"].form)


def test_every_parameter_and_field_is_one_of_the_flow() -> None:
    for item in wanted([CHAT, CODE]).deployments:
        known = set(FLOWS[item.entrypoint].parameters.properties)
        assert {*item.parameters, *item.form} <= known, item.name
        for trigger in item.triggers:
            assert set(trigger.parameters) <= known, trigger.name


def test_what_must_never_wait_does_not_queue_with_rollouts() -> None:
    for item in wanted([CHAT]).deployments:
        rolls = item.entrypoint == "flows.rollout.rollout"
        assert (item.queue == "rollouts") == rolls == item.beating, item.name


def test_a_new_version_rolls_out_exactly_what_the_event_is_about() -> None:
    (trigger,) = named(wanted([CHAT]))["rollout-chat"].triggers
    assert trigger.expect == NEW_VERSION == flows.watch_models.EVENT
    assert trigger.match == {"prefect.resource.id": "model-rollout.rollout.models.chat"}
    assert trigger.parameters["commit"]["template"] == "{{ event.payload['commit'] }}"


def test_the_guard_and_the_watcher_are_on_and_see_every_model() -> None:
    found = named(wanted([CHAT, CODE]))
    assert all(found[name].timetables[0].active for name in ("guard", "watch-models"))
    assert found["watch-models"].parameters == {"spec_files": [CHAT.file, CODE.file]}
    assert found["guard"].parameters == {}  # two namespaces: the whole cluster
    assert named(wanted([CHAT]))["guard"].parameters == {"namespace": "models"}


# states in which a run holds its place of a deployment's limit
HOLDS = {
    StateType.PENDING: {"prefect.flow-run.Pending"},
    # and where it was killed before its first heartbeat
    StateType.RUNNING: {"prefect.flow-run.Running", "prefect.flow-run.heartbeat"},
    StateType.CANCELLING: {"prefect.flow-run.Cancelling"},
}


@pytest.mark.parametrize("state", HOLDS)
@pytest.mark.parametrize("flow", FLOWS.values(), ids=lambda flow: str(flow.name))
def test_no_run_of_ours_holds_its_place_for_ever(state: StateType, flow: Any) -> None:
    """Every state that is not final and not one of waiting ends by itself, for every flow, and by
    one automation."""
    waits = {StateType.SCHEDULED, StateType.PAUSED}
    assert set(StateType) - TERMINAL_STATES - waits == set(HOLDS)
    comes_with = [
        Resource({"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow",
                  "prefect.resource.name": flow.name}),
        Resource({"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"}),
    ]  # fmt: skip
    then = []
    for data in wanted([CHAT]).automations:
        automation = AutomationCore.model_validate(data)
        trigger, (action,) = automation.trigger, automation.actions
        assert isinstance(trigger, EventTrigger) and trigger.within.total_seconds() <= 900
        assert trigger.expect == {"prefect.flow-run.*"}  # whatever comes of it
        whose = trigger.match_related
        asked = whose if isinstance(whose, list) else [whose]
        if trigger.after == HOLDS[state] and all(item.includes(comes_with) for item in asked):
            then.append(action.model_dump(mode="json")["state"])
    assert then == ["CANCELLED" if state is StateType.CANCELLING else "CRASHED"]


def test_a_schedule_is_the_specs() -> None:
    nightly = Timetable(cron="0 3 * * *", timezone="Asia/Shanghai")
    model = Tracked("chat", "models", "chat.yaml", nightly)
    assert named(wanted([model]))["rollout-chat"].timetables == (nightly,)
    assert named(wanted([CHAT]))["rollout-chat"].timetables == ()


def test_without_a_spec_there_is_a_guard() -> None:
    assert list(named(wanted([]))) == ["guard", "rollout-any"]


def test_a_rollout_has_one_spec() -> None:
    other = Tracked("chat", "models", "specs/again.yaml")
    with pytest.raises(SpecError, match=r"chat\.yaml and specs/again\.yaml are both of rollout"):
        wanted([CHAT, other])


def test_what_a_spec_says_of_it() -> None:
    spec = make_spec()
    assert tracked(spec, "a.yaml").key == (spec.namespace, spec.name)
    assert tracked(spec, "a.yaml").timetable is None
    times = Schedule(cron="0 3 * * 1-5", timezone="Asia/Shanghai")
    found = tracked(spec.model_copy(update={"schedule": times}), "a.yaml").timetable
    assert found is not None and (found.cron, found.timezone) == (times.cron, times.timezone)
    assert found.parameters == {"why": "schedule"}


def test_what_serves_is_verified_when_its_spec_says() -> None:
    spec = make_spec({"verify": {"cron": "0 * * * *", "timezone": "Asia/Shanghai"}})
    found = tracked(spec, "a.yaml").verified
    assert found is not None and (found.cron, found.timezone) == ("0 * * * *", "Asia/Shanghai")
    assert tracked(make_spec(), "a.yaml").verified is None
    chat = Tracked("chat", "models", "chat.yaml", verified=found)
    item = named(wanted([chat]))["verify-chat"]
    assert item.timetables == (found,) and item.parameters == {"spec_file": "chat.yaml"}
    assert item.alone and item.queue == "operations"
    assert named(wanted([CHAT]))["verify-chat"].timetables == ()  # by hand, or in the UI


def test_whose_a_deployment_is_and_what_it_does_is_fixed() -> None:
    found = named(wanted([CHAT]))
    for does in ("approve", "reject", "abort", "rollback"):
        own = {"name": "chat", "namespace": "models", "what": does}
        assert found[f"{does}-chat"].fixed == own
    asked = {"rollout-chat", "verify-chat", "guard", "rollout-any", "watch-models"}
    assert all(found[name].fixed == {} for name in asked)


def test_the_watcher_alone_looks_as_soon_as_it_is_there() -> None:
    assert [name for name, item in named(wanted([CHAT])).items() if item.soon] == ["watch-models"]


def test_a_guard_that_was_killed_leaves_places_to_the_next_ones() -> None:
    """Prefect frees a dead place after five minutes, and a rollout is to be settled in three."""
    found = named(wanted([]))["guard"].concurrency
    assert found == {"limit": 3, "collision_strategy": "CANCEL_NEW"}
