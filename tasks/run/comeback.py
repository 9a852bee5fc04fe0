"""Nothing is taken from what serves before it is known that it can come back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.base.errors import Refused
from tasks.base.progress import Progress, emit
from tasks.nodes.queue import queueing
from tasks.nodes.rules_api import replica_needs
from tasks.objects.pods import Object
from tasks.outside.kubernetes.access import release_pods
from tasks.release.comeback import Comeback, decide_comeback, refusal, store_of
from tasks.release.guard import release_on
from tasks.release.plan import queued
from tasks.render.jobs import on_host, verify_job
from tasks.run.findings import Planned
from tasks.run.locked import Locked
from tasks.run.run import Run
from tasks.run.seats import taken
from tasks.weights.messages import Done, Failed, Transfer, message_of

MOST_S = 24 * 3600
TAKES = ("lend", "replace")


@dataclass(frozen=True)
class WayBack:
    """What serves, and how it stands. proofs: a Job for each of its nodes, which hashes its weights
    there again; empty where nobody knows where they lie."""

    name: str
    found: Comeback
    proofs: tuple[tuple[str, Object], ...] = ()


def look_back(run: Run, planned: Planned) -> WayBack | None:
    """By what the API shows; None where the plan takes nothing from what serves. Raises Refused
    where that could not come back."""
    seen, spec = planned.survey.seen, run.spec
    view = seen.view(seen.serving)
    if planned.plan.strategy not in TAKES or view is None:
        return None
    deploy = run.cluster.get("Deployment", view.name, spec.namespace)
    if deploy is None:
        raise Refused(f"Deployment {spec.namespace}/{view.name} is gone; run the rollout again")
    pods = release_pods(run.cluster, spec.namespace, spec.name, view.release)
    found = decide_comeback(deploy, pods, run.cluster.list("Node"))
    if found.wrong:
        raise Refused(refusal(view.name, found.wrong))
    release = release_on(deploy, view.release)
    store = store_of(release, deploy["spec"]["template"]["spec"])
    if store is None or not release.digest:
        said = f"where the weights of {view.name} come from: they are not hashed again"
        return WayBack(view.name, replace(found, unknown=(*found.unknown, said)))
    proofs = tuple((node, verify_job(spec, release, store, node)) for node in found.nodes)
    return WayBack(view.name, found, proofs)


def must_come_back(run: Run, cluster: Locked, planned: Planned) -> tuple[str, ...]:
    """Right before something is taken from what serves: its nodes, its image, its weights hashed
    again, and nobody else who waits for what it would free. Gives what is not known. Raises
    Refused; nothing has changed then."""
    looked, spec = look_back(run, planned), run.spec
    if looked is None:
        return ()
    # one after the other: they serve meanwhile, from the same disks
    wrong = [said for proof in looked.proofs if (said := _hash(run, cluster, looked.name, *proof))]
    if wrong:
        raise Refused(refusal(looked.name, wrong))
    every = taken(cluster.actor, cluster.actor.cluster.list("Node")).pods
    need = replica_needs(spec, planned.survey.resource)
    if waits := queueing(every, need, spec.namespace, spec.name):
        raise Refused(queued(waits))
    for line in looked.found.unknown:
        emit(Progress("deploy", "running", looked.name, f"not known: {line}"))
    return looked.found.unknown


def _hash(run: Run, cluster: Locked, name: str, node: str, job: Object) -> str:
    """Hash weights on one node again; why they are not whole, '' where they are."""
    last: Done | Failed | None = None

    def on_line(line: str) -> None:
        nonlocal last
        match message_of(line):
            case Transfer(done, total):
                said = f"hashing what {name} serves from, before it makes room"
                emit(Progress("deploy", "running", node, said, done, total, unit="bytes"))
            case Done() | Failed() as end:
                last = end

    result = cluster.run_job(job, timeout_s=MOST_S, on_line=on_line)
    if result.succeeded and isinstance(last, Done):
        return ""
    run.keep_logs(result.logs)
    why = on_host(job, last.message) if isinstance(last, Failed) else result.why()
    return f"its weights on node {node}: {why or 'the Job ended without saying that it is done'}"
