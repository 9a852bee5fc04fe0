"""Commands about a rollout by name: asked first where they interrupt, and told at the end what the
cluster shows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from flows.cli.known import must_be_known
from flows.cli.screen import Screen, say
from flows.cli.view import showing
from flows.rollback import decide, settle, shown
from tasks.base.errors import Refused, RolloutError, SpecError
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.lease import holder_of
from tasks.release.back import leaving
from tasks.release.state import State, as_named
from tasks.release.wish import ANY, Meant, consequences, must_be_meant, unnamed, waiting
from tasks.run.beside import cut_off
from tasks.run.locked import not_held
from tasks.run.nodes import placing

_LOST = "then neither release may find its seats"
ASKED = ("rollback", "reject", "abort")  # at a terminal also where nothing is interrupted


def by_name(
    what: str,
    name: str,
    namespace: str,
    kubeconfig: str | None,
    context: str | None,
    *,
    allow_interruption: bool = False,
    unchecked: bool = False,
    past_queue: bool = False,
    yes: bool = False,
    meant: Meant = ANY,
    unwatched: bool = False,
) -> int:
    """Ask, do it, and print what the cluster shows, however it ended.

    undo is a rollback that may interrupt, once somebody has agreed to it.
    """
    verb, allow_interruption = what, allow_interruption or what == "undo"
    what = "rollback" if what == "undo" else what
    with Cluster.connect(kubeconfig, context) as cluster:
        actor = Actor(cluster, namespace, name, fence=not_held, epoch=0)
        must_be_known(cluster, name, namespace)
        try:
            state = actor.read_state()[0]
            missing = unnamed(what, state, meant)
            if missing:
                meant = shown_at_terminal(what, state, meant, missing, yes=yes)
            if not yes:
                must_be_meant(what, state, meant, cluster.now())
                question, interrupts = foretold(
                    what, actor, allow_interruption=allow_interruption, past_queue=past_queue
                )
                asks = interrupts or what in ASKED or missing
                seen = f"{waiting(state)}: {question}" if missing else question
                agree(seen if asks else "", interrupts=interrupts)
            with showing(Screen(stderr=True), f"{verb} {namespace}/{name}", verb):
                said = settle(
                    what,
                    name,
                    namespace,
                    kubeconfig=kubeconfig,
                    context=context,
                    allow_interruption=allow_interruption,
                    unchecked=unchecked,
                    past_queue=past_queue,
                    meant=meant,
                    unwatched=unwatched,
                )
            say(said)
        finally:
            say(shown(actor))
    return 0


def shown_at_terminal(what: str, state: State, meant: Meant, missing: str, *, yes: bool) -> Meant:
    """Who does not name the candidate that is meant is shown it, and asked. Raises SpecError where
    nobody can be, or is to be."""
    if yes or not sys.stdin.isatty():
        raise SpecError(
            [
                f"{waiting(state)}, waits for a person: nobody is asked (no terminal, or "
                f"--yes); name what is meant: `rollout {what} {as_named(state)} {missing}`"
            ]
        )
    return Meant(meant.rollout or state.rollout, meant.plan or state.plan)


def foretold(
    what: str, actor: Actor, *, allow_interruption: bool, past_queue: bool = False
) -> tuple[str, bool]:
    """What will happen, and whether it interrupts what serves or a run that is alive."""
    if what == "abort" and (holder := holder_of(actor.cluster, actor.namespace, actor.name)):
        phase = actor.read_state()[0].phase
        return f"{holder} holds {actor.name}, which is {phase}: it is stopped and cleans up", True
    cut = _cut_off(what, actor)
    if what == "rollback" and not (allow_interruption or past_queue):
        return cut, bool(cut)  # it refuses where it would interrupt what the Service leads to
    try:
        seen, course = decide(
            what, actor, allow_interruption=allow_interruption, past_queue=past_queue
        )
        said, interrupts = consequences(seen, course)
    except Refused:
        if what == "rollback" and (first := placing.to_place(actor, actor.observe(), what)):
            return f"{first}: it is placed on others first, and what serves may be stopped", True
        raise
    past = f"{', '.join(course.past[:4])} may be placed first: {_LOST}" if course.past else ""
    return "; ".join(filter(None, (said, past, cut))), interrupts or bool(past or cut)


def _cut_off(what: str, actor: Actor) -> str:
    """What else leads to what serves, which is about to stop, and to nothing that takes its place;
    '' for nothing, or where that was agreed to when it was adopted."""
    seen = actor.observe() if what in ("rollback", "approve", "promote") else None
    view = seen.view(seen.serving) if seen else None
    if seen is None or view is None or (what == "promote" and not seen.state.candidate):
        return ""
    comes = leaving(seen).previous if what == "rollback" else seen.state.candidate
    there = [view.name, *([comes.deployment] if comes else [])]
    found = [actor.cluster.get("Deployment", item, actor.namespace) for item in there]
    match found:
        case [dict() as serving, dict() as after]:
            cut, _ = cut_off(actor.cluster, actor.name, serving, after)
            return "; ".join(item.text for item in cut if not item.agreed)
    return ""


def agree(question: str, *, interrupts: bool, given: TextIO | None = None) -> None:
    """Ask at a terminal. Without one, what interrupts wants --yes: SpecError (exit 2).

    Raises Refused where the answer is not yes. question: '' where there is nothing to ask.
    """
    given = given or sys.stdin
    if not given.isatty():
        if interrupts:
            raise SpecError(
                [f"{question}: found no terminal to ask at; pass --yes to go on without asking"]
            )
        return
    if not question:
        return
    print(f"{question}; go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if given.readline().strip().lower() not in ("y", "yes"):
        raise Refused("not confirmed; nothing was changed")


@contextmanager
def ending_with_what_is_there(
    name: str, namespace: str, kubeconfig: str | None, context: str | None
) -> Iterator[None]:
    """However a command about a rollout ends, what the cluster shows then is its last word."""
    try:
        yield
    finally:
        try:
            with Cluster.looking(kubeconfig, context) as cluster:
                actor = Actor(cluster, namespace, name, fence=not_held, epoch=0)
                say(shown(actor))
        except RolloutError as error:
            say(f"{namespace}/{name}: not known what serves: {error}")
