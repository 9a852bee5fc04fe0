"""The guard: settles what nobody looks after any more, in the cluster and without a person.

It runs as a CronJob (deployments/cluster/base/guard.yaml), a Prefect deployment and a command. It
takes a lease only when its holder has stopped renewing it, so a rollout that is merely slow is left
alone. Each rollout is settled apart: one that fails, hangs or cannot be read stops no other.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prefect import flow

from flows.rollback import decide, settle
from tasks.base import clock
from tasks.base.errors import Busy, OutsideError, RolloutError, StepFailed
from tasks.outside.disk.site import spec_below
from tasks.outside.kubernetes.access import rollouts
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.lease import holder_of, run_of
from tasks.outside.prefect import approvals, artifacts, others, parameters, told
from tasks.release.course import NOTHING
from tasks.run.locked import not_held
from tasks.run.nodes import placing
from tasks.run.rescue import rescuing
from tasks.run.ui.states import held, states
from tasks.spec.file import read_spec
from tasks.spec.rollout import Rollout

_log = logging.getLogger(__name__)
WIDTH = 8  # rollouts settled at once
EVERY_S = 60.0  # between looks
LIMIT_S = 3600.0  # for one rollout; what is not settled then is left to the next round
_TICK_S = 0.2

Key = tuple[str, str]  # namespace, name


@dataclass(frozen=True)
class Tended:
    """What became of one rollout. alone: somebody alive has it."""

    key: Key
    end: Literal["settled", "left alone", "failed"]
    said: str

    def __str__(self) -> str:
        return f"{'/'.join(self.key)}: {self.end}: {self.said}"


def tend(key: Key, kubeconfig: str | None, context: str | None) -> Tended | None:
    """Settle one rollout where there is something to settle; None where it is at rest."""
    namespace, name = key
    try:
        with Cluster.connect(kubeconfig, context) as cluster:
            actor = Actor(cluster, namespace, name, fence=not_held, epoch=0)
            with rescuing(cluster, namespace, name, "guard", looks=True):
                try:
                    seen, course = decide("guard", actor)
                    if not course.moves and not placing.to_place(actor, seen):
                        return None
                except StepFailed as error:  # nothing to do but to say it, in the history once
                    if _noted(actor, str(error)) and not placing.to_place(actor, actor.observe()):
                        raise
            holder = holder_of(cluster, namespace, name)
        said = settle("guard", name, namespace, kubeconfig=kubeconfig, context=context)
        if said != NOTHING:  # else it has ended by itself meanwhile
            others.end_dead(run_of(holder), said)
        return Tended(key, "settled", said)
    except Busy as error:  # its holder renews the lease: alive, not ours
        return Tended(key, "left alone", str(error))
    except Exception as error:
        return Tended(key, "failed", str(error) or repr(error))


def _noted(actor: Actor, said: str) -> bool:
    """Whether the guard's last words in the history are these, or begin with them."""
    last = next(iter(actor.read_state()[0].history), {})
    told_last = str(last.get("sentence", ""))
    return last.get("outcome") == "error" and f"{told_last};".startswith(f"guard: {said};")


def watch(
    find: Callable[[], list[Key]],
    tend: Callable[[Key], Tended | None],
    *,
    once: bool,
    limit_s: float = LIMIT_S,
) -> Iterator[Tended]:
    """Look every EVERY_S and tend to what is found, WIDTH at once, each in a thread of its own.

    Every look considers every rollout that is not in hand right then, whatever became of it before:
    what failed may succeed, and what is settled, at rest, or in the hands of somebody alive may die
    a minute later. The same again is told once. once: end when nothing is in hand any more; looks
    end after limit_s, lest two that fail by turns keep it for ever. What takes longer than limit_s
    is told as failed and left behind, and holds up nobody.
    """
    waiting: deque[Key] = deque()
    running: dict[Key, tuple[threading.Thread, float]] = {}
    behind: dict[Key, threading.Thread] = {}
    ended: dict[Key, Tended | None] = {}
    tended: dict[Key, Tended] = {}  # what became of each, as it was told last
    next_look: float | None = None
    first = clock.monotonic()

    def work(key: Key) -> None:
        ended[key] = tend(key)

    while True:
        looks = next_look is None or not once or clock.monotonic() - first < limit_s
        if looks and (next_look is None or clock.monotonic() >= next_look):
            try:
                new = find()
            except OutsideError as error:
                if next_look is None and once:
                    raise
                _log.error("the guard could not look: %s", error)
                new = []
            in_hand = {*waiting, *running, *(k for k, t in behind.items() if t.is_alive())}
            waiting.extend(key for key in new if key not in in_hand)
            next_look = clock.monotonic() + EVERY_S
        while waiting and len(running) < WIDTH:
            key = waiting.popleft()
            # a daemon: what hangs ends with the process, and its lease runs out
            thread = threading.Thread(target=work, args=(key,), daemon=True, name="/".join(key))
            running[key] = (thread, clock.monotonic())
            thread.start()
        for key, (thread, began) in list(running.items()):
            if not thread.is_alive():
                del running[key]
                found = ended.pop(key, None)
            elif clock.monotonic() - began > limit_s:
                behind[key] = running.pop(key)[0]
                late = f"not settled in {limit_s:.0f} s; the next round goes on"
                found = Tended(key, "failed", late)
            else:
                continue
            before = tended.get(key)
            if found is None and before is not None and before.end == "failed":
                found = Tended(key, "settled", "it is at rest by now")
            if found is None:
                continue
            tended[key] = found
            if found.end == "settled" or found != before:
                yield found
        if once and not running and not waiting:
            return
        clock.sleep(_TICK_S)


def stand(
    namespace: str | None, kubeconfig: str | None, context: str | None, *, once: bool
) -> Iterator[Tended]:
    """Watch over a namespace, or over all; tells what became of each, in the log, too."""
    with Cluster.connect(kubeconfig, context) as cluster:
        for item in watch(
            lambda: rollouts(cluster, namespace),
            lambda key: tend(key, kubeconfig, context),
            once=once,
        ):
            _log.log(logging.ERROR if item.end == "failed" else logging.WARNING, "%s", item)
            yield item


@flow(name="guard", flow_run_name=parameters.guard_name, persist_result=False)
def guard(
    namespace: str | None = None, kubeconfig: str | None = None, context: str | None = None
) -> list[str]:
    """Settle every rollout that died half-way, put away what came late, and see that a person is
    asked about what is held; a sentence for each settled one.

    Args:
        namespace: Only this namespace; default: all.
        kubeconfig: Path of a kubeconfig; default: the pod's service account or ~/.kube/config.
        context: Context of the kubeconfig.
    """
    found = []
    for item in stand(namespace, kubeconfig, context, once=True):
        told.say(str(item))
        found.append(item)
    with Cluster.connect(kubeconfig, context) as cluster:
        approvals.close(read := states(cluster))
        for model, said in held(cluster, namespace):
            # whatever became of the question: its deployment may have gone and come back
            approvals.tend(model, read, said)
    rows = [{"rollout": "/".join(i.key), "what": i.end, "": i.said} for i in found]
    if rows:
        artifacts.table("guard", rows, f"{len(rows)} rollout(s) were not at rest")
    last = {item.key: item for item in found}
    if failed := [str(item) for item in last.values() if item.end == "failed"]:
        # the others are settled by now; what is left needs a person
        raise RolloutError("; ".join(failed))
    return [str(item) for item in found]


def settle_parameters(parameters: Mapping[str, Any]) -> None:
    """Settle the rollout that a flow run's parameters name; for hooks, which run elsewhere."""
    spec = parameters.get("spec")
    if isinstance(spec, Mapping):
        name, namespace = str(spec["name"]), str(spec.get("namespace", "default"))
    elif isinstance(spec, Rollout):
        name, namespace = spec.name, spec.namespace
    elif parameters.get("spec_file"):
        found = read_spec(spec_below(str(parameters["spec_file"]), "parameters.spec_file"))
        name, namespace = found.name, found.namespace
    else:
        return
    try:
        sentence = settle(
            "recover",
            name,
            namespace,
            kubeconfig=parameters.get("kubeconfig"),
            context=parameters.get("context"),
        )
        _log.warning("%s/%s: %s", namespace, name, sentence)
    except RolloutError as error:
        _log.error("%s/%s: %s", namespace, name, error)
