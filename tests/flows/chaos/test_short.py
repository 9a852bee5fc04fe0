"""A few rounds of `make chaos`: killed at a boundary and at an instant, in a cluster in trouble."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.draws import BOUNDARIES, STRATEGIES, boundaries_of, draws
from tests.chaos.kills import chaos

pytestmark = pytest.mark.timeout(900)
SEED = 3


def test_what_serves_outlives_whoever_is_killed(tmp_path: Path, prefect_api: str) -> None:
    wanted = [(name, [draws(SEED, name, instants=1, boundaries=2)]) for name in STRATEGIES]
    report = chaos(tmp_path, prefect_api, SEED, wanted, share=0.2)
    assert report.breaches == []
    assert report.killed + report.ended >= 9 and report.requests > 100
    assert sum(report.faults.values()) > 20


def test_a_round_is_drawn_by_its_seed_strategy_and_number() -> None:
    for name in STRATEGIES:
        drawn = draws(1, name, instants=40)
        assert drawn == draws(1, name, instants=40) and drawn != draws(2, name, instants=40)
        assert [draw.number for draw in drawn] == [*range(len(boundaries_of(name)) + 40)]
        at = [(draw.begun, draw.words) for draw in drawn if draw.words]
        assert sorted(at) == sorted(boundaries_of(name))
    assert boundaries_of("lend") == BOUNDARIES
