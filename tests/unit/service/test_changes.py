"""What is ours is brought up to date; what a person did on the server stays."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.utilities.schema_tools.validation import ValidationError, validate

from tasks.service.changes import (
    Rescheduled,
    called_before,
    form_of,
    gone,
    held,
    in_order,
    patch,
    reschedule,
    switched_on,
)
from tasks.service.names import tags_of
from tasks.service.parts import Timetable
from tasks.service.wanted import Tracked, wanted

NIGHTLY = Timetable(cron="0 3 * * *")
MORNING = Timetable(cron="0 7 * * *")
OFTEN = Timetable(every_s=600)
BODY: dict[str, Any] = {
    "description": "new",
    "parameters": {"spec_file": "a.yaml"},
    "tags": ["model-rollout"],
    "job_variables": {"env": {"BEAT": "30"}},
    "work_pool_name": "pool",
    "work_queue_name": "operations",
}


def there(timetable: Timetable, ident: str, **changes: Any) -> dict[str, Any]:
    """A schedule as the API has it."""
    slug = {"id": ident, "slug": timetable.slug, "active": True, "schedule": timetable.times}
    return {**slug, **changes}


def test_as_wanted_nothing_is_sent() -> None:
    assert patch(BODY, {**BODY, "id": "1", "paused": True}, ()) == {}


def test_only_what_differs_is_sent() -> None:
    assert patch(BODY, {**BODY, "description": "old"}, ()) == {"description": "new"}


@pytest.mark.parametrize("key", ["work_pool_name", "work_queue_name"])
def test_a_queue_is_named_with_its_pool(key: str) -> None:
    """The server takes a queue alone for one of that name in any pool."""
    assert patch(BODY, {**BODY, key: "another"}, ()) == {
        "work_pool_name": "pool",
        "work_queue_name": "operations",
    }


def test_what_a_person_added_stays() -> None:
    found = {
        **BODY,
        "parameters": {"spec_file": "old.yaml", "kubeconfig": "/k", "gone": 1},
        "tags": ["mine"],
        "job_variables": {"env": {"HTTPS_PROXY": "p"}, "stream_output": False},
    }
    assert patch(BODY, found, {"spec_file", "kubeconfig"}) == {
        "parameters": {"kubeconfig": "/k", "spec_file": "a.yaml"},
        "tags": ["model-rollout", "mine"],
        "job_variables": {"stream_output": False, "env": {"HTTPS_PROXY": "p", "BEAT": "30"}},
    }


def test_without_an_environment_none_is_made() -> None:
    plain = {**BODY, "job_variables": {}}
    assert patch(plain, plain, ()) == {}


@pytest.mark.parametrize("active", [True, False])
def test_a_schedule_stays_on_or_off(active: bool) -> None:
    assert reschedule([NIGHTLY], [there(NIGHTLY, "1", active=active)]) == Rescheduled()


def test_a_schedule_that_a_person_moved_stays_where_it_is() -> None:
    moved = there(NIGHTLY, "1", schedule={"cron": "0 5 * * *", "timezone": "UTC"})
    assert reschedule([NIGHTLY], [moved]) == Rescheduled()


def test_one_that_is_new_is_made_as_it_comes() -> None:
    assert reschedule([NIGHTLY], []) == Rescheduled(((NIGHTLY, True),))


@pytest.mark.parametrize("active", [True, False])
def test_one_that_takes_anothers_place_is_on_or_off_as_that_was(active: bool) -> None:
    found = reschedule([MORNING], [there(NIGHTLY, "1", active=active)])
    assert found == Rescheduled(((MORNING, active),), ("1",))


@pytest.mark.parametrize("active", [True, False])
def test_where_the_spec_follows_what_a_person_had_moved_it_to_it_stays(active: bool) -> None:
    times = MORNING.times
    moved = there(NIGHTLY, "1", active=active, schedule=times)
    assert reschedule([MORNING], [moved]) == Rescheduled(((MORNING, active),), ("1",))


def test_one_that_the_spec_no_longer_has_goes() -> None:
    assert reschedule([], [there(NIGHTLY, "1")]) == Rescheduled((), ("1",))


def test_a_persons_schedule_stays() -> None:
    extra = there(MORNING, "1", slug=None)
    assert reschedule([], [extra]) == Rescheduled()
    assert reschedule([NIGHTLY], [extra]) == Rescheduled(((NIGHTLY, True),))


@pytest.mark.parametrize("timetable", [NIGHTLY, OFTEN])
def test_one_that_was_made_otherwise_is_not_doubled(timetable: Timetable) -> None:
    assert reschedule([timetable], [there(timetable, "1", slug=None)]) == Rescheduled()


def deployment(ident: str, name: str, **changes: Any) -> dict[str, Any]:
    tags = tags_of(("models", "old"))
    return {"id": ident, "name": name, "tags": tags, "work_pool_name": "pool", **changes}


def test_the_same_one_under_another_name_is_known_by_its_tags() -> None:
    mine = {**deployment("1", "rollout-old"), "flow": "rollout"}
    others = [
        {**deployment("2", "approve-old"), "flow": "rollback"},  # another deed
        {**deployment("3", "rollout-old"), "flow": "rollback"},
        {**deployment("4", "rollout-old"), "flow": "rollout", "tags": []},
        {**deployment("5", "rollout-mine"), "flow": "rollout"},  # a person's copy
    ]
    ask = ("rollout-old.models", ("models", "old"), "rollout")
    assert called_before(*ask, [*others, mine]) == mine
    assert called_before(*ask, others) is None
    assert called_before("rollout-old", *ask[1:], [mine]) is None
    assert called_before("guard", None, "guard", [mine]) is None


def test_what_we_made_for_a_spec_that_is_gone_goes_and_nothing_else() -> None:
    plan = wanted([Tracked("chat", "models", "chat.yaml")])
    chat = tags_of(("models", "chat"))
    found = [
        deployment("1", "rollout-old"),
        deployment("2", "approve-old.models"),
        deployment("3", "rollout-old-copy"),
        deployment("4", "rollout-old", work_pool_name="of others"),
        deployment("5", "rollout-old", tags=["model-rollout"]),
        deployment("6", "rollout-chat", tags=chat),
        deployment("7", "rollout-chat.models", tags=chat),  # as it was called beside another
        deployment("8", "guard", tags=["model-rollout"]),
    ]
    assert gone(plan, "pool", found) == ["1", "2", "7"]


def test_a_form_has_its_fields_alone_and_in_their_order() -> None:
    schema = {
        "title": "Parameters",
        "type": "object",
        "properties": {
            "spec": {"$ref": "#/definitions/Rollout", "position": 0},
            "name": {"type": "string", "position": 1},
            "why": {"$ref": "#/definitions/Why", "position": 2},
        },
        "required": ["spec", "name"],
        "definitions": {
            "Rollout": {"properties": {"targets": {"$ref": "#/definitions/Target"}}},
            "Target": {},
            "Why": {},
        },
    }
    small = form_of(schema, ["why", "name"])
    assert [(k, v["position"]) for k, v in small["properties"].items()] == [("why", 0), ("name", 1)]
    assert (small["required"], list(small["definitions"])) == (["name"], ["Why"])
    assert set(form_of(schema, ["spec"])["definitions"]) == {"Rollout", "Target"}
    assert form_of(schema, [])["properties"] == {}


@pytest.mark.parametrize(
    ("found", "wish", "held_so"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 2}, {"a": 1}, False),
        ({}, {"a": None}, True),
        (None, {"a": 1}, False),
        ([{"a": 1, "b": 2}], [{"a": 1}], True),
        ([1, 2], [1], False),
        ("ab", ["a", "b"], False),
    ],
)
def test_what_is_found_may_say_more(found: Any, wish: Any, held_so: bool) -> None:
    assert held(found, wish) is held_so


def test_words_of_a_trigger_may_come_in_any_order() -> None:
    trigger = {"trigger": {"after": ["a", "b"], "match": [{"id": ["c", "d"]}], "within": 420}}
    other = {"trigger": {"after": ["b", "a"], "match": [{"id": ["d", "c"]}], "within": 420}}
    assert not held(trigger, other) and held(in_order(trigger), in_order(other))
    more = {"trigger": {**trigger["trigger"], "after": ["a", "b", "c"]}}
    assert not held(in_order(more), in_order(trigger))


def test_the_form_asks_for_a_value_at_once_where_one_may_be_left_out() -> None:
    text = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "revision"}
    either = {"anyOf": [{"type": "string"}, {"type": "integer"}], "default": None}
    fields = {"revision": text, "either": either, "why": {"type": "string", "default": "by hand"}}
    small = form_of({"properties": fields}, list(fields))["properties"]
    assert small["revision"] == {"type": "string", "title": "revision", "position": 0}
    assert small["either"] == {**either, "position": 1}
    assert small["why"] == {**fields["why"], "position": 2}


def test_what_the_form_does_not_ask_for_is_fixed_and_not_drawn() -> None:
    schema = {"properties": {"name": {"type": "string"}, "plan": {"type": "string"}}}
    form = form_of(schema, ("plan",), {"name": "chat", "what": "approve"})
    assert list(form["properties"]) == ["plan"]
    assert form_of(schema, ("plan",)) == {**form, "patternProperties": {"^name$": {}}}
    own = {"name": "chat", "what": "approve", "plan": "p"}
    validate(own, form, raise_on_error=True)
    for other in ({"name": "tiny"}, {"what": "rollback"}, {"name": None}, {"nmae": "chat"}):
        with pytest.raises(ValidationError):
            validate({**own, **other}, form, raise_on_error=True)


@pytest.mark.parametrize(
    ("found", "on"),
    [
        (None, True),
        ({"schedules": [{"active": True}]}, True),
        ({"schedules": [{"active": False}]}, False),
        ({"schedules": []}, False),
        ({"schedules": [{"active": True}], "paused": True}, False),
    ],
)
def test_what_a_person_switched_off_does_not_run_by_itself(found: Any, on: bool) -> None:
    assert switched_on(found) is on
