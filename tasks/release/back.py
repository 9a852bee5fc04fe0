"""The way back: from the release that serves to the one before it, and home again if that fails.

Every course can be cut anywhere and decided anew from what is observed
(tests/unit/outside/kubernetes/test_cuts_back.py).
"""

from __future__ import annotations

from dataclasses import replace

from tasks.base.errors import Refused, StepFailed
from tasks.release.course import (
    AwaitFreed,
    AwaitReady,
    Course,
    DeploymentView,
    Drain,
    Move,
    Observed,
    PointService,
    Remove,
    RemoveCandidateService,
    Room,
    Save,
    Scale,
)
from tasks.release.lend import lent_moves
from tasks.release.seats.capacity import more_by_hand
from tasks.release.seats.edited import must_not_be_edited
from tasks.release.seats.over import goes_over, lends
from tasks.release.seats.room import kept_for
from tasks.release.state import (
    Phase,
    Release,
    State,
    breached,
    in_doubt,
    promoted,
    with_doubt,
)


def decide_revert(
    seen: Observed,
    *,
    allow_interruption: bool = False,
    room: Room | None = None,
    failed: bool = False,
) -> Course:
    """Go back from the serving release to the one before it.

    room: for the release gone back to; None where nobody could look, then it is tried. failed: the
    serving release failed its soak, which stays on record whatever happens. Where the other finds
    no room beside what serves, that lends it seats, and the rest changes over after the switch. It
    is scaled down first only where it has none to lend, and then only when it does not answer
    anyway or an interruption is allowed. A release whose pod template is not the one that served is
    no way back while anything else answers; where nothing does it is better than nothing, and is
    not proven. Raises Refused, before anything changes, when there is no way.
    """
    state, begun = seen.state, seen.state.phase == "reverting"
    led = straightened(seen, state)
    if led and state.stable:  # until the other is ready, what answers is led to again
        seen = replace(seen, serving=state.stable.id, lost=False)
    state = leaving(replace(seen, state=state))
    target = state.previous
    back = seen.view(target.id) if target else None
    if target is None or back is None or state.stable is None:
        raise Refused(
            f"rollout {state.name} has no previous release to go back to; "
            "roll a known good revision out with `rollout run`"
        )
    switched = seen.serving == target.id
    other = seen.changed(target.id, which=False)
    if barred(seen, target):
        raise Refused(
            f"{target.deployment} is not gone back to: since it served {other}, and nobody has "
            f"proven it like that. `kubectl rollout undo deployment/{target.deployment}` gives a "
            "Deployment its last pod template back; or roll a known good revision out with "
            "`rollout run`"
        )
    serving = None if switched else seen.view(seen.serving)
    allowed = allow_interruption or (begun and state.strategy == "replace")
    news = known_against(state, failed=failed)
    # what answers is preferred to what does not, or is known to be bad: it is filled up later
    at_once = bool(back.available) and not switched
    bad = news == "fail" and not _halfway(state)  # the few that have come would be overrun
    at_once = at_once and (bad or not seen.alive(seen.serving))
    asks = serving.seated.serves_with if serving and news != "fail" else 0
    lend = None
    if not (switched or at_once or _enough(back, target)):
        lend = lends(serving, back, room, asks)
    interrupt = not (switched or back.lent or at_once or lend) and _interrupts(
        state, serving, back, allow=allowed, room=room
    )
    doubt = in_doubt(state, target.id) or ("inconclusive" if other else "")
    settled = replace(
        state,
        phase="unproven" if doubt else "idle",
        stable=target,
        previous=None,
        candidate=None,
        strategy="",
        breach="",
        verdict=doubt,
    )
    # on record first: whoever comes after a crash goes on, and interrupts only what may be
    fewer = allowed or news == "fail" or state.phase == "soaking"  # what served was enough
    leaves = None if at_once else serving
    over, least = goes_over(leaves, back, lend, room, asks=asks, allowed=fewer)
    must_not_be_edited(serving if news != "fail" and (interrupt or lend or over) else None)
    of = more_by_hand(seen, back, room)
    strategy = "replace" if interrupt and allowed else "parallel"
    if not switched and (lend or (over and back.lent) or _halfway(state)):
        strategy = "lend"
    moves: list[Move] = [Save(replace(state, phase="reverting", strategy=strategy, verdict=news))]
    moves += led
    stopped: set[str] = set()
    if not (_enough(back, target) or back.lent or at_once or (switched and back.available)):
        stopping = seen.others(target.id, seen.serving)
        if switched:  # what answers may have to serve again
            stopping = [view for view in stopping if not view.available]
        moves += drained(seen, stopping)
        moves += [Scale(view.name, 0) for view in stopping if view.replicas]
        if interrupt and serving:
            stopping.append(serving)
            # without leave only while it does not answer
            moves.append(Scale(serving.name, 0, interrupts=allowed))
        if lend and serving:
            moves += [AwaitFreed(view.name) for view in stopping]
            moves += lent_moves(serving, lend)
        if back.replicas < back.serves_with:
            moves.append(Scale(back.name, lend.tested if lend else back.serves_with))
        # also of those at zero already: their pods may be ending still
        moves += [AwaitFreed(view.name) for view in stopping]
        stopped = {view.name for view in stopping}
    # once it answers there, what holds seats goes first: a replica that was asked for meanwhile may
    # wait for one of them
    if not (switched and back.available):
        if back.steady or not (at_once or _enough(back, target)):
            moves.append(AwaitReady(back.name))
        made = "" if other else back.made
        moves += over
        moves.append(replace(leading(settled), made=made, alone=bool(other), least=least))
    moves.append(RemoveCandidateService())
    rest = seen.others(target.id)
    # what serves may run again by then, whoever stopped it
    if any(v.release == seen.serving or (v.runs and v.name not in stopped) for v in rest):
        moves.append(Drain(target.id, state.drain_s))
    moves += [Remove(view.name) for view in rest]
    if back.lent or lend or of:  # what answered does so, the rest has room from here on
        moves.append(Scale(back.name, max(of, back.serves_with), of=of))
    moves += [AwaitReady(back.name), Save(with_doubt(settled, doubt))]
    said = f"went back to {target.deployment}"
    if other:
        said += f", which is not proven: since it served before, {other}"
    return Course(tuple(moves), said)


def barred(seen: Observed, target: Release) -> bool:
    """The pod template of what is gone back to is not the one that served, and something else
    answers."""
    if seen.serving == target.id or not seen.changed(target.id, which=False):
        return False
    return seen.alive(seen.serving) or (seen.serving is None and not seen.lost)


def _halfway(state: State) -> bool:
    """Seats change over one by one, on a way back that was begun."""
    return state.phase == "reverting" and state.strategy == "lend"


def arrived(seen: Observed) -> Observed:
    """A switch that has happened is one, though nobody has written it down yet."""
    state = seen.state
    if state.phase != "promoting" or not state.candidate or seen.serving != state.candidate.id:
        return seen
    return replace(seen, state=replace(promoted(state, seen.deployments), phase="soaking"))


def leaving(seen: Observed) -> State:
    """The state that a way back begins from. Where the Service was led by hand to a candidate, to
    what does not answer, or to a person's own pods, what served before that is gone back to, as
    long as it answers and is proven."""
    state = arrived(seen).state
    stable, begun = state.stable, state.phase in ("reverting", "restoring")
    if stable is None or begun or seen.lost or seen.serving == stable.id:
        return state
    if not seen.alive(stable.id) or known_against(state):
        return state
    return replace(state, previous=stable)


def known_against(state: State, *, failed: bool = False) -> str:
    """What is known against the stable release, and stays known whatever happens next."""
    # in other phases the verdict is the candidate's
    of_stable = state.phase in ("soaking", "unproven", "reverting", "restoring")
    if failed or breached(state) or (of_stable and state.verdict == "fail"):
        return "fail"
    if state.phase in ("soaking", "unproven"):
        return "inconclusive"
    if state.phase in ("reverting", "restoring"):
        return state.verdict
    return in_doubt(state, state.stable.id if state.stable else None)


def _enough(view: DeploymentView, release: Release | None) -> bool:
    """It answers with what its rollout asked for: more, set by hand or by an autoscaler, may be
    waiting for a seat that is free only after the switch."""
    asked = release.replicas if release else view.serves_with
    return min(view.replicas, view.available) >= min(view.serves_with, asked)


def leading(state: State) -> PointService:
    """The switch to stable, of which the Service says what this state does."""
    assert state.stable is not None
    previous = state.previous.id if state.previous and state.previous != state.stable else ""
    waits = state.phase in ("soaking", "unproven") or in_doubt(state, state.stable.id) != ""
    return PointService(state.stable, previous, not waits)


def straightened(seen: Observed, state: State) -> list[Move]:
    """A Service that names what serves, and asks for more than its pods carry, gets its pods back.

    Nobody wants that: who leads it elsewhere by hand takes our label away. One that is gone leads
    to stable again, where that answers.
    """
    if seen.lost and state.stable and seen.alive(state.stable.id):
        return [leading(state)]
    named = (state.stable, state.previous, state.candidate)
    found = next((item for item in named if item and item.id == seen.serving), None)
    if not seen.bent or not found:
        return []
    return [leading(state) if found == state.stable else PointService(found)]


def straight_first(seen: Observed, course: Course) -> Course:
    """Whatever it comes to, a Service that leads nowhere is mended first."""
    if any(isinstance(move, PointService) for move in course.moves):
        return course  # it leads it somewhere itself
    led = straightened(seen, seen.state)
    return replace(course, moves=(*led, *course.moves)) if led else course


def drained(seen: Observed, stopping: list[DeploymentView]) -> list[Move]:
    """A pause before these stop, where one of them may have served until a moment ago.

    A candidate never did, as far as is remembered. Where what serves does not answer, nothing is
    gained by waiting.
    """
    state = seen.state
    candidate = state.candidate.id if state.candidate and state.stable else None
    served = any(view.runs for view in stopping if view.release != candidate)
    if served and seen.serving and seen.alive(seen.serving):
        return [Drain(seen.serving, seen.state.drain_s)]
    return []


def _interrupts(
    state: State,
    serving: DeploymentView | None,
    back: DeploymentView,
    *,
    allow: bool,
    room: Room | None,
) -> bool:
    """Whether what serves is scaled down first. Raises Refused when there is no room either way."""
    if _enough(back, state.previous):
        return False
    alive = serving is not None and serving.available > 0
    if room is None:
        begun = state.phase == "reverting" and state.strategy == "replace"
        return serving is not None and (begun or allow or not alive)
    if room.beside >= back.serves_with:
        return False
    need = f"{back.name} needs room for {back.serves_with} replica(s) of {room.replica}"
    if room.most_instead < back.serves_with:
        raise Refused(
            f"{need}, its nodes have room for {room.most_instead} even with what serves scaled "
            f"down{kept_for(room.owed)}; free what others hold there, or "
            "roll a known good revision out with `rollout run`"
        )
    if alive and not allow and room.most_beside >= back.serves_with:
        return False  # nobody can say, and trying it takes nothing
    if alive and room.queue:
        raise Refused(
            f"{need}, its nodes have room for {room.beside} while what serves runs, and "
            f"{', '.join(room.queue[:4])} would take what it frees{kept_for(room.owed)}; "
            "let them be placed or remove them, or free what others hold there; in an emergency "
            "`rollout rollback` and `undo` go back all the same with --past-queue"
        )
    if alive and not allow:
        raise Refused(
            f"{need}, its nodes have room for {room.beside} while what serves runs"
            f"{kept_for(room.owed)}; free what others hold there, or pass "
            "--allow-interruption: the serving release is scaled down first, and comes back "
            "if this one does not get ready"
        )
    return serving is not None


def decide_restore(seen: Observed) -> Course:
    """Give a way back up: the release that served before it serves on, or again.

    Raises StepFailed when that release's Deployment is gone.
    """
    state = replace(seen.state, phase="restoring", verdict=known_against(seen.state))
    home = seen.view(state.stable.id) if state.stable else None
    if home is None or state.stable is None:
        raise StepFailed(
            f"nothing is left of the release that served {state.name}; "
            "roll a known good revision out with `rollout run`"
        )
    # a release that is not proven is no better because the one before it did not come back
    phase: Phase = "unproven" if state.verdict in ("fail", "inconclusive") else "idle"
    # what is known to be bad is left as soon as may be, as its rollout was allowed to
    kept = "replace" if state.verdict == "fail" and state.strategy == "replace" else ""
    after = replace(state, phase=phase, candidate=None, strategy=kept)
    after = with_doubt(after, state.verdict if phase == "unproven" else "")
    moves: list[Move] = [Save(state), *straightened(seen, state)]
    away = seen.serving != home.release
    # what answers at the Service goes on until home does
    serving = seen.view(seen.serving) if away and seen.alive(seen.serving) else None
    others = seen.others(home.release, serving.release if serving else None)
    if away and home.available and serving is None:  # it answers, and nothing else does there
        moves += [leading(after), Drain(home.release, state.drain_s)]
        away = False
    moves += drained(seen, others)
    moves += [Scale(view.name, 0) for view in others if view.replicas]
    # the seats it lacks are held by what serves
    later = home.lent and serving is not None
    grows: list[Move] = []
    if home.replicas < home.serves_with:
        grows = [Scale(home.name, home.serves_with)]
    if not later:
        moves += grows
    if not home.whole:
        moves += [AwaitFreed(view.name) for view in others]
    if home.lent or not _enough(home, state.stable):
        moves.append(AwaitReady(home.name))
    if away:
        moves.append(leading(after))
    if serving:
        moves += [Drain(home.release, state.drain_s), Scale(serving.name, 0)]
        if later:
            moves += [*grows, AwaitFreed(serving.name), AwaitReady(home.name)]
    if phase == "idle" and moves[-1] != AwaitReady(home.name):
        moves.append(AwaitReady(home.name))
    moves.append(Save(after))
    return Course(tuple(moves), f"{home.name} serves on")


def decide_after_failure(seen: Observed) -> Course | None:
    """What follows when the moves of a course failed: home again from a way back that led nowhere,
    and back where what serves did not come up in its time.

    None: nothing but what a recovery does anyway. Once the release gone back to serves, the way
    on is forward.
    """
    state = seen.state
    home, target = state.stable, state.previous
    back = seen.view(target.id) if target and not barred(seen, target) else None
    if state.phase in ("proven", "restoring") and home and back:
        return None if seen.alive(home.id) else decide_revert(seen)
    if state.phase != "reverting" or home is None or home.id not in seen.deployments:
        return None
    if back and back.available and state.verdict == "fail" and state.strategy != "lend":
        return None  # whoever comes next goes on: home is known to be bad
    if back and (back.steady or _enough(back, target)) and not seen.alive(home.id):
        return decide_revert(seen)  # a replica that was asked for meanwhile is not there
    arrived = back is not None and seen.serving == back.release and back.available
    return None if arrived else decide_restore(seen)


def decide_unproven(seen: Observed, verdict: str, why: str) -> Course:
    """The Service leads to a release whose soak was not passed; nothing is stopped or moved.

    verdict: 'fail' where the release failed it, 'inconclusive' where nobody could look. why: in
    words, for a person.
    """
    if known_against(seen.state) == "fail":  # which no look that sees nothing takes back
        verdict = "fail"
    state = replace(seen.state, phase="unproven", verdict=verdict, why=why)
    state = with_doubt(state, verdict)
    name = state.stable.deployment if state.stable else state.name
    return Course((Save(state),), f"{name} serves, and is not proven")


def decide_soak_failed(seen: Observed, room: Room | None = None) -> Course:
    """The promoted release failed its soak: the one before it serves again, where there is a way.

    A rollout that was allowed to interrupt on its way there may do so on its way back.
    """
    try:
        course = decide_revert(
            seen, allow_interruption=seen.state.strategy == "replace", room=room, failed=True
        )
        return replace(course, unless="fail")
    except Refused as error:
        course = decide_unproven(seen, "fail", f"no way back: {error}")
        return replace(course, sentence=f"{course.sentence}: {error}")
