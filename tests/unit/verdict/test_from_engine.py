"""The verdict from the engines' own counters: only whole buckets on one side of a limit decide."""

from __future__ import annotations

import math

import pytest

from tasks.measure.histograms import Histogram
from tasks.measure.traffic import Traffic
from tasks.verdict.from_engine import judge_engine
from tests.support.rounds import target

SEEN = {"ttft": Histogram({0.1: 50, 0.5: 98, math.inf: 100}, 20.0)}
TRAFFIC = Traffic(begun=100)


@pytest.mark.parametrize(
    ("metric", "limit", "word"),
    [
        ("ttft_p95_ms", 500, "pass"),  # it is in (100, 500]
        ("ttft_p95_ms", 499, "inconclusive"),
        ("ttft_p95_ms", 101, "inconclusive"),
        ("ttft_p95_ms", 100, "fail"),  # it is above that
        ("ttft_p99_ms", 10_000, "inconclusive"),  # nobody knows how long the last ones took
        ("ttft_p99_ms", 400, "fail"),
        ("ttft_mean_ms", 200, "pass"),  # the sum is counted: exact
        ("ttft_mean_ms", 199.9, "fail"),
    ],
)
def test_a_limit_and_its_bucket(metric: str, limit: float, word: str) -> None:
    found = judge_engine([target(metric, limit)], SEEN, TRAFFIC)
    assert found.verdict == word
    assert found.targets[0].n_requests == 100 and found.targets[0].load == "traffic"


def test_bounds_are_the_buckets_edges() -> None:
    (bucket, mean, open_, implied) = judge_engine(
        [target("ttft_p95_ms", 500), target("ttft_mean_s", 1), target("ttft_p99_s", 1)],
        SEEN,
        TRAFFIC,
    ).targets
    assert (bucket.low, bucket.high, bucket.measured) == (100, 500, None)
    assert (mean.low, mean.high, mean.measured) == (0.2, 0.2, 0.2)
    assert (open_.low, open_.high) == (0.5, None)
    assert implied.implied and implied.verdict == "pass"


def test_few_requests_say_nothing() -> None:
    few = {"ttft": Histogram({0.1: 19, math.inf: 19}, 1.0)}
    found = judge_engine([target("ttft_p95_ms", 500)], few, Traffic(begun=19))
    assert found.verdict == "inconclusive" and "19 requests came, at least 20" in found.reason
    assert judge_engine([target("ttft_p95_ms", 500)], {}, Traffic()).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("errors", "limit", "word"),
    [
        (0, None, "pass"),
        (1, None, "inconclusive"),
        (5, None, "fail"),
        (1, 90, "pass"),
        (20, 90, "fail"),
    ],
)
def test_failed_requests(errors: int, limit: float | None, word: str) -> None:
    targets = [target("ttft_p95_ms", 500)]
    if limit:
        targets.append(target("success_rate_percent", limit))
    found = judge_engine(targets, SEEN, Traffic(begun=100, errors=errors))
    assert found.verdict == word


def test_what_an_engine_does_not_tell_is_left_out() -> None:
    goodput = target("goodput_percent", 90, goodput_ttft_ms=100)
    found = judge_engine([target("ttft_p95_ms", 500), goodput], SEEN, TRAFFIC)
    assert [item.metric for item in found.targets] == ["ttft_p95_ms", "success_rate_percent"]
