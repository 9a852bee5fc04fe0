"""Calibration: what the benchmark measures against an engine whose truth is known.

`python -m tests.bench.calibration [--quick]` prints the tables that docs/ quotes. The truth is
what the engine really wrote and when, on the clock that client and engine share. Engine and
client run on the same machine here, so at high concurrency they take each other's cores; the
point is that saturation is announced before the error exceeds its bound.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

from tasks.measure.engine_view import token_times
from tasks.measure.figures import tpot
from tasks.measure.round import RequestRow, Round
from tasks.outside.evalscope.bench import BenchSettings, EngineTarget, LoadGenerator, run_round
from tasks.outside.vllm.metrics import watch
from tasks.spec.measure import Lengths, LoadPoint, Workload
from tests.exact_engine import Behaviour, Law, Truth, spawn

TOKENS = 50
BOUND_S, BOUND_SHARE = 0.002, 0.02
LEVELS = (1, 4, 16, 64, 128, 256)
LAWS = {
    "constant": Law("constant", 0.1),
    "log-normal": Law("lognormal", 0.1, sigma=0.5),
    "bimodal": Law("bimodal", 0.08, high=0.4, share=0.1),
    "drifting": Law("drifting", 0.08, high=0.2, over_s=20),
    "AR(1)": Law("ar1", 0.15, sigma=0.03, rho=0.9),
}


@dataclass(frozen=True)
class Line:
    """One measured round beside its truth; times in s, throughput in tokens/s."""

    name: str
    concurrency: int
    requests: int
    law_ttft: float
    ttft: tuple[float, float]
    tpot: tuple[float, float]
    throughput: tuple[float, float]
    round: Round
    truths: tuple[Truth, ...]

    @property
    def errors(self) -> tuple[float, float]:
        """Measured minus true: TTFT, TPOT."""
        return self.ttft[0] - self.ttft[1], self.tpot[0] - self.tpot[1]

    @property
    def exceeded(self) -> bool:
        """Whether TTFT is further from the truth than 2 ms and 2 %."""
        return abs(self.errors[0]) > max(BOUND_S, BOUND_SHARE * self.ttft[1])


def inside(rows: Sequence[RequestRow], window: tuple[float, float]) -> list[RequestRow]:
    """Good rows that began in the window."""
    return [row for row in rows if row.ok and window[0] <= row.start <= window[1]]


def compare(name: str, concurrency: int, law: Law, found: Round, truths: Sequence[Truth]) -> Line:
    """Put a round beside what the engine says of the same window."""
    window = found.window
    rows = inside(found.rows, window)
    true = [t for t in truths if t.written and window[0] <= t.received <= window[1]]
    length = window[1] - window[0]
    seen = sum(window[0] <= at <= window[1] for row in found.rows for at in token_times(row))
    written = sum(window[0] <= at <= window[1] for t in truths for at in t.written)
    return Line(
        name,
        concurrency,
        len(rows),
        law.expected(),
        (
            fmean(r.ttft for r in rows if r.ttft is not None),
            fmean(t.written[0] - t.received for t in true),
        ),
        (
            fmean(t for r in rows if (t := tpot(r)) is not None),
            fmean((t.written[-1] - t.written[0]) / (len(t.written) - 1) for t in true),
        ),
        (seen / length, written / length),
        found,
        tuple(truths),
    )


def lines(
    cases: Sequence[tuple[str, int, Law]], folder: Path, requests: int = 96, tokens: int = TOKENS
) -> Iterator[Line]:
    """Measure each case against an engine of its own process."""
    workload = Workload(
        profile="custom",
        input_tokens=Lengths(mean=64),
        output_tokens=Lengths(mean=tokens),
    )
    with LoadGenerator(folder / "evalscope.log") as child:
        for number, (name, concurrency, law) in enumerate(cases):
            with spawn(Behaviour(ttft=law, itl=Law("constant", 0.02), seed=number)) as engine:
                target = EngineTarget(
                    engine.url, "exact", watch=partial(watch, f"{engine.url}/metrics")
                )
                settings = BenchSettings(
                    target,
                    LoadPoint(name=f"c{concurrency}", concurrency=concurrency),
                    workload,
                    release="candidate",
                    index=number,
                    base_seed=1,
                    out_dir=folder,
                    timeout_s=300,
                    on_progress=lambda _: None,
                )
                found = run_round(child, settings, requests=requests, warmup_requests=0)
                engine.stop()
                yield compare(name, concurrency, law, found, engine.truths())


def show(line: Line) -> str:
    """One line of the table."""
    health, (ttft, per_token) = line.round.client, line.errors
    said = "; ".join((*health.reasons, *line.round.problems)) or "sound"
    return (
        f"{line.name:<11}{line.concurrency:>5}{line.requests:>6}"
        f"{line.law_ttft * 1e3:>8.1f}{line.ttft[1] * 1e3:>9.2f}{line.ttft[0] * 1e3:>10.2f}"
        f"{ttft * 1e3:>8.2f}{100 * ttft / line.ttft[1]:>7.2f}%"
        f"{line.tpot[1] * 1e3:>9.3f}{line.tpot[0] * 1e3:>9.3f}{per_token * 1e3:>8.3f}"
        f"{line.throughput[1]:>9.0f}{line.throughput[0]:>9.0f}"
        f"{(health.lag_p99_s or 0) * 1e3:>8.1f}{100 * (health.cpu_share or 0):>6.0f}%"
        f"  {'EXCEEDED ' if line.exceeded else ''}{said}"
    )


HEAD = (
    f"{'law':<11}{'conc':>5}{'n':>6}{'law':>8}{'true':>9}{'measured':>10}{'error':>8}{'':>8}"
    f"{'true':>9}{'meas.':>9}{'error':>8}{'true':>9}{'meas.':>9}{'lag p99':>8}{'CPU':>7}\n"
    f"{'':<22}{'---------------- TTFT (ms) ----------------':>43}{'------ TPOT (ms) ------':>26}"
    f"{'--- tok/s ---':>18}{'ms':>8}"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; 1 when an error was exceeded without being announced."""
    parser = argparse.ArgumentParser(description="calibrate the benchmark")
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    quick = parser.parse_args(argv).quick
    cases = [("constant", level, LAWS["constant"]) for level in (LEVELS[:3] if quick else LEVELS)]
    if not quick:
        cases += [(name, 16, law) for name, law in LAWS.items() if name != "constant"]
    silent = 0
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory(prefix="calibration-") as folder:
        for line in lines(cases, Path(folder)):
            print(show(line), flush=True)
            announced = line.round.client.saturated or bool(line.round.problems)
            silent += line.exceeded and not announced
    print(f"{silent} errors above 2 ms and 2 % that were not announced")
    return 1 if silent else 0


if __name__ == "__main__":
    raise SystemExit(main())
