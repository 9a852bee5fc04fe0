"""What the watcher does about a version that it found, and what a rollout that nobody asked for by
hand may do: start, wait, or leave it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from tasks.base.clock import moment
from tasks.release.state import OPEN, Release, State, judged_before, stands
from tasks.release.versions.memory import WatchMemory, told_again_at
from tasks.release.versions.order import Order
from tasks.spec.rollout import Rollout
from tasks.spec.starts.windows import opens_at

Sign = Literal[
    "serves",
    "new",
    "told",
    "given up",
    "running",
    "held",
    "judged",
    "went back",
    "older",
    "not now",
]
AT_REST = ("idle", "held", "unproven")
WAITS = "waits for its window"
_SPACE = uuid.UUID("6f7a4a0e-6d1c-4f0a-9a53-2f0c8f1f4f11")


@dataclass(frozen=True)
class WatchDecision:
    """What became of a look at one spec. sign: in a word; said: in a sentence. wish: what is told,
    or is not told any more."""

    sign: Sign
    said: str
    wish: str = ""


@dataclass(frozen=True)
class Now:
    """What a decision depends on beside the cluster's memory. holder: who has the rollout's lease,
    '' for nobody. spread: 0 to 1, by chance."""

    at: datetime
    holder: str = ""
    spread: float = 0.0


def event_id(namespace: str, name: str, wish: str, times: int) -> uuid.UUID:
    """The id of an event: the same wish, told for the same time, is one event."""
    return uuid.uuid5(_SPACE, f"{namespace}/{name}/{wish}/{times}")


def wish_of(release: Release, demands: str, more: str = "") -> str:
    """A short name of what is to be rolled out and what is asked of it (see asked_of). It changes
    with the commit, the image, the settings and the targets. more: what else makes it another
    one."""
    text = "\n".join((release.id, release.commit, release.digest, release.image, demands, more))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def serves_it(state: State, commit: str, digest: str, image: str | None) -> bool:
    """Whether a version serves. image: by its digest, where it is followed as well."""
    stable = state.stable
    if stable is None or (stable.commit, stable.digest) != (commit, digest):
        return False
    return image is None or stable.image == image


def decide_found(
    spec: Rollout,
    state: State,
    release: Release,
    order: Order,
    memory: WatchMemory,
    demands: str,
    now: Now,
    *,
    otherwise: bool = False,
) -> WatchDecision:
    """What is done about a version that does not serve. release: what it would be. order: how it
    stands to what serves. demands: a short name of what is asked of it. otherwise: the candidate
    that is held was tested under other ones."""
    if now.holder or state.phase not in AT_REST:
        by = f" by {now.holder}" if now.holder else ""
        return WatchDecision(
            "running", f"a rollout is under way{by}; it is looked at once that has ended"
        )
    waits = waits_for_window(state, release, now.at)
    held = state.phase == "held" and state.candidate is not None
    mine = held and state.candidate is not None and state.candidate.id == release.id
    if mine and not waits and not otherwise:
        return WatchDecision("held", f"{release.deployment} is held and a person decides about it")
    judged = judged_before(state, release.id, demands)
    if judged is not None and stands(judged, spec.promotion.tries):
        often = f" {judged.tries} time(s), last" if judged.verdict in OPEN else ""
        return WatchDecision(
            "judged",
            f"{release.deployment} was {judged.verdict}{often} at {judged.at} (rollout "
            f"{judged.rollout}); it starts again once spec, targets or commit change, or by hand",
        )
    if served_before(state, memory, release):
        return WatchDecision("went back", went_back(state, release))
    if order.age not in ("newer", "same"):
        return WatchDecision("older", not_newer(order))
    if why := closed(spec, now.at):
        return WatchDecision("not now", why)
    wish = wish_of(release, demands, state.rollout if waits else "")
    times = memory.times if memory.told == wish else 0
    if times >= spec.watch.tries:
        return WatchDecision(
            "given up",
            f"{release.deployment} was told {times} time(s), last at {memory.at}, and does not "
            f"serve{last_end(state, release)}; it is told again once spec, targets or commit "
            "change, or start it by hand",
            wish,
        )
    again = told_again_at(memory, wish, now.spread)
    if again is not None and again > now.at:
        return WatchDecision(
            "told",
            f"{release.deployment} was told {times} time(s), and is told again at "
            f"{again.isoformat(timespec='seconds')}{last_end(state, release)}",
        )
    said = f"{state.stable.commit[:12]} serves" if state.stable else "nothing serves"
    if waits:
        said = f"it passed in rollout {state.rollout}, and its window is open"
    return WatchDecision("new", f"{release.deployment} is new: {said}", wish)


def served_before(state: State, memory: WatchMemory, release: Release) -> bool:
    """Whether a release that does not serve was promoted once: a person, or its soak, went back."""
    if release.id in memory.served or (state.previous and state.previous.id == release.id):
        return True
    return any(
        _of(entry, release) and entry.get("outcome") == "promoted" for entry in state.history
    )


def went_back(state: State, release: Release) -> str:
    """Why a release that served once does not start by itself: by the history, what serves was
    promoted after it, or it was gone back from."""
    stable = state.stable
    promoted = [entry for entry in state.history if entry.get("outcome") == "promoted"]
    last = next((e for e in promoted if _of(e, release) or (stable and _of(e, stable))), None)
    if stable and last and _of(last, stable):
        return (
            f"{release.deployment} served before, and a newer one, {stable.deployment}, has "
            "replaced it; by hand alone"
        )
    return f"{release.deployment} served before and was gone back from; by hand alone"


def last_end(state: State, release: Release) -> str:
    """How its last rollout ended, by the cluster's history; '' where none is known."""
    entry = next((entry for entry in state.history if _of(entry, release)), None)
    return f"; its last rollout: {str(entry.get('sentence', ''))[:300]}" if entry else ""


def _of(entry: Mapping[str, Any], release: Release) -> bool:
    what = entry.get("resolve_model")
    return isinstance(what, Mapping) and what.get("release") == release.id


def not_newer(order: Order) -> str:
    """Why a version does not start by itself."""
    said = "is older than" if order.age == "older" else "is not known to be newer than"
    return f"it {said} what serves: {order.why}. By hand it may be rolled out all the same"


def closed(spec: Rollout, now: datetime) -> str:
    """Why a rollout may not begin by itself now; '' where it may."""
    at = opens_at(spec.maintenance_windows, spec.quiet_hours, now)
    if at == now:
        return ""
    if at is None:
        return (
            "maintenance_windows and quiet_hours leave no time within a year; correct the spec, or "
            "start it by hand"
        )
    return f"its next window opens at {at.isoformat(timespec='minutes')}"


def held_for_window(state: State, spec: Rollout, now: datetime, plan: str) -> State:
    """A candidate that passed while its window was closed waits for it. plan: digest of its plan.
    It may be promoted for promotion.approval_hours from when that opens."""
    at = opens_at(spec.maintenance_windows, spec.quiet_hours, now) or now
    until = at + timedelta(hours=spec.promotion.approval_hours)
    return replace(
        state,
        phase="held",
        verdict="pass",
        why=f"it {WAITS}: {closed(spec, now)}",
        plan=plan,
        until=until.isoformat(timespec="seconds"),
    )


def waiting(state: State) -> Release | None:
    """The candidate that passed, and waits for its window alone."""
    waits = state.phase == "held" and state.verdict == "pass" and WAITS in state.why
    return state.candidate if waits else None


def waits_for_window(state: State, release: Release, now: datetime) -> bool:
    """Whether a release passed and only waits for its window; not any more once what was measured
    is too old."""
    candidate, until = waiting(state), moment(state.until)
    mine = candidate is not None and candidate.id == release.id
    return mine and (until is None or now < until)
