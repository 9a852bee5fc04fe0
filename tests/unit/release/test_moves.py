"""What is decided from what is observed. What the moves do, cut anywhere, is tried against the real
Actor: tests/unit/outside/kubernetes/test_cuts.py."""

from __future__ import annotations

import pytest

from tasks.base.errors import Refused
from tasks.release import moves
from tasks.release.moves import DeploymentView, Observed
from tasks.release.state import Release, State
from tests.support.cluster.actor_world import NEW, OLD, OLDER

# `older` is kept at zero, the other two are up
THERE = {
    "old": DeploymentView("m-old", "old", 2, 2, 2),
    "older": DeploymentView("m-older", "older", 0, 2, 0),
    "new": DeploymentView("m-new", "new", 2, 2, 2),
}


def test_nothing_to_promote_or_go_back_to_is_refused() -> None:
    empty = Observed(State("m"), None)
    with pytest.raises(Refused, match="no candidate"):
        moves.decide_promotion(empty, keep_previous=True)
    with pytest.raises(Refused, match="no previous release"):
        moves.decide_revert(empty)


@pytest.mark.parametrize(
    ("phase", "candidate", "serving", "expected"),
    [
        ("idle", None, "old", "fresh"),
        ("idle", None, "new", "done"),
        ("testing", NEW, "old", "retest"),
        ("held", NEW, "old", "retest"),
        ("promoting", NEW, "old", "promote"),
        ("promoting", NEW, "new", "promote"),
        ("testing", OLDER, "old", "clear"),
    ],
)
def test_resume(phase: str, candidate: Release | None, serving: str, expected: str) -> None:
    state = State("m", phase=phase, stable=OLD, previous=OLDER, candidate=candidate)  # type: ignore[arg-type]
    assert moves.decide_resume(Observed(state, serving, THERE), NEW) == expected
