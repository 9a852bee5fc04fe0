"""What a candidate must be before the Service is led to it, and the seats that change over first:
what lends would else leave all requests to the few replicas that were tested."""

from __future__ import annotations

from dataclasses import replace

from tasks.base.errors import Refused, StepFailed
from tasks.release.course import AwaitFreed, AwaitReady, DeploymentView, Move, Observed, Room
from tasks.release.lend import Lend, decide_lend, exchange, exchange_moves
from tasks.release.seats.capacity import ALL, Filled, agreed, filled, grown, set_by_hand
from tasks.release.seats.edited import held_fast
from tasks.release.seats.room import kept_for
from tasks.release.state import Release, as_named


def promotable(seen: Observed, candidate: Release) -> DeploymentView:
    """The candidate's Deployment. Raises StepFailed where a replica of it is not ready, but for one
    that was asked for as seats changed over; Refused where it is not what was judged."""
    view, name = seen.view(candidate.id), as_named(seen.state)
    serving = seen.view(seen.serving)
    if serving != view and (why := held_fast(serving)):
        raise StepFailed(f"{candidate.deployment} is not promoted: {why}")
    if view is None or not (view.steady or (_halfway(seen) and view.available)):
        ready = f"{view.available} of {view.serves_with}" if view else "none"
        raise StepFailed(
            f"{candidate.deployment} is not promoted: {ready} of its replicas ready; "
            f"look at its pods, or settle it with `rollout recover {name}`"
        )
    if strangers := seen.strangers.get(candidate.id):
        raise Refused(
            f"{candidate.deployment} is not promoted: {strangers} carries its labels, and is "
            "asked in its place where a Service leads to it; take the labels away from that, "
            "or remove it, then promote or run again"
        )
    if why := seen.changed(candidate.id):
        raise Refused(
            f"{candidate.deployment} is not promoted: {why}, and what was judged is not what "
            f"would serve; `rollout reject {name}` removes it, `rollout run` measures "
            "anew what the spec says"
        )
    return view


def changes_over(seen: Observed, candidate: DeploymentView, room: Room | None) -> Filled:
    """What is done before the switch to a candidate, and with how many replicas it is to answer
    then. room: for it; None where nobody could look. Raises Refused, before anything has changed,
    where fewer would answer than was announced, or do now, or others wait for what is freed."""
    state, serving, asks = seen.state, seen.view(seen.serving), set_by_hand(seen)
    if serving is None or serving.release == candidate.release:
        return Filled([], ALL, candidate)  # it may be led away again by then
    whole = max(candidate.serves_with, asks)
    if room:  # more would wait for ever
        whole = max(candidate.serves_with, min(whole, room.instead))
    allowed = agreed(state, candidate.release) or state.strategy == "replace"
    if not serving.available:  # nothing is gained by waiting
        least = candidate.replicas if allowed else ALL
        return grown(candidate, whole, [], 1 if state.strategy == "lend" else least)
    if state.strategy != "lend":
        return filled(serving, candidate, asks, room, allowed=allowed)
    of, view = whole if whole > candidate.serves_with else 0, candidate
    candidate = replace(candidate, serves_with=whole)
    path = exchange(room.tables if room else None, serving, candidate)
    stays, comes = path[-1]
    # a person may have asked for fewer since
    least = min(state.least, max(1, serving.serves_with // 2), candidate.serves_with)
    if min(stays, comes) < least:
        raise Refused(
            f"{candidate.name} is not promoted: the plan said that never fewer than {state.least} "
            f"replicas serve, its nodes have room for {comes} of it beside {stays} of "
            f"{serving.name}{kept_for(room.owed if room else ())}; free what others hold "
            "there, then promote or run again"
        )
    _must_stay_free(serving, candidate, path, room)
    moves: list[Move] = []
    if _halfway(seen):  # a pod may be ending still, or not be ready yet
        moves += [AwaitFreed(serving.name, serving.replicas)] if serving.lent else []
        moves += [AwaitReady(candidate.name)] if not candidate.steady else []
    moves += exchange_moves(serving, candidate, path, of)
    if not of:
        return Filled(moves, comes, view)
    return grown(replace(view, replicas=comes), whole, moves, comes)


def goes_over(
    serving: DeploymentView | None,
    back: DeploymentView,
    lend: Lend | None,
    room: Room | None,
    *,
    asks: int,
    allowed: bool,
) -> tuple[list[Move], int]:
    """The same on a way back, once the first replicas of the release gone back to answer. lend: how
    those find room; None where they have it already. asks, allowed: see `filled`. Raises
    Refused as changes_over does."""
    if serving is None or not serving.available:
        return [], 1
    whole = max(back.serves_with, asks)
    if not (lend or back.lent):
        back = replace(back, replicas=max(back.replicas, back.serves_with))
        found = filled(serving, back, asks, room, allowed=allowed)
        return found.before, found.least
    moves: list[Move] = []
    if lend:
        serving = replace(serving, replicas=lend.keep)
        back = replace(back, replicas=lend.tested)
    elif serving.lent:  # a pod may be ending still
        moves.append(AwaitFreed(serving.name, serving.replicas))
    of = whole if whole > back.serves_with else 0
    path = exchange(room.tables if room else None, serving, replace(back, serves_with=whole))
    _must_stay_free(serving, back, path, room)
    rest = exchange_moves(serving, back, path, of)
    return [*moves, *rest] if rest else [], path[-1][1]


def lends(
    serving: DeploymentView | None, back: DeploymentView, room: Room | None, asks: int
) -> Lend | None:
    """What the serving release lends the one gone back to, which stands at zero; None where there
    is room beside it for as many as answer now (asks), or nothing to lend, or others would take
    what it frees."""
    whole = max(back.serves_with, asks)
    if room is None or back.runs or room.queue:
        return None
    if room.beside >= whole or room.instead < back.serves_with:
        return None
    whole = min(whole, room.instead)
    return decide_lend(room.tables, serving, back.serves_with, whole=whole)


def _must_stay_free(
    serving: DeploymentView, other: DeploymentView, path: list[tuple[int, int]], room: Room | None
) -> None:
    if room and room.queue and path[-1][0] < serving.replicas:
        raise Refused(
            f"{', '.join(room.queue[:4])} would take the seats that {serving.name} gives to "
            f"{other.name} before the Service is moved{kept_for(room.owed)}; let them be placed or "
            "remove them, then try again"
        )


def _halfway(seen: Observed) -> bool:
    return seen.state.phase == "promoting" and seen.state.strategy == "lend"
