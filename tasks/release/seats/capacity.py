"""As many replicas answer after a switch as before it: what a person or an autoscaler set for what
serves is set for what takes its place, where seats allow, and fewer only where that is agreed to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.base.errors import Refused
from tasks.release.course import AwaitReady, DeploymentView, Move, Observed, Room, Scale
from tasks.release.seats.room import kept_for
from tasks.release.state import State, Terms

# as many as answer when the Service is led there
ALL = 1 << 20


def set_by_hand(seen: Observed) -> int:
    """Replicas that what serves was set to since its rollout asked for fewer, and has; 0 for
    none."""
    state, view = seen.state, seen.view(seen.serving)
    view = view and view.seated
    named = (state.stable, state.previous, state.candidate)
    asked = next((item.replicas for item in named if item and item.id == seen.serving), None)
    return view.serves_with if view and asked and view.serves_with > asked else 0


def more_by_hand(seen: Observed, back: DeploymentView, room: Room | None) -> int:
    """With how many more than it served with what is gone back to is to serve in the end; 0 for no
    more."""
    of = set_by_hand(seen)
    of = min(of, room.instead) if room else of
    return of if of > back.serves_with else 0


def falls(seen: Observed, replicas: int) -> tuple[int, int] | None:
    """How many replicas answer now, and with how many a release of `replicas` would serve in place
    of that; None where those are no fewer."""
    view = seen.view(seen.serving)
    now = (view.serves_with if view.stopped else view.available) if view else 0
    then = max(replicas, set_by_hand(seen))
    return (now, then) if now > then else None


def agreed(state: State, release: str) -> bool:
    """Whether the spec of a release says that what serves may answer with fewer, or not at all."""
    said = state.terms.get(release, Terms()).spec.get("promotion") or {}
    return bool(said.get("allow_interruption")) or said.get("strategy") == "replace"


@dataclass(frozen=True)
class Filled:
    """before: what is done before the switch. least: fewest ready replicas that it may find. after:
    what follows it at once. view: of the release, as it is then."""

    before: list[Move]
    least: int
    view: DeploymentView
    after: tuple[Move, ...] = ()


def filled(
    serving: DeploymentView, other: DeploymentView, asks: int, room: Room | None, *, allowed: bool
) -> Filled:
    """How a release gets as many replicas as what serves, beside it. asks: what that is to be; 0
    for what the release serves with. room: for it; None where nobody could look.

    Raises Refused where fewer would answer, unless allowed.
    """
    whole, own, now = max(other.serves_with, asks), other.replicas, serving.available
    # what nobody can count is tried where nobody has agreed to fewer
    beside = whole if room is None else room.beside if allowed else room.most_beside
    there = max(own, min(whole, beside))
    if room is None and allowed:  # what nobody needs is not tried
        there = own
    if there < now and not allowed:
        kept = kept_for(room.owed if room else ())
        raise Refused(
            f"{now} replica(s) of {serving.name} answer now, {there} of {other.name} would: nobody "
            f"has agreed to that{kept}. Ask for as many (serving.replicas), free seats, scale "
            f"{serving.name} down to what is enough, or agree to it: promotion.allow_interruption, "
            "and --allow-interruption on a way back"
        )
    of = whole if room is None else max(there, min(whole, room.instead))
    before: list[Move] = []
    if there > own:
        before = [Scale(other.name, there, of=of), AwaitReady(other.name)]
    return grown(replace(other, replicas=there), of, before, there if allowed else ALL)


def grown(other: DeploymentView, of: int, before: list[Move], least: int) -> Filled:
    """A release that serves with `of` replicas from the switch on. other: as it is then."""
    more = of > other.replicas and of > other.serves_with
    view = replace(other, replicas=of if more else other.replicas, serves_with=of)
    return Filled(before, least, view, (Scale(other.name, of, of=of),) if more else ())
