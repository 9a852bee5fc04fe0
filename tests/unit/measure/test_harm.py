"""A load beside what serves ends before others wait for it, and is not judged for what they ask."""

from __future__ import annotations

import pytest

from tasks.measure.harm import LEAST_LOOKS, Company, Crowding, no_room
from tasks.measure.traffic import Counters


def engine(running: float = 0, waiting: float = 0) -> Counters:
    return Counters(0.0, 0, 0.0, 0, running=running, waiting=waiting)


@pytest.mark.parametrize(
    ("now", "seats", "said"),
    [
        ([engine(3)], None, ""),
        ([engine(3)], 8, ""),
        ([engine(5), engine(2)], 8, "run 7 request(s), and 4 more would be over the 8"),
        ([engine(1), engine(8, 2)], None, "2 request(s) wait in the engines already"),
    ],
)
def test_whether_a_load_may_begin(now: list[Counters], seats: float | None, said: str) -> None:
    assert said in no_room(now, 4, seats) and bool(said) == bool(no_room(now, 4, seats))


def test_others_that_wait_end_it_at_once() -> None:
    crowded = Crowding(4)
    assert crowded([engine(12)]) == ""
    assert "others wait" in crowded([engine(4), engine(0, 1)])


def test_an_instant_in_the_queue_is_no_queue() -> None:
    crowded = Crowding(4)
    assert crowded([engine(2, 2)]) == "" and crowded([engine(4)]) == ""
    assert crowded([engine(2, 2)]) == ""
    assert "our own load pushes them" in crowded([engine(3, 1)])


def test_by_hand_the_own_queue_is_a_persons() -> None:
    crowded = Crowding(4, alone=True)
    assert [crowded([engine(2, 2)]) for _ in range(3)] == ["", "", ""]
    assert "others wait" in crowded([engine(4, 1)])


def test_of_a_rate_nobody_knows_whose_the_queue_is() -> None:
    crowded = Crowding(None)
    assert crowded([engine(9, 1)]) == ""
    assert "our own load" in crowded([engine(9, 1)])


def after(*looks: Counters, own: float = 4) -> Company:
    found = Company()
    for look in looks:
        found = found.seen([look], own)
    return found


def test_what_others_asked_is_what_the_engines_have_less_ours() -> None:
    found = after(engine(4), engine(3), engine(12), engine(4, 2))
    assert (found.looks, found.found, found.total, found.most) == (4, 2, 10, 8)
    assert found.told == (
        "beside it others had requests at 2 of 4 looks, 2.5 on average and 8 at most"
    )
    assert Company().seen([engine(3), engine(2)], 4).most == 1  # of all engines together
    assert after(engine(4)).told == ""


@pytest.mark.parametrize(
    ("found", "doubt"),
    [
        (after(*[engine(4)] * LEAST_LOOKS), ""),
        (after(*[engine(4)] * 99, engine(5)), ""),  # one in a hundred
        (after(*[engine(4)] * 98, engine(5)), "at 1 of 99 looks, 0.0 on average and 1 at most"),
        (after(*[engine(44)] * 30), "at 30 of 30 looks, 40.0 on average and 40 at most"),
        (after(*[engine(4)] * (LEAST_LOOKS - 1)), "do not exclude that others asked meanwhile"),
        (after(*[engine(4)] * 30).unseen(), "1 of 31 looks failed"),
        (Company(looks=99, unknown="by a rate"), "by a rate"),
        (Company(), "0 look(s) do not exclude"),
    ],
)
def test_whether_others_explain_what_was_measured(found: Company, doubt: str) -> None:
    assert doubt in found.doubt and bool(doubt) == bool(found.doubt)
