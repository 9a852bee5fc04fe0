"""Which waiting candidate a person speaks of, and until when it may be approved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tasks.base.errors import Refused
from tasks.release.state import State


@dataclass(frozen=True)
class Meant:
    """rollout: the id of the one that tested it. plan: the digest of the plan that it was tested
    under. '' where that is not said."""

    rollout: str = ""
    plan: str = ""


ANY = Meant()


def must_be_meant(what: str, state: State, meant: Meant, now: datetime) -> None:
    """Raises Refused where another candidate waits by now, or this one for too long."""
    name = state.name
    if state.phase != "held":
        if what == "approve":
            raise Refused(
                f"rollout {name} is {state.phase}, only a held candidate can be approved; "
                f"`rollout status {name}` shows what there is"
            )
        return
    for word, here, given in (
        ("rollout", state.rollout, meant.rollout),
        ("plan", state.plan, meant.plan),
    ):
        if given and given != here:
            raise Refused(
                f"what waits for a person is of {word} {here or 'unknown'}, not {given}: another "
                f"candidate waits by now; look at it with `rollout report {name}`"
            )
    if (
        what in ("approve", "promote")
        and state.until
        and now >= datetime.fromisoformat(state.until)
    ):
        raise Refused(
            f"the candidate of rollout {state.rollout} could be approved until {state.until} "
            "(promotion.approval_hours): what was measured is too old by now; `rollout run` "
            f"measures anew, `rollout reject {name}` removes it"
        )
