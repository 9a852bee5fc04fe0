"""The plan: which strategy, which nodes, and why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.objects.beside import Cut
from tasks.release.moves import DeploymentView, Observed
from tasks.release.plan import NodeSeat, decide_plan, describe_changes
from tasks.release.state import State
from tasks.spec.file import build_spec
from tests.support.surveys import NEW, OLD, SERVING, plan, seat, spec


def test_beside_what_serves_when_there_is_room() -> None:
    got = plan(spec(), [seat("a", 1), seat("b", 1)])
    assert (got.strategy, [n.name for n in got.nodes], got.interruption) == (
        "parallel",
        ["a"],
        "none",
    )


def test_nodes_that_hold_the_weights_come_first() -> None:
    got = plan(spec(), [seat("a", 2, missing=99), seat("b", 1)])
    assert [n.name for n in got.nodes] == ["b"] and got.bytes_to_fetch == 0
    both = plan(spec(replicas=3), [seat("a", 2, missing=99), seat("b", 1)])
    assert [n.name for n in both.nodes] == ["b", "a"] and both.bytes_to_fetch == 99


def test_no_room_is_refused_unless_an_interruption_is_allowed() -> None:
    seats = [seat("a", 0, without=1)]
    refused = plan(spec(), seats)
    assert refused.strategy == "refused" and "allow_interruption" in refused.sentence
    assert "4 hygon.com/dcu needed" in refused.sentence
    allowed = plan(spec(allow_interruption=True), seats)
    assert allowed.strategy == "replace" and "up to" in allowed.interruption
    asked = plan(spec(strategy="replace"), seats)
    assert asked.strategy == "replace"
    never = plan(spec(strategy="parallel", allow_interruption=True), seats)
    assert never.strategy == "refused"


def test_not_even_with_the_serving_release_down() -> None:
    got = plan(spec(replicas=2, allow_interruption=True), [seat("a", 0, without=1)])
    assert got.strategy == "refused" and "not there even with" in got.sentence


def test_found_reasons_refuse_whatever_the_room() -> None:
    got = plan(spec(), [seat("a", 8)], refused=["too small: 1 < 2"])
    assert (got.strategy, got.sentence) == ("refused", "too small: 1 < 2")


def test_what_serves_already_is_left_alone() -> None:
    seen = Observed(State("m", stable=NEW), "new", {"new": DeploymentView("m-new", "new", 1, 1, 1)})
    assert plan(spec(), [seat("a", 1)], seen).strategy == "unchanged"
    dead = replace(seen, deployments={"new": DeploymentView("m-new", "new", 1, 1, 0)})
    assert plan(spec(), [seat("a", 1)], dead).strategy == "parallel"


def test_the_digest_changes_with_what_matters_and_with_nothing_else() -> None:
    base = plan(spec(), [seat("a", 1)])
    assert base.digest == plan(spec(), [replace(seat("a", 1), disk_free=5)]).digest
    assert base.digest == plan(spec(), [seat("a", 1, missing=3)]).digest
    no_room = [seat("a", 0, without=1)]
    assert base.digest != plan(spec(allow_interruption=True), no_room).digest
    first = Observed(State("m"), None)
    assert base.digest != plan(spec(), [seat("a", 1)], first).digest
    other = decide_plan(spec(), OLD, SERVING, [seat("a", 1)], resource="hygon.com/dcu")
    assert base.digest != other.digest


def test_differences_name_what_changes_and_no_value_of_a_variable() -> None:
    before = {"args": ["--a=1", "--b"], "env": [{"name": "K", "value": "s3cret"}]}
    after = {"args": ["--a=2", "--b"], "env": [{"name": "K", "value": "0ther"}]}
    lines = describe_changes(SERVING, NEW, {"before": before, "after": after})
    assert "commit: c1 -> c2" in lines and "image: i:1 -> i:2" in lines
    assert "args: - --a=1" in lines and "args: + --a=2" in lines and "env: K changes" in lines
    assert not any("s3cret" in line or "0ther" in line for line in lines)
    first = describe_changes(Observed(State("m"), None), NEW, {})
    assert first == ["nothing serves yet: this is the first release"]


def test_what_serves_is_compared_by_what_it_means() -> None:
    ref = {"fieldRef": {"fieldPath": "status.podIP"}}
    after: dict[str, Any] = {
        "env": [{"name": "K", "value": ""}, {"name": "IP", "valueFrom": ref}],
        "resources": {"limits": {"memory": "65536Mi"}, "requests": {"cpu": "0.5"}},
    }
    filled = {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}
    before: dict[str, Any] = {
        "env": [{"name": "K"}, {"name": "IP", "valueFrom": filled}],
        "resources": {"limits": {"memory": "64Gi"}, "requests": {"cpu": "500m"}},
    }

    def told(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
        lines = describe_changes(SERVING, NEW, {"before": then, "after": now})
        return [line for line in lines if line.startswith(("env", "resources"))]

    assert told(before, after) == []
    # one that comes from elsewhere, and a request that is gone, are changes
    other = {"fieldRef": {"fieldPath": "status.hostIP"}}
    env = [after["env"][0], {"name": "IP", "valueFrom": other}]
    assert told(before, {**after, "env": env}) == ["env: IP changes"]
    less = {"limits": {"memory": "65536Mi"}}
    assert len(told(before, {**after, "resources": less})) == 1
    assert told({}, after) == ["env: IP changes", "env: K changes"]


@pytest.mark.parametrize("minimum", [1, 2])
def test_a_minimum_of_nodes_is_kept(minimum: int) -> None:
    what = spec()
    what = build_spec(
        {
            **what.model_dump(mode="json", exclude_unset=True),
            "nodes": {"accelerator": "hygon-dcu", "minimum": minimum},
        },
        "f",
    )
    assert len(plan(what, [seat("a", 1), seat("b", 1)]).nodes) == minimum


def test_a_refusal_for_want_of_memory_says_so_and_on_which_node() -> None:
    short = "20 GiB of memory a replica, 12 free of 24"
    seats = [
        replace(seat(name, 0, 1), lacks=(short,), lacks_without_stable=(f"alone: {short}",))
        for name in ("a", "b")
    ]
    beside = plan(spec(), seats)
    assert beside.strategy == "refused"
    assert beside.sentence.endswith(f": a: {short}; b: {short}")
    alone = plan(spec(replicas=4, allow_interruption=True), seats)
    assert alone.strategy == "refused" and f"a: alone: {short}" in alone.sentence
    many = plan(spec(), [replace(seats[0], name=str(number)) for number in range(6)])
    assert many.sentence.endswith("and 2 more node(s)")


def test_nobody_is_waited_for_while_nothing_serves() -> None:
    tight = [seat("a", 0, without=1)]
    replaced = plan(spec(strategy="replace"), tight)
    assert replaced.strategy == "replace"
    asked = plan(spec(strategy="replace", approval="before-promote"), tight)
    assert asked.strategy == "refused"
    assert "nothing would serve until a person comes" in asked.sentence


def test_what_serves_is_not_taken_down_for_a_neighbour() -> None:
    tight = [seat("a", 0, without=1)]
    got = plan(spec(strategy="replace"), tight, queue=("jobs/train-1",))
    assert got.strategy == "refused" and got.sentence.startswith("jobs/train-1 waits for")
    # beside what serves nothing is freed
    assert plan(spec(), [seat("a", 1)], queue=("jobs/train-1",)).strategy == "parallel"


LEADS = "Service m-internal leads to pods of m-old, and nowhere once they stop"
CUT = Cut("m-internal", LEADS)
EITHER = pytest.mark.parametrize("seats", [[seat("a", 1)], [seat("a", 0, without=1)]])


@EITHER
@pytest.mark.parametrize("want", [{}, {"allow_interruption": True}, {"strategy": "replace"}])
def test_what_is_cut_off_from_what_serves_is_refused_or_agreed_to_by_name(
    seats: list[NodeSeat], want: dict[str, Any]
) -> None:
    said = plan(spec(**want), seats, cut_off=(CUT,))
    assert said.strategy == "refused" and said.sentence.startswith(f"{LEADS}: point its clients")
    assert said.sentence.endswith("agree to it by name with promotion.leaves: [m-internal]")
    agreed = spec(**want, leaves=["m-internal"])
    plain, got = plan(spec(**want), seats), plan(agreed, seats, cut_off=(CUT,))
    # that agrees to nothing else: where nothing may be interrupted nothing is
    assert got.strategy == plain.strategy
    # whoever agrees agrees to it by the plan's digest as well
    before = "" if plain.interruption == "none" else f"{plain.interruption}; "
    assert got.interruption == f"{before}{LEADS}"
    assert got.cut == (LEADS,) and got.digest != plain.digest


@EITHER
def test_what_was_agreed_to_at_the_adoption_is_told_and_not_asked_again(
    seats: list[NodeSeat],
) -> None:
    want = spec(allow_interruption=True)
    plain, got = plan(want, seats), plan(want, seats, cut_off=(replace(CUT, agreed=True),))
    assert got.strategy == plain.strategy != "refused" and got.interruption.endswith(LEADS)
    assert got.cut == () and got.digest == plain.digest


def test_where_nothing_changes_nothing_is_cut_off() -> None:
    view = DeploymentView("m-new", "new", 1, 1, 1)
    serving = replace(SERVING, serving="new", deployments={"new": view})
    assert plan(spec(), [seat("a", 1)], serving, cut_off=(CUT,)).strategy == "unchanged"


@pytest.mark.parametrize("want", [{}, {"allow_interruption": True}])
def test_a_refusal_says_which_rollout_is_owed_the_room(want: dict[str, Any]) -> None:
    owed = ("rollout models/n is owed 1 of the 2 replica(s) of n-old",)
    got = plan(spec(**want), [seat("a", 0)], owed=owed)
    assert got.strategy == "refused"
    assert f"; {owed[0]}: such seats are not counted as free" in got.sentence
