"""Wait until a Deployment serves, or say at once why it never will."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.base.halt import heed
from tasks.base.progress import Progress, emit
from tasks.diagnose.containers import phase_text
from tasks.diagnose.logs import tail
from tasks.diagnose.pods import Diagnosis, diagnose_deployment
from tasks.objects.pods import Object, ending, ready
from tasks.objects.replicas import due_of, replicas_of
from tasks.outside.kubernetes.evidence import Evidence
from tasks.outside.kubernetes.objects import Objects
from tasks.outside.kubernetes.watch import Together, keep

_TICK_S = 5.0
_AGAIN_S = 15.0  # who listens now and then only has missed nothing for long
_REVISION = "deployment.kubernetes.io/revision"


class NotReady(StepFailed):
    """A Deployment did not become ready; `diagnosis` says why, as far as it is known."""

    def __init__(
        self,
        message: str,
        diagnosis: Diagnosis | None = None,
        logs: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, logs)
        self.diagnosis = diagnosis

    def __reduce__(self) -> tuple[type[NotReady], tuple[object, ...]]:
        return (type(self), (str(self), self.diagnosis, self.logs))


def is_ready(deploy: Object) -> bool:
    """All replicas are of the newest template and available: the rule of `kubectl rollout`, but for
    what only somebody else asks for."""
    status, want = deploy.get("status") or {}, due_of(deploy)
    return bool(
        status.get("observedGeneration", 0) >= deploy["metadata"].get("generation", 1)
        and status.get("updatedReplicas", 0) >= want
        and status.get("replicas", 0) <= status.get("updatedReplicas", 0)
        and status.get("availableReplicas", 0) >= want
    )


def newest(deploy: Object, replicasets: Sequence[Object]) -> str | None:
    """uid of the ReplicaSet that holds the Deployment's current template."""
    uid = deploy["metadata"].get("uid")
    own = [
        rs
        for rs in replicasets
        if any(o.get("uid") == uid for o in rs["metadata"].get("ownerReferences") or [])
    ]
    revision = (deploy["metadata"].get("annotations") or {}).get(_REVISION)
    for rs in own:
        if revision and (rs["metadata"].get("annotations") or {}).get(_REVISION) == revision:
            return str(rs["metadata"]["uid"])
    own.sort(key=lambda rs: str(rs["metadata"].get("creationTimestamp", "")))
    return str(own[-1]["metadata"]["uid"]) if own else None


def wait_ready(
    cluster: Objects,
    ns: str,
    deployment: str,
    *,
    timeout_s: float,
    on_progress: Callable[[Progress], None] = emit,
    grace_s: float = 120,
) -> None:
    """Return when every replica of the newest template is available.

    Raises NotReady (a StepFailed) at once when a pod can't become ready, else after `timeout_s`
    with the best reason known, both with the containers' logs, read before anyone deletes
    anything; OutsideError when the cluster does not answer. grace_s: how long a pod may
    find no free node (others may be stopping).
    """
    deploy = cluster.get("Deployment", deployment, ns)
    if deploy is None:
        raise NotReady(f"there is no Deployment {deployment} in {ns} to wait for")
    if is_ready(deploy):
        return
    _Waiting(cluster, ns, deploy, on_progress, grace_s).run(timeout_s)


def selector_text(selector: Object) -> str:
    """A label selector's matchLabels as the API's query wants it."""
    return ",".join(f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items()))


class _Waiting:
    """One wait: what was heard so far, and the evidence read so far."""

    def __init__(
        self,
        cluster: Objects,
        ns: str,
        deploy: Object,
        on_progress: Callable[[Progress], None],
        grace_s: float,
    ) -> None:
        self.cluster, self.ns, self.deploy = cluster, ns, deploy
        self.name = deploy["metadata"]["name"]
        self.on_progress, self.grace_s = on_progress, grace_s
        self.pods: dict[tuple[str, str], Object] = {}
        self.sets: dict[tuple[str, str], Object] = {}
        self.evidence = Evidence(cluster, ns)
        self.told: dict[str, tuple[str, float]] = {}  # of each pod, and when

    def run(self, timeout_s: float) -> None:
        deadline = clock.monotonic() + timeout_s
        with Together() as streams:
            self._listen(streams)
            reason: Diagnosis | None = None
            while (left := deadline - clock.monotonic()) > 0:
                heed()
                for source, change, obj in streams.hear(min(left, _TICK_S)):
                    self._heard(source, change, obj)
                    self._tell()
                self._tell()
                if is_ready(self.deploy):
                    return
                reason = self._diagnose()
                if reason and reason.fatal:
                    said = f"{self.name} will not become ready: {reason.text()}"
                    raise NotReady(said, reason, self.evidence.kept)
        raise NotReady(self._too_late(timeout_s, reason), reason, self.evidence.kept)

    def _listen(self, streams: Together) -> None:
        labels = selector_text(self.deploy["spec"]["selector"])
        watch, ns = self.cluster.watch, self.ns
        streams.add(
            "deploy",
            lambda stop: watch(
                "Deployment", ns, field_selector=f"metadata.name={self.name}", stop=stop
            ),
        )
        streams.add("sets", lambda stop: watch("ReplicaSet", ns, label_selector=labels, stop=stop))
        streams.add("pods", lambda stop: watch("Pod", ns, label_selector=labels, stop=stop))

    def _heard(self, source: str, change: str, obj: Object) -> None:
        if source == "pods":
            keep(self.pods, change, obj)
        elif source == "sets":
            keep(self.sets, change, obj)
        elif change == "DELETED":
            raise NotReady(f"Deployment {self.name} was deleted while it was waited for")
        elif change != "END":
            self.deploy = obj

    def _current(self) -> list[Object]:
        """The pods that count: of the newest template, not on their way out."""
        newest_set = newest(self.deploy, list(self.sets.values()))
        return [
            pod
            for pod in self.pods.values()
            if not ending(pod)
            and any(
                owner.get("uid") == newest_set
                for owner in pod["metadata"].get("ownerReferences") or []
            )
        ]

    def _tell(self) -> None:
        for pod in self._current():
            name, text, now = pod["metadata"]["name"], phase_text(pod), clock.monotonic()
            last, at = self.told.get(name, ("", 0.0))
            if last != text or now - at >= _AGAIN_S:
                self.told[name] = (text, now)
                self.on_progress(Progress("deploy", "running", name, text))

    def _diagnose(self) -> Diagnosis | None:
        pods = [pod for pod in self._current() if not ready(pod)]
        beyond = replicas_of(self.deploy).beyond
        if beyond:  # what somebody else asks for may wait for a seat for ever
            seated = [pod for pod in pods if pod["spec"].get("nodeName")]
            waiting = [pod for pod in pods if pod not in seated]
            pods = seated + waiting[beyond:]
        return diagnose_deployment(
            self.deploy,
            pods,
            [event for pod in pods for event in self.evidence.events(pod)],
            {pod["metadata"]["name"]: self.evidence.logs(pod) for pod in pods},
            nodes=self.evidence.nodes(pods),
            now=self.cluster.now(),
            grace_s=self.grace_s,
        )

    def _too_late(self, timeout_s: float, reason: Diagnosis | None) -> str:
        start = f"{self.name} was not ready after {timeout_s:.0f} s"
        logs = [self.evidence.logs(pod, crashed_only=False) for pod in self._current()]
        if reason:
            return f"{start}: {reason.text()}"
        states = [f"{p['metadata']['name']}: {phase_text(p)}" for p in self._current()]
        text = f"{start} ({'; '.join(states) or 'it has no pod'})"
        for last in filter(None, map(tail, logs)):
            text += "\n  its log ends:\n" + "\n".join(f"    {line}" for line in last)
        return f"{text}\n  do: raise serving.startup_timeout_s if it is still loading"
