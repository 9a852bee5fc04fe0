"""Watches survive cuts, silence, lost history and restarts without missing an object."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from tasks.base.clock import FakeClock
from tasks.base.errors import StepFailed
from tasks.outside.kubernetes.rest import Forbidden
from tasks.outside.kubernetes.watch import Together, differences, keep
from tests.support.cluster.cluster_script import Answer, Script, answer, status, stream

pytestmark = pytest.mark.usefixtures("time")
CUT = ProtocolError("Connection broken", ConnectionResetError(104, "reset"))
SILENT = ReadTimeoutError(None, "/", "Read timed out.")  # type: ignore[arg-type]


def pod(name: str, version: int, uid: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "uid": uid or name, "resourceVersion": str(version)},
    }


def event(kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": obj}


def listed(version: int, *pods: dict[str, Any]) -> Answer:
    return answer({"metadata": {"resourceVersion": str(version)}, "items": list(pods)})


GONE = event("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"})


def told(script: Script, count: int, **kwargs: Any) -> list[tuple[str, str]]:
    """The first `count` changes as (type, 'name@version')."""
    heard = []
    for change, obj in script.api().watch("Pod", "n", **kwargs):
        meta = obj["metadata"]
        heard.append((change, f"{meta['name']}@{meta['resourceVersion']}"))
        if len(heard) == count:
            break
    return heard


def test_present_objects_come_first_then_changes() -> None:
    script = Script([listed(5, pod("a", 3)), stream(event("ADDED", pod("b", 6)))])
    assert told(script, 2) == [("ADDED", "a@3"), ("ADDED", "b@6")]
    query = script.asked[1].query
    assert query["resourceVersion"] == "5" and query["allowWatchBookmarks"] == "true"


@pytest.mark.parametrize("cut", [CUT, SILENT, None], ids=["cut", "silent", "ended"])
def test_resumes_where_it_was(cut: Exception | None) -> None:
    pieces: list[Any] = [event("MODIFIED", pod("a", 6)), event("BOOKMARK", pod("", 8))]
    first = stream(*pieces, *([cut] if cut else []))
    script = Script([first, stream(event("DELETED", pod("a", 9)))])
    start = ([pod("a", 3)], "5")
    assert told(script, 2, start=start) == [("MODIFIED", "a@6"), ("DELETED", "a@9")]
    assert [r.query["resourceVersion"] for r in script.asked] == ["5", "8"]


def test_an_event_cut_in_half_is_asked_for_again() -> None:
    whole = b'{"type":"ADDED","object":{"metadata":{"name":"b","resourceVersion":"7"}}}\n'
    script = Script([stream(event("ADDED", pod("a", 6)), whole[:40], CUT), stream(whole)])
    assert told(script, 2, start=([], "5")) == [("ADDED", "a@6"), ("ADDED", "b@7")]
    assert script.asked[1].query["resourceVersion"] == "6"


def test_an_event_in_pieces_is_one_event() -> None:
    whole = b'{"type":"ADDED","object":{"metadata":{"name":"b","resourceVersion":"7"}}}\n'
    pieces = [whole[i : i + 9] for i in range(0, len(whole), 9)]
    assert told(Script([stream(*pieces)]), 1, start=([], "5")) == [("ADDED", "b@7")]


@pytest.mark.parametrize(
    "gone", [stream(GONE), status(410, "Expired", "too old")], ids=["in-stream", "at-once"]
)
def test_a_lost_past_is_made_up_for(gone: Any) -> None:
    script = Script(
        [
            gone,
            listed(90, pod("kept", 4), pod("changed", 80), pod("new", 81), pod("again", 82, "2")),
            stream(event("ADDED", pod("later", 91))),
        ]
    )
    start = ([pod("kept", 4), pod("changed", 5), pod("lost", 3), pod("again", 2)], "10")
    assert told(script, 6, start=start) == [
        ("DELETED", "lost@3"),
        ("DELETED", "again@2"),
        ("MODIFIED", "changed@80"),
        ("ADDED", "new@81"),
        ("ADDED", "again@82"),
        ("ADDED", "later@91"),
    ]
    assert script.asked[-1].query["resourceVersion"] == "90"


def test_an_api_server_that_lost_its_store_counts_as_a_lost_past() -> None:
    ahead = status(504, "Timeout", "Too large resource version: 10, current: 2")
    script = Script([ahead, listed(2), stream(event("ADDED", pod("a", 3)))])
    assert told(script, 1, start=([], "10")) == [("ADDED", "a@3")]


def test_an_api_restart_is_ridden_out(time: FakeClock) -> None:
    down: list[Answer] = [ConnectionRefusedError(111, "refused")] * 5
    script = Script([*down, stream(event("ADDED", pod("a", 3)))])
    assert told(script, 1, start=([], "1")) == [("ADDED", "a@3")]
    assert time.monotonic() > 1


def test_missing_rights_end_it() -> None:
    with pytest.raises(Forbidden, match="'watch' on pods in n"):
        told(Script([status(403, "Forbidden", "User cannot watch")]), 1, start=([], "1"))


def test_a_server_that_ends_every_watch_is_not_asked_without_pause(time: FakeClock) -> None:
    script = Script([lambda request: stream()], forever=True)
    assert told(script, 1, start=([], "1"), timeout_s=60) == []
    assert len(script.asked) < 30 and time.monotonic() >= 60


def test_the_time_limit_is_told_to_the_server(time: FakeClock) -> None:
    def slow(request: Any) -> Any:
        time.sleep(12)
        return stream()

    script = Script([slow], forever=True)
    assert told(script, 1, start=([], "1"), timeout_s=20) == []
    assert [r.query["timeoutSeconds"] for r in script.asked] == ["20", "8"]


def test_stop_ends_a_silent_watch() -> None:
    stop, reading = threading.Event(), threading.Event()

    class Silent:
        status = 200
        headers: ClassVar[dict[str, str]] = {}

        def __init__(self) -> None:
            self.shut = threading.Event()

        def read1(self, amount: int) -> bytes:
            reading.set()
            assert self.shut.wait(60), "nobody shut the connection down"
            return b""

        def shutdown(self) -> None:
            self.shut.set()

        def close(self) -> None: ...

    script = Script([Silent()])  # type: ignore[list-item]
    watching = script.api().watch("Pod", "n", start=([], "1"), stop=stop)
    thread = threading.Thread(target=lambda: list(watching), daemon=True)
    thread.start()
    assert reading.wait(60)
    stop.set()
    thread.join(60)
    assert not thread.is_alive() and len(script.asked) == 1


def test_wait_for_sees_the_present_and_the_changes() -> None:
    def two(pods: list[dict[str, Any]]) -> list[str] | None:
        return sorted(p["metadata"]["name"] for p in pods) if len(pods) == 2 else None

    present = Script([listed(5, pod("a", 3), pod("b", 4))])
    assert present.api().wait_for("Pod", "n", two, 10, what="two pods") == ["a", "b"]
    changes = stream(
        event("ADDED", pod("b", 6)), event("DELETED", pod("a", 7)), event("ADDED", pod("c", 8))
    )
    script = Script([listed(5, pod("a", 3), pod("x", 1), pod("y", 1)), changes])
    gone = Script([listed(5, pod("a", 3)), stream(event("DELETED", pod("a", 6)))])
    assert gone.api().wait_for("Pod", "n", lambda pods: not pods, 10, what="none")
    four = script.api().wait_for("Pod", "n", lambda p: len(p) == 4 and p, 10, what="four")
    assert len(four) == 4


def test_wait_for_gives_up_and_says_what_for(time: FakeClock) -> None:
    script = Script([listed(5), *[lambda request: stream()] * 99])
    with pytest.raises(StepFailed, match="waited 30 s for labels on dcu-04"):
        script.api().wait_for("Node", None, lambda n: None, 30, what="labels on dcu-04")
    assert 30 <= time.monotonic() < 31


def test_together_hears_all_streams_and_their_errors() -> None:
    def of(*items: tuple[str, dict[str, Any]] | Exception) -> Any:
        def begin(stop: threading.Event) -> Iterator[tuple[str, dict[str, Any]]]:
            for item in items:
                if isinstance(item, Exception):
                    raise item
                yield item

        return begin

    with Together() as streams:
        streams.add("a", of(("ADDED", {"n": 1})))
        streams.add("b", of(("ADDED", {"n": 2})))
        heard: list[Any] = []
        while len(heard) < 4:
            heard += streams.hear(60)
        assert {(n, c) for n, c, _ in heard} == {(n, c) for n in "ab" for c in ("ADDED", "END")}
        streams.add("c", of(Forbidden("no right", 403)))
        with pytest.raises(Forbidden):
            streams.hear(60)


LISTS = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(1, 3), st.sampled_from("12")), max_size=6
)


@given(LISTS, LISTS)
def test_differences_lead_from_one_list_to_the_other(
    before: dict[str, tuple[int, str]], now: dict[str, tuple[int, str]]
) -> None:
    def objects(of: dict[str, tuple[int, str]]) -> dict[tuple[str, str], dict[str, Any]]:
        return {("", n): pod(n, version, uid) for n, (version, uid) in of.items()}

    seen = objects(before)
    for change, obj in differences(objects(before), objects(now)):
        name = obj["metadata"]["name"]
        assert (change == "ADDED") == (("", name) not in seen)
        keep(seen, change, obj)
    assert seen == objects(now)
