"""Which moves lead from what the cluster holds to a settled state.

Promotion, roll-back, recovery after a crash and the operator's revert are all lists of the same
few moves, decided from an `Observed` cluster and never from a process's memory. Any prefix of a
list may have been executed when the process died: deciding anew from what is observed then leads
to a settled state, and no prefix leaves the Service without the release that served, nor stops what
served after its switch without a `Drain` (tests/unit/outside/kubernetes: test_cuts.py,
test_cuts_back.py and test_late_writes.py cut them before every write of the real Actor).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.base.errors import Refused, StepFailed
from tasks.release.back import (
    arrived,
    barred,
    decide_after_failure,
    decide_restore,
    decide_revert,
    decide_soak_failed,
    decide_unproven,
    drained,
    known_against,
    leading,
    straight_first,
)
from tasks.release.course import (
    NOTHING,
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
    Soak,
)
from tasks.release.lend import Lend, lent_moves
from tasks.release.memory.terms import unproven_text, with_terms
from tasks.release.seats.edited import drifted, held_fast
from tasks.release.seats.kept import held_text
from tasks.release.seats.over import changes_over, promotable
from tasks.release.state import (
    DRAIN_S,
    Release,
    State,
    breached,
    in_doubt,
    kept_for_rollback,
    promoted,
    with_doubt,
    without_doubt,
)

__all__ = [
    "AwaitFreed",
    "AwaitReady",
    "Course",
    "DeploymentView",
    "Drain",
    "Move",
    "Observed",
    "PointService",
    "Remove",
    "RemoveCandidateService",
    "Room",
    "Save",
    "Scale",
    "Soak",
    "decide_after_failure",
    "decide_promotion",
    "decide_recovery",
    "decide_restore",
    "decide_resume",
    "decide_revert",
    "decide_soak_failed",
    "decide_start",
    "decide_unproven",
    "may_begin_over",
]


SWITCHED = ("soaking", "proven", "unproven")


def decide_start(
    seen: Observed,
    candidate: Release,
    rollout: str,
    strategy: str,
    drain_s: float = DRAIN_S,
    spec: Mapping[str, Any] | None = None,
    lend: Lend | None = None,
    plan: str = "",
) -> Course:
    """Announce the candidate; with `replace`, free the accelerators of stable first, with `lend`
    those of some of its replicas.

    spec, plan: of the rollout, for whoever goes on with it, and its digest. Raises StepFailed where
    what serves is not as it was when it was decided what it lends, and for what serves itself.
    """
    if seen.serving == candidate.id:
        raise StepFailed(
            f"{candidate.deployment} serves {seen.state.name} and is not tested beside itself: it "
            "does not answer; look at its pods, or go back with `rollout rollback "
            f"{seen.state.name}`"
        )
    if why := held_fast(seen.view(seen.serving)):
        raise StepFailed(f"{candidate.deployment} is not tested: {why}")
    state = replace(
        with_doubt(seen.as_it_serves(), known_against(seen.state)),
        phase="testing",
        candidate=candidate,
        wanted=None,
        rollout=rollout,
        strategy=strategy,
        verdict="",
        breach="",
        drain_s=drain_s,
        least=lend.least if lend else 0,
        plan=plan,
        until="",
    )
    own = {"spec": dict(spec or {}), "measured": {}, "since": "", "rollout": rollout, "plan": plan}
    state = with_terms(state, candidate.id, **own)
    moves: list[Move] = [Save(state)]
    serving = seen.view(seen.serving)
    if strategy == "replace" and serving:
        # a candidate made now would be Pending for as long as these pods may take to end
        moves += [Scale(serving.name, 0, interrupts=True), AwaitFreed(serving.name)]
    elif lend is not None:
        moves += lent_moves(serving, lend)
    return Course(tuple(moves), f"testing candidate {candidate.deployment}")


def decide_promotion(
    seen: Observed,
    *,
    keep_previous: bool,
    measured: Mapping[str, float] | None = None,
    room: Room | None = None,
) -> Course:
    """The candidate passed: move the Service, soak, retire the old. Where it has lent seats, more
    of them change over before the switch.

    measured: what the benchmark saw, for whoever watches it; None: what the state has stands.
    room: for the candidate, where it has lent seats; None where nobody could look. Also finishes a
    promotion that died half-way, or that nobody could look at. Raises Refused when there is nothing
    to promote, or what is there is not what was judged, StepFailed when a replica of it is not
    ready.
    """
    state = seen.as_it_serves() if seen.alive(seen.serving) else seen.state
    judged = state.stable if _switched(seen) else state.candidate
    if measured is not None and judged is not None:
        state = with_terms(state, judged.id, measured=dict(measured))
    moves: list[Move] = []
    if _switched(seen):
        after = state if state.phase == "proven" else replace(state, phase="soaking", breach="")
        moves = [Save(after)] if state.phase == "unproven" or state.breach else []
    else:
        if state.candidate is None:
            raise Refused(
                f"rollout {state.name} has no candidate to promote; start one with `rollout run`"
            )
        candidate = state.candidate
        view, ran = promotable(seen, candidate), state.ran.get(candidate.id, ())
        fill = changes_over(seen, view, room)
        seen = replace(seen, deployments={**seen.deployments, candidate.id: fill.view})
        state = replace(state, verdict="pass", breach="")
        after = replace(promoted(state, seen.deployments), phase="soaking")
        moves = [
            Save(replace(state, phase="promoting")),
            *fill.before,
            replace(leading(after), made=view.made, ran=ran, least=fill.least),
            Save(after),
            *fill.after,
        ]
    assert after.stable is not None
    now_serving = replace(seen, serving=after.stable.id)
    moves += _soak_and_finish(now_serving, after, keep_previous=keep_previous)
    return straight_first(seen, Course(tuple(moves), f"promoting {after.stable.deployment}"))


def _soak_and_finish(seen: Observed, state: State, *, keep_previous: bool) -> list[Move]:
    """An unfinished soak is begun anew, by whoever finds it: only what passed it is settled."""
    assert state.stable is not None
    proven = replace(state, phase="proven")
    soak: list[Move] = [Soak(state.stable), Save(proven)]
    rest = finish(seen, proven, keep_previous=keep_previous)
    return rest if state.phase == "proven" else [*soak, *rest]


def _switched(seen: Observed) -> bool:
    """The Service leads to a promoted release that is not settled yet."""
    state = seen.state
    waits = state.phase in SWITCHED
    return waits and state.stable is not None and seen.serving == state.stable.id


def finish(
    seen: Observed, state: State, *, keep_previous: bool, doubted: bool = False
) -> list[Move]:
    """The promoted release stays: everything stops that is neither it nor kept as previous. Where
    it was measured with fewer replicas than it serves with, the others follow now. doubted: what is
    known against it stays known."""
    assert state.stable is not None
    others, view = seen.others(state.stable.id), seen.view(state.stable.id)
    grows = view is not None and (view.lent or (state.strategy == "lend" and not view.whole))
    previous = kept_for_rollback(state) if keep_previous else None
    kept = previous.id if previous else None
    moves: list[Move] = [RemoveCandidateService()]
    if any(view.runs for view in others):
        moves.append(Drain(state.stable.id, state.drain_s))
    if view and grows and view.replicas < view.serves_with:
        # before its seats are free: it waits for them longer than whoever comes then
        moves.append(Scale(view.name, view.serves_with))
    for other in others:
        if other.release != kept:
            moves.append(Remove(other.name))
        elif other.replicas:
            moves.append(Scale(other.name, 0))
    if view and not view.whole:
        moves += [AwaitFreed(other.name) for other in others if other.release == kept]
    moves.append(AwaitReady(state.stable.deployment))
    settled = replace(state, phase="idle", previous=previous, strategy="")
    return [*moves, Save(settled if doubted else without_doubt(settled))]


def superseded_by(seen: Observed, state: State) -> Course:
    """What failed its soak, and has no better to go back to, serves on while another is tested; it
    is not settled by that."""
    assert state.stable is not None
    others = seen.others(state.stable.id)
    moves: list[Move] = [RemoveCandidateService(), *drained(seen, others)]
    moves += [Scale(view.name, 0) for view in others if view.replicas]
    return Course(tuple(moves), f"{state.stable.deployment} serves on, unproven")


def decide_recovery(
    seen: Observed,
    *,
    keep_previous: bool = True,
    soak_failed: bool = False,
    superseded: bool = False,
    room: Room | None = None,
) -> Course:
    """Settle what a failed, cancelled or dead rollout left behind. Idempotent.

    The release the Service points at stays. A promotion whose write has happened is finished when
    the new release passes its soak, taken back when only the old one lives. What waits for a person
    waits on. Everything else: the candidate goes, and a stable release that was scaled down comes
    back.

    soak_failed: the caller saw the promoted release fail. superseded: another release is wanted, or
    a person rejects this one: nothing waits for a person any more. room: for the release gone back
    to, where a way back was begun; None where nobody looked.
    """
    course = _recovery(seen, keep_previous, soak_failed, superseded, room)
    return straight_first(seen, course)


def _recovery(
    seen: Observed, keep_previous: bool, soak_failed: bool, superseded: bool, room: Room | None
) -> Course:
    state = seen.state
    if state.stable and seen.alive(state.stable.id) and seen.astray:
        led = replace(seen, serving=state.stable.id, lost=False)
        after = decide_recovery(led, keep_previous=keep_previous, superseded=superseded)
        first: list[Move] = [leading(state)]
        if seen.serving is not None:  # it may answer again by then
            first.append(Drain(state.stable.id, state.drain_s))
        return replace(after, moves=(*first, *after.moves))
    known = {item.id for item in (state.stable, state.previous) if item} & set(seen.deployments)
    on_its_way = state.phase in ("reverting", "restoring")
    before, home = state.previous, state.stable.id if state.stable else None
    fell = before is not None and seen.serving == before.id and not seen.alive(before.id)
    if fell and seen.alive(home) and (on_its_way or state.phase in SWITCHED):
        return decide_restore(seen)  # what answers serves, proven or not
    if on_its_way and seen.serving not in known and seen.alive(seen.serving):
        return _keep_serving(seen, keep_previous=keep_previous)  # a person led it there
    if state.phase == "restoring" and state.stable and state.stable.id in known:
        back = seen.view(before.id) if before and not barred(seen, before) else None
        if back and back.steady and not seen.alive(state.stable.id):
            return decide_revert(seen)  # home does not answer, the other does
        return decide_restore(seen)
    if on_its_way and state.previous:
        if state.previous.id in known:
            try:
                return decide_revert(seen, room=room)
            except Refused:  # the room it was begun with is gone
                return decide_restore(seen)
        if known:
            return decide_restore(seen)
    noted: list[Move] = []
    if (led := arrived(seen)) is not seen:
        seen, state, noted = led, led.state, [Save(led.state)]
    if _switched(seen):
        assert state.stable is not None
        if soak_failed or breached(state):
            return decide_soak_failed(seen, room)
        back = seen.view(state.previous.id) if state.previous else None
        waits = state.phase == "unproven" and not superseded
        # one that is proven is waited for first, where nothing else answers
        starts = state.phase != "proven" and not waits
        if back and (back.available or starts) and not seen.alive(state.stable.id):
            return decide_revert(seen)
        if waits:
            return Course((), unproven_text(state))
        if state.phase == "unproven" and state.verdict == "fail":
            # what is known to be good makes the better neighbour
            if back and back.steady and before and not barred(seen, before):
                return decide_revert(seen)
            return superseded_by(seen, state)
        rest = _soak_and_finish(seen, state, keep_previous=keep_previous)
        sentence = f"finished the promotion of {state.stable.deployment}"
        return Course((*noted, *rest), sentence)
    if state.phase == "held" and state.candidate and not superseded:
        return Course((), held_text(state))
    return _keep_serving(seen, keep_previous=keep_previous)


def _keep_serving(seen: Observed, *, keep_previous: bool) -> Course:
    """What the Service leads to serves on, or again; the candidate and strangers go."""
    state, serving = seen.state, seen.view(seen.serving)
    keep = {state.stable.id if state.stable else None}
    if keep_previous and state.previous:
        keep.add(state.previous.id)
    others = seen.others(seen.serving)
    down = serving is not None and serving.replicas < serving.serves_with
    at_rest = state.phase in ("idle", "held")
    moves: list[Move] = [Save(replace(state, phase="testing"))] if down and at_rest else []
    # what served comes back and what holds its devices stops, both without waiting for the other;
    # the first is asked first, since the other may be refused
    if serving and down:
        moves.append(Scale(serving.name, serving.serves_with))
    moves += drained(seen, others)
    moves += [Scale(v.name, 0) for v in others if v.replicas and (down or v.release in keep)]
    if serving and not serving.whole:
        # also of those at zero already: their pods may be ending still
        moves += [AwaitFreed(view.name) for view in others if down or view.release in keep]
    if serving and down:
        moves.append(AwaitReady(serving.name))
    moves.append(RemoveCandidateService())
    moves += [Remove(view.name) for view in others if view.release not in keep]
    if serving and not down:
        moves.append(AwaitReady(serving.name))
    after = replace(state, phase="idle", candidate=None, strategy="")
    if doubt := in_doubt(state, seen.serving):
        after = replace(after, phase="unproven", verdict=doubt)
    moves.append(Save(after))
    said = NOTHING
    if state.candidate and state.candidate.id == seen.serving:  # by a person's hand
        said = f"{state.candidate.deployment} serves on"
    elif state.candidate:
        said = f"removed candidate {state.candidate.deployment}"
    return Course(tuple(moves), said)


def may_begin_over(seen: Observed) -> bool:
    """Whether another release may be tested although what the last rollout left is not settled: it
    may be what mends a release that does not get ready, and nothing is forgotten by it."""
    state = seen.state
    led = state.candidate is not None and seen.serving == state.candidate.id
    under_test = state.phase in ("testing", "promoting", "held") and not led
    return under_test or not seen.alive(seen.serving)


def decide_resume(seen: Observed, wanted: Release) -> str:
    """What a new run finds: 'fresh', 'done', 'changed', 'promote', 'retest' or 'clear'.

    done: the wanted release serves already. changed: it does, and is not what it was any more.
    promote: it passed and its promotion is unfinished. retest: it is the candidate under test.
    clear: another rollout's leftovers go first.
    """
    state = seen.state
    if breached(state):
        return "clear"
    if state.phase in SWITCHED and state.stable and state.stable.id == wanted.id:
        return "promote"
    if state.phase == "promoting" and state.candidate and state.candidate.id == wanted.id:
        judged = seen.alive(wanted.id) and not seen.changed(wanted.id)
        return "promote" if judged else "retest"
    if state.phase == "idle":
        if seen.serving == wanted.id and seen.alive(wanted.id):
            return "clear" if seen.bent else "changed" if drifted(seen) else "done"
        return "fresh"
    under_test = state.phase in ("testing", "promoting", "held")
    if under_test and state.candidate and state.candidate.id == wanted.id:
        return "retest"
    return "clear"
