"""Verdicts: what passes, what fails, and all that must stay open."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tasks.measure.round import ClientHealth, Round
from tasks.spec.measure import Benchmark, LoadPoint, Target
from tasks.verdict.targets import Decision
from tests.support.rounds import BENCH, decide, failed, make_round, row, some, target

LENIENT = [
    target("ttft_mean_ms", 500),
    target("ttft_p50_ms", 500),
    target("ttft_p95_ms", 1000),
    target("tpot_mean_ms", 100),
    target("output_throughput_tok_s", 5),
    target("success_rate_percent", 90),
]


def verdicts(decision: Decision) -> dict[str, str]:
    return {item.metric: item.verdict for item in decision.targets}


def test_a_candidate_twice_as_good_passes_at_the_first_look() -> None:
    decision = decide(some(3), LENIENT, BENCH)
    assert decision.verdict == "pass" and decision.stop, decision.reason
    assert set(verdicts(decision).values()) == {"pass"}
    measured = {item.metric: item.measured for item in decision.targets}
    assert measured["ttft_mean_ms"] == pytest.approx(200, rel=0.1)
    assert measured["tpot_mean_ms"] == pytest.approx(30)
    for item in decision.targets:
        assert item.low is not None and item.high is not None and item.measured is not None
        assert item.low <= item.measured <= item.high


def test_nothing_is_decided_before_the_least_rounds() -> None:
    decision = decide(some(2), LENIENT, BENCH)
    assert decision.verdict == "inconclusive" and not decision.stop
    assert decide([], LENIENT, BENCH).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("metric", "limit"),
    [
        ("ttft_p95_ms", 1),
        ("ttft_mean_ms", 100),
        ("latency_p50_s", 0.1),
        ("tpot_p99_ms", 5),
        ("itl_mean_ms", 10),
        ("output_throughput_tok_s", 1000),
        ("request_throughput_req_s", 100),
        ("goodput_percent", 90),
    ],
)
def test_a_target_clearly_missed_fails_at_once(metric: str, limit: float) -> None:
    more = {"goodput_ttft_ms": 50.0} if metric.startswith("goodput") else {}
    decision = decide(some(3), [target(metric, limit, **more)], BENCH)
    assert decision.verdict == "fail" and decision.stop
    assert metric in decision.reason


def test_at_the_limit_it_stays_open_and_says_how_many_more() -> None:
    truth = 200.0
    decision = decide(some(3, noise=0.1), [target("ttft_mean_ms", truth)], BENCH)
    assert decision.verdict == "inconclusive" and not decision.stop
    assert decision.requests_more is not None and decision.requests_more > 0
    assert "more would decide" in decision.reason


def test_a_high_percentile_without_enough_requests_says_what_it_needs() -> None:
    small = [make_round(index, 8) for index in range(3)]
    decision = decide(small, [target("ttft_p99_ms", 5000)], BENCH)
    assert decision.verdict == "inconclusive"
    assert decision.requests_more is not None and decision.requests_more >= 400


def test_what_was_decided_at_one_look_stays_decided() -> None:
    rounds = some(9)
    passed = [decide(rounds[:n], LENIENT, BENCH).verdict for n in range(3, 10)]
    assert passed == ["pass"] * 7


def test_a_lucky_first_round_does_not_carry_noisy_ones() -> None:
    rounds = [make_round(0, ttft=0.1), make_round(1, ttft=0.3), make_round(2, ttft=0.28)]
    assert decide(rounds, [target("ttft_mean_ms", 250)], BENCH).verdict == "inconclusive"


def test_each_load_point_is_judged_and_a_target_may_name_its_own() -> None:
    bench = Benchmark(
        loads=[LoadPoint(name="low", concurrency=1), LoadPoint(name="high", concurrency=2)]
    )
    rounds = some(3, load="low") + some(3, load="high", ttft=2.0)
    everywhere = decide(rounds, [target("ttft_mean_ms", 500)], bench)
    assert everywhere.verdict == "fail" and "at high" in everywhere.reason
    assert decide(rounds, [target("ttft_mean_ms", 500, load="low")], bench).verdict == "pass"
    assert decide(rounds[:3], [target("ttft_mean_ms", 500)], bench).verdict == "inconclusive"


def test_advisory_targets_report_and_never_block() -> None:
    targets = [*LENIENT, target("ttft_p95_ms", 1, advisory=True)]
    decision = decide(some(3), targets, BENCH)
    assert decision.verdict == "pass"
    assert [t.verdict for t in decision.targets if t.advisory] == ["fail"]
    only = decide(some(3), [target("ttft_p95_ms", 1000, advisory=True)], BENCH)
    assert only.verdict == "inconclusive"


def relative(ttft: float, allowed: float) -> str:
    rounds = some(6, noise=0.1) + some(6, ttft=ttft, noise=0.1, release="stable")
    wanted = [Target(metric="ttft_mean_ms", versus_stable_percent=allowed)]
    return decide(rounds, wanted, BENCH).verdict


def test_against_the_stable_release() -> None:
    assert relative(ttft=0.4, allowed=5) == "pass"
    assert relative(ttft=0.08, allowed=5) == "fail"
    assert relative(ttft=0.2, allowed=0) == "inconclusive"
    alone = [Target(metric="ttft_mean_ms", versus_stable_percent=5)]
    assert decide(some(6), alone, BENCH).verdict == "inconclusive"


def bad(rounds: list[Round], **change: object) -> list[Round]:
    return [replace(item, **change) for item in rounds]  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [5000.0, 1.0])
def test_a_measurement_gone_wrong_neither_passes_nor_fails(limit: float) -> None:
    targets = [target("ttft_mean_ms", limit)]
    killed, busy = "evalscope was killed", "the client used 99% of its core"
    tired = ClientHealth(saturated=True, reasons=(busy,))
    for rounds, why in (
        (bad(some(4), problems=(killed,)), killed),
        (bad(some(4), client=tired), busy),
    ):
        decision = decide(rounds, targets, BENCH)
        assert decision.verdict == "inconclusive"
        assert f"0 of 4 rounds can be believed: {why}" in decision.reason
    mostly = [*some(3), *bad([make_round(i) for i in range(3, 8)], problems=("x",))]
    assert decide(mostly, targets, BENCH).targets[0].n_rounds == 3


def test_failing_requests_never_pass_without_leave() -> None:
    def with_failures(share: float) -> list[Round]:
        out = []
        for item in some(4):
            rows = list(item.rows)
            for at in range(round(len(rows) * share)):
                rows[at * 2] = failed(rows[at * 2].start)
            out.append(replace(item, rows=tuple(rows)))
        return out

    only = [target("ttft_mean_ms", 5000)]
    one = with_failures(1 / 32)
    assert decide(one[:1] + some(4)[1:], only, BENCH).verdict == "inconclusive"
    assert decide(with_failures(0.5), only, BENCH).verdict == "fail"
    allowed = [*only, target("success_rate_percent", 80)]
    assert decide(one, allowed, BENCH).verdict == "pass"
    assert decide(with_failures(0.5), allowed, BENCH).verdict == "fail"


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (row(0.0),),
        tuple(failed(i * 0.2) for i in range(32)),
        tuple(replace(row(i * 0.2), end=math.nan) for i in range(32)),
        tuple(replace(row(i * 0.2), end=math.inf) for i in range(32)),
        tuple(replace(row(i * 0.2), ttft=-1.0) for i in range(32)),
        tuple(replace(row(i * 0.2), ttft=None) for i in range(32)),
        tuple(replace(row(i * 0.2), end=i * 0.2 - 1) for i in range(32)),
        tuple(row(i * 0.2 + (1e6 if i > 16 else 0)) for i in range(32)),
        tuple(replace(row(i * 0.2), completion_tokens=0) for i in range(32)),
    ],
    ids=["empty", "one", "failed", "nan", "inf", "negative", "none", "back", "jump", "tokens"],
)
def test_a_gate_never_passes_on_nothing(rows: tuple[object, ...]) -> None:
    window = (0.0, 6.0)
    rounds = [Round(i, "c2", "candidate", 0, rows, window) for i in range(6)]  # type: ignore[arg-type]
    for targets in (LENIENT, [target("output_throughput_tok_s", 0.001)]):
        assert decide(rounds, targets, BENCH).verdict != "pass"
    # the same rows hidden among good rounds
    mixed = [*some(3)[:2], *rounds[2:]]
    assert decide(mixed, LENIENT, BENCH).verdict != "pass" or rows == (row(0.0),)


def test_false_promotion_at_the_limit_is_rare() -> None:
    """The short form of the operating characteristic (docs/verdict.md)."""
    noise, runs, bench = 0.1, 120, BENCH.model_copy(update={"max_rounds": 6})
    # true mean of rounds drawn with this noise
    truth = 200 * math.exp(noise**2 / 2)
    promoted = 0
    for seed in range(runs):
        rounds = some(6, noise=noise, seed=seed)
        found = (decide(rounds[:n], [target("ttft_mean_ms", truth)], bench) for n in range(3, 7))
        promoted += any(decision.verdict == "pass" for decision in found)
    assert promoted / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
