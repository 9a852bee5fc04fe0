"""Events for a Prefect server; where there is none, or a dead one, a rollout goes on."""

from __future__ import annotations

import logging

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.base.scrub import hold
from tasks.outside.prefect import notices
from tasks.outside.prefect.notices import emit
from tasks.service.notices import Notice
from tests.support.heard.webhooks import webhooks

NOTICE = Notice(("models", "chat"), "rejected", "too slow: see http://u.example/word-1-of-notice")


def test_an_event_is_sent_at_once() -> None:
    hold("word-1-of-notice")
    with webhooks() as server, temporary_settings({PREFECT_API_URL: f"{server.url}/api"}):
        emit(NOTICE)
        ((event,),) = server.bodies("/api/events")
    assert event["event"] == "model-rollout.rollout.rejected"
    assert event["resource"]["prefect.resource.id"] == "model-rollout.rollout.models.chat"
    assert (
        event["payload"]["text"]
        == event["payload"]["sentence"]
        == ("too slow: see http://u.example/***")
    )
    assert event["related"] == []


def test_without_a_server_nothing_is_asked_nor_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object, **__: object) -> None:
        raise AssertionError("a server would be started")

    monkeypatch.setattr(notices, "get_client", started)
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        emit(NOTICE)


@pytest.mark.parametrize("status", [0, 401, 500])
def test_a_server_that_takes_nothing_ends_no_rollout(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with webhooks() as server:
        server.answers = {"/api/events": (status, "{}")}
        api = f"{server.url}/api" if status else "http://127.0.0.1:9/api"
        with temporary_settings({PREFECT_API_URL: api}), caplog.at_level(logging.WARNING):
            emit(NOTICE)
    assert "people are not told that it is rejected" in caplog.text
