"""Nothing is taken from what serves before it is known that it can come back."""

from __future__ import annotations

from functools import partial

from tasks.base.errors import Refused
from tasks.base.progress import Progress, emit
from tasks.nodes.queue import queueing
from tasks.objects.pods import Object
from tasks.outside.kubernetes.access import release_pods
from tasks.release.comeback import Comeback, decide_comeback, refusal, store_of
from tasks.release.guard import release_on
from tasks.release.plan import queued
from tasks.release.state import Release
from tasks.render.jobs import verify_job
from tasks.run.findings import Planned
from tasks.run.locked import Locked
from tasks.run.run import Run
from tasks.weights.messages import Done, Failed, Transfer, message_of

MOST_S = 24 * 3600
TAKES = ("lend", "replace")


def look_back(run: Run, planned: Planned) -> tuple[Object, Comeback] | None:
    """The Deployment that serves, and what the API says of its coming back; None where the plan
    takes nothing from it. Raises Refused where it could not."""
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
    return deploy, found


def must_come_back(run: Run, cluster: Locked, planned: Planned) -> tuple[str, ...]:
    """Right before something is taken from what serves: its nodes, its image, its weights hashed
    again, and nobody else who waits for what it would free. Gives what is not known. Raises
    Refused; nothing has changed then."""
    looked = look_back(run, planned)
    if looked is None:
        return ()
    deploy, found = looked
    spec, name = run.spec, deploy["metadata"]["name"]
    every = cluster.actor.every_pod()
    if waits := queueing(every, planned.survey.resource, spec.namespace, spec.name):
        raise Refused(queued(waits))
    release = release_on(deploy, planned.survey.seen.serving or "")
    store = store_of(release, deploy["spec"]["template"]["spec"])
    unknown = list(found.unknown)
    if store is None or not release.digest:
        unknown.append(f"where the weights of {name} come from: they were not hashed again")
    else:
        tasks = [
            (f"weights of {name} on {node}", partial(_hash, run, cluster, release, store, node))
            for node in found.nodes
        ]
        wrong = [said for said in run.road.fan_out("deploy", tasks) if said]
        if wrong:
            raise Refused(refusal(name, wrong))
    for line in unknown:
        emit(Progress("deploy", "running", name, f"not known: {line}"))
    return tuple(unknown)


def _hash(run: Run, cluster: Locked, release: Release, store: str, node: str) -> str:
    """Hash the release's weights on one node again; why they are not whole, '' where they are."""
    last: Done | Failed | None = None

    def on_line(line: str) -> None:
        nonlocal last
        match message_of(line):
            case Transfer(done, total):
                said = f"hashing what {release.deployment} serves from, before it makes room"
                emit(Progress("deploy", "running", node, said, done, total, unit="bytes"))
            case Done() | Failed() as end:
                last = end

    job = verify_job(run.spec, release, store, node)
    result = cluster.run_job(job, timeout_s=MOST_S, on_line=on_line)
    if result.succeeded and isinstance(last, Done):
        return ""
    run.keep_logs(result.logs)
    why = last.message if isinstance(last, Failed) else result.why()
    return f"its weights on node {node}: {why or 'the Job ended without saying that it is done'}"
