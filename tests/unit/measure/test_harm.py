"""A load beside what serves ends before others wait for it."""

from __future__ import annotations

import pytest

from tasks.measure.harm import Crowding, no_room
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
