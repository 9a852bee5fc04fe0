"""How many replicas give their seats, and what a plan says of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import StepFailed
from tasks.release.course import AwaitFreed, DeploymentView, Observed, Scale
from tasks.release.lend import Lend, decide_lend, lent_moves
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
        ([(0, 1, 2)], TWO, 2, Lend(1, 2, 1)),
        ([(0, 1), (0, 1)], TWO, 2, Lend(1, 2, 1)),
        ([(1, 2, 3)], TWO, 2, Lend(2, 2, 1)),  # there is a seat, and nothing is taken
        ([(0, 0, 1)], TWO, 1, None),  # both would have to go
        ([(0, 0, 1, 1)], with_replicas(3), 1, Lend(1, 3, 1)),
        ([(0, 2, 4)], TWO, 4, Lend(1, 2, 2)),
        ([(0, 1)], TWO, 1, None),  # the other one runs where the candidate may not
        ([(0, 1)], with_replicas(1), 1, None),
        ([(0, 1, 2)], replace(TWO, available=1), 2, None),
        ([(0, 1)], replace(TWO, replicas=0, available=0, stopped=True), 2, None),
        ([(1, 2)], replace(TWO, replicas=1, available=1, stopped=True), 2, Lend(1, 2, 1)),
        ([(0, 1)], None, 1, None),
    ],
)
def test_the_least_that_makes_room(
    tables: list[Any], serving: DeploymentView | None, replicas: int, expected: Lend | None
) -> None:
    assert decide_lend(tables, serving, replicas) == expected


def test_no_more_than_it_is_measured_against() -> None:
    assert decide_lend([(0, 2, 4)], TWO, 4, as_many=True) == Lend(1, 2, 1)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), min_size=1, max_size=3))
def test_whichever_pods_go_there_is_room_and_something_serves(steps: list[list[int]]) -> None:
    """Against every choice of pods that a controller could make."""
    tables = [[sum(more[: at + 1]) for at in range(len(more))] for more in steps]
    pods = [at for at, table in enumerate(tables) for _ in table[1:]]
    lend = decide_lend(tables, with_replicas(len(pods)), 9)
    if lend is None:
        lend = Lend(1, len(pods), 0)  # with one left, some choice makes no room
    assert lend.keep >= 1

    def room(gone: tuple[int, ...]) -> int:
        return sum(table[gone.count(at)] for at, table in enumerate(tables))

    if pods:
        least = min(room(gone) for gone in combinations(pods, len(pods) - lend.keep))
        assert min(least, 9) == lend.tested


# -- the moves --------------------------------------------------------------------------------


def test_a_seat_is_lent_once() -> None:
    lend = Lend(1, 2, 1)
    assert lent_moves(TWO, lend) == [Scale("m-old", 1, lends=True), AwaitFreed("m-old", 1)]
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
        lent_moves(serving, Lend(1, 2, 1))


# -- the plan ---------------------------------------------------------------------------------

TIGHT = [node("a", 0, 1, 2)]


@pytest.mark.parametrize("promotion", [{}, {"allow_interruption": True}, {"strategy": "replace"}])
def test_seats_are_lent_before_anything_is_interrupted(promotion: dict[str, Any]) -> None:
    got = plan(TIGHT, promotion=promotion)
    assert (got.strategy, got.lend) == ("lend", Lend(keep=1, of=2, tested=1))
    assert "m-old serves on with 1 of 2 replica(s), m-new is tested with 1 of 2" in got.sentence
    assert got.interruption.startswith("none; fewer replicas serve: 1 of 2 from")
    assert [seat.name for seat in got.nodes] == ["a"]


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
    assert plan([node("a", 1, 2)], lent, 1).lend == Lend(1, 2, 1)
    down = replace(TWO, replicas=0, available=0, stopped=True)
    waits = {"allow_interruption": True, "approval": "before-promote"}
    refused = plan([node("a", 2)], down, 2, promotion=waits)
    assert refused.strategy == "refused" and "until a person comes" in refused.sentence


def test_the_digest_names_what_is_lent() -> None:
    three = with_replicas(3)
    assert plan(TIGHT).digest != plan([node("a", 0, 1, 2, 3)], three).digest
