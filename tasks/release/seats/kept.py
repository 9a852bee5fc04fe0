"""A candidate that passed, and whose promotion does not come about for what is around it: it waits
for a person, and what serves gets back what was to change over."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.release.course import AwaitFreed, AwaitReady, Course, Move, Observed, Save, Scale
from tasks.release.state import State, as_named


@dataclass(frozen=True)
class Waits:
    """As what a candidate waits that passed just now: plan, until as in State."""

    plan: str
    until: str


def decide_kept(
    seen: Observed, begun: Observed, why: str, until: str, passed: Waits | None = None
) -> Course | None:
    """The candidate is held with its verdict, and with the replicas that it had; None where it is
    not for what is around it that it is not promoted (it is not ready, or not what was judged, or
    nobody has judged it), or where nothing else answers: what serves comes first then.

    begun: as the promotion was begun. why: in words. until: when it may be approved at the latest,
    where it was not held before. passed: it passed just now.
    """
    state, candidate, was = seen.state, seen.state.candidate, begun.state
    if candidate is None or was.candidate != candidate or seen.serving in (None, candidate.id):
        return None
    judged = was.phase in ("held", "promoting") or passed is not None
    if begun.serving != seen.serving or not judged or not seen.alive(seen.serving):
        return None
    view, had = seen.view(candidate.id), begun.view(candidate.id)
    if (
        view is None
        or had is None
        or seen.changed(candidate.id)
        or seen.strangers.get(view.release)
    ):
        return None
    if not had.steady or view.available < had.replicas:
        return None
    moves: list[Move] = []
    if view.replicas > had.replicas:  # it gets them again once it is promoted
        moves += [
            Scale(view.name, had.replicas, lends=view.replicas),
            AwaitFreed(view.name, had.replicas),
        ]
    serving, before = seen.view(seen.serving), begun.view(seen.serving)
    if serving and before and serving.stopped:
        whole = min(before.seated.replicas, before.available)
        if serving.replicas < whole:
            moves += [Scale(serving.name, whole), AwaitReady(serving.name)]
    held = replace(state, phase="held", verdict="pass", why=why, plan=was.plan, until=until)
    if was.phase == "held":
        held = replace(held, verdict=was.verdict, until=was.until)
    elif passed:
        held = replace(held, plan=passed.plan, until=passed.until)
    return Course((*moves, Save(held)), f"it is kept: {held_text(held)}")


def held_text(state: State) -> str:
    """What a person may do with a candidate that waits."""
    name = state.candidate.deployment if state.candidate else "a candidate"
    meant = f"--rollout {state.rollout}" + (f" --plan {state.plan}" if state.plan else "")
    until = f" until {state.until}" if state.until else ""
    return (
        f"{name} waits for a person: `rollout approve {as_named(state)} {meant}` approves it"
        f"{until}, `rollout reject {as_named(state)} {meant}` removes it"
    )
