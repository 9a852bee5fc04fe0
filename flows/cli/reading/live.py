"""`rollout status --watch` and `--wait`: looks at a rollout, whoever runs it, until it rests."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.tree import Tree

from flows.cli.known import must_be_known
from flows.cli.output import show
from flows.cli.reading.states import observer, status_of
from flows.cli.reading.steps import WatchLine, draw, news_of, progress_of, step_lines
from flows.cli.reading.verified import last_verified
from flows.cli.screen import Screen, words
from tasks.base import clock
from tasks.base.errors import Exit, OutsideError, StepFailed
from tasks.diagnose.containers import phase_text
from tasks.objects.labels import INSTANCE_LABEL, KIND_LABEL, RELEASE_LABEL
from tasks.objects.pods import ReadObject, ready
from tasks.outside.kubernetes.access import rollout_pods
from tasks.outside.kubernetes.client import ApiError, Cluster
from tasks.outside.kubernetes.jobs import outcome
from tasks.outside.kubernetes.lease import holder_in, lease_of, run_of
from tasks.record.news import News, news_in
from tasks.record.outcome import ENDINGS
from tasks.record.record import Record
from tasks.record.record import read as read_record
from tasks.run.nodes.placing import some_gone
from tasks.weights.messages import Transfer, message_of

EVERY_S = 2.0
# of a Job's log, from its end: a message is a line
LOG_BYTES = 1 << 14
# that steps tell of themselves, and a Job's own log says better
TOLD_BY = {"fetch": "fetch_weights"}
# where nothing goes on by itself: it waits for a person, or for the next rollout
RESTS = ("idle", "held", "unproven")
DECIDED = ("approve", "promote")


@dataclass(frozen=True)
class PodSight:
    """One pod. state: in the words of `kubectl get pods`."""

    name: str
    release: str
    node: str
    state: str
    ready: bool


@dataclass(frozen=True)
class JobSight:
    """A Job under way. kind: probe, fetch, verify or gc. done, total: bytes, None where it tells
    none. rate: bytes a second."""

    name: str
    kind: str
    node: str
    done: float | None = None
    total: float | None = None
    rate: float = 0.0


@dataclass(frozen=True)
class Sight:
    """One look. status: the document of `status`. news: what its holder is at; None where it does
    not say. last: how the last rollout went, while nobody is at it. at: when it was, by the API
    server's clock. renews_s: how old the news of a living holder may be."""

    status: Mapping[str, Any]
    pods: tuple[PodSight, ...] = ()
    jobs: tuple[JobSight, ...] = ()
    news: News | None = None
    last: Record | None = None
    at: datetime | None = None
    renews_s: float = 60.0

    @property
    def rests(self) -> bool:
        """Nothing goes on: nobody has the lease, and the phase waits for somebody."""
        return not self.status["holder"] and self.status["phase"] in RESTS


def pod_sight(pod: ReadObject) -> PodSight:
    """What is shown of a pod."""
    meta = pod["metadata"]
    release = str((meta.get("labels") or {}).get(RELEASE_LABEL, ""))
    node = str((pod.get("spec") or {}).get("nodeName") or "")
    return PodSight(str(meta["name"]), release, node, phase_text(dict(pod)), ready(pod))


def job_sight(job: ReadObject, log: str) -> JobSight | None:
    """What is shown of a Job, with the end of its pod's log; None of one that has ended."""
    if outcome(dict(job)) is not None:
        return None
    meta = job["metadata"]
    kind = str((meta.get("labels") or {}).get(KIND_LABEL, ""))
    node = str((meta.get("annotations") or {}).get("model-rollout/node", ""))
    for line in reversed(log.splitlines()):
        match message_of(line):
            case Transfer(done, total, rate):
                return JobSight(meta["name"], kind, node, done, total, rate)
    return JobSight(meta["name"], kind, node)


def ended(status: Mapping[str, Any]) -> Exit:
    """The exit status of a rollout at rest: of its last outcome, and 1 where nothing answers though
    that was good. What was done by name is no outcome of a rollout, but for an approval, and where
    it brought one to rest whose own run had died."""
    if status["phase"] == "held":
        return Exit.INCONCLUSIVE
    for item in status["history"]:
        if item["outcome"] in ENDINGS:
            found = ENDINGS[item["outcome"]].exit_code
            break
        if item["outcome"] in DECIDED:
            found = Exit.DONE
            break
        if item["exit_code"] is not None:
            found = Exit(item["exit_code"])
            break
    else:
        found = Exit.DONE
    if status["phase"] == "unproven" and found is Exit.DONE:
        return Exit.FAILED if status["verdict"] == "fail" else Exit.INCONCLUSIVE
    return Exit.ERROR if found is Exit.DONE and not status["answers"] else found


# -- looking


def look(cluster: Cluster, namespace: str, name: str) -> Sight:
    """One look at a rollout. Raises OutsideError."""
    seen = observer(cluster, namespace, name).observe()
    lease = lease_of(cluster, namespace, name)
    holder, news = holder_in(lease), news_in(lease)
    lasts = ((lease or {}).get("spec") or {}).get("leaseDurationSeconds")
    gone = some_gone(cluster, namespace, seen)
    verified = last_verified(cluster, namespace, name)
    status = status_of(namespace, seen, gone, holder, verified, progress_of(news))
    jobs = cluster.list("Job", namespace, f"{INSTANCE_LABEL}={name}")
    found = [job_sight(job, _log(cluster, job)) for job in jobs]
    return Sight(
        status,
        tuple(map(pod_sight, rollout_pods(cluster, namespace, name))),
        tuple(item for item in found if item is not None),
        news,
        read_record(seen.state.history[0]) if seen.state.history and not holder else None,
        cluster.now(),
        lasts if isinstance(lasts, int) else Sight.renews_s,
    )


def _log(cluster: Cluster, job: Mapping[str, Any]) -> str:
    """The end of what a Job that runs has written; '' where that cannot be read."""
    if outcome(dict(job)) is not None:
        return ""
    meta = job["metadata"]
    with suppress(OutsideError):
        for pod in cluster.list("Pod", meta["namespace"], f"job-name={meta['name']}"):
            return cluster.logs(pod["metadata"]["name"], meta["namespace"], most_bytes=LOG_BYTES)
    return ""


# -- telling


def lines_of(sight: Sight, *, steps: bool = True) -> list[WatchLine]:
    """What is told where nothing can be drawn: a line for each thing that may change."""
    status = sight.status
    lines = [f"phase: {status['phase']}" + (f", {status['holder']}" if status["holder"] else "")]
    lines += [f"{key}: {status[key]}" for key in ("down", "why") if status[key]]
    if view := status["serving"]:
        lines.append(
            f"serving: {view['deployment']}, {view['available']} of {view['replicas']} available"
        )
    if candidate := status["candidate"]:
        lines.append(f"candidate: {candidate['deployment']}")
    lines += [f"pod {pod.name}: {pod.state}" for pod in sight.pods]
    for job in sight.jobs:
        tenths = f", {10 * int(10 * (job.done or 0) / job.total)} %" if job.total else ""
        lines.append(f"job {job.name}: {job.kind} on {job.node or 'no node yet'}{tenths}")
    told = [(line, line) for line in lines]
    if steps and sight.news:
        told += step_lines(sight.news, run_of(sight.news.holder))
    if steps and sight.last:
        told += step_lines(news_of(sight.last), sight.last.rollout)
        told.append((ended_as(sight.last), ended_as(sight.last)))
    return told


def ended_as(last: Record) -> str:
    """How the last rollout ended, in a line."""
    return f"last: {last.outcome} {last.finished}: {last.sentence}"


def tree_of(sight: Sight) -> RenderableType:
    """The same, drawn."""
    status, jobs = sight.status, list(sight.jobs)
    since = f" since {status['since']}" if status["since"] else ""
    head = f"{status['namespace']}/{status['name']}: {status['phase']}{since}"
    tree = Tree(words(head, "bold"), guide_style="dim")
    for key in ("holder", "down", "why", "nodes_gone"):
        if status[key]:
            tree.add(
                words(f"{key.replace('_', ' ')}: {status[key]}", "red" if key == "down" else "")
            )
    if sight.news:
        told = {TOLD_BY.get(job.kind, ""): job for job in jobs}.keys() - {""}
        runs = {step.step for step in sight.news.steps if step.state == "running"}
        better = {
            step: [_job(job) for job in jobs if TOLD_BY.get(job.kind) == step]
            for step in told & runs
        }
        jobs = [job for job in jobs if TOLD_BY.get(job.kind) not in better]
        draw(tree.add(_age(sight, sight.news)), sight.news, sight.at, better)
    elif sight.last:
        draw(tree.add(words(ended_as(sight.last))), news_of(sight.last), None, {})
    shown = set()
    for role in ("serving", "candidate", "previous"):
        found = status[role]
        if found is None or found["release"] in shown:
            continue
        shown.add(found["release"])
        count = (
            f", {found['available']} of {found['replicas']} available" if role == "serving" else ""
        )
        branch = tree.add(words(f"{role}: {found['deployment']}{count}"))
        for pod in sight.pods:
            if pod.release == found["release"]:
                branch.add(_pod(pod))
    if jobs:
        branch = tree.add(words("jobs"))
        for job in jobs:
            branch.add(_job(job))
    tree.add(words(f"next: {status['next']}", "dim"))
    return Group(tree)


def _age(sight: Sight, news: News) -> RenderableType:
    """How old it is: it comes with renewals alone."""
    age = max(0.0, (sight.at - news.at).total_seconds()) if sight.at and news.at else 0.0
    if age <= sight.renews_s:
        return words(f"steps, as told {age:.0f} s ago")
    return words(f"steps, as told {age:.0f} s ago; its holder has not renewed since", "yellow")


def _pod(pod: PodSight) -> RenderableType:
    where = f" on {pod.node}" if pod.node else ""
    mark, style = ("✓", "green") if pod.ready else ("·", "yellow")
    return words(f"{mark} {pod.name}{where}: {pod.state}", style)


def _job(job: JobSight) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    cells: list[RenderableType] = [words(f"{job.kind} on {job.node or 'no node yet'}", "cyan")]
    if job.total:
        done = job.done or 0
        cells.append(ProgressBar(total=job.total, completed=done, width=28))
        cells.append(words(f"{decimal(int(done))} of {decimal(int(job.total))}"))
        left = (job.total - done) / job.rate if job.rate else 0
        cells.append(words(f"{decimal(int(job.rate))}/s, {left:.0f} s left" if left else "", "dim"))
    row.add_row(*cells)
    return row


# -- waiting


def follow(
    name: str,
    namespace: str,
    kubeconfig: str | None,
    context: str | None,
    *,
    draws: bool,
    judges: bool,
    timeout_s: float | None = None,
    form: str = "table",
) -> int:
    """Look until it is at rest. draws: show each look. judges: the exit status is that of how it
    ended, and the end is told; else 0. An API server that is away is looked at again: the rollout
    goes on without it. Raises Refused where there is no such rollout, StepFailed where `timeout_s`
    is over before, OutsideError without one, where nobody ever answered or a look is refused."""
    began, last = clock.monotonic(), set[str]()
    screen, sight, away = Screen(), None, ""
    with Cluster.connect(kubeconfig, context) as cluster:
        live = Live(console=screen, auto_refresh=False) if draws and screen.is_terminal else None
        with live or nullcontext():
            while True:
                try:
                    if sight is None:
                        must_be_known(cluster, name, namespace)
                    sight, away = look(cluster, namespace, name), ""
                except OutsideError as error:
                    if timeout_s is None and (sight is None or _refused(error)):
                        raise
                    if not away:
                        said = f"{namespace}/{name} is not seen, and looked at again: {error}"
                        # what is asked for stays a document
                        Screen(stderr=True).print(said, soft_wrap=True)
                    away = str(error)
                if sight and not away:
                    if live:
                        live.update(tree_of(sight), refresh=True)
                    elif draws:
                        last = _tell(screen, sight, last)
                    if sight.rests:
                        break
                if timeout_s is not None and clock.monotonic() - began >= timeout_s:
                    phase = "not known" if away or not sight else sight.status["phase"]
                    raise StepFailed(
                        f"{namespace}/{name} is not at rest after {timeout_s:g} s: it is {phase}"
                        f"{f' ({away})' if away else ''}; it goes on: wait longer with --timeout, "
                        f"or look with `rollout status {name} -n {namespace} --watch`"
                    )
                clock.sleep(EVERY_S)
    if form != "table":
        show(sight.status, form)
    elif judges and not draws:
        _tell(screen, sight, set(), steps=False)
        if sight.last:
            screen.print(ended_as(sight.last), soft_wrap=True)
        screen.print(f"next: {sight.status['next']}", soft_wrap=True)
    return ended(sight.status) if judges else Exit.DONE


def _refused(error: OutsideError) -> bool:
    """Somebody answers, and says no."""
    return isinstance(error, ApiError) and error.status in (401, 403)


def _tell(screen: Screen, sight: Sight, last: set[str], *, steps: bool = True) -> set[str]:
    """Print what the last look did not have; how a step went, and whether a target is met, once."""
    lines = lines_of(sight, steps=steps)
    for about, line in lines:
        if about not in last:
            screen.print(line, soft_wrap=True)
    kept = {about for about in last if about.startswith(("step ", "target "))}
    return kept | {about for about, _ in lines}
