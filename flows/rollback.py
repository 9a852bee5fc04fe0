"""Settle a rollout by name: go back, finish a promotion, or clean up. Reads only the cluster.

The failure path of the rollout flow, its cancellation, the janitor and the operator's commands
all decide with the same functions of tasks/release/moves.py.
"""

from __future__ import annotations

import logging
from typing import Literal

from prefect import flow

from flows.session import lease_seconds, logs_kept, new_run_id, who
from tasks.base import clock
from tasks.base.errors import LockLost, Refused, RolloutError, StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.lease import LeaseLock
from tasks.release.moves import (
    Course,
    Observed,
    Room,
    decide_after_failure,
    decide_promotion,
    decide_recovery,
    decide_revert,
)
from tasks.release.state import configmap_name, with_history

_log = logging.getLogger(__name__)

What = Literal["rollback", "promote", "recover"]


def decide(
    what: str, seen: Observed, *, allow_interruption: bool = False, room: Room | None = None
) -> Course:
    """The moves of an operator's wish. Raises Refused when it makes no sense now."""
    state = seen.state
    if what == "rollback":
        return decide_revert(seen, allow_interruption=allow_interruption, room=room)
    if what == "promote":
        if state.phase not in ("held", "promoting", "soaking", "unproven"):
            raise Refused(
                f"rollout {state.name} is {state.phase}, only a held candidate can be promoted by "
                "hand; run `rollout run` to test one"
            )
        served = state.stable if state.phase == "unproven" else None
        if served and not seen.alive(served.id):
            raise Refused(
                f"{served.deployment} is not ready and is not promoted; settle it with "
                "`rollout rollback`, or run again"
            )
        try:
            return decide_promotion(seen, keep_previous=True)
        except StepFailed as error:
            raise Refused(str(error)) from error
    return decide_recovery(seen)


def carry_out(actor: Actor, course: Course) -> str:
    """Execute a course; gives its sentence.

    Where a way back fails, by an error or by its operator's Ctrl-C, what served before it serves
    again first. The error is raised all the same, and says what serves now.
    """
    try:
        actor.run(course)
    except LockLost:
        raise  # another run owns the cluster now, and cleans up
    except BaseException as error:
        home = decide_after_failure(actor.observe())
        if home is None:
            raise
        actor.run(home)
        _log.warning("%s", home.sentence)
        if isinstance(error, RolloutError):
            raise StepFailed(f"{error}; {home.sentence}") from error
        raise
    return course.sentence


def settle(
    what: str,
    name: str,
    namespace: str,
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    allow_interruption: bool = False,
    ready_timeout_s: float = 1800,
) -> str:
    """Do it under the lease; gives one sentence. Raises Refused, LockLost, OutsideError."""
    with Cluster.connect(kubeconfig, context) as cluster:
        run = new_run_id()
        lock = LeaseLock(
            cluster,
            namespace,
            name,
            f"{who()}/{what}-{run}",
            duration_s=lease_seconds(),
        )
        if cluster.get("ConfigMap", configmap_name(name), namespace) is None:
            raise Refused(
                f"no rollout {name} in namespace {namespace}; `kubectl get configmap -A -l "
                "model-rollout/kind=state` lists them"
            )
        with lock, logs_kept(name, run):
            actor = Actor(
                cluster,
                namespace,
                name,
                fence=lock.check,
                epoch=lock.epoch,
                ready_timeout_s=ready_timeout_s,
            )
            actor.take_over()
            seen = actor.observe()
            room = actor.room(seen.state.previous, seen.serving) if what == "rollback" else None
            course = decide(what, seen, allow_interruption=allow_interruption, room=room)
            said = carry_out(actor, course)
            state, _ = actor.read_state()
            entry = {
                "rollout": run,
                "outcome": what,
                "sentence": said,
                "who": who(),
                "finished": clock.now().isoformat(timespec="seconds"),
            }
            actor.save(with_history(state, entry, 50))
            return said


@flow(name="rollback", persist_result=False)
def rollback(
    name: str,
    namespace: str = "default",
    what: What = "rollback",
    allow_interruption: bool = False,
    kubeconfig: str | None = None,
    context: str | None = None,
) -> str:
    """Go back to the previous release, promote a held candidate, or clean up.

    Args:
        name: Name of the rollout (the spec's name).
        namespace: Its namespace.
        what: rollback, promote (a held candidate) or recover (clean up what died).
        allow_interruption: Scale the serving release down first, to make room.
        kubeconfig: Path of a kubeconfig; default: the pod's service account or ~/.kube/config.
        context: Context of the kubeconfig.
    """
    return settle(
        what,
        name,
        namespace,
        kubeconfig=kubeconfig,
        context=context,
        allow_interruption=allow_interruption,
    )
