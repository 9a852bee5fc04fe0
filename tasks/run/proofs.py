"""That what serves can come back, and that what takes its place can start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tasks.base.errors import Refused
from tasks.base.progress import Progress, emit
from tasks.objects.pods import Object
from tasks.outside.disk.site import site_policy
from tasks.outside.kubernetes.access import release_pods
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Forbidden
from tasks.outside.kubernetes.jobs import JobResult, run_job
from tasks.release.back import known_against
from tasks.release.comeback import (
    WEIGHTS,
    Comeback,
    Taking,
    decide_comeback,
    decide_placing,
    digests_of,
    no_start,
    refusal,
    store_of,
    takes_from,
)
from tasks.release.course import Course, Observed, release_on
from tasks.release.plan import queued
from tasks.render.jobs import on_host, verify_job
from tasks.run import seats
from tasks.run.recall import spec_of
from tasks.spec.policy import pod_violations
from tasks.spec.rollout import Rollout
from tasks.weights.messages import Done, Failed, Transfer, message_of

MOST_S = 24 * 3600
STEP = "roll_back"
RunJob = Callable[..., JobResult]
Keep = Callable[[Mapping[str, str]], None]
SKIP = (
    "; where it is an emergency, `rollout rollback` and `undo` go back without these proofs with "
    "--unchecked"
)


class NotProvenToStart(Refused):
    """Nothing was taken from what serves."""


@dataclass(frozen=True)
class Proofs:
    """A release, and how it stands. proofs: a Job for each of its nodes, which hashes its weights
    there again; empty where nobody knows where they lie."""

    name: str
    found: Comeback
    proofs: tuple[tuple[str, Object], ...] = ()


def prove(actor: Actor, course: Course) -> None:
    """Before a course that takes something from what serves and answers: what takes its place can
    start, and what serves can come home, unless it is known to be bad. Says what nobody can know.
    Raises NotProvenToStart; nothing has changed then."""
    seen = actor.looked()
    taking = takes_from(seen, course)
    if taking is None:
        return
    try:
        nodes = actor.cluster.list("Node")
    except Forbidden:
        emit(Progress(STEP, "running", actor.name, "not known: the nodes may not be read"))
        return
    bad = course.unless == "fail" or known_against(seen.state) == "fail"
    _prove_one(actor, seen, taking.starts, nodes, starts=True)
    if not bad:
        _prove_one(actor, seen, taking.serving, nodes, starts=False)
    _must_have_room(actor, seen, taking)


def _prove_one(
    actor: Actor, seen: Observed, ident: str, nodes: list[Object], *, starts: bool
) -> None:
    cluster, ns, view = actor.cluster, actor.namespace, seen.view(ident)
    deploy = cluster.get("Deployment", view.name, ns) if view else None
    if view is None or deploy is None:
        return  # nothing is to start, or a move of the course says what is missing
    if starts:
        found = decide_placing(deploy, nodes, digests_of(seen.state.history, ident))
    else:
        found = decide_comeback(deploy, release_pods(cluster, ns, actor.name, ident), nodes)
    looked = with_proofs(spec_of(seen.state), deploy, ident, found)
    if wrong := list(found.wrong) or hashed(looked, _by(actor), lambda logs: None, STEP):
        raise NotProvenToStart((no_start if starts else refusal)(view.name, wrong) + SKIP)
    tell_unknown(looked, STEP)


def _must_have_room(actor: Actor, seen: Observed, taking: Taking) -> None:
    """Hashing takes its time: who came meanwhile would take what is freed."""
    view = seen.view(taking.starts)
    deploy = actor.cluster.get("Deployment", view.name, actor.namespace) if view else None
    if view is None or deploy is None:
        return
    room = seats.room(actor, release_on(deploy, taking.starts), seen.serving)
    if room and room.queue and room.beside < view.serves_with:
        raise NotProvenToStart(queued(room.queue) + SKIP)


def _by(actor: Actor) -> RunJob:
    def run(job: Object, *, timeout_s: float, on_line: Callable[[str], None]) -> JobResult:
        if reasons := pod_violations(site_policy(), job["spec"]["template"]["spec"]):
            raise NotProvenToStart("the site's policy does not allow it: " + "; ".join(reasons))
        return run_job(actor.cluster, job, timeout_s=timeout_s, on_line=on_line, fence=actor.fence)

    return run


def with_proofs(spec: Rollout | None, deploy: Object, ident: str, found: Comeback) -> Proofs:
    """With the Jobs that hash the weights of a release on its nodes; None is no spec to make them
    by."""
    name, release = deploy["metadata"]["name"], release_on(deploy, ident)
    store = store_of(release, deploy["spec"]["template"]["spec"])
    said = ""
    if store is None or not release.digest:
        said = f"where the weights of {name} come from: they are not hashed again"
    elif spec is None:
        said = f"by which spec the weights of {name} would be looked at: they are not hashed again"
    if said or store is None or spec is None:
        return Proofs(name, replace(found, unknown=(*found.unknown, said)))
    proofs = tuple((node, verify_job(spec, release, store, node)) for node in found.nodes)
    return Proofs(name, found, proofs)


def tell_unknown(looked: Proofs, step: str) -> None:
    """Say what nobody can know."""
    for line in looked.found.unknown:
        emit(Progress(step, "running", looked.name, f"not known: {line}"))


def hashed(looked: Proofs, run: RunJob, keep: Keep, step: str) -> list[str]:
    """Hash its weights again, node by node: they serve meanwhile, from the same disks. Gives why
    they are not whole."""
    said = [_hash(run, keep, step, looked.name, *proof) for proof in looked.proofs]
    return [item for item in said if item]


def _hash(run: RunJob, keep: Keep, step: str, name: str, node: str, job: Object) -> str:
    """Hash weights on one node again; why they are not whole, '' where they are."""
    last: Done | Failed | None = None

    def on_line(line: str) -> None:
        nonlocal last
        match message_of(line):
            case Transfer(done, total):
                said = f"hashing what {name} serves from, before anything makes room"
                emit(Progress(step, "running", node, said, done, total, unit="bytes"))
            case Done() | Failed() as end:
                last = end

    result = run(job, timeout_s=MOST_S, on_line=on_line)
    if result.succeeded and isinstance(last, Done):
        return ""
    keep(result.logs)
    why = on_host(job, last.message) if isinstance(last, Failed) else result.why()
    return f"{WEIGHTS} {node}: {why or 'the Job ended without saying that it is done'}"
