"""What the guard does about one rollout that nobody looks after: finish or take back what died
half-way, mend a memory that says less than the Service, and put away what came late.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from tasks.base.errors import Refused, StepFailed
from tasks.release.back import decide_revert, drained, straight_first, straightened
from tasks.release.course import (
    NOTHING,
    Course,
    DeploymentView,
    Move,
    Observed,
    Remove,
    RemoveCandidateService,
    Room,
    Save,
    Scale,
)
from tasks.release.memory.again import again_at, decide_again, owed_back, waits_told
from tasks.release.memory.terms import promotion_of, unproven_until
from tasks.release.moves import decide_recovery, superseded_by
from tasks.release.state import (
    Judged,
    State,
    in_doubt,
    with_verdict,
)
from tasks.release.wish import decide_keep
from tasks.release.words import next_step

# a person decides about a held candidate, and about one that serves unproven
AT_REST = ("idle", "held", "unproven")


@dataclass(frozen=True)
class Around:
    """What a look at a rollout's roles does not show. tested: a candidate's Service is there.
    waits: a pod of what serves finds no seat. room: for the release that is gone back to. expired:
    the candidate that is held may not be approved any more. found: a verdict against what serves,
    if it is broken; None where nobody knows what was asked of it. rested: a way back that led
    nowhere may be tried again."""

    tested: bool = False
    waits: bool = False
    room: Room | None = None
    expired: bool = False
    found: Judged | None = None
    rested: bool = True


def decide_guard(seen: Observed, around: Around, *, keep_previous: bool = True) -> Course:
    """The moves that bring a rollout to rest; none where it is.

    Where what serves is broken, and one that is proven can be gone back to, that is gone back to.
    Raises StepFailed where the Service leads to a release that has no Deployment, and where what
    serves does not answer and there is nothing to do about it.
    """
    led = straight_first(
        seen, Course((), f"Service {seen.state.name} led to no pod: it is led back")
    )
    try:
        course = _guard(seen, around, keep_previous=keep_previous)
    except StepFailed:
        if not led.moves:
            raise
        return led
    if led.moves and not course.moves:
        return led
    return straight_first(seen, course)


def _guard(seen: Observed, around: Around, *, keep_previous: bool) -> Course:
    state = seen.state
    serving = seen.view(seen.serving)
    back = seen.view(state.previous.id) if state.previous else None
    fell = state.phase == "unproven" and not seen.alive(seen.serving)
    if state.phase not in AT_REST or (fell and back is not None and back.available):
        return decide_recovery(seen, keep_previous=keep_previous, room=around.room)
    if seen.serving and serving is None:
        raise StepFailed(
            f"Service {state.name} leads to release {seen.serving}, which has no Deployment: "
            "nothing answers; roll a known good revision out with `rollout run`, or go back with "
            "`rollout rollback`"
        )
    waits = ""
    if owed_back(seen) is not None:
        if isinstance(again := _again(seen, around), Course):
            return again
        waits = again
    if state.phase == "held" and around.expired:
        course = decide_recovery(seen, keep_previous=keep_previous, superseded=True)
        return replace(
            course, sentence=f"{course.sentence}: nobody approved it until {state.until}"
        )
    if around.expired and (overdue := _overdue(seen, around, keep_previous=keep_previous)):
        return overdue
    starved = serving is not None and (serving.stopped or around.waits) and not serving.available
    if state.phase == "held" and starved:
        # what it lacks the candidate may have; nobody knows when a person comes
        return decide_recovery(seen, keep_previous=keep_previous, superseded=True)
    if away := _away_from_broken(seen, around):
        return away
    late = strays(seen, state)
    # nobody knows what these are: they are not removed, and stop only where what serves has no seat
    unknown = [] if state.rollout or not starved else _without_role(seen, state)
    # nor does the way back run there, be it by a person's hand
    if back and starved and state.phase == "idle" and back.release != seen.serving:
        unknown.append(back)
    stopped = [view for view in unknown if view.replicas]
    lone = around.tested and state.candidate is None
    down = serving is not None and serving.stopped
    if state.phase != "idle":  # what it lent may be under test
        down = down and serving is not None and not serving.available
    straight = straightened(seen, state)
    leads = seen.serving or (state.stable.id if state.stable else "")
    said = [
        f"{serving.name} serves and is remembered again" if serving and seen.recalled else "",
        f"{serving.name} serves and was scaled down: it is back" if serving and down else "",
        f"Service {state.name} led to no pod: it leads to {leads} again" if straight else "",
        f"stopped what holds its seats: {', '.join(v.name for v in stopped)}" if stopped else "",
        f"removed what came late: {', '.join(v.name for v in late)}" if late else "",
        "removed the Service of a candidate that is gone" if lone else "",
    ]
    sentence = "; ".join(filter(None, said))
    if not sentence and waits:
        raise StepFailed(f"{seen.down.why}; {waits}" if seen.down else waits)
    if not sentence and seen.down:
        raise StepFailed(f"{seen.down.why}; {next_step(seen)}")
    if not sentence:
        return Course((), NOTHING)
    if down:  # what holds its devices stops, too
        rest = decide_recovery(seen, keep_previous=keep_previous)
        return replace(rest, sentence=sentence)
    # all else stays exactly as it is: a person may have made it so
    moves: list[Move] = [*([Save(state)] if seen.recalled else []), *straight]
    moves += [RemoveCandidateService()] if lone else []
    moves += [Scale(view.name, 0) for view in stopped]
    moves += [*drained(seen, late), *(Remove(view.name) for view in late)]
    return Course(tuple(moves), sentence)


def _again(seen: Observed, around: Around) -> Course | str:
    """The way back from what failed its soak, or in words why not now."""
    if not around.rested:
        at = again_at(seen.state)
        soon = f"after {at.isoformat(timespec='seconds')}" if at else "soon"
        why = seen.state.why or seen.state.breach
        return waits_told(seen, f"the last try led nowhere, the next one is {soon}; {why}")
    try:
        return decide_again(seen, around.room)
    except Refused as error:
        return waits_told(seen, str(error))


def _overdue(seen: Observed, around: Around, *, keep_previous: bool) -> Course | None:
    """What serves unproven has waited for a person long enough, and what served before holds its
    seats: one of them is put away. None where there is nothing to do."""
    state, target = seen.state, seen.state.previous
    if state.phase != "unproven" or not state.stable or state.stable.id != seen.serving:
        return None
    if not seen.alive(seen.serving):
        return None
    late = f"; nobody decided until {unproven_until(state)}"
    asked = promotion_of(state, state.stable.id).get("on_unproven", "keep")
    if (asked == "roll-back" or state.verdict == "fail") and target is not None:
        proven = not in_doubt(state, target.id) and not seen.changed(target.id, which=False)
        with suppress(Refused):  # no way back: it stays
            if proven and seen.alive(target.id):
                course = decide_revert(seen, room=around.room)
                return replace(course, sentence=course.sentence + late)
    if state.verdict != "fail":
        course = decide_keep(seen, keep_previous=keep_previous)
        return replace(course, sentence=course.sentence + late)
    if not any(view.runs for view in seen.others(seen.serving)):
        return None
    course = superseded_by(seen, state)  # it failed, and is all there is: it goes on, and says so
    return replace(course, sentence=course.sentence + late)


def _away_from_broken(seen: Observed, around: Around) -> Course | None:
    """Back to what has proven itself, where the engine of what serves fails by itself; None where
    it does not, or there is nothing proven. It is remembered against that release: nothing starts
    it again by itself.

    Raises StepFailed where there is no room for the other.
    """
    state, down = seen.state, seen.down
    target = state.previous
    if down is None or not down.broken or state.phase == "held" or target is None:
        return None
    if state.stable is None or state.stable.id != seen.serving or target.id == seen.serving:
        return None  # a person led it there
    if seen.view(target.id) is None or in_doubt(state, target.id):
        return None
    if seen.changed(target.id, which=False):
        return None
    if around.found is not None:
        state = with_verdict(state, replace(around.found, release=seen.serving))
    try:
        course = decide_revert(replace(seen, state=state), room=around.room)
    except Refused as error:
        raise StepFailed(f"{down.why}; there is no way back: {error}") from error
    return replace(course, sentence=f"{course.sentence}: {down.why}")


def strays(seen: Observed, state: State) -> list[DeploymentView]:
    """Deployments that neither serve nor stand in the state: what a dead process sent arrived late.

    None where there is no Service, or no memory of any rollout: who knows what they are?
    """
    return [] if seen.serving is None or not state.rollout else _without_role(seen, state)


def _without_role(seen: Observed, state: State) -> list[DeploymentView]:
    roles = (state.stable, state.previous, state.candidate)
    return seen.others(seen.serving, *(item.id for item in roles if item))
