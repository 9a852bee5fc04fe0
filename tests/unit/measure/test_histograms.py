"""What engines' histograms say: bounds by the edges of their buckets, never more."""

from __future__ import annotations

import math

import pytest

from tasks.measure.histograms import Histogram, grown, histograms_of, of_kinds, together

TTFT = "vllm:time_to_first_token_seconds"
OLDER, NEWER = "vllm:time_per_output_token_seconds", "vllm:inter_token_latency_seconds"


def text(name: str, counts: dict[str, float], total: float, engine: int = 0) -> str:
    label = f'engine="{engine}",model_name="m,le=x"'
    rows = [f'{name}_bucket{{{label},le="{edge}"}} {count}' for edge, count in counts.items()]
    return "\n".join([*rows, f"{name}_sum{{{label}}} {total}", f"{name}_count{{{label}}} 9"])


def hist(low: float, mid: float, high: float, total: float = 0.0) -> Histogram:
    return Histogram({0.1: low, 0.5: mid, math.inf: high}, total)


def test_a_page_is_read_and_summed_over_its_labels() -> None:
    page = text(TTFT, {"0.1": 1, "+Inf": 2}, 0.5) + "\n" + text(TTFT, {"0.1": 3, "+Inf": 3}, 1, 1)
    page += f'\n{TTFT}_bucket{{le="half"}} 7\nvllm:other_bucket{{le="1"}} 3\nnonsense'
    assert histograms_of(page) == {TTFT: Histogram({0.1: 4, math.inf: 5}, 1.5)}
    assert histograms_of(f'{TTFT}_bucket{{le="1"}} 3') == {}  # without an end


@pytest.mark.parametrize(
    ("q", "low", "high"), [(0.5, 0.0, 0.1), (0.6, 0.1, 0.5), (0.9, 0.1, 0.5), (0.99, 0.5, math.inf)]
)
def test_a_percentile_lies_in_its_bucket(q: float, low: float, high: float) -> None:
    assert hist(50, 98, 100).bounds(q) == (low, high)


def test_nothing_has_no_bounds_and_no_mean() -> None:
    assert hist(0, 0, 0).bounds(0.5) is None and hist(0, 0, 0).mean is None
    assert hist(1, 2, 4, 2.0).mean == 0.5


def test_what_came_between_two_looks() -> None:
    assert grown(hist(1, 2, 3, 1), hist(2, 5, 6, 2.5)) == hist(1, 3, 3, 1.5)
    assert grown(hist(5, 6, 7, 9), hist(1, 2, 3, 1)) is None  # it began anew
    assert grown(hist(1, 2, 3), Histogram({1.0: 1, math.inf: 9})) is None


def test_several_engines_are_one() -> None:
    assert together([hist(1, 2, 3, 1), hist(1, 1, 1, 2)]) == hist(2, 3, 4, 3)
    assert together([]) is None and together([hist(1, 1, 1), Histogram({math.inf: 1})]) is None


def test_by_kind_of_metric_under_the_older_name_too() -> None:
    before, now = (
        {TTFT: hist(0, 0, 0), OLDER: hist(0, 0, 1)},
        {TTFT: hist(1, 1, 2), OLDER: hist(0, 0, 3)},
    )
    found = of_kinds([(before, now), (before, now)])
    assert found == {"ttft": hist(2, 2, 4), "itl": hist(0, 0, 4)}
    both = ({**before, NEWER: hist(0, 0, 0)}, {**now, NEWER: hist(5, 5, 5)})
    assert (of_kinds([both]) or {})["itl"] == hist(5, 5, 5)
    assert of_kinds([(now, before)]) is None  # one began anew
    assert of_kinds([]) == {}
