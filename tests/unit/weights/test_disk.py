"""What must stay free on a node's disk is the larger of two claims, and says whose it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.weights.disk import GIB, KeepFree

TOTALS = st.integers(0, 1 << 50)
GIBS, PERCENTS = st.floats(0, 10_000), st.floats(0, 90)


@given(GIBS, PERCENTS, TOTALS)
def test_both_claims_are_kept(gib: float, percent: float, total: int) -> None:
    keep = KeepFree(gib, percent)
    kept = keep.bytes_of(total)
    assert kept >= gib * GIB
    # whoever keeps it stays above the threshold, with something to spare
    assert percent == 0 or total == 0 or kept > total * percent / 100
    own = KeepFree(gib).bytes_of(total)
    assert kept in (own, KeepFree(0, percent).bytes_of(total))
    assert kept == own or "store.eviction_percent" in keep.why(total)


@pytest.mark.parametrize(
    ("percent", "kept", "why"),
    [(0, 5, "store.keep_free_gib"), (1, 5, "store.keep_free_gib"), (15, 16, "below 15 % free")],
)
def test_of_a_disk_of_100_gib(percent: float, kept: int, why: str) -> None:
    keep = KeepFree(5, percent)
    assert keep.bytes_of(100 * GIB) == kept * GIB
    assert why in keep.why(100 * GIB)
