"""Following a log: no line lost or given twice over cuts, restarts and equal time stamps."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from urllib3.exceptions import ProtocolError

from tasks.outside.kubernetes.logs import SeenLines, split_stamp
from tasks.outside.kubernetes.rest import Forbidden
from tests.support.cluster.cluster_script import Request, Script, answer, status, stream

pytestmark = pytest.mark.usefixtures("time")
CUT = ProtocolError("Connection broken", ConnectionResetError(104, "reset"))


class Container:
    """A container that writes a known log; the API serves it and may cut it short."""

    def __init__(
        self, lines: list[tuple[str, str]], cuts: list[int], last_cuts: tuple[int, ...] = ()
    ) -> None:
        self.lines, self.cuts, self.last_cuts = lines, cuts, list(last_cuts)
        self.reads: list[dict[str, str]] = []

    def __call__(self, request: Request) -> Any:
        if request.path.endswith("/pods/p"):
            over = not self.cuts
            state = {"terminated": {"exitCode": 0}} if over else {"running": {}}
            return answer(
                {
                    "spec": {"restartPolicy": "Never"},
                    "status": {
                        "phase": "Succeeded" if over else "Running",
                        "containerStatuses": [{"name": "c", "state": state}],
                    },
                }
            )
        self.reads.append(request.query)
        since = request.query.get("sinceTime", "")[:19]
        left = self.cuts or self.last_cuts
        end = [CUT] if left else []
        upto = left.pop(0) if left else len(self.lines)
        shown = [f"{at} {text}\n".encode() for at, text in self.lines[:upto] if at[:19] >= since]
        return stream(*shown, *end)


LOG = [
    ("2026-11-23T08:00:00.000000001Z", "one"),
    ("2026-11-23T08:00:00.5Z", "two"),
    ("2026-11-23T08:00:01.000000000Z", "three"),
    ("2026-11-23T08:00:01.000000000Z", "four, in the same instant"),
    ("2026-11-23T08:00:01.000000000Z", "four, in the same instant"),
    ("2026-11-23T08:00:02.25Z", ""),
    ("2026-11-23T08:00:02.250000001Z", "last"),
]


@pytest.mark.parametrize("cuts", [[], [1], [3], [4], [5, 5], [1, 2, 3, 4, 5, 6], [7]])
def test_every_line_once(cuts: list[int]) -> None:
    container = Container(LOG, list(cuts))
    script = Script([container], forever=True)
    assert list(script.api().follow_logs("p", "n", "c")) == [text for _, text in LOG]
    assert ["follow" in read for read in container.reads] == [True] * len(cuts) + [False]


def test_the_end_of_a_finished_log_is_read_although_the_reading_is_cut() -> None:
    script = Script([Container(LOG, [], last_cuts=(2, 4))], forever=True)
    assert list(script.api().follow_logs("p", "n", "c")) == [text for _, text in LOG]


def test_it_waits_for_the_container_to_start() -> None:
    waiting = answer(
        {
            "spec": {"restartPolicy": "Never"},
            "status": {
                "phase": "Pending",
                "containerStatuses": [{"name": "c", "state": {"waiting": {}}}],
            },
        }
    )
    script = Script([waiting, Container(LOG, [])], forever=True)
    assert len(list(script.api().follow_logs("p", "n", "c"))) == len(LOG)


def test_a_pod_that_is_gone_ends_it() -> None:
    def gone(request: Request) -> Any:
        return status(404, "NotFound")

    assert list(Script([gone], forever=True).api().follow_logs("p", "n", "c")) == []


def test_missing_rights_are_an_error() -> None:
    running = Container(LOG, [1])
    script = Script([running, status(403, "Forbidden", 'cannot get resource "pods/log"')])
    with pytest.raises(Forbidden, match="pods/log"):
        list(script.api().follow_logs("p", "n", "c"))


def test_stop_ends_it() -> None:
    stop = threading.Event()
    script = Script([Container(LOG, [7] * 99)], forever=True)
    following = script.api().follow_logs("p", "n", "c", stop)
    assert next(following) == "one"
    stop.set()
    assert len(list(following)) <= 1


def test_time_stamps_of_any_zone_and_length() -> None:
    utc = split_stamp("2026-11-23T08:00:00.5Z text")
    assert utc == ((1795420800, 500_000_000), "text")
    assert split_stamp("2026-11-23T16:00:00.500000000+08:00 text") == utc
    assert split_stamp("no stamp here") == (None, "no stamp here")


def test_lines_without_a_stamp_are_kept() -> None:
    assert SeenLines().new("plain text") == "plain text"
