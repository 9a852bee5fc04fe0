"""A measurement gives way: to who waits in a queue, to who takes the lease, to its blindness."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.base.clock import FakeClock
from tasks.base.errors import OutsideError
from tasks.measure.traffic import Counters
from tasks.outside.vllm.metrics import EngineSaid
from tasks.run.measuring import neighbours
from tasks.run.measuring.neighbours import BLIND, Engines, GaveWay, Neighbours
from tests.support.cluster.actor_world import OLD, world
from tests.support.cluster.runs import run_of


def said(running: float = 0, waiting: float = 0) -> dict[str, EngineSaid]:
    counters = Counters(0.0, 0, 0.0, 0, running=running, waiting=waiting)
    return {"pod": EngineSaid(counters, {})}


class Looks:
    """What looks come to, one after the other; the last one for ever."""

    def __init__(self, *looks: Any) -> None:
        self.looks, self.count = list(looks), 0

    def __call__(self) -> Any:
        found = self.looks[min(self.count, len(self.looks) - 1)]
        self.count += 1
        if isinstance(found, Exception):
            raise found
        return found


def beside(looks: Looks, taken: str = "") -> Neighbours:
    return Neighbours(looks, lambda: taken, own=4, every_s=2)


def test_it_looks_only_so_often(time: FakeClock) -> None:
    looks = Looks(said(4))
    heed = beside(looks)
    for _ in range(8):
        heed()
        time.sleep(0.5)
    assert looks.count == 2


def test_others_that_wait_end_it(time: FakeClock) -> None:
    heed = beside(Looks(said(4), said(4, 3)))
    heed()
    time.sleep(2)
    with pytest.raises(GaveWay, match="others wait"):
        heed()


def test_who_takes_the_lease_ends_it(time: FakeClock) -> None:
    with pytest.raises(GaveWay, match="ann@host/run-7 began, and comes first"):
        beside(Looks(said()), "ann@host/run-7")()


def test_a_load_that_nobody_watches_is_ended(time: FakeClock) -> None:
    lost = OutsideError("no route")
    heed = beside(Looks(*[lost] * (BLIND - 1), said(), lost))
    for _ in range(2 * BLIND - 1):  # one good look between them
        heed()
        time.sleep(2)
    with pytest.raises(GaveWay, match="nobody can see whether it harms: no route"):
        heed()


@pytest.mark.parametrize(
    ("look", "seats", "why"),
    [
        (said(0, 1), None, r"1 request\(s\) wait"),
        (said(6), 8, "over the 8 that they run"),
        (OutsideError("no route"), None, "nobody can see whether a load would harm: no route"),
    ],
)
def test_where_it_would_harm_it_does_not_begin(look: Any, seats: float | None, why: str) -> None:
    with pytest.raises(GaveWay, match=why):
        beside(Looks(look)).begin(seats)


def test_where_there_is_room_it_begins() -> None:
    beside(Looks(said(4))).begin(8)


def test_the_engines_of_the_release_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(world())
    found = Engines(run.cluster, run.spec, OLD, lambda pod: said()["pod"])
    assert len(found()) == 2
    monkeypatch.setattr(neighbours, "holder_of", lambda *_: "ann")
    assert found.taken() == "ann"
    monkeypatch.setattr(neighbours, "release_pods", lambda *_: [])
    with pytest.raises(OutsideError, match="no pod of m-old is ready"):
        found()


def test_what_others_ask_meanwhile_is_counted(time: FakeClock) -> None:
    """Before it none of the requests are ours; a look that fails may have missed some."""
    heed = beside(Looks(said(1), said(4), said(9), OutsideError("no route"), said(4)))
    heed.begin(None)
    for _ in range(4):
        heed()
        time.sleep(2)
    company = heed.company
    assert (company.looks, company.found, company.most, company.blind) == (5, 2, 5, 1)
    assert heed.note == company.told != ""


def test_of_a_rate_nobody_knows_whose_requests_are() -> None:
    heed = Neighbours(Looks(said(9)), lambda: "", own=None, every_s=2)
    heed.begin(None)
    assert "came by a rate" in heed.company.doubt and heed.note == ""


def test_where_no_counters_can_be_read_the_lease_is(time: FakeClock) -> None:
    """A person asked for the load: it runs, and says what nobody knows of it."""
    looks, takers = Looks(OutsideError("no metrics here")), ["", "", "ann@host/run-7"]
    heed = Neighbours(looks, lambda: takers.pop(0), own=4, every_s=1, alone=True)
    heed.begin(None, blind=True)
    assert "is not known: no metrics here" in heed.note
    for _ in range(2):
        heed()
        time.sleep(1)
    with pytest.raises(GaveWay, match="ann@host/run-7 began, and comes first"):
        heed()
    assert looks.count == 1
