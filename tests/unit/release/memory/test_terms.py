"""What serves unproven is watched by its own spec and figures, whatever is tested meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from flows.rollback import decide
from tasks.base import clock
from tasks.release import moves
from tasks.release.memory.terms import terms_of, unproven_until, watched
from tasks.release.soak_rules import rules_of
from tasks.release.soaking import Look
from tasks.release.state import State, Terms, from_configmap
from tasks.run.carry_out import carry_out
from tasks.run.recall import around, spec_of
from tests.support.cluster.actor_world import NEW, NS, World, deployment, in_test
from tests.support.cluster.bodies import release
from tests.support.cluster.courses import once, promotes
from tests.support.nodedata import make_spec

pytestmark = pytest.mark.usefixtures("quick")
OTHER = release("other")
STRICT = {
    "soak": {"duration_s": 900, "interval_s": 2},
    "on_unproven": "roll-back",
    "unproven_hours": 1,
}
LAX = {"soak": {"duration_s": 0}}
MEASURED = {"ttft_s": 0.1}


def plain(promotion: dict[str, Any]) -> dict[str, Any]:
    spec = make_spec({"name": "m", "namespace": NS, "promotion": promotion})
    return spec.model_dump(mode="json", exclude_defaults=True)


def state_of(at: World) -> State:
    return at.actor().observe().state


def unproven() -> World:
    """`new` serves unproven under a strict spec; `old` runs on."""
    at = in_test()
    once(at, promotes(True, "unseen"))
    actor = at.actor()
    state = actor.read_state()[0]
    since = terms_of(state, "new").since
    assert since == state.since
    terms = {**state.terms, "new": Terms(plain(STRICT), MEASURED, since)}
    actor.save(replace(state, terms=terms))
    return at


def tries(at: World, spec: dict[str, Any]) -> None:
    """Another version is tried and does not get ready."""
    actor = at.actor()
    actor.take_over()
    actor.run(moves.decide_start(actor.observe(), OTHER, "run-2", "parallel", 30.0, spec))
    at.put(deployment(OTHER, 2))
    clock.sleep(60)
    carry_out(actor, moves.decide_recovery(actor.observe()))


def test_what_serves_keeps_its_terms_and_its_deadline() -> None:
    at = unproven()
    until = unproven_until(state_of(at))
    for _ in range(2):  # a schedule that fails again and again
        tries(at, plain(LAX))
        state = state_of(at)
        assert state.phase == "unproven" and state.stable is not None and state.stable.id == "new"
        assert unproven_until(state) == until
        spec, measured = spec_of(state, "new"), terms_of(state, "new").measured
        assert spec is not None and measured == MEASURED
        assert rules_of(spec, measured).duration_s == 900
        assert spec.promotion.on_unproven == "roll-back"
    assert "other" not in state.terms


def test_one_good_look_proves_nothing_that_a_longer_soak_is_asked_of() -> None:
    at = unproven()
    tries(at, plain(LAX))
    looks: list[Any] = []
    actor = at.actor(lambda item: looks.append(item) or Look())
    spec = spec_of(actor.observe().state, "new")
    assert spec is not None
    actor.rules = rules_of(spec, terms_of(actor.observe().state, "new").measured)
    actor.take_over()
    carry_out(actor, decide("promote", actor)[1])
    assert len(looks) > 400 and state_of(at).phase == "idle"
    assert terms_of(state_of(at), "new").since == ""


def test_whose_turn_it_is_is_watched_by_its_own() -> None:
    """Under test nobody soaks; held or promoted, a candidate is looked at as its rollout asked."""
    state = State("m", "testing", NEW, OTHER)
    assert watched(state) == NEW
    for phase in ("held", "promoting"):
        assert watched(replace(state, phase=phase)) == OTHER
    assert watched(State("m")) is None


@pytest.mark.parametrize(("candidate", "whose"), [(None, "new"), (OTHER, "other")])
def test_what_an_older_version_noted_is_of_what_that_had_tested(candidate: Any, whose: str) -> None:
    at = unproven()
    found = at.get("ConfigMap", "rollout-m")
    raw = json.loads(found["data"]["state"])
    del raw["terms"]
    raw |= {"spec": plain(LAX), "measured": MEASURED}
    raw["candidate"] = candidate and {**raw["stable"], "id": candidate.id}
    found["data"]["state"] = json.dumps(raw)
    state = from_configmap("m", found)
    assert state.terms == {whose: Terms(plain(LAX), MEASURED)}
    assert unproven_until(replace(state, candidate=None)) != ""


@pytest.mark.parametrize("ahead", [-80.0, 80.0])
def test_what_waits_goes_by_the_clusters_clock_whoever_writes_or_asks(ahead: float) -> None:
    """Of two machines one may be hours behind: `since` and `until` are of one clock."""
    at = in_test()
    vars(at).update(now=lambda: clock.now() + timedelta(hours=ahead))
    once(at, promotes(True, "unseen"))
    actor = at.actor()
    seen = actor.observe()
    since = clock.moment(terms_of(seen.state, "new").since)
    assert seen.state.phase == "unproven" and since is not None
    assert abs((since - clock.now()).total_seconds() - ahead * 3600) < 3600
    assert not around(actor, seen).expired
    clock.sleep(72.1 * 3600)
    assert around(actor, seen).expired
