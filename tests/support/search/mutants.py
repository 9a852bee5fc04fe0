"""Decisions made wrong on purpose, each of which the search has to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tasks.base.errors import Refused
from tasks.release import back, guard, moves, wish
from tasks.release.course import Course, Move, Observed, PointService, Scale, Soak
from tests.support.search.signs import (
    FAILED,
    FEWER,
    HARM,
    KEPT,
    NEVER,
    NOT_WHOLE,
    NOWHERE,
    RESTS,
    UNSOAKED,
)

Decide = Callable[..., Any]


@dataclass(frozen=True)
class Mutant:
    """function: that is replaced by what `make` makes of it. shows: what the search says of it.
    The rest is the scope in which it does."""

    function: str
    make: Callable[[Decide], Decide]
    shows: str | tuple[str, ...]
    begin: str = "rest"
    trouble: int = 0
    consent: bool = False


def put_in(patch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    """Wherever the product has imported that function."""
    for module in (moves, back, wish, guard):
        if hasattr(module, mutant.function):
            patch.setattr(module, mutant.function, mutant.make(getattr(module, mutant.function)))


def changed(change: Callable[[Observed, list[Move]], list[Move]]) -> Callable[[Decide], Decide]:
    """The same course with other moves."""

    def make(decide: Decide) -> Decide:
        def decided(seen: Observed, *args: Any, **more: Any) -> Course:
            course = decide(seen, *args, **more)
            return replace(course, moves=tuple(change(seen, list(course.moves))))

        return decided

    return make


def stops_what_serves(seen: Observed, course: list[Move]) -> list[Move]:
    """Room is made before it is known whether it is needed."""
    serving = seen.view(seen.serving)
    return [Scale(serving.name, 0, interrupts=True), *course] if serving else course


def stops_first(seen: Observed, course: list[Move]) -> list[Move]:
    """What served is stopped before the Service is moved."""
    point = next((move for move in course if isinstance(move, PointService)), None)
    serving = seen.view(seen.serving)
    if point is None or serving is None or serving.release == point.release.id:
        return course
    at = course.index(point)
    return [*course[:at], Scale(serving.name, 0, interrupts=True), *course[at:]]


def to_fewer(seen: Observed, course: list[Move]) -> list[Move]:
    """The Service is led to what is ready, however few that are."""
    few = [replace(m, least=1) if isinstance(m, PointService) else m for m in course]
    return [move for move in few if not (isinstance(move, Scale) and move.of)]


def settles_first(seen: Observed, course: list[Move]) -> list[Move]:
    """It is settled on paper before it is done."""
    return [course[-1], *course[:-1]] if len(course) > 1 else course


def without_soak(seen: Observed, course: list[Move]) -> list[Move]:
    return [move for move in course if not isinstance(move, Soak)]


def keeps_down(seen: Observed, course: list[Move]) -> list[Move]:
    """What served is not scaled up again."""
    return [move for move in course if not (isinstance(move, Scale) and move.replicas)]


def not_now(decide: Decide) -> Decide:
    def decided(seen: Observed, room: Any) -> Course:
        raise Refused("something is in the way")

    return decided


def no_way_home(decide: Decide) -> Decide:
    return lambda seen: None


MUTANTS = {
    "a start that stops what serves": Mutant("decide_start", changed(stops_what_serves), HARM),
    "a promotion that stops before it moves": Mutant(
        "decide_promotion", changed(stops_first), HARM
    ),
    "a way back that stops before it moves": Mutant("decide_revert", changed(stops_first), HARM),
    "a promotion without a soak": Mutant("decide_promotion", changed(without_soak), UNSOAKED),
    "a promotion to fewer": Mutant("decide_promotion", changed(to_fewer), FEWER, "scaled"),
    "a recovery that settles first": Mutant(
        "_keep_serving", changed(settles_first), (NOT_WHOLE, RESTS, NOWHERE), "left", consent=True
    ),
    "a recovery that leaves what served down": Mutant(
        "_keep_serving",
        changed(keeps_down),
        (NOT_WHOLE, NEVER, NOWHERE, RESTS),
        "left",
        consent=True,
    ),
    "a way back that forgets bad news": Mutant(
        "known_against", lambda decide: lambda state, **_: "", FAILED, "unproven", trouble=1
    ),
    "a guard that leaves what failed": Mutant("decide_again", not_now, KEPT, "kept", consent=True),
    "a way back without a way home": Mutant(
        "decide_after_failure", no_way_home, (NEVER, NOWHERE), "left", trouble=1
    ),
}
