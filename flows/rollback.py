"""Settle a rollout by name: go back, finish a promotion, or clean up. Reads only the cluster.

The failure path of the rollout flow, its cancellation, the janitor and the operator's commands
all decide with the same functions of tasks/release/moves.py.
"""

from __future__ import annotations

from prefect import flow

from tasks.base import clock
from tasks.base.errors import Refused
from tasks.outside.disk.records import logs_kept
from tasks.outside.kubernetes.actor import carry_out
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.lease import new_run_id, who
from tasks.record.record import Record
from tasks.release.state import configmap_name, with_history
from tasks.release.wish import What, decide_wish
from tasks.run.locked import locked


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
            seen = actor.observe()
            room = actor.room(seen.state.previous, seen.serving) if what == "rollback" else None
            course = decide_wish(what, seen, allow_interruption=allow_interruption, room=room)
            said = carry_out(actor, course)
            state, _ = actor.read_state()
            finished = clock.now().isoformat(timespec="seconds")
            entry = Record(rollout=run, outcome=what, sentence=said, who=who(), finished=finished)
            actor.save(with_history(state, entry.as_dict(), 50))
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
