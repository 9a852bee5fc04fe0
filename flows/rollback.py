"""Settle a rollout by name: go back, finish a promotion, or clean up. Reads only the cluster.

The failure path of the rollout flow, its cancellation, the guard and the operator's commands
all decide with the same functions of tasks/release.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State as FlowState

from tasks.base import clock
from tasks.base.errors import Exit, Refused, RolloutError
from tasks.objects.ours import marks
from tasks.outside.disk.records import logs_kept
from tasks.outside.kubernetes.access import selector_text
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.lease import ask_to_stop, new_run_id, run_of, who
from tasks.outside.prefect import approvals, artifacts, ending, own, parameters
from tasks.record.record import Record
from tasks.release.back import leaving
from tasks.release.comeback import takes_from
from tasks.release.course import NOTHING, Course, Observed, Save
from tasks.release.guard import decide_guard
from tasks.release.memory.again import WAITS, owed_back
from tasks.release.state import State, breached, configmap_name, with_history
from tasks.release.wish import ANY, BOUND, Meant, What, decide_wish, must_be_meant, must_take
from tasks.release.words import in_words
from tasks.run import seats
from tasks.run.carry_out import settled
from tasks.run.locked import locked, not_held
from tasks.run.look import watch
from tasks.run.nodes import placing
from tasks.run.promoting import promoting
from tasks.run.recall import around, spec_of, subject
from tasks.run.rescue import rescuing
from tasks.run.run import Run
from tasks.run.telling.cluster import announce
from tasks.run.telling.people import tell_settled
from tasks.run.telling.settled import HISTORY
from tasks.run.ui.states import states
from tasks.service.moments import of_settling
from tasks.service.names import ModelKey
from tasks.spec.rollout import Rollout

# A run that is asked to stop cleans up first: what served may have to load its weights again.
ABORT_S = 3600.0
# what an Event says of each, as its reason
REASONS = {
    "guard": "Settled",
    "recover": "Settled",
    "rollback": "RolledBack",
    "abort": "Aborted",
    "approve": "Approved",
    "promote": "Promoted",
    "reject": "Rejected",
    "adopted": "Adopted",
    "error": "Error",
}


def settle(
    what: str,
    name: str,
    namespace: str,
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    allow_interruption: bool = False,
    unchecked: bool = False,
    past_queue: bool = False,
    meant: Meant = ANY,
    unwatched: bool = False,
    serving: str = "",
) -> str:
    """Do it under the lease; gives one sentence. what: a What, or 'guard'. unchecked: without proof
    that what takes the place of what serves can start. past_queue: see `decide`. meant: the
    candidate that is approved or rejected. unwatched: what serves is kept without a look. serving:
    only while this release serves; '' for any.

    Where the guard, or a recovery, fails, what serves gets back what we took from it all the same
    (rescuing). Raises Refused, LockLost, OutsideError, StepFailed.
    """
    must_take(what, meant)
    rescued = what in ("guard", "recover")
    with (
        Cluster.connect(kubeconfig, context) as cluster,
        rescuing(cluster, namespace, name, what) if rescued else nullcontext(),
    ):
        run = new_run_id()
        if what != "guard":
            must_be_there(cluster, name, namespace)
        stopped = ask_to_stop(cluster, namespace, name, who()) if what == "abort" else ""
        lock = locked(
            cluster,
            namespace,
            name,
            f"{who()}/{what}-{run}",
            wait_s=ABORT_S if stopped else None,
        )
        with lock as held, logs_kept(name, run):
            actor, placed, advice = held.actor, "", ""
            before = State(name)
            try:
                before = actor.read_state()[0]
                tried: list[str] = []

                must_serve(actor, serving)

                def decided() -> Course:
                    # what is approved is being promoted, once that was begun
                    meaning = "promote" if tried and what == "approve" else what
                    tried.append(what)
                    must_be_meant(meaning, actor.read_state()[0], meant, cluster.now())
                    return _course(
                        what,
                        actor,
                        run,
                        allow_interruption=allow_interruption,
                        past_queue=past_queue,
                        stopped=run_of(stopped),
                        unwatched=unwatched,
                    )

                placed, advice = placing.by_itself(actor, what)
                course = decided()
                if what == "guard" and not course.moves and not placed:
                    return course.sentence  # somebody else was faster
                acts = partial(settled, actor, decide=decided, unchecked=unchecked)
                if what in ("approve", "promote"):
                    said = promoting(actor, decided, acts)
                else:
                    said = acts(course)
                said = "" if placed and said == NOTHING else said
                said = "; ".join(filter(None, (placed, said, advice)))
            except RolloutError as error:
                if advice:
                    error.args = (f"{error}; {advice}", *error.args[1:])
                with suppress(RolloutError):
                    # who is refused something is there, and has heard it
                    refused = isinstance(error, Refused)
                    alone = refused and what != "guard" and not (placed or stopped)
                    if not (alone and unchanged(actor, before)):
                        tells = None if refused else before
                        note(actor, run, "error", f"{what}: {error}", tells)
                raise
            said = f"{said}; {actor.watched.told()}" if actor.watched else said
            if stopped:  # what the run itself did is not in our course
                did = "it has cleaned up" if said == NOTHING else said
                said = f"{stopped} was asked to stop; {did}"
            now = f"; {in_words(actor.observe())}" if what == "abort" else ""
            note(actor, run, what, f"{said}{now}", before)
            return said


def unchanged(actor: Actor, before: State) -> bool:
    """Whether the state says what it said: what changed nothing is not history, of which there is
    room for few."""
    now = actor.read_state()[0]
    return replace(now, epoch=0, writer="") == replace(before, epoch=0, writer="")


def shown(actor: Actor) -> str:
    """What the cluster shows now, in one line."""
    where = f"{actor.namespace}/{actor.name}"
    try:
        return f"{where}: {in_words(actor.observe())}"
    except RolloutError as error:
        return f"{where}: not known what serves: {error}"


def must_serve(actor: Actor, release: str) -> None:
    """Raises Refused where another release serves by now than the one that is spoken of."""
    now = actor.observe().serving if release else ""
    if now != release:
        raise Refused(f"release {release} was meant, and {now or 'none'} serves by now")


def must_be_there(cluster: Cluster, name: str, namespace: str) -> None:
    """Raises Refused for a rollout that never ran. One whose state is lost has its engines."""
    ours = selector_text(marks(name, "engine"))
    if cluster.get("ConfigMap", configmap_name(name), namespace) is None and not cluster.list(
        "Deployment", namespace, label_selector=ours
    ):
        raise Refused(
            f"no rollout {name} in namespace {namespace}; `kubectl get configmap -A -l "
            "model-rollout/kind=state` lists them"
        )


def decide(
    what: str,
    actor: Actor,
    *,
    allow_interruption: bool = False,
    past_queue: bool = False,
    spec: Rollout | None = None,
    stopped: str = "",
    unwatched: bool = False,
) -> tuple[Observed, Course]:
    """What is seen, and the course that follows; changes nothing. past_queue: a person's rollback
    takes from what serves although others wait for what that frees. stopped: id of the run that an
    abort has stopped. Raises Refused."""
    seen = actor.observe()
    keep = spec is None or spec.promotion.keep_previous
    if what == "guard":
        return seen, decide_guard(seen, around(actor, seen), keep_previous=keep)
    back = what in ("rollback", "abort") or seen.state.phase == "reverting" or breached(seen.state)
    back = back or owed_back(seen) is not None
    room = seats.room(actor, leaving(seen).previous, seen.serving) if back else None
    if what in ("approve", "promote"):
        room = seats.room_to_promote(actor, seen)
    passed: tuple[str, ...] = ()
    if room and past_queue and what == "rollback":
        passed, room = room.queue, replace(room, queue=())
    course = decide_wish(
        what,
        seen,
        allow_interruption=allow_interruption,
        room=room,
        keep_previous=keep,
        stopped=stopped,
        unwatched=unwatched,
    )
    if passed and takes_from(seen, course):
        said = f"{course.sentence}, past {', '.join(passed[:4])}"
        course = replace(course, past=passed, sentence=said)
    if not course.moves and seen.recalled:
        course = replace(course, moves=(Save(seen.state),))
    return seen, course


def _course(
    what: str,
    actor: Actor,
    run: str,
    *,
    allow_interruption: bool,
    past_queue: bool,
    stopped: str,
    unwatched: bool,
) -> Course:
    now = actor.observe()
    release = subject(now, what)
    spec = spec_of(now.state, release)
    if spec is not None:  # as the rollout itself would look
        watch(Run(spec, actor.cluster, rollout=run), actor, release)
    return decide(
        what,
        actor,
        allow_interruption=allow_interruption,
        past_queue=past_queue,
        spec=spec,
        stopped=stopped,
        unwatched=unwatched,
    )[1]


def about(outcome: str, said: str) -> str:
    """What an entry of the guard tells of what waits, without why: that may be another at each of
    its looks, for weeks, and the history keeps one. '' of all others."""
    return said.partition(WAITS)[0] if outcome == "error" and WAITS in said else ""


def _settled_as(outcome: str, before: State, after: State) -> Exit | None:
    """The exit status of a rollout that died and was brought to rest; None of all else."""
    if outcome not in ("guard", "recover"):
        return None
    became = of_settling(before, after)
    if became == "promoted":
        return Exit.DONE
    return Exit.ERROR if became in ("rejected", "rolled-back") else None


def note(actor: Actor, run: str, outcome: str, said: str, before: State | None = None) -> None:
    """Put what was done by name into the cluster's history, and tell people of it. before: the
    state before it; None where nobody is to be told."""
    found: list[tuple[State, bool]] = []  # the state after it, and whether that is news
    finished = clock.now().isoformat(timespec="seconds")

    def noted(held: State) -> State:
        here, what = held.history, about(outcome, said)
        # again, every few minutes: told once
        same = [e for e in here[:1] if (e.get("outcome"), e.get("sentence")) == (outcome, said)]
        if what:
            told = [(e, str(e.get("outcome")), str(e.get("sentence"))) for e in here]
            same = [entry for entry, outcome, text in told if about(outcome, text) == what]
        found.append((held, not same))
        name = str(same[0].get("rollout")) if same else run
        entry = Record(
            kind="command",
            rollout=name,
            outcome=outcome,
            exit_code=_settled_as(outcome, before, held) if before else None,
            sentence=said,
            who=who(),
            finished=finished,
        )
        return with_history(held, entry.as_dict(), HISTORY)

    actor.change_state(noted)
    words = about(outcome, said) or said
    announce(actor, REASONS[outcome], words, bad=outcome == "error")
    after, news = found[-1]
    if before is not None and news:
        moment = "broken" if outcome == "error" else of_settling(before, after)
        tell_settled((actor.namespace, actor.name), moment, words, run, before)


@flow(name="rollback", flow_run_name=parameters.wish_name, persist_result=False)
def rollback(
    name: str,
    namespace: str = "default",
    what: What = "rollback",
    allow_interruption: bool = False,
    unchecked: bool = False,
    past_queue: bool = False,
    rollout: str = "",
    plan: str = "",
    unwatched: bool = False,
    kubeconfig: str | None = None,
    context: str | None = None,
) -> FlowState[Any]:
    """Go back to the previous release, approve or reject a held candidate, stop a run, or clean up.

    Args:
        name: Name of the rollout (the spec's name).
        namespace: Its namespace.
        what: rollback, approve, promote or reject (a held candidate), abort (a run, wherever it
            runs), or recover (clean up what died).
        allow_interruption: Scale the serving release down first, to make room.
        unchecked: In an emergency: do so without proof that what is gone back to can start.
        past_queue: In an emergency: go back although others wait for the seats that this frees.
            They may be placed first; then neither release may find its seats.
        rollout: To approve, promote or reject: id of the rollout that tested what is meant.
        plan: And the digest of the plan that it was tested under.
        unwatched: Promote what serves unproven without a look at it.
        kubeconfig: Path of a kubeconfig; default: the pod's service account or ~/.kube/config.
        context: Context of the kubeconfig.
    """
    try:
        parameters.must_be_its_own(name, namespace)
    except Refused as error:
        return ending.no_record(error)
    try:
        if what in BOUND and (own.by_itself() or own.retried()):
            raise Refused(
                f"a schedule, an automation or a retry started this: to {what} a candidate, a "
                "person resumes the run that asks about it, or starts one that says which is meant"
            )
        said = settle(
            what,
            name,
            namespace,
            kubeconfig=kubeconfig,
            context=context,
            allow_interruption=allow_interruption,
            unchecked=unchecked,
            past_queue=past_queue,
            meant=Meant(rollout, plan),
            unwatched=unwatched,
        )
        with Cluster.connect(kubeconfig, context) as cluster:
            now = shown(Actor(cluster, namespace, name, fence=not_held, epoch=0))
    except RolloutError as error:
        _asked(kubeconfig, context, (namespace, name), f"It was tried, and {error}")
        return ending.no_record(error)
    _asked(kubeconfig, context, (namespace, name), f"It was tried: {said}")
    key = artifacts.key_of("rollout", namespace, name)
    return ending.wished(key, f"{what} {name}", REASONS[what], f"{said}; {now}")


def _asked(kubeconfig: str | None, context: str | None, model: ModelKey, said: str) -> None:
    """What a person was asked is closed once it is decided, and asked again where it is not."""
    with suppress(RolloutError), Cluster.connect(kubeconfig, context) as cluster:
        approvals.tend(model, states(cluster), said, after=own.run_id())
