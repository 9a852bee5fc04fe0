"""Settle a rollout by name: go back, finish a promotion, or clean up. Reads only the cluster.

The failure path of the rollout flow, its cancellation, the janitor and the operator's commands
all decide with the same functions of tasks/release/moves.py.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from prefect import flow

from tasks.base import clock
from tasks.base.errors import Refused, RolloutError, SpecError
from tasks.outside.disk.records import logs_kept
from tasks.outside.kubernetes.actor import Actor, carry_out
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.lease import new_run_id, who
from tasks.record.record import Record
from tasks.release.state import State, configmap_name, with_history
from tasks.release.wish import What, decide_wish
from tasks.run.locked import locked
from tasks.run.look import look
from tasks.run.run import Run
from tasks.spec.file import build_spec
from tasks.spec.rollout import Rollout

_log = logging.getLogger(__name__)


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
        if cluster.get("ConfigMap", configmap_name(name), namespace) is None:
            raise Refused(
                f"no rollout {name} in namespace {namespace}; `kubectl get configmap -A -l "
                "model-rollout/kind=state` lists them"
            )
        identity = f"{who()}/{what}-{run}"
        lock = locked(cluster, namespace, name, identity, ready_timeout_s=ready_timeout_s)
        with lock as held, logs_kept(name, run):
            actor = held.actor
            try:
                said = _settle(what, actor, run, allow_interruption=allow_interruption)
            except RolloutError as error:
                with suppress(RolloutError):
                    note(actor, run, "error", f"{what}: {error}")
                raise
            note(actor, run, what, said)
            return said


def _settle(what: str, actor: Actor, run: str, *, allow_interruption: bool) -> str:
    seen = actor.observe()
    spec = _spec_of(seen.state)
    if spec is not None:  # as the rollout itself would look
        watching = Run(spec, actor.cluster, rollout=run)
        actor.look = lambda release: look(watching, release)
        actor.soak_s = spec.promotion.soak_s
    room = actor.room(seen.state.previous, seen.serving) if what == "rollback" else None
    course = decide_wish(
        what,
        seen,
        allow_interruption=allow_interruption,
        room=room,
        keep_previous=spec is None or spec.promotion.keep_previous,
    )
    return carry_out(actor, course)


def _spec_of(state: State) -> Rollout | None:
    """The spec that the cluster remembers; None where it has none that this version reads."""
    if not state.spec:
        return None
    try:
        return build_spec(state.spec, f"the spec of rollout {state.name} in the cluster")
    except SpecError as error:
        _log.warning("%s", error)
        return None


def note(actor: Actor, run: str, outcome: str, said: str) -> None:
    """Put what was done by name into the cluster's history."""
    state, _ = actor.read_state()
    finished = clock.now().isoformat(timespec="seconds")
    entry = Record(rollout=run, outcome=outcome, sentence=said, who=who(), finished=finished)
    actor.save(with_history(state, entry.as_dict(), 50))


@flow(name="rollback", persist_result=False)
def rollback(
    name: str,
    namespace: str = "default",
    what: What = "rollback",
    allow_interruption: bool = False,
    kubeconfig: str | None = None,
    context: str | None = None,
) -> str:
    """Go back to the previous release, approve or reject a held candidate, or clean up.

    Args:
        name: Name of the rollout (the spec's name).
        namespace: Its namespace.
        what: rollback, promote or reject (a held candidate), or recover (clean up what died).
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
