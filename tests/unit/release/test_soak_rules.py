"""By which bounds a promoted release is watched."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.measure.round import RequestRow, Round, ServerView
from tasks.release.soak_rules import benchmarked, rules_of
from tasks.release.soaking import Rules, SoakBounds
from tests.support.nodedata import make_spec


def rules(
    soak: dict[str, Any] | None = None, measured: dict[str, float] | None = None, **targets: Any
) -> Rules:
    """Of a spec whose benchmark's highest load is 8 requests at once."""
    wanted = [
        {"metric": k, **(v if isinstance(v, dict) else {"limit": v})} for k, v in targets.items()
    ]
    always = {"metric": "output_throughput_tok_s", "limit": 1}
    spec = make_spec({"targets": [always, *wanted], "promotion": {"soak": soak or {}}})
    return rules_of(spec, measured or {})


def test_bounds_follow_from_the_targets() -> None:
    """Their most lenient limit, since a probe is no load."""
    found = rules(ttft_p95_ms=4000, ttft_mean_s=1, success_rate_percent=97.5)
    assert found.bounds == SoakBounds(ttft_s=8.0, error_share=pytest.approx(0.025), waiting=16)  # type: ignore[arg-type]
    assert rules({"factor": 1.5}, ttft_p95_ms=4000).bounds.ttft_s == 6.0


@pytest.mark.parametrize(
    "target", [{"limit": 100, "advisory": True}, {"versus_stable_percent": 10}]
)
def test_where_no_target_limits_ttft_the_benchmark_does(target: dict[str, Any]) -> None:
    assert rules({}, {"ttft_s": 0.7}, ttft_p95_ms=target).bounds.ttft_s == 1.4
    assert rules({}, {}, ttft_p95_ms=target).bounds.ttft_s is None


def test_the_queue_follows_from_the_load_that_was_measured() -> None:
    assert rules({}, {"queue": 3}).bounds.waiting == 16
    assert rules({}, {"queue": 30}).bounds.waiting == 60


def test_a_strict_success_rate_still_leaves_one_in_a_hundred() -> None:
    assert rules(success_rate_ratio=1).bounds.error_share == 0.01
    assert rules().bounds.error_share == 0.01


def test_what_the_spec_says_goes_before() -> None:
    soak = {"ttft_ms": 250, "error_percent": 0, "queue": 0, "no_traffic": "hold", "window": 4}
    found = rules(soak, {"ttft_s": 9, "queue": 9}, ttft_p95_ms=4000)
    assert found.bounds == SoakBounds(ttft_s=0.25, error_share=0.0, waiting=0.0)
    assert (found.no_traffic, found.window, found.duration_s) == ("hold", 4, 60)


# -- what the benchmark saw -------------------------------------------------------------------


def round_of(
    load: str, ttfts: list[float | None], release: str = "candidate", queue: float | None = None
) -> Round:
    rows = tuple(
        RequestRow(float(n), n + 50.0, t, (), 5, 1, ok=t is not None) for n, t in enumerate(ttfts)
    )
    view = ServerView(available=queue is not None, waiting_max=queue)
    return Round(0, load, release, 1, rows, (0.0, 9.0), server=view)


def test_the_slowest_load_and_the_longest_queue() -> None:
    rounds = [
        round_of("c1", [0.1] * 50, queue=0),
        round_of("c8", [0.5] * 99, queue=4),
        round_of("c8", [0.9, None]),  # one of a hundred is above the p99; a failed one has no time
        round_of("c8", [7.0], "stable", queue=99),
    ]
    assert benchmarked(rounds) == {"ttft_s": 0.5, "queue": 4}
    assert benchmarked([round_of("c8", [None])]) == {} == benchmarked([])
