"""What the spec says of verifying what serves."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.spec.measure import Benchmark, LoadPoint
from tasks.spec.rollout import Rollout
from tasks.spec.starts.verify import Verify, load_of, told_by
from tests.support.nodedata import make_spec

LOADS = [
    {"name": "c8", "concurrency": 8},
    {"name": "c2", "concurrency": 2},
    {"name": "r1", "rate": 0.5},
]
OWN = {"name": "own", "concurrency": 1}


def bench(*loads: dict[str, Any]) -> Benchmark:
    return Benchmark(loads=[LoadPoint(**load) for load in loads or LOADS])


@pytest.mark.parametrize(
    ("load", "loads", "name"),
    [
        (None, LOADS, "c2"),  # the smallest; a rate says nothing of what is in flight
        (None, [{"name": "r2", "rate": 2}, {"name": "r1", "rate": 1}], "r1"),
        ("c8", LOADS, "c8"),
        (OWN, LOADS, "own"),
    ],
)
def test_which_load(load: Any, loads: list[dict[str, Any]], name: str) -> None:
    assert load_of(Verify.model_validate({"load": load}), bench(*loads)).name == name


TARGETS = [
    {"metric": "ttft_p95_ms", "limit": 100},
    {"metric": "ttft_p99_ms", "limit": 200, "load": "c8"},
    {"metric": "output_throughput_tok_s", "limit": 10},
    {"metric": "tpot_mean_ms", "versus_stable_percent": 5},
]


@pytest.mark.parametrize(
    ("verify", "told"),
    [
        ({}, ["ttft_p95_ms", "output_throughput_tok_s"]),
        ({"load": "c8"}, ["ttft_p95_ms", "ttft_p99_ms", "output_throughput_tok_s"]),
        # throughput follows from the load
        ({"load": OWN}, ["ttft_p95_ms"]),
        ({"from": "engine"}, ["ttft_p95_ms"]),
        ({"from": "engine", "load": "c8"}, ["ttft_p95_ms"]),
    ],
)
def test_which_targets_it_says_something_of(verify: dict[str, Any], told: list[str]) -> None:
    spec = make_spec({"benchmark": {"loads": LOADS}, "targets": TARGETS, "verify": verify})
    found = told_by(spec.verify, spec.benchmark, spec.targets)
    assert [item.metric for item in found] == told


@pytest.mark.parametrize(
    ("verify", "said"),
    [
        ({"load": "c4"}, r"verify\.load: 'c4' is no load point; known are c8, c2, r1, or write"),
        ({"load": {"name": "c2", "concurrency": 2}}, "'c2' is a load of the benchmark; say that"),
        ({"cron": "0 * * *"}, "has 4 fields; five are expected"),
        ({"cron": "0 * * * *", "timezone": "Here"}, "is no time zone"),
        ({"on_miss": "restart"}, "announce"),
    ],
)
def test_what_is_wrong_is_said(verify: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_spec({"benchmark": {"loads": LOADS}, "verify": verify})


def test_what_decides_nothing_is_refused_where_it_is_asked_for() -> None:
    only = {"benchmark": {"loads": LOADS}, "targets": [TARGETS[1]]}
    make_spec(only)  # nobody asked
    with pytest.raises(ValueError, match="verify: no binding target says anything"):
        make_spec(only, {"verify": {"cron": "0 * * * *"}})


def test_from_is_the_word_in_files_states_and_forms() -> None:
    spec = make_spec({"verify": {"from": "engine"}})
    kept = spec.model_dump(mode="json", exclude_defaults=True)
    assert kept["verify"] == {"from": "engine"}
    assert Rollout.model_validate(kept) == spec
    assert "from" in Verify.model_json_schema()["properties"]
