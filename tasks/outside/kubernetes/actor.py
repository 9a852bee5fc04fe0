"""Execute moves on the cluster, each under the fence and safe to repeat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tasks.base import clock
from tasks.base.errors import LockLost, Refused, RolloutError, StepFailed
from tasks.base.progress import Progress, emit
from tasks.objects.labels import (
    EPOCH_ANNOTATION,
    INSTANCE_LABEL,
    KIND_LABEL,
    MANAGED_LABEL,
    MANAGER,
    RELEASE_LABEL,
    REPLICAS_ANNOTATION,
)
from tasks.objects.pods import ending
from tasks.outside.kubernetes import waits
from tasks.outside.kubernetes.access import astray
from tasks.outside.kubernetes.client import AlreadyExists, Cluster, Conflict, Forbidden
from tasks.outside.kubernetes.waits import NotProven, SoakFailed
from tasks.release.draining import Count
from tasks.release.moves import (
    AwaitFreed,
    AwaitReady,
    Course,
    DeploymentView,
    Drain,
    Move,
    Observed,
    PointService,
    Remove,
    RemoveCandidateService,
    Room,
    Save,
    Scale,
    Soak,
    decide_after_failure,
)
from tasks.release.room import room_for
from tasks.release.soaking import Look
from tasks.release.state import Release, State, configmap_name, from_configmap, to_configmap
from tasks.render.services import stable_service, switch

__all__ = ["Actor", "NotProven", "SoakFailed", "carry_out"]

_log = logging.getLogger(__name__)

Body = dict[str, Any]


class Actor:
    """Observes and changes one rollout's objects.

    fence: raises LockLost unless this process holds the lease; called before every write.
    epoch: the lease's epoch, stamped on what we write, so that a predecessor that still believes
    it holds the lease fails on resourceVersion instead of overwriting us.
    look: how a soak looks at the promoted release; None: it is not watched.
    count: requests of everything but the release given, which serves.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        *,
        fence: Callable[[], None],
        epoch: int,
        ready_timeout_s: float = 1800,
        soak_s: float = 0,
        look: Callable[[Release], Look] | None = None,
        count: Callable[[str], Count] = lambda _: Count(unread="nobody was told how"),
    ) -> None:
        self.cluster, self.namespace, self.name = cluster, namespace, name
        self.write, self.epoch = cluster.writer(fence), epoch
        self.ready_timeout_s, self.soak_s = ready_timeout_s, soak_s
        self.look, self.count = look, count
        # release id -> when the Service was first seen to lead to it alone (monotonic seconds)
        self._led: dict[str, float] = {}

    # -- observe ------------------------------------------------------------------------------

    def observe(self) -> Observed:
        """Read the cluster. Raises OutsideError; Refused when the Service belongs to another."""
        state, _ = self.read_state()
        service = self.cluster.get("Service", self.name, self.namespace)
        return Observed(state, self._serving(service), self._deployments())

    def read_state(self) -> tuple[State, str | None]:
        """The state and the ConfigMap's resourceVersion (None where it does not exist)."""
        found = self.cluster.get("ConfigMap", configmap_name(self.name), self.namespace)
        version = found["metadata"]["resourceVersion"] if found else None
        return from_configmap(self.name, found), version

    def _serving(self, service: dict[str, Any] | None) -> str | None:
        if service is None:
            return None
        owned = (service["metadata"].get("labels") or {}).get(MANAGED_LABEL) == MANAGER
        if not owned:
            raise Refused(
                f"Service {self.namespace}/{self.name} exists and was not made by model-rollout; "
                f"give the rollout another name, or hand it over by the label "
                f"{MANAGED_LABEL}={MANAGER}"
            )
        return (service["spec"].get("selector") or {}).get(RELEASE_LABEL)

    def _deployments(self) -> dict[str, DeploymentView]:
        found = self.cluster.list(
            "Deployment",
            self.namespace,
            label_selector=f"{INSTANCE_LABEL}={self.name},{MANAGED_LABEL}={MANAGER},"
            f"{KIND_LABEL}=engine",
        )
        out = {}
        for item in found:
            meta, spec, status = item["metadata"], item["spec"], item.get("status") or {}
            if ending(item):
                continue
            release = meta["labels"].get(RELEASE_LABEL, "")
            replicas = int(spec.get("replicas", 1))
            serves = int((meta.get("annotations") or {}).get(REPLICAS_ANNOTATION) or replicas or 1)
            out[release] = DeploymentView(
                meta["name"], release, replicas, serves, int(status.get("availableReplicas") or 0)
            )
        return out

    def room(self, release: Release | None, serving: str | None) -> Room | None:
        """The room for a release; None where it has no Deployment, or nobody may look at nodes."""
        name = release.deployment if release else ""
        deploy = self.cluster.get("Deployment", name, self.namespace) if name else None
        if deploy is None:
            return None
        try:
            nodes, pods = self.cluster.list("Node"), self.cluster.list("Pod")
        except Forbidden:
            return None  # then it is tried, and taken back when it finds no place
        return room_for(deploy, nodes, pods, serving)

    # -- act ----------------------------------------------------------------------------------

    def take_over(self) -> None:
        """Stamp our epoch on state and Service, so that a predecessor's late write conflicts."""
        state, _ = self.read_state()
        if state.epoch > self.epoch:
            raise StepFailed(
                f"the state of rollout {self.name} was written under lease epoch {state.epoch}, "
                f"ours is {self.epoch}: the Lease was deleted or restored; delete the ConfigMap's "
                "'epoch' or recreate the Lease with leaseTransitions above it"
            )
        self.save(replace(state, epoch=self.epoch))
        if self.cluster.get("Service", self.name, self.namespace):
            self._patch("Service", self.name, lambda _: self._stamp({"metadata": {}}))

    def run(self, course: Course) -> None:
        """Execute moves in order."""
        for move in course.moves:
            self.move(move)

    def move(self, move: Move) -> None:
        """Execute one move; repeating it changes nothing more."""
        match move:
            case Save(state):
                self.save(state)
            case PointService(release):
                self._point_service(release)
            case Scale(deployment, replicas):
                self._scale(deployment, replicas)
            case AwaitReady(deployment):
                waits.until_ready(
                    self.cluster,
                    self.namespace,
                    self.name,
                    deployment,
                    timeout_s=self.ready_timeout_s,
                )
            case AwaitFreed(deployment):
                self._gone(deployment)
            case Soak(release):
                if self.look is not None:
                    self._led[release.id] = waits.soak(release, self.soak_s, self.look)
            case Drain(ident, seconds):
                self._drain(ident, seconds)
            case Remove(deployment):
                self._remove(deployment)
            case RemoveCandidateService():
                self.write.delete("Service", f"{self.name}-candidate", self.namespace)

    def save(self, state: State) -> None:
        """Write the state with our epoch, on top of exactly the version we read."""
        body = to_configmap(replace(state, epoch=self.epoch), self.namespace)
        found = self.cluster.get("ConfigMap", configmap_name(self.name), self.namespace)
        if found is None:
            self.write.create(body)
            return
        held = from_configmap(self.name, found)
        if held.epoch > self.epoch:
            raise StepFailed(
                f"rollout {self.name} is driven by a newer run (epoch {held.epoch}, ours "
                f"{self.epoch}); this one stops"
            )
        body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
        self.write.replace(body)

    def _patch(self, kind: str, name: str, change: Callable[[Body], Body]) -> None:
        """Merge-patch what `change` makes of the version just read; a concurrent change of the
        object is looked at anew."""
        for attempt in range(5):
            found = self.cluster.get(kind, name, self.namespace)
            if found is None:
                raise StepFailed(f"{kind} {self.namespace}/{name} is gone; somebody deleted it")
            stamped = (found["metadata"].get("annotations") or {}).get(EPOCH_ANNOTATION, "0")
            if int(stamped) > self.epoch:
                raise StepFailed(
                    f"{kind} {self.namespace}/{name} belongs to a newer run (epoch {stamped}, ours "
                    f"{self.epoch}); this one stops"
                )
            body = change(found)
            versioned = {
                **body,
                "metadata": {
                    **body.get("metadata", {}),
                    "resourceVersion": found["metadata"]["resourceVersion"],
                },
            }
            try:
                self.write.patch(kind, name, self.namespace, versioned)
                return
            except Conflict:
                if attempt == 4:
                    raise
                clock.sleep(0.2 * (attempt + 1))

    def _stamp(self, body: Body) -> Body:
        meta = body["metadata"]
        marks = {**(meta.get("annotations") or {}), EPOCH_ANNOTATION: str(self.epoch)}
        return {**body, "metadata": {**meta, "annotations": marks}}

    def _point_service(self, release: Release) -> None:
        deploy = self.cluster.get("Deployment", release.deployment, self.namespace)
        if deploy is None:
            raise StepFailed(
                f"Deployment {self.namespace}/{release.deployment} is gone; run the rollout again"
            )
        wanted = stable_service(deploy)
        self._led.clear()
        self._keeps_answering(release, deploy)
        if self.cluster.get("Service", self.name, self.namespace) is None:
            try:
                self.write.create(self._stamp(wanted))
            except AlreadyExists:
                self._switch(wanted)
        else:
            self._switch(wanted)
        emit(Progress("promote", "running", self.name, f"Service sends to {release.deployment}"))

    def _keeps_answering(self, release: Release, deploy: Body) -> None:
        """Last line of defence: whatever was decided, what answers makes way only for what can."""
        service = self.cluster.get("Service", self.name, self.namespace)
        before = self._deployments().get(self._serving(service) or "")
        if before is None or before.release == release.id or not before.available:
            return
        if not (deploy.get("status") or {}).get("availableReplicas"):
            raise StepFailed(
                f"Service {self.namespace}/{self.name} stays with {before.name}, which answers: "
                f"{release.deployment} has no ready replica"
            )

    def _switch(self, wanted: Body) -> None:
        def change(found: Body) -> Body:
            self._serving(found)  # raises Refused for somebody else's
            return self._stamp(switch(found, wanted))

        self._patch("Service", self.name, change)

    def try_switch(self, deploy: Body) -> None:
        """What the API server and the Service itself say to leading it to this Deployment.

        Changes nothing. Raises Refused, or OutsideError with the server's reason.
        """
        wanted = stable_service(deploy)
        found = self.cluster.get("Service", self.name, self.namespace)
        if found is None:
            self.cluster.trial().create(wanted)
        else:
            self._serving(found)
            body = switch(found, wanted)
            self.cluster.trial().patch("Service", self.name, self.namespace, body)
        astray(self.cluster, self.namespace, self.name, [])

    def _scale(self, deployment: str, replicas: int) -> None:
        found = self.cluster.get("Deployment", deployment, self.namespace)
        if found is None:
            if replicas == 0:
                return
            raise StepFailed(
                f"Deployment {self.namespace}/{deployment} is gone and cannot be scaled to "
                f"{replicas}; roll a known good revision out with `rollout run`"
            )
        now = int(found["spec"].get("replicas", 1))
        annotations = found["metadata"].get("annotations") or {}
        serves = annotations.get(REPLICAS_ANNOTATION) or str(max(now, 1))
        body: Body = {
            "metadata": {"annotations": {REPLICAS_ANNOTATION: serves}},
            "spec": {"replicas": replicas},
        }
        self._patch("Deployment", deployment, lambda _: body)

    def _remove(self, deployment: str) -> None:
        """Delete a Deployment and wait for its pods to go: their accelerators must be free."""
        found = self.cluster.get("Deployment", deployment, self.namespace)
        if found is None:
            return
        release = (found["metadata"].get("labels") or {}).get(RELEASE_LABEL)
        service = self.cluster.get("Service", self.name, self.namespace)
        if release and service and self._serving(service) == release:
            # last line of defence: whatever was decided, what serves is not deleted
            raise StepFailed(
                f"Deployment {deployment} serves {self.namespace}/{self.name} and is not removed"
            )
        self.write.delete("Deployment", deployment, self.namespace, uid=found["metadata"]["uid"])
        if release is None:
            return
        if left := waits.until_gone(self.cluster, self.namespace, self.name, release):
            raise StepFailed(
                f"pods of {deployment} are still there after their time to end: {', '.join(left)}; "
                "look for a finalizer or a lost node, then run again"
            )

    def _gone(self, deployment: str) -> None:
        found = self.cluster.get("Deployment", deployment, self.namespace)
        release = (found or {}).get("metadata", {}).get("labels", {}).get(RELEASE_LABEL)
        if release:
            emit(Progress("promote", "running", deployment, "waiting for its pods to end"))
            waits.until_gone(self.cluster, self.namespace, self.name, release)

    def _drain(self, release: str, seconds: float) -> None:
        waits.until_led(self.cluster, self.namespace, self.name, release)
        since = self._led.setdefault(release, clock.monotonic())
        why = waits.until_drained(since, seconds, self.name, lambda: self.count(release))
        _log.info("what served before %s may stop: %s", release, why)


def carry_out(actor: Actor, course: Course) -> str:
    """Execute a course; gives its sentence.

    Where a way back fails, by an error or by its operator's Ctrl-C, what served before it serves
    again first. The error is raised all the same, and says what serves now.
    """
    try:
        actor.run(course)
    except LockLost:
        raise  # another run owns the cluster now, and cleans up
    except BaseException as error:
        home = decide_after_failure(actor.observe())
        if home is None:
            raise
        actor.run(home)
        _log.warning("%s", home.sentence)
        if isinstance(error, RolloutError):
            raise StepFailed(f"{error}; {home.sentence}") from error
        raise
    return course.sentence
