"""An approval is of one candidate, and not for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tasks.base.errors import Refused
from tasks.release.state import State
from tasks.release.wish import Meant, must_be_meant

UNTIL = datetime(2026, 3, 1, 12, tzinfo=UTC)
HELD = State("m", phase="held", rollout="run-1", plan="0123", until=UNTIL.isoformat())
THIS = Meant("run-1", "0123")
BEFORE = UNTIL - timedelta(seconds=1)


@pytest.mark.parametrize("what", ["approve", "promote", "reject"])
def test_the_one_that_waits(what: str) -> None:
    must_be_meant(what, HELD, THIS, BEFORE)
    # of a version that wrote no plan down
    must_be_meant(what, replace(HELD, plan=""), Meant("run-1"), BEFORE)


@pytest.mark.parametrize("what", ["approve", "promote", "reject"])
@pytest.mark.parametrize(
    ("meant", "missing"),
    [
        (Meant(), "--rollout run-1 --plan 0123"),
        (Meant("run-1"), "--plan 0123"),
        (Meant("", "0123"), "--rollout run-1"),
    ],
)
def test_it_is_said_which_one_is_meant(what: str, meant: Meant, missing: str) -> None:
    with pytest.raises(Refused, match=f"of rollout run-1.*`rollout {what} m {missing}`"):
        must_be_meant(what, HELD, meant, BEFORE)


@pytest.mark.parametrize("what", ["approve", "promote", "reject"])
@pytest.mark.parametrize(
    ("meant", "said"),
    [
        (Meant("run-0", "0123"), "is of rollout run-1, not run-0"),
        (Meant("run-1", "4567"), "is of plan 0123, not 4567"),
    ],
)
def test_another_one(what: str, meant: Meant, said: str) -> None:
    with pytest.raises(Refused, match=said):
        must_be_meant(what, HELD, meant, BEFORE)


@pytest.mark.parametrize("what", ["approve", "promote"])
def test_it_is_approved_in_time(what: str) -> None:
    with pytest.raises(Refused, match="could be approved until 2026-03-01"):
        must_be_meant(what, HELD, THIS, UNTIL)


def test_it_is_rejected_whenever() -> None:
    must_be_meant("reject", HELD, THIS, UNTIL)


def test_nothing_waits() -> None:
    soaking = State("m", phase="soaking", rollout="run-1")
    must_be_meant("promote", soaking, Meant(), UNTIL)
    with pytest.raises(Refused, match="is soaking, only a held candidate can be approved"):
        must_be_meant("approve", soaking, Meant("run-1"), UNTIL)
