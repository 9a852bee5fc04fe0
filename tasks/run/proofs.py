"""That what serves can come back, and that what takes its place can start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from tasks.base import clock
from tasks.base.errors import Aborted, LockLost, Refused, StepFailed
from tasks.base.halt import at_once
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
    not_known,
    refusal,
    stand_beside,
    store_of,
    takes_from,
)
from tasks.release.course import Course, Observed, release_on
from tasks.release.plan import queued
from tasks.release.seats.room import kept_for
from tasks.render.jobs import named_job, on_host, verify_job
from tasks.run import seats
from tasks.run.making import Beside, secrets_of, with_made
from tasks.run.recall import looked_by
from tasks.spec.policy import pod_violations
from tasks.spec.rollout import Rollout
from tasks.weights.messages import Done, Failed, Transfer, message_of

# Before a rollout takes anything: nothing waits for it.
MOST_S = 24 * 3600.0
# Before a way back, and well below what the guard has for one rollout (flows/guard.py). Jobs that
# take longer go on, and whoever asks next finds them, or what they said.
PROOF_S = 1800.0
# The same while what serves is known to fail: each minute costs requests.
BAD_S = 600.0
# What a Job that is over said of weights stands for so long where what serves fails: the next look
# goes on from it. Who asks without need has them hashed anew.
FRESH_S = 3600.0
NAMED_S = 300.0  # for a Job that only starts
WIDTH = 16  # nodes hashed at once
STEP = "roll_back"
RunJob = Callable[..., JobResult]
T = TypeVar("T")
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
    there again; empty where nobody knows where they lie. named: a Job on one of them that names the
    Secrets its pods name; empty where they name none, or none may be asked for."""

    name: str
    found: Comeback
    proofs: tuple[tuple[str, Object], ...] = ()
    named: tuple[tuple[str, Object], ...] = ()


@dataclass(frozen=True)
class Hashed:
    """damaged: where weights are not what was published, in the words of what looked. unknown: why
    nobody could look elsewhere; that says nothing of weights."""

    damaged: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def prove(actor: Actor, course: Course) -> tuple[str, ...] | None:
    """Before a course that takes something from what serves and answers: what takes its place can
    start, and what serves can come home, unless it is known to be bad.

    Gives why some of it could not be proven; None where there is nothing to prove. What serves and
    is known to fail is left all the same then: what it is left for was whole when it served. Raises
    NotProvenToStart where something speaks against it, and, unless what serves is bad, where it is
    not known; nothing has changed then. LockLost and Aborted pass, and nothing else does.
    """
    seen = actor.looked()
    taking = takes_from(seen, course)
    if taking is None:
        return None
    bad = course.unless == "fail" or known_against(seen.state) == "fail"
    until = clock.monotonic() + (BAD_S if bad else PROOF_S)
    try:
        nodes = actor.cluster.list("Node")
    except Forbidden:
        emit(Progress(STEP, "running", actor.name, "not known: the nodes may not be read"))
        return ()
    except Exception as error:
        return _left_open(actor.name, [_told(error)], bad=bad)
    view = seen.view(taking.starts or taking.serving)
    left: list[str] = []
    looks: list[tuple[Proofs, bool]] = []
    for ident, starts in ((taking.starts, True), *(() if bad else ((taking.serving, False),))):
        beside = Beside(taking.serving, stand_beside(seen, course)) if starts else None
        looked = _kept(left, partial(_look, actor, seen, ident, nodes, beside))
        looks += [(looked, starts)] if looked else []
    left_s = until - clock.monotonic()
    by = [
        partial(hashed, look, _by(actor, FRESH_S if bad else 0), _ignored, STEP, left_s)
        for look, _ in looks
    ]
    for (look, starts), said in zip(looks, at_once(by, WIDTH), strict=True):
        if said.damaged:
            words = no_start if starts else refusal
            raise NotProvenToStart(words(look.name, said.damaged) + SKIP)
        tell_unknown(look, STEP)
        left += said.unknown
    _kept(left, partial(_must_have_room, actor, taking, course.past))
    return _left_open(view.name if view else actor.name, left, bad=bad)


def _ignored(logs: Mapping[str, str]) -> None:
    """What went wrong is in the sentence."""


def _kept(left: list[str], look: Callable[[], T]) -> T | None:
    """What a look gives. One that cannot be taken says nothing, whatever stops it: that is kept."""
    try:
        return look()
    except (LockLost, Aborted, NotProvenToStart):
        raise
    except Exception as error:
        left.append(_told(error))
        return None


def _told(error: Exception) -> str:
    return str(error) or repr(error)


def _left_open(name: str, left: list[str], *, bad: bool) -> tuple[str, ...]:
    if left and not bad:
        raise NotProvenToStart(not_known(name, left) + SKIP)
    return tuple(left)


def _look(
    actor: Actor, seen: Observed, ident: str, nodes: list[Object], beside: Beside | None
) -> Proofs | None:
    """A release by what the API shows; None where there is none. beside: what it starts beside;
    None where it serves. Raises NotProvenToStart."""
    starts = beside is not None
    cluster, ns, view = actor.cluster, actor.namespace, seen.view(ident)
    deploy = cluster.get("Deployment", view.name, ns) if view else None
    if view is None or deploy is None:
        return None  # nothing is to start, or a move of the course says what is missing
    if starts:
        found = decide_placing(deploy, nodes, digests_of(seen.state.history, ident))
    else:
        found = decide_comeback(deploy, release_pods(cluster, ns, actor.name, ident), nodes)
    count = view.serves_with if starts else None
    found = with_made(cluster, actor.name, deploy, found, count, beside)
    if found.wrong:
        raise NotProvenToStart((no_start if starts else refusal)(view.name, found.wrong) + SKIP)
    return with_proofs(looked_by(seen.state, ident), deploy, ident, found)


def _must_have_room(actor: Actor, taking: Taking, past: tuple[str, ...]) -> None:
    """Hashing takes its time: who came meanwhile has the seats, or would take what is freed. past:
    who may."""
    seen = actor.looked()
    view = seen.view(taking.starts)
    deploy = actor.cluster.get("Deployment", view.name, actor.namespace) if view else None
    if view is None or deploy is None:
        return
    room = seats.room(actor, release_on(deploy, taking.starts), seen.serving)
    if room is None or view.runs or room.beside >= view.serves_with:
        return
    if waits := [item for item in room.queue if item not in past]:
        raise NotProvenToStart(queued(waits) + SKIP)
    if room.most_instead < view.serves_with:
        raise NotProvenToStart(
            f"{view.name} needs room for {view.serves_with} replica(s) of {room.replica}, its "
            f"nodes have room for {room.most_instead} by now, even with what serves scaled down"
            f"{kept_for(room.owed)}. Nothing was taken from what serves; free what others hold "
            f"there{SKIP}"
        )


def _by(actor: Actor, fresh_s: float) -> RunJob:
    def run(job: Object, *, timeout_s: float, on_line: Callable[[str], None]) -> JobResult:
        if reasons := pod_violations(site_policy(), job["spec"]["template"]["spec"]):
            raise StepFailed("the site's policy does not allow it: " + "; ".join(reasons))
        return run_job(
            actor.cluster,
            job,
            timeout_s=timeout_s,
            on_line=on_line,
            fence=actor.fence,
            fresh_s=fresh_s,
        )

    return run


def with_proofs(spec: Rollout | None, deploy: Object, ident: str, found: Comeback) -> Proofs:
    """With the Jobs that hash the weights of a release on its nodes, and that look for the Secrets
    which its pods name; None is no spec to make them by."""
    name, release = deploy["metadata"]["name"], release_on(deploy, ident)
    named, unseen = _secrets(spec, deploy, found.nodes)
    found = replace(found, unknown=(*found.unknown, *unseen))
    store = store_of(release, deploy["spec"]["template"]["spec"])
    said = ""
    if store is None or not release.digest:
        said = f"where the weights of {name} come from: they are not hashed again"
    elif spec is None:
        said = f"by which spec the weights of {name} would be looked at: they are not hashed again"
    if said or store is None or spec is None:
        return Proofs(name, replace(found, unknown=(*found.unknown, said)), named=named)
    proofs = tuple((node, verify_job(spec, release, store, node)) for node in found.nodes)
    return Proofs(name, found, proofs, named)


def _secrets(
    spec: Rollout | None, deploy: Object, nodes: Sequence[str]
) -> tuple[tuple[tuple[str, Object], ...], list[str]]:
    """The Job that looks for them, on a node, and what nobody can look at."""
    secrets = secrets_of(deploy)
    if not secrets:
        return (), []
    said = f"whether {', '.join(map(str, secrets))} is there"
    if spec is None or not nodes:
        return (), [f"{said}: by which spec, or on which node, it would be looked for"]
    job = named_job(spec, secrets, nodes[0])
    if reasons := pod_violations(site_policy(), job["spec"]["template"]["spec"]):
        return (), [f"{said}: the site's policy lets no Job ask: {'; '.join(reasons)}"]
    return ((nodes[0], job),), []


def tell_unknown(looked: Proofs, step: str) -> None:
    """Say what nobody can know."""
    for line in looked.found.unknown:
        emit(Progress(step, "running", looked.name, f"not known: {line}"))


def hashed(looked: Proofs, run: RunJob, keep: Keep, step: str, within_s: float = MOST_S) -> Hashed:
    """Hash its weights again, on all nodes at once: they serve meanwhile, from the same disks; and
    look for its Secrets. within_s: for all of them together. Raises LockLost, Aborted."""
    deadline = clock.monotonic() + within_s

    def look(node: str, job: Object) -> Hashed:
        try:
            return _hash(run, keep, step, looked.name, node, job, deadline)
        except (LockLost, Aborted):
            raise
        except Exception as error:  # no Job, no answer: nobody has looked
            return Hashed(unknown=(_unseen(node, _told(error)),))

    def seek(node: str, job: Object) -> Hashed:
        try:
            return _seek(run, keep, looked.name, node, job, deadline)
        except (LockLost, Aborted):
            raise
        except Exception as error:
            return Hashed(unknown=(_unsought(looked.name, node, _told(error)),))

    every = [*(partial(look, *proof) for proof in looked.proofs)]
    every += [partial(seek, *proof) for proof in looked.named]
    found = at_once(every, WIDTH)
    return Hashed(
        tuple(line for item in found for line in item.damaged),
        tuple(line for item in found for line in item.unknown),
    )


def whole_on(actor: Actor, looked: Proofs) -> tuple[list[str], list[str]]:
    """The nodes on which a release's weights are proven to be whole, and what is to be said of the
    others. What was hashed within the hour stands. Raises LockLost, Aborted."""
    by = _by(actor, FRESH_S)
    asked = [replace(looked, proofs=(proof,)) for proof in looked.proofs]
    found = at_once([partial(hashed, one, by, _ignored, STEP, BAD_S) for one in asked], WIDTH)
    said = [line for item in found for line in (*item.damaged, *item.unknown)]
    nodes = [node for node, _ in looked.proofs]
    pairs = zip(nodes, found, strict=True)
    return [node for node, item in pairs if item == Hashed()], said


def _unseen(node: str, why: str) -> str:
    return f"nobody could hash its weights on node {node}: {why}"


def _unsought(name: str, node: str, why: str) -> str:
    return f"nobody could look for the Secrets of {name}, on node {node}: {why}"


def _seek(run: RunJob, keep: Keep, name: str, node: str, job: Object, deadline: float) -> Hashed:
    """Whether the Secrets of a release are there, by what the kubelet says."""
    if (left := deadline - clock.monotonic()) <= 0:
        return Hashed(unknown=(_unsought(name, node, "the time for it is over"),))
    result = run(job, timeout_s=min(left, NAMED_S), on_line=lambda _: None)
    if result.succeeded:
        return Hashed()
    keep(result.logs)
    why = result.diagnosis
    if why is not None and why.code == "config-missing":
        return Hashed((f"what its pods name is not there: {why.detail} (to do: {why.action})",))
    return Hashed(unknown=(_unsought(name, node, result.sentence()),))


def _hash(
    run: RunJob, keep: Keep, step: str, name: str, node: str, job: Object, deadline: float
) -> Hashed:
    """Hash weights on one node again. Only what has looked at them says anything of them."""
    last: Done | Failed | None = None

    def on_line(line: str) -> None:
        nonlocal last
        match message_of(line):
            case Transfer(done, total):
                said = f"hashing what {name} serves from, before anything makes room"
                emit(Progress(step, "running", node, said, done, total, unit="bytes"))
            case Done() | Failed() as end:
                last = end

    if (left := deadline - clock.monotonic()) <= 0:
        return Hashed(unknown=(_unseen(node, "the time for it is over"),))
    result = run(job, timeout_s=left, on_line=on_line)
    if result.succeeded and isinstance(last, Done):
        return Hashed()
    keep(result.logs)
    if isinstance(last, Failed) and last.kind == "damaged":
        return Hashed((f"{WEIGHTS} {node}: {on_host(job, last.message)}",))
    why = on_host(job, last.message) if isinstance(last, Failed) else result.sentence()
    if result.diagnosis and result.diagnosis.action:
        why += f" (to do: {result.diagnosis.action})"
    why = why or "the Job ended without saying that it is done"
    return Hashed(unknown=(_unseen(node, why),))
