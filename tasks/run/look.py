"""One look at a release that serves: what its soak is made of, whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from tasks.accelerators.profiles import profile
from tasks.base.errors import OutsideError
from tasks.measure.traffic import Counters, Traffic, between, follow
from tasks.nodes.facts import api_facts, group_pods
from tasks.nodes.health import CardWatch
from tasks.nodes.metrics import exporter_url
from tasks.objects.pods import Object, counted, ending, ready, restarts
from tasks.objects.replicas import replicas_of
from tasks.outside.exporter import metrics as exporters
from tasks.outside.kubernetes.access import astray, release_pods
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.vllm.metrics import counters_at
from tasks.record.parts import Promote
from tasks.release.memory.terms import terms_of
from tasks.release.soak_rules import rules_of
from tasks.release.soaking import Look, Seen
from tasks.release.state import Release
from tasks.render import live
from tasks.run.counting import Ways
from tasks.run.run import ASK_S, Run
from tasks.spec.rollout import Rollout
from tasks.verdict.decide import asked_of

Read = Callable[[Object], Counters]


def watch(run: Run, actor: Actor, release: str | None) -> None:
    """From here on the soaks of this actor go by the run's spec, and by what its benchmark saw:
    where it had none itself, by what the cluster remembers of that release."""
    measured = run.measured
    if measured is None:
        measured = terms_of(actor.observe().state, release).measured if release else {}
    actor.rules = rules_of(run.spec, measured)
    actor.look = Watcher(run)
    actor.ready_timeout_s = run.spec.serving.startup_timeout_s
    actor.asked = asked_of(run.spec)
    allowed = actor.rules.bounds.ttft_s
    # what has not come by then is past the bound, and no fault of the way there
    run.ask_s = max(ASK_S, 1.25 * allowed) if allowed is not None else ASK_S


class Watcher:
    """Looks at a promoted release, look after look.

    read: an engine's counters by its pod; raises OutsideError. Default: as the pod is reached.
    """

    def __init__(self, run: Run, read: Read | None = None) -> None:
        self._run = run
        ways = Ways(run.cluster, run.spec.namespace)
        self._read = read or (lambda pod: ways.ask(pod, counters_at))
        self._engines: dict[str, Counters] = {}
        self._own = 0
        self._pods: set[str] = set()
        self._cards: CardWatch | None = None

    def __call__(self, release: Release) -> Look:
        """One look: its pods, where the Service leads, whether it answers, what its engines have
        done since, what befell their cards."""
        spec, cluster = self._run.spec, self._run.cluster
        try:
            pods = release_pods(cluster, spec.namespace, spec.name, release.id)
            why = astray(cluster, spec.namespace, spec.name, pods)
        except OutsideError as error:
            return Look(trouble=None, answer="none", why=str(error))
        found = self._answer(release, why)
        up = [pod for pod in pods if ready(pod)]
        engines, unread = self._counted(up, asked=found.ttft_s is not None)
        return replace(
            found,
            trouble=self._trouble(pods, release),
            engines=engines,
            unread=unread,
            cards=self._befell(up),
        )

    def _trouble(self, pods: Sequence[Object], release: Release) -> tuple[str, ...]:
        staying = [pod for pod in pods if not ending(pod)]
        names = sorted(pod["metadata"]["name"] for pod in staying)
        record = self._run.record
        if record.promote is None:
            record.promote = Promote(restarts_before=restarts(staying), pods=names)
        # told once: a node that is drained replaces pods, and that says nothing of the release
        gone = len(self._pods - set(names))
        self._pods = set(names)
        wanted = _wanted(self._run, release, sum(map(ready, staying)))
        out = live.trouble(staying, wanted, record.promote.restarts_before)
        return (*out, f"{gone} of its pods replaced or gone") if gone else out

    def _answer(self, release: Release, astray: str) -> Look:
        spec = self._run.spec
        where = f"Service {spec.namespace}/{spec.name}"
        if astray:
            return Look(answer="none", why=f"{where}: {astray}")
        found, names = self._run.ask(spec.name, release)
        if found.answer == "good" and release.served_name not in names:
            # its own pods said the right name before: the way there leads elsewhere still
            why = f"{where} answers with {', '.join(names) or 'no model'}, not"
            return Look(answer="none", why=f"{why} {release.served_name}")
        return found

    def _counted(self, pods: Sequence[Object], *, asked: bool) -> tuple[Traffic | None, str]:
        """What the engines did since they were read last; None the first time, and where none can
        be read, with why."""
        now: dict[str, Counters] = {}
        unread = ""
        for pod in pods:
            name = pod["metadata"]["name"]
            try:
                now[name] = follow(self._engines.get(name), self._read(pod))
            except OutsideError as error:
                unread = unread or f"{name}: {error}"
        self._own += asked
        before, self._engines = self._engines, {**self._engines, **now}
        if not before.keys() & now.keys():
            self._own = 0 if now else self._own
            return None, unread
        found = replace(between(before, now), own=self._own)
        self._own = 0
        return found, unread

    def _befell(self, pods: Sequence[Object]) -> tuple[str, ...] | None:
        spec, cluster = self._run.spec, self._run.cluster
        if self._cards is None:
            found = exporters_of(cluster, spec)
            self._cards = CardWatch(profile(spec.nodes.accelerator), found, exporters.read)
        befell = tuple(self._cards(pods))
        return befell if self._cards.watched else None


def exporters_of(cluster: Cluster, spec: Rollout) -> Mapping[str, str]:
    """Address of the vendor's exporter by node; none where there is none, or nobody may look."""
    row = profile(spec.nodes.accelerator)
    if row.exporter is None:
        return {}
    try:
        pods = group_pods(cluster.list("Pod", keep=counted))
        nodes, daemonsets = cluster.list("Node"), cluster.list("DaemonSet")
    except OutsideError:
        return {}
    found = {}
    for node in nodes:
        name = node["metadata"]["name"]
        found[name] = exporter_url(row, api_facts(node, pods.get(name, ()), daemonsets))
    return {name: url for name, url in found.items() if url}


def note(run: Run, seen: Seen | None) -> None:
    """Put what a soak saw on record, with what it could not see."""
    kept = run.record.promote
    if seen is None or kept is None:
        return
    kept.looks, kept.bad, kept.blind = seen.looks, seen.bad, seen.blind
    kept.requests, kept.errors, kept.tokens = seen.others, seen.errors, seen.tokens
    worst = seen.worst_ttft_s
    kept.worst_ttft_ms = round(1000 * worst, 1) if worst is not None else None
    kept.said, kept.notes = seen.told(), []
    if not seen.counted or not seen.others:
        kept.notes.append(seen.traffic())
    elif seen.unread:
        kept.notes.append(f"not every look could read the engines' counters: {seen.unread}")
    row = profile(run.spec.nodes.accelerator)
    if row.has_devices and not seen.cards_watched:
        kept.notes.append(
            f"the cards were not watched: no exporter of {row.name} answered on their nodes"
        )


def _wanted(run: Run, release: Release, up: int) -> int:
    """How many replicas are to be ready: fewer than it serves with while others have its seats."""
    if up >= release.replicas:
        return release.replicas
    with suppress(OutsideError):
        deploy = run.cluster.get("Deployment", release.deployment, run.spec.namespace)
        found = replicas_of(deploy) if deploy else None
        if found and found.lent:
            return found.asked
    return release.replicas
