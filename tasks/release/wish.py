"""What an operator may ask of a rollout by name: the moves, or why not now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from tasks.base.clock import moment
from tasks.base.errors import Refused, StepFailed
from tasks.release.back import arrived, decide_unproven, straight_first
from tasks.release.memory.again import decide_again, owed_back, waits_told
from tasks.release.memory.terms import terms_of, unproven_until
from tasks.release.moves import (
    SWITCHED,
    Course,
    Observed,
    PointService,
    Remove,
    Room,
    Save,
    Scale,
    Soak,
    decide_promotion,
    decide_recovery,
    decide_revert,
    finish,
)
from tasks.release.state import State, as_named, unfinished

What = Literal["rollback", "approve", "promote", "reject", "recover", "abort"]


@dataclass(frozen=True)
class Meant:
    """Which candidate a person speaks of.

    rollout: the id of the one that tested it. plan: the digest of the plan that it was tested
    under. '' where that is not said."""

    rollout: str = ""
    plan: str = ""


ANY = Meant()
BOUND = ("approve", "promote", "reject")  # about a candidate that waits for a person
# where one of these does something, and to what; elsewhere `decide_wish` refuses them
ACTS_ON = {
    "held": "waits for a person",
    "promoting": "is being promoted",
    **dict.fromkeys(SWITCHED, "serves already"),
}


def expired(state: State, now: datetime) -> bool:
    """Whether what waits for a person has waited too long."""
    until = unproven_until(state) if state.phase == "unproven" else state.until
    at = moment(until)
    return at is not None and now >= at


def waiting(state: State) -> str:
    """The candidate that waits for a person, as it is named to decide about it."""
    name = state.candidate.deployment if state.candidate else "a candidate"
    under = f", tested under plan {state.plan}" if state.plan else ""
    until = f", may be approved until {state.until}" if state.until else ""
    return f"{name} of rollout {state.rollout or 'unknown'}{under}{until}"


def unnamed(what: str, state: State, meant: Meant) -> str:
    """The options that are to name the candidate that waits, and do not; '' where nothing is
    missing."""
    if what not in BOUND or state.phase != "held":
        return ""
    asked = (("rollout", state.rollout, meant.rollout), ("plan", state.plan, meant.plan))
    return " ".join(f"--{word} {here}" for word, here, given in asked if here and not given)


def must_take(what: str, meant: Meant) -> None:
    """Raises Refused where a wish that is about no candidate names one: what it does would be done
    to whatever is there."""
    if what not in BOUND and meant != ANY:
        raise Refused(
            f"{what} is about whatever is there and names no rollout and no plan: leave them out; "
            f"{', '.join(BOUND)} are about one candidate"
        )


def acted_on(state: State) -> tuple[str, str]:
    """The rollout that tested what is decided about, and the digest of its plan. Of what serves
    that is not who wrote last, where another one was tried beside it since."""
    serves = state.stable if state.phase in SWITCHED else None
    known = terms_of(state, serves.id) if serves else None
    if known and known.rollout:
        return known.rollout, known.plan
    return state.rollout, state.plan


def must_be_meant(what: str, state: State, meant: Meant, now: datetime) -> None:
    """Raises Refused where another candidate is meant than the one that would be acted on, in
    whatever phase that is, where it is not said which one waits for a person, or this one does for
    too long: an approval is of one candidate, and not for ever."""
    named, does = as_named(state), ACTS_ON.get(state.phase)
    if what == "approve" and state.phase != "held":
        raise Refused(
            f"rollout {state.name} is {state.phase}, only a held candidate can be approved; "
            f"`rollout status {named}` shows what there is"
        )
    asked = zip(("rollout", "plan"), acted_on(state), (meant.rollout, meant.plan), strict=True)
    for word, here, given in asked:
        if does and given and given != here:
            raise Refused(
                f"what {does} is of {word} {here or 'unknown'}, not {given}: it is another "
                f"candidate by now; look at it with `rollout report {named}`"
            )
    if missing := unnamed(what, state, meant):
        raise Refused(
            f"{waiting(state)}, waits for a person: say that this one is meant: "
            f"`rollout {what} {named} {missing}`"
        )
    if what in ("approve", "promote") and expired(state, now):
        raise Refused(
            f"the candidate of rollout {state.rollout} could be approved until {state.until} "
            "(promotion.approval_hours): what was measured is too old by now; `rollout run` "
            f"measures anew, `rollout reject {named}` removes it"
        )


def settled_since(state: State, meant: Meant, now: datetime) -> str:
    """Why nobody is asked any more about the candidate that is meant; '' where a person is."""
    if state.phase == "held" and (state.rollout, state.plan) == (meant.rollout, meant.plan):
        late = f"it could be approved until {state.until} (promotion.approval_hours)"
        return late if expired(state, now) else ""
    last = str(state.history[0].get("sentence", "")) if state.history else ""
    told = f"; last: {last[:300]}" if last else ""
    return f"{state.name} is {state.phase}, and nothing of rollout {meant.rollout} waits{told}"


def decide_abort(
    seen: Observed, *, keep_previous: bool = True, room: Room | None = None, stopped: str = ""
) -> Course:
    """A person stops a rollout: what served before serves again, also where the Service was moved
    already and the soak is not passed. Where there is no way back, what serves stays, unproven.

    stopped: id of the run that was asked to stop: what that one holds for a person by now goes, and
    what another one does waits on. What has proven itself, or waits unproven, stays as it is.
    """
    seen = arrived(seen)
    if unfinished(seen.state):
        allow = seen.state.strategy == "replace"
        try:
            course = decide_revert(seen, allow_interruption=allow, room=room)
            return replace(course, unless="inconclusive")
        except Refused as error:
            course = decide_unproven(seen, "inconclusive", f"stopped in its soak; {error}")
            return replace(course, sentence=f"{course.sentence}: {error}")
    held = seen.state.phase == "held" and stopped != "" and seen.state.rollout == stopped
    return decide_recovery(seen, keep_previous=keep_previous, superseded=held, room=room)


def decide_keep(seen: Observed, *, keep_previous: bool = True, person: bool = False) -> Course:
    """What serves unproven stays without a look; the other one is put away, and kept as previous.
    person: who says so answers for it; else what is known against it stays known.

    Raises Refused where it does not serve, or does not answer.
    """
    state = seen.state
    served = state.stable
    if state.phase not in ("soaking", "unproven") or served is None or seen.serving != served.id:
        raise Refused(
            f"rollout {state.name} is {state.phase}: only what serves already, and is not proven, "
            f"is kept without a look; `rollout status {as_named(state)}` shows what there is"
        )
    if not seen.alive(served.id):
        raise Refused(
            f"{served.deployment} is not ready and is not kept; settle it with `rollout rollback`, "
            "or run again"
        )
    known = ": ".join(filter(None, (state.verdict or "inconclusive", state.breach or state.why)))
    said = (
        f"{served.deployment} is kept without a look. Whether it serves as well as was measured is "
        f"not known; last known of its soak: {known}"
    )
    # a breach that is kept knowingly is none any more: else whoever comes next goes back
    state = replace(state, phase="unproven", breach="")
    first = [Save(state)] if state != seen.state else []
    moves = finish(seen, state, keep_previous=keep_previous, doubted=not person)
    return straight_first(seen, Course((*first, *moves), said))


def decide_wish(
    what: str,
    seen: Observed,
    *,
    allow_interruption: bool = False,
    room: Room | None = None,
    keep_previous: bool = True,
    stopped: str = "",
    unwatched: bool = False,
) -> Course:
    """The moves of an operator's wish. room: for the release that is to serve. stopped: see
    `decide_abort`. unwatched: what serves is kept without a look. Raises Refused when it makes no
    sense now."""
    state = seen.state
    if what == "promote" and unwatched:
        return decide_keep(seen, keep_previous=keep_previous, person=True)
    if what == "rollback":
        return decide_revert(seen, allow_interruption=allow_interruption, room=room)
    if what in ("approve", "promote"):
        if state.phase not in ("held", "promoting", "soaking", "proven", "unproven"):
            raise Refused(
                f"rollout {state.name} is {state.phase}, only a held candidate can be promoted by "
                "hand; run `rollout run` to test one"
            )
        served = state.stable if state.phase == "unproven" else None
        if served and not seen.alive(served.id):
            raise Refused(
                f"{served.deployment} is not ready and is not promoted; settle it with "
                "`rollout rollback`, or run again"
            )
        try:
            return decide_promotion(seen, keep_previous=keep_previous, room=room)
        except StepFailed as error:
            raise Refused(str(error)) from error
    if what == "reject":
        if state.phase != "held":
            raise Refused(
                f"rollout {state.name} is {state.phase}, only a held candidate can be rejected; "
                "`rollout status` shows what there is"
            )
        return decide_recovery(seen, keep_previous=keep_previous, superseded=True)
    if what == "abort":
        return decide_abort(seen, keep_previous=keep_previous, room=room, stopped=stopped)
    if owed_back(seen) is not None:
        try:
            return straight_first(seen, decide_again(seen, room))
        except Refused as error:
            return straight_first(seen, Course((), waits_told(seen, str(error))))
    return decide_recovery(seen, keep_previous=keep_previous, room=room)


def consequences(seen: Observed, course: Course) -> tuple[str, bool]:
    """What a course will do, in words for whoever has to agree, and whether what serves is stopped
    before anything else answers."""
    view = seen.view(seen.serving)
    said = [f"{view.name} serves now" if view else "nothing serves now"]
    interrupts = moved = False
    scaled: dict[str, int] = {}

    def scales(name: str, text: str) -> None:
        """Before the switch a Deployment is told of once, however many steps it takes."""
        if name in scaled and not moved:
            said[scaled[name]] = f"{text}, seat by seat"
            return
        scaled[name] = len(said)
        said.append(text)

    for move in course.moves:
        match move:
            case Scale(name, 0) if view and name == view.name and not moved:
                interrupts = view.available > 0
                said.append(f"{name} is scaled down first, and nothing answers until another does")
            case Scale(name, replicas) if view and name == view.name and replicas:
                scales(name, f"{name} serves on with {replicas} of {view.serves_with} replica(s)")
            case Scale(name, replicas) if replicas:
                scales(name, f"{name} starts with {replicas} replica(s)")
            case PointService(release) if release.id != seen.serving:
                moved = True
                said.append(f"the Service is moved to {release.deployment}")
            case Soak(release):
                said.append(f"{release.deployment} is watched")
            case Remove(name):
                said.append(f"{name} is removed")
    return "; ".join(said), interrupts
