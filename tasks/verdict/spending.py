"""What each look at the data may spend, so that all looks together err at most as promised.

Error spending by Lan and DeMets (Biometrika 70, 1983): by the time a share t of the planned rounds
is done, at most f(t) of alpha is spent; what a look may use follows from how strongly it depends on
the looks before it (a Brownian motion). Its nominal level is used with Student's t or the binomial,
as Jennison and Turnbull propose (Group Sequential Methods, 2000, section 3.3).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import special

from tasks.measure.figures import Values

# Steps of the numerical integration, and how far below its mean the path is followed.
GRID, FAR = 401, 6.0
# Student's t of few rounds depends less on the looks before than a Brownian motion does, so they
# err up to 1.25 times as often together: simulated for first looks at 2 to 10 rounds, last ones at
# 4 to 60, alpha 0.01 to 0.05, 60,000 normal candidates each.
TRIM = 0.8


def spent(share: float, alpha: float) -> float:
    """What may be spent by this share of the plan: Pocock's kind, early looks get the most."""
    return alpha * math.log(1 + (math.e - 1) * min(1.0, share))


def of_rounds(first: int, last: int, alpha: float) -> tuple[float, ...]:
    """`levels` for figures whose spread is not known, but estimated from the rounds themselves."""
    return levels(first, last, TRIM * alpha)


@lru_cache(maxsize=256)
def levels(first: int, last: int, alpha: float) -> tuple[float, ...]:
    """The nominal one-sided level of the look after round `first`, first + 1, ... `last`.

    ValueError for a plan without a look or an alpha outside (0, 0.5).
    """
    if not 1 <= first <= last or not 0 < alpha < 0.5:
        raise ValueError(f"no plan: first look {first}, last {last}, alpha {alpha:g}")
    out: list[float] = []
    before, grid, density = 0.0, np.zeros(1), np.ones(1)
    for count in range(first, last + 1):
        at = count / last
        step = math.sqrt(at - before)
        due = spent(at, alpha) - spent(before, alpha)
        edge = _edge(grid, density, step, due)
        out.append(float(special.ndtr(-edge / math.sqrt(at))))
        grid, density = _go_on(grid, density, step, edge, math.sqrt(at))
        before = at
    return tuple(out)


def _edge(grid: Values, density: Values, step: float, due: float) -> float:
    """Where the path ends above with probability `due`, by bisection. density: point masses."""
    low, high = 0.0, float(grid[-1]) + 10 * step + 10
    for _ in range(60):
        middle = (low + high) / 2
        above = float(density @ special.ndtr((grid - middle) / step))
        low, high = (middle, high) if above > due else (low, middle)
    return (low + high) / 2


def _go_on(
    grid: Values, density: Values, step: float, edge: float, spread: float
) -> tuple[Values, Values]:
    """The paths that stayed below the edge, one step on, as point masses on a new grid."""
    points = np.linspace(-FAR * spread, edge, GRID)
    weights = np.full(GRID, (points[1] - points[0]))
    weights[[0, -1]] /= 2
    z = (points[:, None] - grid[None, :]) / step
    kernel = np.exp(-0.5 * z * z) / (step * math.sqrt(2 * math.pi))
    return points, weights * (kernel @ density)
