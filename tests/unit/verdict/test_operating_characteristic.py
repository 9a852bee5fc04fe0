"""The simulation of docs/verdict.md decides as the judge does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench import operating_characteristic as oc
from tests.support.rounds import BENCH, decide, make_round, target

METRICS = {"TTFT mean": "ttft_mean_ms", "TTFT p50": "ttft_p50_ms", "TTFT p95": "ttft_p95_ms"}


@pytest.mark.parametrize("statistic", [s for s in oc.STATISTICS if not s.rate], ids=str)
@pytest.mark.parametrize("distance", [-0.4, -0.05, 0.3])
def test_simulated_and_judged_alike(statistic: oc.Statistic, distance: float) -> None:
    bench = BENCH.model_copy(update={"max_rounds": oc.ROUNDS, "min_rounds": oc.MIN_ROUNDS})
    cell = oc.Simulated(statistic, 0.1, 3, 11)
    limit = statistic.limit(cell.true, distance)
    _, high, low_fail, _ = cell.sequential
    goal = target(METRICS[statistic.name], 1000 * limit)
    for run, times in enumerate(cell.times):
        rounds = []
        for index, seconds in enumerate(times):
            made = make_round(index, oc.SIZE)
            rows = [
                replace(row, ttft=float(t), end=row.start + float(t) + sum(row.itl))
                for row, t in zip(made.rows, seconds, strict=True)
            ]
            window = (rows[0].start, max(row.end for row in rows))
            rounds.append(replace(made, rows=tuple(rows), window=window))
        for look in (0, 4):
            found = decide(rounds[: oc.MIN_ROUNDS + look], [goal], bench).targets[0].verdict
            looks = slice(0, look + 1)
            failed = (low_fail[run, looks] > limit).any()
            passed = (high[run, looks] <= limit).any()
            assert found == ("fail" if failed else "pass" if passed else "inconclusive")


def test_a_single_run_promotes_half_of_what_lies_on_the_limit_and_ours_hardly_any() -> None:
    cell = oc.Simulated(oc.STATISTICS[0], 0.1, 200, 3)
    assert cell.naive(0.0) > 0.35
    assert cell.ours(0.0)[0] < 0.1
    assert cell.ours(-0.3)[0] > 0.9
