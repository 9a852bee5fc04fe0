"""How often a candidate is promoted, by its distance from the limit and the noise of rounds.

`python -m tests.bench operating_characteristic` writes the tables in docs/verdict.md and the figure
docs/figures/operating_characteristic.svg. The shapes are those of real rows: log-normal times,
autocorrelated within a round, a level that differs between rounds. Beside our sequential test stand
a fixed-size test of the same power and the naive single run.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tasks.verdict import bounds, spending
from tests.bench import oc_figure

DOCS = Path(__file__).parents[2] / "docs"
MARK = "<!-- operating characteristic -->"
SIGMA, RHO, SIZE, ROUNDS, MIN_ROUNDS, ALPHA = 0.3, 0.3, 64, 20, 3, 0.05
POWER = 0.9
LOOKS = ROUNDS - MIN_ROUNDS + 1
# the target and the implied one that no request fails: failing is shared between them
BINDING = 2
DISTANCES = (0.15, 0.05, 0.0, -0.05, -0.1, -0.15, -0.5)
CURVE = tuple(round(-0.3 + 0.02 * i, 2) for i in range(26))
NOISES = (0.0, 0.05, 0.1, 0.15)
# their bounds cost far less than those of percentiles
MEANS_MORE = 5
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Statistic:
    """What is judged: a mean, a quantile, or (rate) tokens per second, where more is better."""

    name: str
    quantile: float | None = None
    rate: bool = False

    def truth(self, noise: float, seed: int) -> float:
        """The true value over all rounds, of candidates drawn by `draw`."""
        if self.rate:
            # the mean of a ratio has no closed form here, so it is measured
            many = draw(np.random.default_rng([seed, 7]), noise, (40_000,))
            return float(self.of_round(many).mean())
        spread = math.hypot(SIGMA, noise)
        if self.quantile is not None:
            return math.exp(spread * float(special.ndtri(self.quantile)))
        return math.exp(spread**2 / 2)

    def limit(self, true: float, distance: float) -> float:
        """A limit from which the truth lies `distance` away; above 0: the candidate is too slow."""
        return true * (1 + distance) if self.rate else true / (1 + distance)

    def of_round(self, times: Values) -> Values:
        """The figure of each round; times: [..., request]."""
        if self.rate:
            return np.asarray(1 / times.mean(axis=-1))
        if self.quantile is None:
            return np.asarray(times.mean(axis=-1))
        at = bounds.rank(self.quantile, times.shape[-1])
        return np.asarray(np.sort(times, axis=-1)[..., at])

    def bound(self, rounds: Sequence[Values], alpha: float) -> bounds.Bounds:
        """What the judge works out of these rounds (each sorted)."""
        if self.quantile is not None:
            return bounds.percentile(rounds, self.quantile, alpha)
        return bounds.level([float(self.of_round(r)) for r in rounds], alpha)


STATISTICS = (
    Statistic("TTFT mean"),
    Statistic("TTFT p50", 0.5),
    Statistic("TTFT p95", 0.95),
    Statistic("throughput", rate=True),
)


def draw(rng: np.random.Generator, noise: float, shape: tuple[int, ...]) -> Values:
    """Times around 1 of `shape` rounds: [*shape, request]."""
    steps = rng.normal(0, SIGMA * math.sqrt(1 - RHO**2), (*shape, SIZE))
    values = np.empty((*shape, SIZE))
    values[..., 0] = rng.normal(0, SIGMA, shape)
    for at in range(1, SIZE):
        values[..., at] = RHO * values[..., at - 1] + steps[..., at]
    level = rng.normal(0, noise, shape)[..., None]
    return np.exp(values + level)


class Simulated:
    """Candidates of one statistic and noise: their bounds at every look, for any limit."""

    def __init__(self, statistic: Statistic, noise: float, runs: int, seed: int) -> None:
        self.statistic, self.noise, self.runs = statistic, noise, runs
        rng = np.random.default_rng([seed, round(1000 * noise)])
        self.times = np.sort(draw(rng, noise, (runs, ROUNDS)), axis=-1)
        self.true = statistic.truth(noise, seed)

    def _bounds(self, alphas: Sequence[float]) -> tuple[Values, Values]:
        """(low, high): [candidate, look], at each look's own level."""
        low, high = np.empty((self.runs, LOOKS)), np.empty((self.runs, LOOKS))
        for run, rounds in enumerate(self.times):
            for look, alpha in enumerate(alphas):
                found = self.statistic.bound(list(rounds[: MIN_ROUNDS + look]), alpha)
                low[run, look], high[run, look] = found
        return low, high

    @cached_property
    def sequential(self) -> tuple[Values, Values, Values, Values]:
        """(low, high) at the level of passing, then at that of failing."""
        spend, spend_fail = (
            spending.of_rounds(MIN_ROUNDS, ROUNDS, ALPHA / shared) for shared in (1, BINDING)
        )
        return *self._bounds(spend), *self._bounds(spend_fail)

    @cached_property
    def fixed(self) -> tuple[Values, Values]:
        """(low, high) of one look after so many rounds, at the whole level."""
        return self._bounds([ALPHA] * LOOKS)

    def ours(self, distance: float) -> tuple[float, float]:
        """(share promoted, mean requests until decided)."""
        limit = self.statistic.limit(self.true, distance)
        low, high, low_fail, high_fail = self.sequential
        if self.statistic.rate:
            passed, failed = low >= limit, high_fail < limit
        else:
            passed, failed = high <= limit, low_fail > limit
        decided = passed | failed
        first = np.where(decided.any(axis=1), decided.argmax(axis=1), LOOKS - 1)
        promoted = passed[np.arange(self.runs), first]
        return float(promoted.mean()), float((first + MIN_ROUNDS).mean() * SIZE)

    def naive(self, distance: float) -> float:
        """Share promoted when one round's figure is compared with the limit."""
        limit = self.statistic.limit(self.true, distance)
        figure = self.statistic.of_round(self.times[:, 0])
        return float((figure >= limit if self.statistic.rate else figure <= limit).mean())

    def design(self) -> tuple[float, int]:
        """(distance, requests): where ours promotes `POWER` of all candidates, and what the
        smallest fixed-size test needs that promotes as many there."""
        far = next(d / 1000 for d in range(0, -600, -5) if self.ours(d / 1000)[0] >= POWER)
        limit, power = self.statistic.limit(self.true, far), self.ours(far)[0]
        low, high = self.fixed
        share = (low >= limit if self.statistic.rate else high <= limit).mean(axis=0)
        return far, (MIN_ROUNDS + int(np.flatnonzero(share >= power)[0])) * SIZE


def simulate(what: tuple[Statistic, float, int, int]) -> Simulated:
    """One cell with all its bounds worked out."""
    cell = Simulated(*what)
    _ = cell.sequential, cell.fixed
    return cell


def promoted_table(cells: Sequence[Simulated]) -> list[str]:
    """Promoted share and mean requests, by distance and noise."""
    lines = [
        f"Promoted, in percent of {min(c.runs for c in cells)} (percentiles) or "
        f"{max(c.runs for c in cells)} simulated candidates whose true value lies so far from the "
        "limit, + for too slow (in brackets: mean requests until decided):",
        "",
        f"| target, noise | {' | '.join(f'{100 * d:+.0f} %' for d in DISTANCES)} |",
        f"| --- |{' ---: |' * len(DISTANCES)}",
    ]
    for cell in cells:
        said = [f"{100 * p:.1f} ({n:.0f})" for p, n in map(cell.ours, DISTANCES)]
        lines.append(f"| {cell.statistic.name}, {cell.noise:.0%} | {' | '.join(said)} |")
    return lines


def compared_table(cells: Sequence[Simulated]) -> list[str]:
    """The naive single run, and the fixed-size test of the same power."""
    lines = [
        f"The naive run compares one figure of one round ({SIZE} requests) with the limit. The "
        "fixed-size test looks once, at the same level, after as many requests as it needs to have "
        f"our power where ours is {POWER:.0%}; whatever the candidate, it never needs fewer:",
        "",
        "| target, noise | promoted 5 % too slow: ours, naive | at the limit: ours, naive "
        f"| 10 % inside: ours, naive | distance of {POWER:.0%} power | requests there: ours, fixed "
        "| requests 50 % inside: ours | 15 % too slow: ours |",
        f"| --- |{' ---: |' * 7}",
    ]
    for cell in cells:
        pairs = [
            f"{100 * cell.ours(d)[0]:.1f}, {100 * cell.naive(d):.1f}" for d in (0.05, 0.0, -0.1)
        ]
        far, fixed = cell.design()
        sizes = [f"{100 * far:.1f} %", f"{cell.ours(far)[1]:.0f}, {fixed}"]
        sizes += [f"{cell.ours(d)[1]:.0f}" for d in (-0.5, 0.15)]
        name = f"{cell.statistic.name}, {cell.noise:.0%}"
        lines.append(f"| {name} | {' | '.join(pairs + sizes)} |")
    return lines


def figure(cells: Sequence[Simulated]) -> str:
    """One panel a statistic: ours at every noise, and the naive run at the largest."""
    panels = []
    for statistic in STATISTICS:
        mine = [cell for cell in cells if cell.statistic == statistic]
        lines = [oc_figure.Line(f"{c.noise:.0%}", [(d, c.ours(d)[0]) for d in CURVE]) for c in mine]
        worst = mine[-1]
        naive = [(d, worst.naive(d)) for d in CURVE]
        lines.append(oc_figure.Line(f"single run, {worst.noise:.0%}", naive, dashed=True))
        panels.append(oc_figure.Panel(statistic.name, lines))
    return oc_figure.draw(panels, ALPHA)


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate, write tables and figure; 1 when a bad candidate is promoted too often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    cells = []
    runs = {s: args.runs * (1 if s.quantile else MEANS_MORE) for s in STATISTICS}
    wanted = [(s, noise, runs[s], args.seed) for s in STATISTICS for noise in NOISES]
    with ProcessPoolExecutor() as pool:
        for cell in pool.map(simulate, wanted):
            cells.append(cell)
            at_limit, requests = cell.ours(0.0)
            said = f"{100 * at_limit:.1f} % promoted at the limit, {requests:.0f} requests"
            print(f"{cell.statistic.name}, noise {cell.noise:.0%}: {said}", flush=True)
    lines = [*promoted_table(cells), "", *compared_table(cells)]
    doc = DOCS / "verdict.md"
    before, _, rest = doc.read_text(encoding="utf-8").partition(MARK)
    after = rest.split(MARK, 1)[1] if MARK in rest else rest
    doc.write_text(f"{before}{MARK}\n" + "\n".join(lines) + f"\n{MARK}{after}", encoding="utf-8")
    drawn = DOCS / "figures" / "operating_characteristic.svg"
    drawn.parent.mkdir(parents=True, exist_ok=True)
    drawn.write_text(figure(cells), encoding="utf-8")
    print("\n".join(lines))
    slack = 3 * math.sqrt(ALPHA * (1 - ALPHA) / args.runs)
    worst = max(cell.ours(distance)[0] for cell in cells for distance in (0.15, 0.05, 0.0))
    print(f"worst false promotion: {100 * worst:.1f} %, allowed {100 * (ALPHA + slack):.1f} %")
    return 0 if worst <= ALPHA + slack else 1


if __name__ == "__main__":
    raise SystemExit(main())
