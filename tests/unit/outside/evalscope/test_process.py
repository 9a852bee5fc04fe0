"""The load generator's process: whoever says that a load must not go on ends it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.base.errors import OutsideError
from tasks.base.progress import Progress
from tasks.outside.evalscope.bench import EngineTarget, LoadGenerator, measure
from tasks.spec.measure import Benchmark, LoadPoint, Target
from tests.exact_engine import Behaviour, in_thread
from tests.support.rounds import decide


def test_a_load_that_must_not_go_on_ends_at_once(tmp_path: Path) -> None:
    begun: list[Progress] = []

    def heed() -> None:
        if any(event.done for event in begun):
            raise OutsideError("others wait")

    load = LoadPoint(name="c4", concurrency=4)
    bench = Benchmark(loads=[load], requests_per_round=2000, warmup_requests=0)
    targets = [Target(metric="ttft_mean_ms", limit=1)]
    with (
        in_thread(Behaviour()) as (_, url),
        LoadGenerator(tmp_path / "evalscope.log", heed) as child,
    ):
        with pytest.raises(OutsideError, match="others wait"):
            measure(
                EngineTarget(url, "exact"),
                None,
                bench,
                decide=lambda rounds: decide(rounds, targets, bench),
                out_dir=tmp_path,
                on_progress=begun.append,
                generator=child,
            )
        assert child.pid is None
    assert max(event.done or 0 for event in begun) < 2000
