"""Run a Job to its end, once, however often it is asked for."""

from __future__ import annotations

import copy
import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.base.halt import heed
from tasks.base.scrub import scrub_text
from tasks.diagnose.containers import of_runner
from tasks.diagnose.logs import TAIL_LINES, tail
from tasks.diagnose.pods import Diagnosis, diagnose_pod, job_not_created
from tasks.objects.pods import Object, conditions, is_true, state, statuses
from tasks.outside.kubernetes.evidence import LOG_BYTES, Evidence
from tasks.outside.kubernetes.logs import Tail
from tasks.outside.kubernetes.objects import Objects
from tasks.outside.kubernetes.ready import selector_text
from tasks.outside.kubernetes.rest import AlreadyExists, Fence
from tasks.outside.kubernetes.watch import Together, keep
from tasks.outside.kubernetes.writes import Writer

WORK_ANNOTATION = "model-rollout/work"
_TICK_S = 5.0
# While it has no pod: its events are asked for, since they tell why.
_PODLESS_TICK_S = 1.0
# How long the log may trail behind the Job's end.
_DRAIN_S = 10.0
_GONE_S = 120.0


@dataclass(frozen=True)
class JobResult:
    """How a Job ended. exit_code: of its last container, None when none ran to an end.
    log_tail: its last lines. diagnosis: why it failed, None on success. logs: what its pods wrote,
    as far as it was heard, by file name; empty on success."""

    succeeded: bool
    exit_code: int | None
    log_tail: tuple[str, ...]
    diagnosis: Diagnosis | None
    logs: Mapping[str, str] = field(default_factory=dict)

    def why(self) -> str:
        """Why it failed, on one line or more; '' on success."""
        if self.succeeded:
            return ""
        return self.diagnosis.text() if self.diagnosis else f"exit code {self.exit_code}"

    def sentence(self) -> str:
        """Why it failed, on one line and without what to do; '' on success."""
        if self.succeeded or self.diagnosis is None:
            return "" if self.succeeded else f"exit code {self.exit_code}"
        return self.diagnosis.sentence()


def work_of(job: Object) -> str:
    """A digest of what a Job does; the same work under the same name is the same Job."""
    template = json.dumps(job["spec"], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(template.encode()).hexdigest()[:16]


def outcome(job: Object) -> tuple[str, str] | None:
    """('Complete' | 'Failed', message) of a finished Job, None while it runs."""
    for kind in ("Complete", "Failed"):
        if is_true(job, kind):
            condition = conditions(job)[kind]
            said = f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
            return kind, said
    return None


def run_job(
    cluster: Objects,
    job: Object,
    *,
    timeout_s: float,
    on_line: Callable[[str], None] = lambda line: None,
    fence: Fence,
    delete: bool = False,
    fresh_s: float = 0.0,
) -> JobResult:
    """Create the Job, or go on with the one that does the same work, and wait for its end.

    on_line: hears each log line, in this thread, from the first line on, also of an adopted Job.
    Only a Job that runs is gone on with. One that has ended, however it ended, says what was true
    then, and the node may have changed since: it is replaced, so its work must be cheap to repeat.
    fresh_s: what one that ended well within so many seconds said is still true.
    delete: remove the Job in the end; else it stays, and after a time-out goes on running.
    Raises StepFailed when the name is taken by a Job that is not ours, OutsideError when the
    cluster does not answer; what fails inside the Job is in the result.
    """
    name, ns = job["metadata"]["name"], job["metadata"]["namespace"]
    # One deadline for all of it: a Job that cannot go away must not double the wait.
    deadline = clock.monotonic() + timeout_s
    write = cluster.writer(fence)
    live = _settle(cluster, write, job, fresh_s)
    try:
        return _Running(cluster, ns, live, on_line).run(deadline, timeout_s)
    finally:
        if delete:
            write.delete("Job", name, ns, uid=live["metadata"]["uid"])


def marked(job: Object) -> Object:
    """The Job as it is created: with a digest of its work, by which it is known again."""
    wanted = copy.deepcopy(job)
    wanted["metadata"].setdefault("annotations", {})[WORK_ANNOTATION] = work_of(job)
    return wanted


def _settle(cluster: Objects, write: Writer, job: Object, fresh_s: float) -> Object:
    """The live Job for this work: created, found while it runs, or over and fresh."""
    name, ns = job["metadata"]["name"], job["metadata"]["namespace"]
    wanted = marked(job)
    for _ in range(5):
        found = cluster.get("Job", name, ns)
        if found is None:
            try:
                return write.create(wanted)
            except AlreadyExists:
                continue
        meta = found["metadata"]
        work = (meta.get("annotations") or {}).get(WORK_ANNOTATION)
        if work is None:
            raise StepFailed(
                f"Job {name} in {ns} exists and is not of model-rollout; delete or rename it"
            )
        going = "deletionTimestamp" in meta
        over = outcome(found) is not None and not _fresh(cluster, found, fresh_s)
        if work == work_of(job) and not going and not over:
            return found
        if not going:
            write.delete("Job", name, ns, propagation="Foreground", uid=meta["uid"])
        cluster.wait_for(
            "Job",
            ns,
            partial(_gone, meta["uid"]),
            _GONE_S,
            what=f"the old Job {name} in {ns} to go away",
            field_selector=f"metadata.name={name}",
        )
    raise StepFailed(f"Job {name} in {ns} is made anew by someone else again and again")


def _fresh(cluster: Objects, job: Object, fresh_s: float) -> bool:
    """It ended well, a moment ago, and the pod is there that can say what it saw."""
    ended = (job.get("status") or {}).get("completionTime")
    if fresh_s <= 0 or not ended or not is_true(job, "Complete"):
        return False
    age = cluster.now() - datetime.fromisoformat(str(ended).replace("Z", "+00:00"))
    return age < timedelta(seconds=fresh_s) and any(
        (pod.get("status") or {}).get("phase") == "Succeeded"
        for pod in cluster.list("Pod", job["metadata"]["namespace"], label_selector=_pods_of(job))
    )


def _pods_of(job: Object) -> str:
    named = {"matchLabels": {"job-name": job["metadata"]["name"]}}
    return selector_text(job["spec"].get("selector") or named)


def _gone(uid: str, jobs: list[Object]) -> bool:
    return all(job["metadata"]["uid"] != uid for job in jobs)


class _Running:
    """One Job followed to its end."""

    def __init__(
        self, cluster: Objects, ns: str, job: Object, on_line: Callable[[str], None]
    ) -> None:
        self.cluster, self.ns, self.job, self.on_line = cluster, ns, job, on_line
        self.name = job["metadata"]["name"]
        self.pods: dict[tuple[str, str], Object] = {}
        self.followed: set[str] = set()
        self.open_logs = 0
        self.last: deque[str] = deque(maxlen=TAIL_LINES)
        self.heard: dict[str, Tail] = {}
        self.evidence = Evidence(cluster, ns)
        self.trouble: Diagnosis | None = None
        # the API counts whole seconds
        self.since = cluster.now() - timedelta(seconds=2)

    def run(self, deadline: float, timeout_s: float) -> JobResult:
        name, ns, watch = self.name, self.ns, self.cluster.watch
        labels = _pods_of(self.job)
        with Together() as streams:
            streams.add(
                "job",
                lambda stop: watch("Job", ns, field_selector=f"metadata.name={name}", stop=stop),
            )
            streams.add("pods", lambda stop: watch("Pod", ns, label_selector=labels, stop=stop))
            while (left := deadline - clock.monotonic()) > 0:
                heed()
                self._hear(streams, min(left, _TICK_S if self.pods else _PODLESS_TICK_S))
                if end := outcome(self.job):
                    self._drain(streams)
                    return self._result(*end)
                # kept when its pod goes: the Job's own deadline may come first
                self.trouble = self._stuck() or self.trouble
                if self.trouble and self.trouble.fatal:
                    return self._failed(None, self.trouble)
        return self._failed(None, self._late(f"did not end within {timeout_s:.0f} s"))

    def _late(self, what: str) -> Diagnosis:
        return Diagnosis(
            "job-timeout",
            f"Job {self.name} {what}",
            self.trouble.sentence() if self.trouble else "",
            self.trouble.action if self.trouble else "allow it more time, or see its log",
            fatal=True,
            log_tail=tuple(self.last),
        )

    def _failed(self, code: int | None, why: Diagnosis, last: tuple[str, ...] = ()) -> JobResult:
        heard = {name: scrub_text(end.text()) for name, end in self.heard.items()}
        logs = {**self.evidence.kept, **heard}
        return JobResult(False, code, last or tuple(self.last), why, logs)

    def _hear(self, streams: Together, wait_s: float) -> None:
        for source, change, obj in streams.hear(wait_s):
            if source == "job":
                if change == "DELETED":
                    raise StepFailed(f"Job {self.name} in {self.ns} was deleted while it ran")
                if change != "END":
                    self.job = obj
            elif source == "pods":
                keep(self.pods, change, obj)
                self._follow(streams)
            elif change == "END":
                self.open_logs -= 1
            else:
                self.last.append(obj["line"])
                self.heard.setdefault(obj["file"], Tail(LOG_BYTES)).add(f"{obj['line']}\n".encode())
                self.on_line(obj["line"])

    def _follow(self, streams: Together) -> None:
        for pod in self.pods.values():
            name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
            if uid in self.followed:
                continue
            self.followed.add(uid)
            self.open_logs += 1
            container = pod["spec"]["containers"][0]["name"]

            def lines(
                stop: threading.Event, name: str = name, container: str = container
            ) -> Iterator[tuple[str, Object]]:
                for line in self.cluster.follow_logs(name, self.ns, container, stop):
                    yield "LINE", {"line": line, "file": f"{name}-{container}.log"}

            streams.add("log", lines)

    def _drain(self, streams: Together) -> None:
        """Hear the rest of the logs; they trail behind the Job's status."""
        until = clock.monotonic() + _DRAIN_S
        # The pods' watch may be behind as well: a Job that ended had a pod.
        while (self.open_logs or not self.followed) and clock.monotonic() < until:
            self._hear(streams, 0.5)
            if not self.followed and not self.pods and outcome(self.job):
                listed = self.cluster.list("Pod", self.ns, label_selector=f"job-name={self.name}")
                if not listed:
                    return

    def _stuck(self) -> Diagnosis | None:
        """Why a pod can't even be made or start; a crash is left to the Job's own count of
        attempts."""
        if not self.pods:
            events = self.evidence.events(self.job, "Job")
            now = self.cluster.now()
            return job_not_created(self.job, events, since=self.since, now=now)
        for pod in self.pods.values():
            if (pod.get("status") or {}).get("phase") == "Pending":
                found = self._diagnose(pod)
                if found:
                    return found
        return None

    def _diagnose(self, pod: Object) -> Diagnosis | None:
        found = diagnose_pod(
            pod,
            self.evidence.events(pod),
            self.evidence.logs(pod) or "\n".join(self.last),
            nodes=self.evidence.nodes([pod]),
            now=self.cluster.now(),
        )
        return of_runner(found) if found else None

    def _result(self, kind: str, said: str) -> JobResult:
        pods = sorted(
            self.pods.values(), key=lambda p: str(p["metadata"].get("creationTimestamp", ""))
        )
        code, why = None, None
        for pod in pods:
            for entry in statuses(pod):
                ended = state(entry).get("terminated")
                if ended:
                    code = ended.get("exitCode")
        if kind == "Complete":
            return JobResult(True, code if code is not None else 0, tuple(self.last), None)
        for pod in reversed(pods):
            why = why or self._diagnose(pod)
        last = tuple(self.last) or (tail(self.evidence.logs(pods[-1])) if pods else ())
        if "DeadlineExceeded" in said and not (why and why.fatal):
            # whether its pod is seen to go before or after it
            self.trouble = why or self.trouble
            why = self._late("ran out of its time")
        found = why or self.trouble or Diagnosis("job-failed", f"Job {self.name} failed", said)
        return self._failed(code, found, last)
