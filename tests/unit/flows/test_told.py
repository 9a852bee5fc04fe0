"""Whom a dead worker would have left untold is told by who settles what it left: once."""

from __future__ import annotations

import pytest

from flows.guard import tend
from flows.rollback import settle
from tasks.base.errors import Exit, Refused
from tasks.release.wish import Meant
from tasks.service.notices import Notice
from tests.support.cluster.actor_world import NAME, NS, World, in_test, world


def test_a_rollout_that_a_dead_worker_left_is_told_by_the_guard(
    reached: list[World], told: list[Notice]
) -> None:
    at = in_test()
    reached.append(at)
    candidate = at.actor().read_state()[0].candidate
    assert candidate is not None
    found = tend((NS, NAME), None, None)
    assert found is not None and found.end == "settled"
    assert tend((NS, NAME), None, None) is None
    (notice,) = told
    assert (notice.key, notice.moment) == ((NS, NAME), "rejected")
    assert (notice.release, notice.sentence) == (candidate.id, found.said)
    # it did not come to its own end
    assert at.actor().read_state()[0].history[0]["exit_code"] == Exit.ERROR


def test_who_is_refused_something_is_there_and_nobody_else_is_told(
    reached: list[World], told: list[Notice]
) -> None:
    reached.append(in_test())
    with pytest.raises(Refused):
        settle("approve", NAME, NS)
    assert told == []


@pytest.mark.parametrize("what", ["approve", "reject", "promote", "rollback", "abort"])
def test_what_is_refused_and_changed_nothing_is_no_history(what: str, reached: list[World]) -> None:
    at = world()
    reached.append(at)
    before = at.actor().read_state()[0].history
    for _ in range(3):
        with pytest.raises(Refused):
            settle(what, NAME, NS, meant=Meant("r0", "p0"), serving="another")
    assert at.actor().read_state()[0].history == before
