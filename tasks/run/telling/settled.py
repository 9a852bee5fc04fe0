"""What became of a rollout that the next one found: by the history, by Events, and to people."""

from __future__ import annotations

from dataclasses import replace

from tasks.base import clock
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.lease import new_run_id, who
from tasks.record.record import Record
from tasks.release.state import Release, State, with_history
from tasks.run.telling.cluster import announce
from tasks.run.telling.people import tell_settled
from tasks.service.moments import of_settling

HISTORY = 50
UNDER_TEST = ("testing", "promoting", "held")


def tell_superseded(actor: Actor, before: State, after: State, said: str, by: Release) -> None:
    """A rollout that begins has settled what the one before it left: its ending is told like any
    other one. before, after: the state then and now; where nothing came of it, nothing is told.
    said: what was done. by: what begins."""
    moment = of_settling(before, after)
    if moment == "settled":
        return
    found = f"rollout {before.rollout or 'unknown'} was {before.phase}"
    if before.phase == "held":
        found += ", and waited for a person"
    sentence = f"{said}: {found}, and {by.deployment} (commit {by.commit[:12]}) comes after it"
    entry = Record(
        kind="command",
        rollout=new_run_id(),
        outcome="superseded",
        sentence=sentence,
        who=who(),
        finished=clock.now().isoformat(timespec="seconds"),
    )
    actor.change_state(lambda held: with_history(held, entry.as_dict(), HISTORY))
    announce(actor, "Superseded", sentence, bad=False)
    tell_settled((actor.namespace, actor.name), moment, sentence, entry.rollout, before)


def given_up(state: State) -> State:
    """What is under test makes way for another one though it could not be put away first."""
    if state.phase not in UNDER_TEST:
        return state
    return replace(state, phase="idle", candidate=None)
