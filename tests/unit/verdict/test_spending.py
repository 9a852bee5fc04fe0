"""What the looks may spend, against published boundaries and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from tasks.verdict import spending


def test_the_boundaries_are_the_published_ones() -> None:
    """Lan and DeMets, Pocock's kind, five equal looks, one-sided 0.025 (Reboussin et al. 2000)."""
    found = [-float(special.ndtri(level)) for level in spending.levels(1, 5, 0.025)]
    assert found == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=0.002)


def test_one_look_has_it_all() -> None:
    assert spending.levels(4, 4, 0.05) == pytest.approx((0.05,))


@pytest.mark.parametrize(("first", "last"), [(2, 5), (3, 10), (3, 20), (5, 30)])
def test_all_looks_of_few_rounds_err_at_most_as_promised(first: int, last: int) -> None:
    runs, alpha = 20_000, 0.05
    rounds = np.random.default_rng(first * last).normal(size=(runs, last))
    erred = np.zeros(runs, dtype=bool)
    for look, level in enumerate(spending.of_rounds(first, last, alpha)):
        n = first + look
        mean, spread = rounds[:, :n].mean(axis=1), rounds[:, :n].std(axis=1, ddof=1)
        erred |= mean + special.stdtrit(n - 1, 1 - level) * spread / n**0.5 < 0
    slack = 3 * (alpha * (1 - alpha) / runs) ** 0.5
    assert 0.7 * alpha < erred.mean() <= alpha + slack


@pytest.mark.parametrize(
    ("first", "last", "alpha"), [(0, 3, 0.05), (4, 3, 0.05), (1, 3, 0), (1, 3, 0.5)]
)
def test_what_is_no_plan_is_refused(first: int, last: int, alpha: float) -> None:
    with pytest.raises(ValueError, match="no plan"):
        spending.levels(first, last, alpha)
