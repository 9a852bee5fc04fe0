"""What the history in the cluster says of the rollouts before."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.record.earlier import LAST, earlier
from tasks.record.outcome import compact
from tasks.record.record import read
from tests.support import reportdata

MODEL = "Qwen/Qwen2.5-7B-Instruct"


def entry(rollout: str, **changes: Any) -> dict[str, Any]:
    """As a rollout leaves it in the cluster."""
    record = read(reportdata.record(reportdata.rounds(2, 8), rollout=rollout, **changes))
    found: dict[str, Any] = json.loads(json.dumps(compact(record).as_dict()))
    return found


def test_the_last_rollouts_that_were_judged() -> None:
    other = entry("other", resolve_model={"model": "owner/other"})
    found = earlier([entry("c"), entry("b", judge=None), other, entry("a")], MODEL)
    assert [item.rollout for item in found] == ["c", "a"]
    first = found[0]
    assert first.deployment == "qwen-7cf96bea02" and first.finished and first.outcome
    assert first.targets and not any(item.advisory or item.reason for item in first.targets)
    assert all(item.limit is not None for item in first.targets)


def test_no_more_than_a_figure_shows() -> None:
    assert len(earlier([entry("a")] * 20, MODEL)) == LAST


def test_it_is_on_record_and_is_read_again() -> None:
    record = read(reportdata.record(reportdata.rounds(2, 8)))
    record.earlier = earlier([entry("a")], MODEL)
    again = read(json.loads(json.dumps(record.as_dict())))
    assert again.earlier == record.earlier != [] and again.unreadable == []
    # the history that a rollout leaves does not hold the histories before it
    assert compact(record).earlier == []


WHOLE = entry("a")


@given(
    st.lists(
        st.dictionaries(st.sampled_from(sorted(WHOLE)), reportdata.JUNK, max_size=4), max_size=3
    )
)
def test_what_somebody_wrote_in_is_left_out(changes: list[dict[str, Any]]) -> None:
    for item in earlier([{**WHOLE, **change} for change in changes], MODEL):
        assert item.targets
