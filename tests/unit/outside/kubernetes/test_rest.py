"""Requests to the API: what is retried, how long, and what the errors say."""

from __future__ import annotations

import logging
import pickle
import threading

import pytest
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from tasks.base import clock
from tasks.base.clock import FakeClock
from tasks.base.errors import LockLost, OutsideError
from tasks.outside.kubernetes import rest
from tasks.outside.kubernetes.rest import AlreadyExists, ApiError, Conflict, Forbidden, NotFound
from tests.support.cluster.cluster_script import Script, answer, status

pytestmark = pytest.mark.usefixtures("time")
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}}
REFUSED = NewConnectionError(HTTPConnection("api"), "Connection refused")
RESET = ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))
SILENT = ReadTimeoutError(None, "/", "Read timed out.")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "trouble",
    [REFUSED, RESET, SILENT, status(503), status(500), status(429, Retry_After="7")],
    ids=["refused", "reset", "silent", "503", "500", "429"],
)
def test_a_read_is_asked_again(trouble: object, time: FakeClock) -> None:
    script = Script([trouble, answer(POD)])  # type: ignore[list-item]
    assert script.api().get("Pod", "p", "n") == POD
    assert len(script.asked) == 2 and time.monotonic() > 0


def test_the_server_says_how_long_to_wait(time: FakeClock) -> None:
    Script([status(429, Retry_After="7"), answer(POD)]).api().get("Pod", "p", "n")
    assert 7 <= time.monotonic() < 8


def test_patience_ends_and_says_where_what_and_how_long(time: FakeClock) -> None:
    script = Script([REFUSED], forever=True)
    with pytest.raises(
        OutsideError, match=r"https://api:6443 did not answer: list pods in n, after \d+\.\d s and"
    ):
        script.api(patience_s=30).list("Pod", "n")
    assert 20 < time.monotonic() <= 30
    assert 5 < len(script.asked) < 20  # pauses grow; it is no busy loop


def test_what_is_waited_for_is_told_once_until_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rest, "TELL_AFTER_S", 0.001)
    heard = threading.Event()
    lines: list[str] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())
            heard.set()

    def waiting(_: object) -> urllib3.HTTPResponse:
        heard.wait(60)  # as long as it takes until a person has heard of it
        raise REFUSED

    logger, handler = logging.getLogger(rest.__name__), Heard()
    logger.addHandler(handler)
    try:
        Script([waiting, waiting, answer(POD)]).api(patience_s=30).get("Pod", "p", "n")
    finally:
        logger.removeHandler(handler)
    (line,) = lines
    assert line == (
        "waiting for the Kubernetes API https://api:6443, which does not answer (get pods p in n), "
        "until 00:00:30 UTC at most"
    )


def test_pauses_differ_between_clients() -> None:
    spent = set()
    for seed in range(5):
        with clock.use(FakeClock(seed=seed)):
            Script([status(503), status(503), answer(POD)]).api().get("Pod", "p", "n")
            spent.add(clock.monotonic())
    assert len(spent) == 5


@pytest.mark.parametrize("lost", [RESET, SILENT, status(500)], ids=["reset", "silent", "500"])
def test_a_create_whose_answer_is_lost_is_repeated_by_its_name(lost: object) -> None:
    script = Script([lost, answer(POD)])  # type: ignore[list-item]
    assert script.api().create(POD) == POD
    # where the first one was done after all
    script = Script([lost, status(409, "AlreadyExists")])  # type: ignore[list-item]
    with pytest.raises(AlreadyExists):
        script.api().create(POD)


@pytest.mark.parametrize(
    "early",
    [REFUSED, status(429), status(503, Retry_After="1")],
    ids=["refused", "429", "503-retry-after"],
)
def test_a_create_that_never_arrived_is_repeated(early: object) -> None:
    script = Script([early, answer(POD)])  # type: ignore[list-item]
    assert script.api().create(POD) == POD


def test_the_servers_clock_is_known_from_its_answers() -> None:
    script = Script([answer(POD, headers={"Date": "Thu, 01 Jan 2026 08:00:00 GMT"}), answer(POD)])
    api = script.api()
    assert api.now() == clock.now()
    api.get("Pod", "p", "n")
    clock.sleep(5)
    assert api.now().isoformat() == "2026-01-01T08:00:05+00:00"
    api.get("Pod", "p", "n")  # an answer without a date changes nothing
    assert api.now().isoformat() == "2026-01-01T08:00:05+00:00"


def test_an_untrusted_certificate_is_not_retried() -> None:
    script = Script([SSLError("self-signed certificate")])
    with pytest.raises(ApiError, match="certificate-authority"):
        script.api().get("Pod", "p", "n")
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (404, "NotFound", NotFound),
        (403, "Forbidden", Forbidden),
        (422, "Invalid", ApiError),
        (401, "Unauthorized", ApiError),
    ],
)
def test_refusals_have_their_kinds_and_are_not_retried(
    code: int, reason: str, kind: type[ApiError]
) -> None:
    script = Script([status(code, reason, "the words of the API")])
    with pytest.raises(ApiError, match="the words of the API") as caught:
        script.api().create(POD)
    assert type(caught.value) is kind and caught.value.status == code
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.status, again.reason) == (str(caught.value), code, reason)


def test_missing_rights_are_named() -> None:
    words = 'pods is forbidden: User "x" cannot list resource "pods" in API group "" in namespace'
    with pytest.raises(Forbidden, match="RBAC lacks the verb 'list' on pods in n"):
        Script([status(403, "Forbidden", words)]).api().list("Pod", "n")


def test_an_admission_rule_is_not_taken_for_missing_rights() -> None:
    words = 'pods "p" is forbidden: violates PodSecurity "restricted:latest"'
    with pytest.raises(Forbidden, match="admission rule") as caught:
        Script([status(403, "Forbidden", words)]).api().create(POD)
    assert "RBAC" not in str(caught.value)


def test_an_address_that_is_no_kubernetes_api() -> None:
    with pytest.raises(ApiError, match="is this address a Kubernetes API"):
        Script([answer(b"<html>welcome</html>")]).api().get("Pod", "p", "n")


def test_the_fence_is_asked_before_each_attempt() -> None:
    calls: list[int] = []

    def fence() -> None:
        calls.append(len(script.asked))
        if len(calls) == 3:
            raise LockLost("another holds it")

    script = Script([status(503)], forever=True)
    with pytest.raises(LockLost):
        script.api().apply(POD, fence=fence)
    assert calls == [0, 1, 2] and len(script.asked) == 2


def test_every_write_is_fenced_and_can_be_a_dry_run() -> None:
    with_version = {**POD, "metadata": {**POD["metadata"], "resourceVersion": "5"}}  # type: ignore[dict-item]

    def no() -> None:
        raise LockLost("no")

    script = Script([answer(POD)], forever=True)
    api = script.api()
    writes = {
        "apply": lambda **kw: api.apply(POD, **kw),
        "create": lambda **kw: api.create(POD, **kw),
        "replace": lambda **kw: api.replace(with_version, **kw),
        "patch": lambda **kw: api.patch("Pod", "p", "n", {"metadata": {}}, **kw),
        "delete": lambda **kw: api.delete("Pod", "p", "n", **kw),
    }
    for name, write in writes.items():
        with pytest.raises(LockLost):
            write(fence=no)
        assert not script.asked, name
    for name, write in writes.items():
        write(dry_run=True)
        assert script.asked.pop().query["dryRun"] == "All", name
