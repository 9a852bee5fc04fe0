"""What a release is watched by, whoever goes on with it: its own spec, what its own benchmark saw,
and since when it serves unproven. What another one is tested by meanwhile changes nothing of it.
And what a person may do with one that is not settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tasks.base.clock import moment
from tasks.objects.remembered import number_in
from tasks.release.state import Release, State, Terms, as_named, unfinished
from tasks.spec.base import YEAR_H

# How long what serves unproven waits for a person, where no rollout said (h).
UNPROVEN_HOURS = 72.0


def terms_of(state: State, release: str) -> Terms:
    """Of a release; empty ones where nobody said."""
    return state.terms.get(release, Terms())


def with_terms(state: State, release: str, **changes: Any) -> State:
    """Note some of a release's; of those that have no role any more nothing is kept."""
    return replace(
        state, terms={**_kept(state), release: replace(terms_of(state, release), **changes)}
    )


def _kept(state: State) -> dict[str, Terms]:
    roles = {item.id for item in (state.stable, state.candidate, state.previous) if item}
    return {key: value for key, value in state.terms.items() if key in roles}


def promotion_of(state: State, release: str) -> Mapping[str, Any]:
    """The promotion section of its spec, as far as that says anything."""
    found: Mapping[str, Any] = terms_of(state, release).spec.get("promotion") or {}
    return found


def watched(state: State) -> Release | None:
    """Whom a soak that begins now would be of: the candidate, where its turn has come; else what
    serves."""
    turn = state.phase in ("held", "promoting")
    return (state.candidate if turn else None) or state.stable


def dated(state: State, now: str, was: str = "") -> State:
    """As it is written: since when stable serves unproven, and when a way back from it led nowhere.
    A test of another one in between is no end of that; being proven, or kept, is. What was watched
    of a soak, or waited of a drain, counts in that one alone. was: the phase before this one."""
    kept = _kept(state)
    state = replace(state, terms={key: _passing(state, key, kept[key], was) for key in kept})
    if state.stable is None:
        return state
    ident, known = state.stable.id, terms_of(state, state.stable.id)
    if state.phase == "unproven":
        tried = now if was == "restoring" else known.tried
        return with_terms(state, ident, since=known.since or now, tried=tried)
    if state.phase in ("idle", "proven") and (known.since or known.tried):
        return with_terms(state, ident, since="", tried="")
    return state


def _passing(state: State, release: str, known: Terms, was: str) -> Terms:
    """What is known of a release, without what the phase that is over knew."""
    if not (unfinished(state) and state.stable is not None and state.stable.id == release):
        known = replace(known, soaked_s=0.0, others=0)
    return known if state.phase == was else replace(known, led="")


def unproven_until(state: State) -> str:
    """Until when a release that serves unproven waits for a person, ISO 8601; '' where it does not,
    or where nobody noted since when it does."""
    ident = state.stable.id if state.stable else ""
    since = terms_of(state, ident).since or state.since
    if state.phase != "unproven" or not since:
        return ""
    said, where = promotion_of(state, ident), f"the spec of rollout {state.name} in the cluster"
    hours = number_in(said, "unproven_hours", UNPROVEN_HOURS, YEAR_H, where)
    at = moment(since)
    return (at + timedelta(hours=hours)).isoformat(timespec="seconds") if at else ""


def unsoaked_text(state: State) -> str:
    """What goes on with a release whose soak was interrupted."""
    name = state.stable.deployment if state.stable else "a release"
    return (
        f"{name} serves and its soak is not finished, what served before runs on: the guard, or "
        f"`rollout recover {as_named(state)}`, watches it to the end"
    )


def unproven_text(state: State) -> str:
    """What a person may do with a release that serves unproven."""
    name = state.stable.deployment if state.stable else "a release"
    text = (
        f"{name} serves and is not proven: `rollout promote {as_named(state)}` watches it again "
        "and keeps it, with --unwatched without a look"
    )
    if state.previous:
        text += f", `rollout rollback {as_named(state)}` goes back to {state.previous.deployment}"
    if not (until := unproven_until(state)):
        return text
    back, failed = state.previous, state.verdict == "fail"
    ident = state.stable.id if state.stable else ""
    asked = promotion_of(state, ident).get("on_unproven", "keep")
    if not failed and (back is None or asked != "roll-back"):
        return f"{text}; the guard keeps it after {until}"
    ends = f"{name} serves on until a person decides" if failed else f"{name} is kept"
    if back is not None and failed and (state.breach or state.why):
        return (
            f"{text}; the guard goes back to {back.deployment} at its first look at which nothing "
            "is in the way, and the history says what is"
        )
    if back is None:
        return f"{text}; the guard has nothing to go back to: {ends}"
    there = f"{back.deployment} where that answers then"
    return f"{text}; after {until} the guard goes back to {there}; else {ends}"
