"""What is said of a rollout: who serves, what is under way and why, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasks.base import clock
from tasks.release.course import Observed
from tasks.release.memory.terms import unproven_text, unsoaked_text
from tasks.release.seats.edited import drift, drifted
from tasks.release.seats.kept import held_text
from tasks.release.state import Phase, Release, State, as_named

BENT = "asks for labels that its pods do not have: `rollout recover` leads it there again"


def in_words(seen: Observed) -> str:
    """Who serves, with how many replicas, and what is under way."""
    view = seen.view(seen.serving)
    if view:
        serves = f"{view.name} serves, {view.available} of {view.serves_with} replica(s) available"
    elif seen.serving:
        serves = f"nothing serves: release {seen.serving} has no Deployment"
    elif seen.absent:
        serves = "nothing serves: there is no Service"
    elif seen.lost:
        serves = "nothing serves: the Service leads nowhere"
    else:
        serves = "the Service leads to none of our releases: a person's own pods serve, if any do"
    if view and seen.bent:
        serves = f"nothing serves: the Service names {view.name} and {BENT}"
    candidate = seen.state.candidate
    tested = f", candidate {candidate.deployment}" if candidate else ""
    other = not_as_judged(seen, candidate) if candidate and seen.state.phase == "held" else ""
    if view and seen.down:
        serves = f"nothing answers: {seen.down.why}"
    return f"{serves}{drift_told(seen)}; {phase_told(seen)}{tested}{other}{strangers_told(seen)}"


def drift_told(seen: Observed) -> str:
    """That what serves is not what was rolled out any more; '' where it is, as far as is known."""
    why = drift(seen)
    return f", and is not what was rolled out any more: {why}" if why else ""


def phase_told(seen: Observed) -> str:
    """The phase; with it, where what serves does not answer, that: a phase alone says little."""
    if seen.down is None:
        return seen.state.phase
    return f"{seen.state.phase}, {'broken' if seen.down.broken else 'does not answer'}"


def strangers_told(seen: Observed) -> str:
    """What carries a release's labels and is not its own; '' where nothing does."""
    return "".join(
        f"; {names}: has the labels of release {release} and is not its own: its Service leads "
        "there, too. It is not counted, nor touched: take the labels away"
        for release, names in sorted(seen.strangers.items())
    )


def not_as_judged(seen: Observed, release: Release, *, which: bool = True) -> str:
    """What is other about a release than it was judged, or served; '' where nothing is."""
    other = seen.changed(release.id, which=which)
    return f", which is not what {'was judged' if which else 'served'}: {other}" if other else ""


def why_so(state: State) -> str:
    """Why it is in its phase, where that is bad news; '' where it is not."""
    if state.phase == "unproven":
        failed = "it failed its soak" if state.verdict == "fail" else "nobody could prove it"
        return ": ".join(filter(None, (failed, state.breach or state.why)))
    if state.phase == "held":
        return state.why
    if state.phase in ("soaking", "reverting", "restoring") and state.breach:
        name = state.stable.deployment if state.stable else "what serves"
        return f"{name} failed its soak: {state.breach}"
    return ""


def next_step(seen: Observed) -> str:
    """What an operator may do next, or who does it for them."""
    said = _NEXT[seen.state.phase](seen)
    if seen.down is None:
        return said
    # what is wrong with what serves comes first, whatever is under way
    return down_step(seen) if seen.state.phase == "idle" else f"{down_step(seen)}; {said}"


def _goes_on(doing: str) -> Callable[[Observed], str]:
    def said(seen: Observed) -> str:
        name = as_named(seen.state)
        return (
            f"{doing}; `rollout abort {name}` stops it, and where nobody does it any more the "
            f"guard, or `rollout recover {name}`, settles it"
        )

    return said


def _settles(doing: Callable[[State], str]) -> Callable[[Observed], str]:
    def said(seen: Observed) -> str:
        return (
            f"{doing(seen.state)}; the guard, or `rollout recover {as_named(seen.state)}`, goes on"
        )

    return said


def _held(seen: Observed) -> str:
    state = seen.state
    until = clock.moment(state.until) if state.until else None
    if until is None or clock.now() < until:
        return held_text(state)
    meant = f"--rollout {state.rollout}" + (f" --plan {state.plan}" if state.plan else "")
    return (
        f"{_name(state.candidate)} could be approved until {state.until}: the guard removes it, or "
        f"`rollout reject {as_named(state)} {meant}` does"
    )


def _idle(seen: Observed) -> str:
    if seen.lost:
        return f"the Service leads nowhere: `rollout recover {as_named(seen.state)}` leads it again"
    return seen.unsettled() or drifted(seen) or _in_vain(seen) or "nothing"


def _in_vain(seen: Observed) -> str:
    """That somebody else asks for more of what serves than answers; '' where nobody does."""
    view = seen.view(seen.serving)
    if view is None or not view.unmet:
        return ""
    return (
        f"{view.name} was scaled to {view.replicas} by somebody else (an autoscaler, a person) and "
        f"{view.available} answer: nothing waits for the others; free seats, or ask for fewer"
    )


def down_step(seen: Observed) -> str:
    """What to do where what serves does not answer."""
    name, previous = as_named(seen.state), seen.state.previous
    back = f", or go back to {_name(previous)} with `rollout rollback {name}`" if previous else ""
    return (
        "look at its pods (`kubectl describe`, `kubectl logs --previous`), roll a known good "
        f"revision out with `rollout run`{back}"
    )


def _soaking(seen: Observed) -> str:
    state = seen.state
    if not state.breach:
        return f"{unsoaked_text(state)}; `rollout abort {as_named(state)}` goes back"
    back = state.previous.deployment if state.previous else "nothing: none served before"
    return f"it goes back to {back}: the guard does, or `rollout recover {as_named(state)}`"


_NEXT: Mapping[Phase, Callable[[Observed], str]] = {
    "idle": _idle,
    "testing": _goes_on("a candidate is tested"),
    "promoting": _goes_on("the Service is being moved to the candidate"),
    "soaking": _soaking,
    "proven": _settles(lambda state: "what served before ends its requests and is put away"),
    "unproven": lambda seen: unproven_text(seen.state),
    "reverting": _settles(lambda state: f"it goes back to {_name(state.previous)}"),
    "restoring": _settles(
        lambda state: f"there was no way back: {_name(state.stable)} comes back up"
    ),
    "held": _held,
}


def _name(release: object) -> str:
    return str(getattr(release, "deployment", "nothing"))
