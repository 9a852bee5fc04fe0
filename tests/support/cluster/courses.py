"""What one process does to the rollout's objects, cut or not, and how it is settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasks.base.errors import RolloutError
from tasks.outside.kubernetes.actor import Actor, carry_out
from tasks.release import moves
from tasks.release.soaking import Look
from tests.support.cluster.actor_world import Killed, World


def bad(_: object) -> Look:
    return Look(trouble=("m-new-0 restarted 3 times",))


def unseen(_: object) -> Look:
    return Look(answer="none", why="no route")


LOOKS: dict[str, Callable[[Any], Look]] = {
    "good": lambda _: Look(),
    "bad": bad,
    "unseen": unseen,
}


def once(at: World, what: Callable[[Actor], object], cut: int | None, look: str = "good") -> None:
    """One process: takes over, does something, may be killed before one of its writes."""
    actor = at.actor(LOOKS[look])
    at.left = None if cut is None else cut
    try:
        actor.take_over()
        what(actor)
    except (Killed, RolloutError):
        pass
    finally:
        at.left = None


def settle(at: World, *, keep: bool = True) -> None:
    """What the janitor, or the next run, does."""
    actor = at.actor()
    actor.take_over()
    carry_out(actor, moves.decide_recovery(actor.observe(), keep_previous=keep))
