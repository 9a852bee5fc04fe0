"""What one process does to the rollout's objects, cut or not, and how it is settled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from flows.rollout import promoted
from tasks.base.errors import RolloutError, StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.soaking import Look
from tasks.release.state import Release, State, breached, to_configmap, with_verdict
from tasks.release.wish import decide_wish
from tasks.run.carry_out import carry_out
from tasks.run.seats import room, room_to_promote
from tests.support.cluster.actor_world import (
    DRAIN,
    NAME,
    NEW,
    NS,
    Killed,
    World,
    deployment,
    release,
    stable_service,
    world,
)
from tests.support.cluster.runs import run_of

Does = Callable[[Actor], object]
W = TypeVar("W", bound=World)
WELL = Look()
GOOD = (WELL, [NEW.served_name])
# two cuts, drawn; one alone is tried everywhere
CUTS = st.integers(0, 16)
PAIRS = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
# what the Service answers: at first, and from the second look on
ANSWERS: dict[str, tuple[tuple[Look, list[str]], tuple[Look, list[str]]]] = {
    "good": (GOOD, GOOD),
    "bad": (GOOD, (Look(answer="bad", why="HTTP 500"), [])),
    "unseen": ((Look(answer="none", why="no route"), []),) * 2,
}


def promotes(keep: bool, answers: str = "good", candidate: Release = NEW) -> Does:
    """The flow's own promotion of the candidate, with what follows from its soak."""

    def go(actor: Actor) -> None:
        at: Any = actor.cluster
        run: Any = run_of(at, promotion={"keep_previous": keep})
        run.road = SimpleNamespace(walk=lambda name, run_name, call: call())
        first, then = ANSWERS[answers]
        looks = iter([first])
        run.ask = lambda service, release: next(looks, then)
        held: Any = SimpleNamespace(
            actor=actor,
            remember=lambda found: actor.change_state(lambda held: with_verdict(held, found)),
        )
        promoted(run, held, candidate, "it passed")

    return go


def promotes_it(actor: Actor) -> None:
    """A promotion alone, with the room there is."""
    seen = actor.observe()
    found = room_to_promote(actor, seen)
    carry_out(actor, moves.decide_promotion(seen, keep_previous=True, room=found))


def goes_back(actor: Actor) -> None:
    """What `rollout rollback` does."""
    seen = actor.observe()
    found = room(actor, seen.state.previous, seen.serving)
    carry_out(actor, decide_wish("rollback", seen, room=found))


def by_hand(at: World, ident: str, replicas: int) -> None:
    """What an autoscaler, or a person, sets a release's replicas to."""
    body = at.objects["Deployment", f"m-{ident}"]
    body["spec"]["replicas"] = replicas
    at.put(body, "kube-controller-manager")


def old_serves(at: W, replicas: int) -> W:
    """`old` was promoted with so many replicas, and serves."""
    old = release("old", replicas)
    at.put(to_configmap(State(NAME, stable=old, rollout="r", drain_s=DRAIN), NS))
    at.put(deployment(old, replicas))
    at.put(stable_service(old))
    return at


def recovers(keep: bool = True) -> Does:
    """What the guard, or the next run, does first."""

    def go(actor: Actor) -> None:
        carry_out(actor, moves.decide_recovery(actor.observe(), keep_previous=keep))

    return go


def once(at: World, what: Does, cut: int | None = None, look: Look = WELL) -> None:
    """One process: takes over, does something, may be killed before one of its writes. look: what
    each of its looks at a release sees."""
    actor = at.actor(lambda _: look)
    at.left = cut
    try:
        actor.take_over()
        what(actor)
    except (Killed, RolloutError):
        pass
    finally:
        at.left = None


def settle(at: World, *, keep: bool = True) -> None:
    """What the guard, or the next run, does."""
    actor = at.actor()
    actor.take_over()
    recovers(keep)(actor)


def at_every_cut(
    begin: Callable[[], World], what: Does, then: Callable[[World, bool], object]
) -> None:
    """Cut a process before each of its writes, each time in a new world, and look `then` at what it
    left: at the world, and whether the process got through. A failure names the place."""
    whole = begin()
    once(whole, what)
    last = len(whole.writes)
    assert last > 2  # beyond taking over
    for cut in range(last + 1):
        at = begin()
        once(at, what, cut)
        assert len(at.writes) == cut
        try:
            then(at, cut == last)
        except AssertionError as error:
            error.add_note(f"cut before write {cut + 1} of {last}")
            raise


def only_taken_over(at: World) -> bool:
    """One process marked what is the rollout's, and wrote nothing else."""
    kinds = sorted(kind for kind, _ in at.objects)
    return sorted(kind for _, kind, _ in at.writes) == kinds


def at_rest(at: World) -> str:
    """Nothing is under way: gives who serves, which answers with all its replicas, alone; one that
    waits for a person may have lent seats still."""
    seen = at.actor().observe()
    state = seen.state
    assert state.stable is not None and seen.serving == state.stable.id
    view = seen.view(seen.serving)
    assert view is not None and (view.whole or (state.phase == "unproven" and view.steady))
    if state.phase != "unproven":
        assert state.phase == "idle" and state.candidate is None
        assert [v.release for v in seen.deployments.values() if v.replicas] == [seen.serving]
    assert at.get("Service", "m-candidate") is None
    return state.stable.id


def lends_nothing(actor: Actor, seen: moves.Observed) -> moves.Room | None:
    """The room for the way back, where what serves has no seat that it could lend."""
    found = room(actor, seen.state.previous, seen.serving)
    return found and replace(found, tables=())


def narrow(seats: int = 2) -> World:
    """Room for one release only, and leave to interrupt."""
    at = world(seats=seats)
    at.may_interrupt = True
    return at


def breaks(at: World) -> bool:
    """The promoted release dies before its promotion is settled, where it came to that."""
    if at.leads_to() != "new" or at.actor().observe().state.phase == "idle":
        return False
    at.broken.add("new")
    at.put(at.objects["Deployment", "m-new"])
    return True


def heir(at: World, broken: bool) -> str:
    """Who is to serve in the end, by what a process left behind."""
    seen = at.actor().observe()
    if seen.serving == "old" or seen.state.phase == "reverting" or breached(seen.state):
        return "old"
    # an unproven one is a person's to judge
    judged = seen.state.phase != "unproven" or seen.alive("old")
    gone_back = broken and judged and "old" in seen.deployments
    return "old" if gone_back else str(seen.serving)


def settled(at: World, keep: bool, broken: bool, again: int | None = None) -> None:
    """It comes to what it has to come to, also where settling is cut."""
    serves = heir(at, broken)
    once(at, recovers(), again)
    lost = broken and serves != "old"  # nothing is left to go back to, or nobody may
    with suppress(StepFailed) if broken else nullcontext():  # the error is told, wherever it led
        settle(at, keep=keep)
    assert at.harm == [] and at.leads_to() == serves
    assert at.actor().observe().state.phase != "idle" if lost else at_rest(at) == serves
