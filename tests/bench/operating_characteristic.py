"""How often a candidate is promoted, by its distance from the limit and the noise of rounds.

Writes the table in docs/verdict.md. The shapes are those of real rows: log-normal times,
autocorrelated within a round, a level that differs between rounds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks import bounds

DOC = Path(__file__).parents[2] / "docs" / "verdict.md"
MARK = "<!-- operating characteristic -->"
SIGMA, RHO, SIZE, ROUNDS, MIN_ROUNDS, ALPHA = 0.3, 0.3, 64, 20, 3, 0.05
DISTANCES = (1.15, 1.05, 1.0, 0.95, 0.9, 0.85, 0.5)
NOISES = (0.0, 0.05, 0.1, 0.15)
STATISTICS: tuple[tuple[str, float | None], ...] = (("mean", None), ("p50", 0.5), ("p95", 0.95))
Values = NDArray[np.float64]


def draw(rng: np.random.Generator, noise: float) -> Values:
    """One round of times around 1."""
    steps = rng.normal(0, SIGMA * math.sqrt(1 - RHO**2), SIZE)
    values = np.empty(SIZE)
    values[0] = rng.normal(0, SIGMA)
    for at in range(1, SIZE):
        values[at] = RHO * values[at - 1] + steps[at]
    return np.exp(values + rng.normal(0, noise))


def truth(quantile: float | None, noise: float) -> float:
    """The figure's true value over all rounds."""
    spread = math.hypot(SIGMA, noise)
    if quantile is None:
        return math.exp(spread**2 / 2)
    return float(math.exp(spread * float(bounds.stats.norm.ppf(quantile))))


def one_rollout(
    rng: np.random.Generator, quantile: float | None, noise: float, limit: float
) -> tuple[str, int]:
    """(verdict, requests) of a candidate whose times are around 1."""
    rounds: list[Values] = []
    for look in range(1 - MIN_ROUNDS + 1, ROUNDS - MIN_ROUNDS + 2):
        rounds.append(draw(rng, noise))
        if look < 1:
            continue
        alpha = bounds.alpha_at(look, ALPHA)
        if quantile is None:
            low, high = bounds.student([float(r.mean()) for r in rounds], alpha)
        else:
            low, high = bounds.percentile(rounds, quantile, alpha)
        if high <= limit or low > limit:
            return ("pass" if high <= limit else "fail"), len(rounds) * SIZE
    return "inconclusive", len(rounds) * SIZE


def table(runs: int, seed: int) -> list[str]:
    """Markdown rows: promoted share and mean requests, by distance and noise."""
    head = " | ".join(f"{d - 1:+.0%}" for d in DISTANCES)
    lines = [
        f"Promoted, in percent of {runs} simulated candidates whose true value lies this far from "
        "the limit (in brackets: mean requests until decided):",
        "",
        f"| target, noise | {head} |",
        f"| --- |{' ---: |' * len(DISTANCES)}",
    ]
    rng = np.random.default_rng(seed)
    for name, quantile in STATISTICS:
        for noise in NOISES:
            cells = []
            for distance in DISTANCES:
                limit = truth(quantile, noise) / distance
                ends = [one_rollout(rng, quantile, noise, limit) for _ in range(runs)]
                share = sum(word == "pass" for word, _ in ends) / runs
                cells.append(f"{100 * share:.1f} ({np.mean([n for _, n in ends]):.0f})")
            lines.append(f"| TTFT {name}, {noise:.0%} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate and write the table; 1 when a bad candidate is promoted too often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    lines = table(args.runs, args.seed)
    text = DOC.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARK)
    after = rest.split(MARK, 1)[1] if MARK in rest else rest
    DOC.write_text(f"{before}{MARK}\n" + "\n".join(lines) + f"\n{MARK}{after}", encoding="utf-8")
    slack = 3 * math.sqrt(ALPHA * (1 - ALPHA) / args.runs)
    worst = max(
        float(cell.split("(")[0])
        for line in lines[4:]
        for cell in line.strip("| ").split(" | ")[1:4]
    )
    print(f"worst false promotion: {worst:.1f} %, allowed {100 * (ALPHA + slack):.1f} %")
    return 0 if worst <= 100 * (ALPHA + slack) else 1


if __name__ == "__main__":
    raise SystemExit(main())
