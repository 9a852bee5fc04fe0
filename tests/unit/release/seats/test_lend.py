"""How many replicas give their seats, and what a plan says of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import StepFailed
from tasks.release.course import AwaitFreed, AwaitReady, DeploymentView, Observed, Scale
from tasks.release.lend import Lend, decide_lend, exchange, exchange_moves, lent_moves
from tasks.release.plan import NodeSeat, Plan, decide_plan
from tasks.release.state import State
from tasks.spec.file import build_spec
from tests.support.cluster.actor_world import NEW, OLD

TWO = DeploymentView("m-old", "old", 2, 2, 2)


def with_replicas(count: int, **changes: Any) -> DeploymentView:
    return replace(TWO, replicas=count, serves_with=count, available=count, **changes)


def node(name: str, *by_gone: int) -> NodeSeat:
    return NodeSeat(name, name, by_gone[0], by_gone[-1], 0, 0, 10**12, 0, by_gone)


def plan(seats: list[NodeSeat], view: DeploymentView = TWO, replicas: int = 2, **more: Any) -> Plan:
    promotion = more.pop("promotion", {})
    seen = Observed(State("m", stable=OLD), "old", {"old": view})
    release = replace(NEW, replicas=replicas)
    what = build_spec(
        {
            "name": "m",
            "model": {"id": "o/n"},
            "nodes": {"accelerator": "hygon-dcu"},
            "serving": {"image": "i", "tensor_parallel_size": 4, "replicas": replicas},
            "targets": {"ttft_p95_ms": 1},
            "promotion": promotion,
        },
        "f",
    )
    return decide_plan(what, release, seen, seats, resource="hygon.com/dcu", **more)


# -- how many ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tables", "serving", "replicas", "expected"),
    [
        ([(0, 1, 2)], TWO, 2, Lend(1, 2, 1, 1, 1)),
        ([(0, 1), (0, 1)], TWO, 2, Lend(1, 2, 1, 1, 1)),
        ([(1, 2, 3)], TWO, 2, Lend(2, 2, 1, 2, 1)),  # there is a seat, and nothing is taken
        ([(0, 0, 1)], TWO, 1, None),  # both would have to go
        ([(0, 0, 1, 1)], with_replicas(3), 1, Lend(1, 3, 1, 1, 1)),
        ([(0, 2, 4)], TWO, 4, Lend(1, 2, 2, 1, 2)),
        ([(0, 1)], TWO, 1, None),  # the other one runs where the candidate may not
        ([(0, 1)], with_replicas(1), 1, None),
        ([(0, 1, 2)], replace(TWO, available=1), 2, None),
        ([(0, 1)], replace(TWO, replicas=0, available=0, stopped=True), 2, None),
        ([(1, 2)], replace(TWO, replicas=1, available=1, stopped=True), 2, Lend(1, 2, 1, 1, 1)),
        ([(0, 1)], None, 1, None),
    ],
)
def test_the_least_that_makes_room(
    tables: list[Any], serving: DeploymentView | None, replicas: int, expected: Lend | None
) -> None:
    assert decide_lend(tables, serving, replicas) == expected


def test_no_more_than_it_is_measured_against() -> None:
    assert decide_lend([(0, 2, 4)], TWO, 4, as_many=True) == Lend(1, 2, 1, 1, 2)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), min_size=1, max_size=3))
def test_whichever_pods_go_there_is_room_and_something_serves(steps: list[list[int]]) -> None:
    """Against every choice of pods that a controller could make."""
    tables = [[sum(more[: at + 1]) for at in range(len(more))] for more in steps]
    pods = [at for at, table in enumerate(tables) for _ in table[1:]]
    lend = decide_lend(tables, with_replicas(len(pods)), 9)
    if lend is None:
        lend = Lend(1, len(pods), 0, 1, 0)  # with one left, some choice makes no room
    assert lend.keep >= 1

    def room(gone: tuple[int, ...]) -> int:
        return sum(table[gone.count(at)] for at, table in enumerate(tables))

    if pods:
        least = min(room(gone) for gone in combinations(pods, len(pods) - lend.keep))
        assert min(least, 9) == lend.tested


# -- seats that change over before the switch ---------------------------------------------------


@pytest.mark.parametrize(
    ("table", "of", "whole", "stays", "comes"),
    [
        ((0, 1, 2, 3), 3, 3, 2, 1),
        ((0, 1, 2, 3, 4), 4, 4, 2, 2),
        (range(9), 8, 8, 4, 4),
        (range(1, 10), 8, 8, 5, 4),  # one seat was free
        (range(9), 8, 2, 6, 2),  # it never has more
        ([given // 2 for given in range(9)], 8, 4, 4, 2),  # one takes two seats: half of each
        ([2 * given for given in range(5)], 4, 8, 2, 4),  # and the other way round
        ([given // 4 for given in range(9)], 8, 2, 4, 1),
    ],
)
def test_both_have_as_much_as_they_can_at_the_switch(
    table: Any, of: int, whole: int, stays: int, comes: int
) -> None:
    lend = decide_lend([tuple(table)], with_replicas(of), whole)
    assert lend is not None and (lend.stays, lend.comes) == (stays, comes)


@given(st.integers(2, 9), st.integers(0, 9), st.integers(1, 9))
def test_half_of_them_serve_at_least(of: int, spare: int, whole: int) -> None:
    """Where a seat is a seat, and the candidate is to have as many."""
    lend = decide_lend([tuple(range(spare, spare + of + 1))], with_replicas(of), whole)
    assert lend is not None and lend.least >= min(of // 2, whole)


@pytest.mark.parametrize("keep", range(4, 8))
@pytest.mark.parametrize("has", [0, 1])
@pytest.mark.parametrize("ending", [0, 1])
def test_a_change_that_is_half_done_comes_to_the_same(keep: int, has: int, ending: int) -> None:
    """has: whether the last seat that was freed is taken already. ending: pods on their way out,
    whose seats are not free yet."""
    serving = replace(with_replicas(8), replicas=keep, available=keep, stopped=True)
    other = DeploymentView("m-new", "new", 8 - keep - 1 + has, 8, 8 - keep - 1 + has, True)
    table = tuple(8 - keep - ending + given for given in range(keep + ending + 1))
    for tables in ([table], None):
        if tables is None and not has:
            continue  # who cannot look does not find a seat that is free already
        path = exchange(tables, serving, other)
        assert path[0][0] == keep and path[-1] == (4, 4)


def test_one_seat_after_the_other() -> None:
    serving = replace(with_replicas(4), replicas=3, available=3, stopped=True)
    other = DeploymentView("m-new", "new", 1, 4, 1, True)
    path = exchange([(1, 2, 3, 4)], serving, other)
    assert exchange_moves(serving, other, path) == [
        Scale("m-old", 2, lends=3),
        AwaitFreed("m-old", 2),
        Scale("m-new", 2),
        AwaitReady("m-new"),
    ]


# -- the moves --------------------------------------------------------------------------------


def test_a_seat_is_lent_once() -> None:
    lend = Lend(1, 2, 1, 1, 1)
    assert lent_moves(TWO, lend) == [Scale("m-old", 1, lends=2), AwaitFreed("m-old", 1)]
    lent = replace(TWO, replicas=1, available=1, stopped=True)
    assert lent_moves(lent, lend) == [AwaitFreed("m-old", 1)]


@pytest.mark.parametrize(
    "serving",
    [
        None,
        replace(TWO, available=1),
        replace(TWO, replicas=0, available=0, stopped=True),
        with_replicas(4),  # somebody set it since the plan
    ],
)
def test_what_is_not_as_planned_lends_nothing(serving: DeploymentView | None) -> None:
    with pytest.raises(StepFailed, match="nothing was taken from"):
        lent_moves(serving, Lend(1, 2, 1, 1, 1))


# -- the plan ---------------------------------------------------------------------------------

TIGHT = [node("a", 0, 1, 2)]


@pytest.mark.parametrize("promotion", [{}, {"allow_interruption": True}, {"strategy": "replace"}])
def test_seats_are_lent_before_anything_is_interrupted(promotion: dict[str, Any]) -> None:
    got = plan(TIGHT, promotion=promotion)
    assert (got.strategy, got.lend) == ("lend", Lend(keep=1, of=2, tested=1, stays=1, comes=1))
    assert "m-old serves on with 1 of 2 replica(s), m-new is tested with 1 of 2" in got.sentence
    assert got.interruption.startswith(
        "none; fewer replicas serve: 2 do now, never fewer than 1; 1 from the candidate's start"
    )
    assert [seat.name for seat in got.nodes] == ["a"]


def test_the_plan_says_in_numbers_how_many_serve_and_how_all_would() -> None:
    got = plan([node("a", *range(9))], with_replicas(8), 8)
    assert got.lend == Lend(keep=7, of=8, tested=1, stays=4, comes=4)
    assert "seats change over one by one until 4 and 4 serve" in got.sentence
    for said in (
        "8 do now, never fewer than 4; 7 from the candidate's start",
        "down to 4 at the switch, 4 from there until",
        "Where that is too few: with 8 seat(s) more (32 hygon.com/dcu) free all of them serve on",
    ):
        assert said in got.interruption


def test_a_person_may_approve_while_something_serves() -> None:
    got = plan(TIGHT, promotion={"approval": "before-promote"})
    assert (got.strategy, got.approval) == ("lend", "a person approves before promotion")


def test_room_beside_comes_first() -> None:
    assert plan([node("a", 2, 3, 4)]).strategy == "parallel"


def test_nothing_is_lent_where_only_parallel_is_asked() -> None:
    assert plan(TIGHT, promotion={"strategy": "parallel"}).strategy == "refused"


def test_one_replica_is_an_interruption_still() -> None:
    one = with_replicas(1)
    assert plan([node("a", 0, 1)], one, 1).strategy == "refused"
    allowed = plan([node("a", 0, 1)], one, 1, promotion={"allow_interruption": True})
    assert allowed.strategy == "replace"


def test_nothing_is_lent_for_a_neighbour() -> None:
    got = plan(TIGHT, queue=("jobs/train-1",))
    assert got.strategy == "refused" and got.sentence.startswith("jobs/train-1 waits for")


def test_where_what_serves_runs_elsewhere_those_nodes_are_used_as_well() -> None:
    """All of the candidate would find room on one node; which pod goes is not ours to choose."""
    got = plan([node("a", 0, 2), node("b", 0, 1)])
    assert got.strategy == "lend" and [seat.name for seat in got.nodes] == ["a", "b"]


def test_what_was_cut_short_is_not_free() -> None:
    """A run that died left one of two replicas to what serves, or none."""
    lent = replace(TWO, replicas=1, available=1, stopped=True)
    fewer = {"allow_interruption": True}
    assert plan([node("a", 1, 2)], lent, 1, promotion=fewer).lend == Lend(1, 2, 1, 1, 1)
    down = replace(TWO, replicas=0, available=0, stopped=True)
    waits = {"allow_interruption": True, "approval": "before-promote"}
    refused = plan([node("a", 2)], down, 2, promotion=waits)
    assert refused.strategy == "refused" and "until a person comes" in refused.sentence


def test_the_digest_names_what_is_lent() -> None:
    three = with_replicas(3)
    assert plan(TIGHT).digest != plan([node("a", 0, 1, 2, 3)], three).digest
