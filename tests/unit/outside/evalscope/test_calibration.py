"""The short form of the calibration: evalscope's figures against a known truth.

It fails when another release of evalscope bends a figure (one has reported TTFT zeros). The full
table comes from `python -m tests.bench.calibration`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.calibration import Line, compare, lines
from tests.exact_engine import Law

# a second and more, so that other tests on the same cores do not look like a tired client, whose
# error is judged by its share
ATTEMPTS = 12
LAW = Law("bimodal", 1.0, high=2.0, share=0.4)
MIDDLE = 1.5
NEAR_S = 0.02 * LAW.expected()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    """A measurement; on a machine that was busy just then, another: a release of evalscope that
    bends a figure does so every time, a neighbour does not."""
    cases = [("bimodal", 1, LAW), ("bimodal", 8, LAW)]
    for _ in range(ATTEMPTS):
        found = list(lines(cases, tmp_path_factory.mktemp("calibration"), requests=10, tokens=12))
        if all(undisturbed(line) for line in found):
            break
    return found


def undisturbed(line: Line) -> bool:
    """All that a test below asks of it which a neighbour could spoil."""
    return (
        not (line.round.client.saturated or line.exceeded or line.round.problems)
        and line.ttft[0] == pytest.approx(line.ttft[1], abs=NEAR_S)
        and line.tpot[0] == pytest.approx(line.tpot[1], rel=0.05)
        and line.throughput[0] == pytest.approx(line.throughput[1], rel=0.1)
        and lowest(line)[0] == pytest.approx(lowest(line)[1], abs=NEAR_S)
    )


def ttfts(line: Line) -> tuple[list[float], list[float]]:
    """Measured and true ones, without the round's own ramp."""
    begun = min(row.start for row in line.round.rows)
    true = [t.written[0] - t.received for t in line.truths if t.written and t.received >= begun]
    return [row.ttft or 0.0 for row in line.round.rows], true


def lowest(line: Line) -> tuple[float, float]:
    """Measured and true."""
    measured, true = ttfts(line)
    return min(measured), min(true)


@pytest.mark.parametrize("index", [0, 1])
def test_pin_evalscope_ttft_tpot_and_throughput_are_the_engines(
    measured: list[Line], index: int
) -> None:
    line = measured[index]
    assert line.ttft[0] == pytest.approx(line.ttft[1], abs=NEAR_S)
    assert line.tpot[0] == pytest.approx(line.tpot[1], rel=0.05)
    assert line.throughput[0] == pytest.approx(line.throughput[1], rel=0.1)


@pytest.mark.parametrize("index", [0, 1])
def test_every_request_is_measured_and_its_lowest_ttft_is_true(
    measured: list[Line], index: int
) -> None:
    line = measured[index]
    assert line.round.problems == ()
    found, true = ttfts(line)
    assert len(found) == len(true) >= 10
    assert lowest(line)[0] == pytest.approx(lowest(line)[1], abs=NEAR_S)
    slow = [ttft > MIDDLE for ttft in found]  # both modes are seen, as often as they were
    assert any(slow) and not all(slow) and sum(slow) == sum(ttft > MIDDLE for ttft in true)


def test_a_rested_client_is_not_called_saturated(measured: list[Line]) -> None:
    assert not any(line.round.client.saturated for line in measured)


def test_ttft_of_zeros_would_be_seen(measured: list[Line]) -> None:
    line = measured[0]
    zeros = tuple(replace(row, ttft=1e-6) for row in line.round.rows)
    bent = compare("zeros", 1, LAW, replace(line.round, rows=zeros), line.truths)
    assert bent.exceeded and not line.exceeded
