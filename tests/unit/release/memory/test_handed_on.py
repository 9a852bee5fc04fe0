"""A soak, or a drain, that is longer than anybody watches comes to its end by several who each go
on from what was watched before. A gap between them counts as not watched."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from flows import guard
from flows.rollback import decide
from tasks.base import clock
from tasks.base.errors import OutsideError
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.waits import NOTED_S, OWN_S, waited_s
from tasks.release import moves
from tasks.release.draining import Count
from tasks.release.memory.terms import dated, terms_of
from tasks.release.soaking import Look, Rules, Watched
from tasks.release.state import State, Terms, from_configmap, to_configmap
from tasks.run.carry_out import carry_out, settled
from tests.support.cluster.actor_world import NEW, NS, World, world
from tests.support.cluster.courses import WELL, at_rest, promotes_it

pytestmark = pytest.mark.usefixtures("quick")
GAP_S = 120.0


class HourOver(BaseException):
    """Whoever watched is gone, and gave nothing back."""


def hours(at: World, does: Callable[[Actor], object], soak_s: float = 4) -> tuple[int, list[float]]:
    """Processes that follow each other, each gone after an hour: how many it took, and how many
    seconds were watched."""
    looks: list[float] = []
    for number in range(1, 12):
        until = clock.monotonic() + guard.LIMIT_S

        def look(_: object, until: float = until) -> Look:
            if clock.monotonic() > until:
                raise HourOver
            looks.append(clock.monotonic())
            return WELL

        def count(_: object, until: float = until) -> Count:
            if clock.monotonic() > until:
                raise HourOver
            return Count(unread="no route to the old pods' counters")

        actor = at.actor(look, soak_s=soak_s)
        actor.count = count
        actor.take_over()
        try:
            does(actor)
            return number, looks
        except HourOver:
            clock.sleep(GAP_S)
        does = guards
    raise AssertionError(f"it never ends: {at.actor().observe().state.phase}")


def guards(actor: Actor) -> None:
    settled(actor, decide("guard", actor)[1], lambda: decide("guard", actor)[1])


@pytest.mark.parametrize("soak_s", [1800.0, 7200.0, 20000.0])
def test_a_soak_of_more_than_an_hour_ends(soak_s: float) -> None:
    at = world(phase="testing", candidate=True)
    took, looks = hours(at, promotes_it, soak_s)
    pauses = [b - a for a, b in pairwise(looks)]
    assert sum(p for p in pauses if p < GAP_S) >= soak_s  # what nobody watched is none of it
    assert took <= 1 + soak_s / (guard.LIMIT_S - NOTED_S - GAP_S)
    assert at_rest(at) == "new" and at.harm == []
    assert terms_of(at.actor().observe().state, "new").soaked_s == 0


def test_a_drain_of_more_than_an_hour_ends() -> None:
    at = world(phase="testing", candidate=True)
    actor = at.actor()
    actor.take_over()
    actor.change_state(lambda held: replace(held, drain_s=7200.0))
    began = clock.monotonic()
    took, _ = hours(at, promotes_it)
    assert at_rest(at) == "new" and 1 < took <= 5 and clock.monotonic() - began >= 7200
    assert terms_of(at.actor().observe().state, "new").led == ""


def test_who_finds_a_drain_waits_for_some_of_it_itself() -> None:
    now, noted = clock.now(), list[str]()
    at = Terms(led="2020-01-01T00:00:00+00:00")

    def note(led: str) -> None:
        noted.append(led)

    assert waited_s(7200, now, at, note) == 7200 - OWN_S
    assert waited_s(OWN_S, now, at, note) == waited_s(7200, now, Terms(), note) == 0
    assert waited_s(7200, now, Terms(led="2999-01-01T00:00:00+00:00"), note) == 0
    assert waited_s(60, now, Terms(), note) == 0 and noted == [now.isoformat(timespec="seconds")]


def test_requests_that_others_saw_are_no_silence() -> None:
    rules = Rules(duration_s=10, no_traffic="roll-back")
    seen = Watched(0.0, rules, before_s=9.0).saw(1.0, WELL)
    assert seen.end(1.0) == ("", "") and seen.saw(2.0, WELL).end(2.0)[0] == "unproven"
    assert replace(seen, before=3).saw(2.0, WELL).end(2.0) == ("passed", "")


@pytest.mark.parametrize("soaks", [True, False])
def test_what_was_watched_counts_in_that_soak_alone(soaks: bool) -> None:
    known = Terms(soaked_s=50.0, others=2, led="2026-01-01T00:00:00+00:00")
    state = State("m", phase="soaking", stable=NEW, terms={"new": known})
    assert terms_of(dated(state, "now", "soaking"), "new") == known
    ended = state if soaks else replace(state, phase="unproven")
    ended = replace(ended, breach="HTTP 500" if soaks else "")
    found = terms_of(dated(ended, "now", "soaking"), "new")
    assert (found.soaked_s, found.others) == (0.0, 0)


def test_that_it_cannot_be_noted_ends_no_soak(monkeypatch: pytest.MonkeyPatch) -> None:
    at = world(phase="testing", candidate=True)
    actor = at.actor(lambda _: WELL, soak_s=3 * NOTED_S)
    actor.take_over()
    noted: list[int] = []

    def refuses(change: object) -> None:
        noted.append(1)
        raise OutsideError("etcd is full")

    monkeypatch.setattr(actor._memory, "change", refuses)
    carry_out(actor, moves.decide_promotion(actor.observe(), keep_previous=True))
    assert noted and at_rest(at) == "new"


def test_a_state_of_an_older_version_has_watched_nothing() -> None:
    state = State("m", phase="soaking", stable=NEW, terms={"new": Terms(spec={"a": 1})})
    body = to_configmap(state, NS)
    plain = json.loads(body["data"]["state"])
    for key in ("soaked_s", "others", "led", "tried"):
        del plain["terms"]["new"][key]
    body["data"]["state"] = json.dumps(plain)
    assert from_configmap("m", body) == state
