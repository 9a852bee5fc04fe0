"""What is asked of what serves, when it may be asked, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import SpecError
from tasks.measure.harm import Company
from tasks.release.state import Phase
from tasks.verdict import decide
from tasks.verdict.earned import (
    asked_again,
    asked_by_hand,
    left_out,
    serves_now,
    verified,
)
from tasks.verdict.targets import Decision
from tests.support.cluster.actor_world import OLD, world
from tests.support.nodedata import make_spec
from tests.support.rounds import some

LOADS = [{"name": "c8", "concurrency": 8}, {"name": "c2", "concurrency": 2}]
TARGETS: list[dict[str, Any]] = [
    {"metric": "ttft_p95_ms", "limit": 1000},
    {"metric": "ttft_mean_ms", "limit": 500, "load": "c8"},
    {"metric": "tpot_mean_ms", "versus_stable_percent": 5},
]


def spec(**more: Any) -> Any:
    asked = {"benchmark": {"loads": LOADS}, "targets": TARGETS, "quality": {"minimum_percent": 50}}
    return make_spec({**asked, **more})


def test_one_small_load_for_a_short_time_and_no_exam() -> None:
    asked = asked_again(spec(verify={"seconds": 30}))
    assert [load.name for load in asked.benchmark.loads] == ["c2"]
    assert asked.benchmark.budget.seconds == 30 and asked.quality is None
    assert [item.metric for item in asked.targets] == ["ttft_p95_ms"]
    assert left_out(spec(), asked) == "not looked at: ttft_mean_ms at c8, tpot_mean_ms"
    assert left_out(asked, asked) == ""


def test_by_hand_all_loads_or_those_that_are_named() -> None:
    asked = asked_by_hand(spec())
    assert [item.metric for item in asked.targets] == ["ttft_p95_ms", "ttft_mean_ms"]
    assert len(asked.benchmark.loads) == 2
    named = asked_by_hand(spec(), ["c2"])
    assert [load.name for load in named.benchmark.loads] == ["c2"]
    assert [item.metric for item in named.targets] == ["ttft_p95_ms"]
    with pytest.raises(SpecError, match="--load c4: no load of the spec; known are c8, c2"):
        asked_by_hand(spec(), ["c4"])


def test_where_nothing_is_left_that_decides() -> None:
    with pytest.raises(SpecError, match="targets: none that binds says anything"):
        asked_by_hand(spec(targets=[TARGETS[1]]), ["c2"])
    with pytest.raises(SpecError, match="targets: none that binds says anything"):
        asked_again(spec(targets=[TARGETS[1]]))


def test_what_serves_may_be_asked_at_rest_alone() -> None:
    seen = world().actor().observe()
    assert serves_now(seen, "") == OLD
    assert serves_now(seen, "ann@host/run-7") == "ann@host/run-7 is at it, and comes first"


@pytest.mark.parametrize("phase", ["testing", "soaking", "unproven", "reverting"])
def test_a_rollout_comes_first(phase: Phase) -> None:
    seen = world(phase=phase, candidate=True).actor().observe()
    assert serves_now(replace(seen, serving="old"), "") == f"rollout m is {phase}"


def test_what_does_not_answer_is_the_guards() -> None:
    at = world()
    at.broken.add("old")
    at.put(at.objects["Deployment", "m-old"])
    said = serves_now(at.actor().observe(), "")
    assert isinstance(said, str) and "does not answer with all of its replicas" in said


def test_a_service_that_was_led_elsewhere() -> None:
    seen = replace(world().actor().observe(), serving="older")
    assert "does not lead to what was rolled out last" in str(serves_now(seen, ""))


def measured(limit: float) -> Decision:
    asked = make_spec(
        {
            "benchmark": {"loads": [{"name": "c2", "concurrency": 2}]},
            "targets": {"ttft_mean_ms": limit},
        }
    )
    return decide.look(some(6), asked)


def test_once() -> None:
    assert verified(measured(1000)).word == "earned"
    missed = verified(measured(10))
    assert (missed.word, missed.missed, missed.confirmed) == (
        "missed",
        ("ttft_mean_ms at c2",),
        False,
    )
    assert verified(measured(200)).word == "inconclusive"


def test_a_miss_is_confirmed_by_the_same_miss_alone() -> None:
    both = verified(measured(10), measured(10))
    assert both.confirmed and "missed both times: ttft_mean_ms at c2" in both.sentence
    again = verified(measured(10), measured(1000))
    assert (again.word, again.confirmed, again.missed) == ("inconclusive", False, ())
    other = measured(10)
    renamed = tuple(replace(item, metric="ttft_p95_ms") for item in other.targets)
    assert not verified(measured(10), replace(other, targets=renamed)).confirmed


BUSY = Company(looks=100, found=50, total=2000, most=64)


def test_a_miss_that_others_explain_is_confirmed_by_none() -> None:
    found = verified(measured(10), measured(10), BUSY)
    assert (found.word, found.missed, found.confirmed) == ("missed", ("ttft_mean_ms at c2",), False)
    assert "missed both times: ttft_mean_ms at c2; it is announced, and not gone" in found.sentence
    assert found.sentence.endswith("at 50 of 100 looks, 20.0 on average and 64 at most")


def test_who_asked_beside_a_miss_is_named() -> None:
    assert verified(measured(10), beside=BUSY).sentence.endswith(BUSY.told)
    assert BUSY.told not in verified(measured(1000), beside=BUSY).sentence
