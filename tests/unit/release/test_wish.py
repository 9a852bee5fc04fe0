"""An approval is of one candidate, and not for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.base.errors import Refused
from tasks.release.state import State
from tasks.release.wish import Meant, must_be_meant

UNTIL = datetime(2026, 3, 1, 12, tzinfo=UTC)
HELD = State("m", phase="held", rollout="run-1", plan="0123", until=UNTIL.isoformat())
BEFORE = UNTIL - timedelta(seconds=1)


@pytest.mark.parametrize("what", ["approve", "promote", "reject"])
@pytest.mark.parametrize("meant", [Meant(), Meant("run-1"), Meant("run-1", "0123")])
def test_the_one_that_waits(what: str, meant: Meant) -> None:
    must_be_meant(what, HELD, meant, BEFORE)


@pytest.mark.parametrize("what", ["approve", "promote", "reject"])
@pytest.mark.parametrize(
    ("meant", "said"),
    [
        (Meant("run-0"), "is of rollout run-1, not run-0"),
        (Meant("run-1", "4567"), "is of plan 0123, not 4567"),
    ],
)
def test_another_one(what: str, meant: Meant, said: str) -> None:
    with pytest.raises(Refused, match=said):
        must_be_meant(what, HELD, meant, BEFORE)


@pytest.mark.parametrize("what", ["approve", "promote"])
def test_it_is_approved_in_time(what: str) -> None:
    with pytest.raises(Refused, match="could be approved until 2026-03-01"):
        must_be_meant(what, HELD, Meant("run-1"), UNTIL)


def test_it_is_rejected_whenever() -> None:
    must_be_meant("reject", HELD, Meant("run-1"), UNTIL)


def test_nothing_waits() -> None:
    soaking = State("m", phase="soaking", rollout="run-1")
    must_be_meant("promote", soaking, Meant(), UNTIL)
    with pytest.raises(Refused, match="is soaking, only a held candidate can be approved"):
        must_be_meant("approve", soaking, Meant("run-1"), UNTIL)
