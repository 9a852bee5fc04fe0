"""The moments of a rollout that people are told of."""

from __future__ import annotations

from typing import Literal

from tasks.release.state import Release, State

# settled: nothing has become of it that a person waits for
Moment = Literal[
    "started",
    "needs-approval",
    "promoted",
    "rejected",
    "rolled-back",
    "broken",
    "settled",
    # of what serves, measured again
    "earned",
    "missed",
]


def of_settling(before: State, after: State) -> Moment:
    """What became of a rollout that somebody else than its own run has brought to rest: the guard,
    or a person by name. What its own run has done by then, that has told."""
    old, new, tested = _id(before.stable), _id(after.stable), _id(before.candidate)
    if after.phase in ("held", "unproven"):
        return "settled" if after.phase == before.phase else "needs-approval"
    if new != old:
        return "promoted" if new and new == tested else "rolled-back" if old else "settled"
    if before.phase == "reverting" and after.phase == "idle":
        return "rolled-back"
    if before.phase in ("soaking", "proven", "unproven") and after.phase in ("proven", "idle"):
        return "settled" if _told(before) else "promoted"
    return "rejected" if tested and after.candidate is None else "settled"


def _told(state: State) -> bool:
    """The rollout that wrote last has told itself that it promoted."""
    return any(
        (entry.get("rollout"), entry.get("outcome")) == (state.rollout, "promoted")
        for entry in state.history
    )


def _id(release: Release | None) -> str:
    return release.id if release else ""
