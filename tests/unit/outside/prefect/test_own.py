"""Who started the flow run that is here, and how it keeps its place."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import flow_engine
from prefect.states import Cancelled, Completed, Paused, Running, Scheduled

from tasks.base.errors import OutsideError
from tasks.outside.prefect import own

AUTOMATION = SimpleNamespace(type="AUTOMATION")


@pytest.mark.parametrize(
    ("run", "found"),
    [
        (SimpleNamespace(auto_scheduled=False, created_by=None), False),
        (SimpleNamespace(auto_scheduled=False, created_by=SimpleNamespace(type="USER")), False),
        (SimpleNamespace(auto_scheduled=True, created_by=None), True),
        (SimpleNamespace(auto_scheduled=False, created_by=AUTOMATION), True),
        (None, False),
    ],
)
def test_by_itself(run: Any, found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    context = SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run))
    monkeypatch.setattr(own, "FlowRunContext", context)
    assert own.by_itself() is found


@pytest.mark.parametrize(("itself", "why"), [(True, own.SCHEDULE), (False, own.BY_HAND)])
def test_a_schedule_that_lost_what_it_says_is_still_one(
    itself: bool, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "by_itself", lambda: itself)
    assert own.why(own.BY_HAND) == why
    assert own.why("event: new version") == "event: new version"


def test_outside_of_a_flow_run_a_person_did() -> None:
    assert own.by_itself() is False


@pytest.mark.parametrize(
    ("states", "found"),
    [
        ([Paused(), Scheduled(name="Resuming"), Running()], False),
        ([Scheduled(), Running()], False),
        ([Paused(), Cancelled(), Scheduled(name="AwaitingRetry"), Running()], True),
        ([Scheduled(), Running(), Completed(), Scheduled(name="AwaitingRetry")], True),
    ],
)
def test_a_retry_is_a_run_that_ended_before(
    states: list[Any], found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(monkeypatch, lambda ident: states)
    assert own.run_id() == str(UUID(int=1)) and own.retried() is found


def here(monkeypatch: pytest.MonkeyPatch, states: Any) -> None:
    """A flow run, and a server that tells its states."""

    @contextmanager
    def client(**_: Any) -> Iterator[Any]:
        yield SimpleNamespace(read_flow_run_states=states)

    run = SimpleNamespace(id=UUID(int=1))
    context = SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run))
    monkeypatch.setattr(own, "FlowRunContext", context)
    monkeypatch.setattr(own, "get_client", client)


def test_whether_it_is_one_is_asked_and_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(ident: UUID) -> Any:
        raise httpx.ConnectError("refused")

    here(monkeypatch, away)
    with pytest.raises(OutsideError, match="does not say what this run was: refused"):
        own.retried()


def test_outside_of_a_flow_run_nothing_is_one() -> None:
    assert own.run_id() == "" and own.retried() is False


class Places:
    """A server that answers the renewing of a place in this order."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[UUID, float]] = []
        self.done = threading.Event()

    def renew_concurrency_lease(self, *, lease_id: UUID, lease_duration: float) -> None:
        self.asked.append((lease_id, lease_duration))
        answer = self.answers.pop(0)
        if not self.answers:
            self.done.set()
        if answer is not None:
            raise answer


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "RENEW_S", 0.001)
    monkeypatch.setattr(own, "AGAIN_S", 0.001)


def serving(monkeypatch: pytest.MonkeyPatch, *answers: Exception | None) -> Places:
    places = Places(*answers)

    @contextmanager
    def client(**_: Any) -> Iterator[Places]:
        yield places

    monkeypatch.setattr(own, "get_client", client)
    return places


def status(code: int) -> httpx.HTTPStatusError:
    asked = httpx.Request("POST", "http://server/renew")
    return httpx.HTTPStatusError(str(code), request=asked, response=httpx.Response(code))


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("trouble", [httpx.ConnectError("refused"), status(503), OSError("odd")])
def test_a_place_is_renewed_again_whatever_keeps_it_from_that(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = serving(monkeypatch, trouble, trouble, None, trouble, None, status(410))
    with flow_engine.maintain_concurrency_lease(  # type: ignore[attr-defined]
        UUID(int=7), 300, raise_on_lease_renewal_failure=True
    ):
        assert places.done.wait(60)
    assert places.asked == [(UUID(int=7), 300)] * 6


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("code", [404, 410])
def test_a_server_that_knows_no_place_any_more_ends_no_run(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = serving(monkeypatch, status(code))
    with own.place(UUID(int=7), 300, raise_on_lease_renewal_failure=True):
        assert places.done.wait(60)
        for thread in threading.enumerate():
            if thread.name == f"place-{UUID(int=7)}":
                thread.join(60)  # it asks no more
    assert len(places.asked) == 1


def test_prefects_engine_keeps_places_like_this() -> None:
    """By the name under which it calls it; a release that does it otherwise is seen here."""
    source = inspect.getsource(flow_engine)
    asked = re.findall(r"\bmaintain_concurrency_lease\((.*?)\)", source, re.DOTALL)
    assert [" ".join(item.split()) for item in asked] == [
        "lease_id, 300, raise_on_lease_renewal_failure=True"
    ]
    assert flow_engine.maintain_concurrency_lease is own.place  # type: ignore[attr-defined]
    assert own.RENEW_S + own.AGAIN_S < 300
