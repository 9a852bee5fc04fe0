"""What a rollout's roles are where its memory is lost, is an old one, or somebody moved its
Service: whatever is decided is decided from what the Service says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tasks.objects.labels import RELEASE_LABEL
from tasks.objects.pods import Object
from tasks.objects.reached import Switched
from tasks.release.back import known_against
from tasks.release.course import Observed, release_on
from tasks.release.state import Release, State, in_doubt, promoted, with_doubt

LOST = "what was known of its soak is lost"


def recalled(seen: Observed, deployments: Iterable[Object], mark: Switched | None) -> Observed:
    """What is seen, with a state whose stable release is what serves. mark: what the Service says
    of the switch to it."""
    state = remembered(seen, deployments, mark)
    return seen if state is seen.state else replace(seen, state=state, recalled=True)


def agrees(seen: Observed) -> bool:
    """The Service leads to stable, to where the phase says that it is being led, or to none of
    ours. A candidate that a person led it to is that until its test has ended."""
    state = seen.state
    there = {
        "testing": state.candidate,
        "held": state.candidate,
        "promoting": state.candidate,
        "reverting": state.previous,
        "restoring": state.previous,
    }
    named = (state.stable, there.get(state.phase))
    return seen.serving is None or any(item and item.id == seen.serving for item in named)


def remembered(seen: Observed, deployments: Iterable[Object], mark: Switched | None) -> State:
    """The state as the Service has it: what it leads to is stable.

    What served before is kept for the way back, unless that is not proven and the one before it is.
    Where nothing is remembered, the Service says which release is gone back to, and that the one it
    leads to is not proven. Where it does not, what we scaled down last is kept: neither a candidate
    nor what comes late was scaled down. Under way, what does not answer is not remembered: what
    served before it is led to again.
    """
    state, view = seen.state, seen.view(seen.serving)
    bodies = {item["metadata"]["labels"].get(RELEASE_LABEL, ""): item for item in deployments}
    if view is None or view.release not in bodies:
        return state
    unproven, tested = mark is not None and not mark.proven, state.candidate
    if unproven and tested is not None and tested.id == view.release:  # an old memory
        return replace(promoted(state, seen.deployments), phase="soaking", breach="")
    if agrees(seen) or (state.phase != "idle" and not (view.available or view.stopped)):
        return state
    state = with_doubt(state, known_against(state))
    named = [item for item in (state.stable, state.previous, tested) if item]
    stable = next((item for item in named if item.id == view.release), None)
    found = replace(
        state,
        stable=stable or release_on(bodies[view.release], view.release),
        previous=_before(seen, state) or _unnamed(seen, bodies, mark),
        breach="",
        why="",
    )
    if state.phase not in ("idle", "testing", "held", "promoting"):
        # what was under way was another one's
        found = replace(found, phase="testing", candidate=None, strategy="", verdict="")
    if unproven:
        found = with_doubt(found, "inconclusive")
    doubt = in_doubt(found, view.release)
    if found.phase != "idle" or not doubt:
        return found
    return replace(found, phase="unproven", verdict=doubt, why=LOST if unproven else "")


def _before(seen: Observed, state: State) -> Release | None:
    """What is gone back to, by what is remembered: of what served before, the last that is proven,
    else the last."""
    tested = state.candidate.id if state.candidate else None
    named = [
        item
        for item in (state.stable, state.previous)
        if item and item.id not in (seen.serving, tested)
    ]
    proven = [i for i in named if i.id in seen.deployments and not in_doubt(state, i.id)]
    return next(iter([*proven, *named]), None)


def _unnamed(seen: Observed, bodies: dict[str, Object], mark: Switched | None) -> Release | None:
    """What is gone back to, where nothing is remembered."""
    if mark is not None and mark.previous in bodies:
        return release_on(bodies[mark.previous], mark.previous)
    stopped = [
        bodies[view.release]
        for view in seen.others(seen.serving)
        if view.stopped and not view.replicas and view.release in bodies
    ]
    if not stopped:
        return None
    kept = max(stopped, key=lambda item: str(item["metadata"].get("creationTimestamp", "")))
    return release_on(kept, kept["metadata"]["labels"][RELEASE_LABEL])
