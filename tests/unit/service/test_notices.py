"""The words of a notice, and the automations that send them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

from prefect.events import Event
from prefect.server.events.schemas.automations import AutomationCore, EventTrigger
from prefect.server.events.schemas.events import Resource
from prefect.server.utilities.user_templates import render_user_template_sync

from flows.watch_models import TROUBLE
from tasks.service.moments import Moment
from tasks.service.notices import TEST, TOLD, Notice, automations
from tasks.service.wanted import Tracked, resource_of, wanted

BLOCK = "6f0e6dd2-0000-4000-8000-000000000000"
NOTICE = Notice(
    ("models", "chat"),
    "rejected",
    "ttft_p95_ms @ c4: measured 950 ms",
    rollout="r-1",
    deployment="chat-53bb",
    release="53bb",
    model="org/chat",
    revision="master",
    commit="c" * 40,
    met=("success_rate_percent ≥ 99, measured 100",),
    missed=("ttft_p95_ms @ c4 ≤ 800, measured 950 (fail)",),
    who="worker",
    why="event: new version",
    report="https://reports.example/r-1",
)


def test_what_happened_comes_first_and_the_link_last() -> None:
    assert NOTICE.title == "rollout models/chat: rejected"
    assert NOTICE.text.splitlines() == [
        "ttft_p95_ms @ c4: measured 950 ms",
        "missed: ttft_p95_ms @ c4 ≤ 800, measured 950 (fail)",
        "met: success_rate_percent ≥ 99, measured 100",
        "release: chat-53bb, commit cccccccccccc, org/chat @ master",
        "rollout: r-1",
        "started by: worker (event: new version)",
        "report: https://reports.example/r-1",
    ]
    assert Notice(("models", "chat"), "broken", "no cluster").text == "no cluster"
    assert (
        Notice(("", "specs/chat.yaml"), "broken", "wrong").title
        == "rollout specs/chat.yaml: broken"
    )


def test_no_line_of_others_looks_like_one_of_ours() -> None:
    said = replace(
        NOTICE, sentence="it says:\nreport: https://evil.example\r\nmet: all", who="a\nb"
    )
    found = said.text.splitlines()
    assert [line for line in found if line.startswith("report:")] == [
        "report: https://reports.example/r-1"
    ]
    assert found[1] == "  report: https://evil.example" and found[2] == "  met: all"
    assert len([line for line in found if line.startswith("met:")]) == 1


def test_the_event_has_its_parts_and_no_credential() -> None:
    found = Notice(("models", "chat"), "broken", "GET /x: Authorization: Bearer abcdef0123456789")
    assert found.event == "model-rollout.rollout.broken"
    assert found.resource["prefect.resource.id"] == resource_of(("models", "chat"))
    assert "abcdef0123456789" not in json.dumps(found.payload)
    assert NOTICE.payload["missed"] == list(NOTICE.missed)
    assert (NOTICE.payload["title"], NOTICE.payload["text"]) == (NOTICE.title, NOTICE.text)


def test_a_sentence_is_not_a_whole_log() -> None:
    long = Notice(("models", "chat"), "broken", "x" * 5000, report="https://r.example/1").text
    assert len(long) < 1500 and long.endswith("report: https://r.example/1")


def test_every_moment_has_an_automation_of_its_own_but_for_what_nobody_waits_for() -> None:
    assert {*TOLD, "settled"} == set(get_args(Moment))
    found = {item["name"]: item for item in automations(BLOCK)}
    expected = {item["trigger"]["expect"][0] for item in found.values()}
    assert expected == {f"model-rollout.rollout.{moment}" for moment in TOLD} | {
        TROUBLE,
        TEST,
        "prefect.automation.action.failed",
    }
    assert list(found)[: len(TOLD)] == [f"notice: {words}" for words in TOLD.values()]
    for item in found.values():
        kept = AutomationCore.model_validate(item)  # with its templates, as the server reads it
        (action,) = kept.model_dump(mode="json")["actions"]
        assert (action["type"], action["block_document_id"]) == ("send-notification", BLOCK)


def test_the_watchers_trouble_is_told_by_its_model() -> None:
    (trouble,) = (item for item in automations(BLOCK) if item["trigger"]["expect"] == [TROUBLE])
    event = Event(
        event=TROUBLE,
        resource={"prefect.resource.id": "x", "prefect.resource.name": "chat"},
        payload={"said": "the hub is down"},
    )
    (action,) = trouble["actions"]
    said = [render_user_template_sync(action[key], {"event": event}) for key in ("subject", "body")]
    assert said == ["rollout chat: the watcher needs a person", "the hub is down"]


def test_an_event_that_starts_nothing_is_told_whatever_it_was_to_start() -> None:
    plan = wanted([Tracked("chat", "models", "specs/chat.yaml")])
    (failed,) = (item for item in automations(BLOCK) if item["name"] == "notice: not done")
    trigger = AutomationCore.model_validate(failed).trigger
    assert isinstance(trigger, EventTrigger)
    told = {name for name in plan.automation_names if trigger.match.matches(_named(name))}
    assert plan.automation_names - told == {
        "a rollout fell silent",
        "another run fell silent",
        "a cancelled rollout was not heard of",
    }
    assert not any(trigger.match.matches(_named(item["name"])) for item in automations(BLOCK))


def _named(name: str) -> Resource:
    return Resource({"prefect.resource.id": "prefect.automation.1", "prefect.resource.name": name})
