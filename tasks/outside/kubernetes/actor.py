"""Execute moves on the cluster, each under the fence and safe to repeat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tasks.base import clock
from tasks.base.errors import LockLost, OutsideError, StepFailed
from tasks.base.progress import Progress, emit
from tasks.objects.labels import RELEASE_LABEL, REPLICAS_ANNOTATION, SCALED_ANNOTATION
from tasks.objects.pods import ready
from tasks.objects.reached import Switched, bent, chooses, leads_to, switched_of
from tasks.objects.replicas import available_of, replicas_of
from tasks.outside.kubernetes import waits
from tasks.outside.kubernetes.access import chosen_pods, selector_text
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.owned import Owned, looked_anew
from tasks.outside.kubernetes.waits import NotProven, SoakFailed
from tasks.release.adopt import Adoption
from tasks.release.course import views_of
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
    Save,
    Scale,
    Soak,
)
from tasks.release.soaking import Look, Rules, Seen
from tasks.release.state import (
    Judged,
    Release,
    State,
    configmap_name,
    from_configmap,
    to_configmap,
    with_verdict,
)
from tasks.render.adopted import adopted_deployment, adopted_service
from tasks.render.services import (
    leading_nowhere,
    selector_of,
    stable_service,
    switch,
    switched_by,
)

__all__ = ["Actor", "NotProven", "SoakFailed"]

_log = logging.getLogger(__name__)

Body = dict[str, Any]


class Actor:
    """Observes and changes one rollout's objects.

    fence: raises LockLost unless this process holds the lease; called before every write.
    epoch: the lease's epoch, marked on what we write.
    look: how a soak looks at the promoted release; None: nobody can. rules: of the soak.
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
        rules: Rules | None = None,
        look: Callable[[Release], Look] | None = None,
        count: Callable[[str], Count] = lambda _: Count(unread="nobody was told how"),
    ) -> None:
        self.cluster, self.namespace, self.name = cluster, namespace, name
        self.owned, self.epoch = Owned(cluster, namespace, name, fence, epoch), epoch
        self.ready_timeout_s, self.count = ready_timeout_s, count
        self.look, self.rules = look, rules or Rules()
        self.watched: Seen | None = None  # by the last soak, passed or not
        self.asked = ""  # digest of what is asked of the release, for the verdict of a soak
        self._saved: State | None = None
        # release id -> when the Service was first seen to lead to it alone (monotonic seconds)
        self._led: dict[str, float] = {}

    # -- observe ------------------------------------------------------------------------------

    def observe(self) -> Observed:
        """Read the cluster. Raises OutsideError; Refused when the Service belongs to another."""
        state, _ = self.read_state()
        service, items = self._service(), self.owned.deployments()
        return Observed(
            state,
            leads_to(service),
            views_of(items),
            bent=bent(service, items),
            lost=service is None or not service["spec"].get("selector"),
        )

    def read_state(self) -> tuple[State, str | None]:
        """The state and the ConfigMap's resourceVersion (None where it does not exist).

        Where it was deleted under a run that lives, what that run wrote last holds: nobody else may
        have written since.
        """
        found = self.cluster.get("ConfigMap", configmap_name(self.name), self.namespace)
        if found is None and self._saved is not None:
            return self._saved, None
        version = found["metadata"]["resourceVersion"] if found else None
        return from_configmap(self.name, found), version

    def _service(self) -> Body | None:
        return self.owned.get("Service", self.name, "stable")

    def _deployments(self) -> dict[str, DeploymentView]:
        return views_of(self.owned.deployments())

    def highest_epoch(self) -> int:
        """The newest epoch that left a mark; the Lease may have been deleted since."""
        state, _ = self.read_state()
        return max(state.epoch, self.owned.highest_epoch())

    # -- act ----------------------------------------------------------------------------------

    def take_over(self) -> None:
        """Mark state, Services and Deployments with our epoch: a predecessor that stood still finds
        them changed, and its late writes are refused by the API server."""
        state, _ = self.read_state()
        if self.owned.is_another(state.epoch, state.writer):
            raise StepFailed(
                f"the state of rollout {self.name} was written under lease epoch {state.epoch}, "
                f"ours is {self.epoch}: the Lease was deleted or restored; delete the ConfigMap's "
                "'epoch' or recreate the Lease with leaseTransitions above it"
            )
        self._save(lambda held: held)
        self.owned.take_over(leading_nowhere)

    def run(self, course: Course) -> None:
        """Execute moves in order."""
        for move in course.moves:
            self.move(move)

    def move(self, move: Move) -> None:
        """Execute one move; repeating it changes nothing more."""
        match move:
            case Save(state):
                if state.phase == "idle":
                    self._must_be_settled()
                self.save(state)
            case PointService():
                self._point_service(move)
            case Scale(deployment, replicas, interrupts):
                self._scale(deployment, replicas, interrupts=interrupts)
            case AwaitReady(deployment):
                waits.until_ready(
                    self.cluster,
                    self.namespace,
                    self.name,
                    deployment,
                    timeout_s=self.ready_timeout_s,
                )
            case AwaitFreed(deployment, keep):
                self._gone(deployment, keep)
            case Soak(release):
                if self.look is None:
                    raise NotProven(f"{release.deployment} was not watched: its spec is not known")
                try:
                    self._led[release.id] = waits.soak(release, self.rules, self.look, self._saw)
                except SoakFailed as error:
                    self._announce(release, str(error))
                    raise
                self._prove(release)
            case Drain(ident, seconds):
                self._drain(ident, seconds)
            case Remove(deployment):
                self._remove(deployment)
            case RemoveCandidateService():
                self._remove_candidate_service()

    def _announce(self, release: Release, why: str) -> None:
        """Write bad news down at once: whoever finds it goes back, also where we end here."""
        try:
            state, _ = self.read_state()
            if state.phase == "soaking" and state.stable and state.stable.id == release.id:
                at = clock.now().isoformat(timespec="seconds")
                known = Judged(release.id, self.asked, "failed", state.rollout, at)
                self.save(with_verdict(replace(state, breach=why), known))
        except OutsideError as error:  # the way back writes it down once more before it moves
            _log.error("the breach was not written down: %s", error)

    def _saw(self, seen: Seen) -> None:
        self.watched = seen

    def save(self, state: State) -> None:
        """Write the state with our epoch, on top of exactly the version we read."""
        self._save(lambda held: state)

    def _save(self, change: Callable[[State], State]) -> None:
        def attempt() -> State:
            found = self.cluster.get("ConfigMap", configmap_name(self.name), self.namespace)
            held = from_configmap(self.name, found)
            state = change(held)
            now = clock.now().isoformat(timespec="seconds")
            since = held.since if state.phase == held.phase else now
            writer = self.owned.writer
            state = replace(state, epoch=self.epoch, writer=writer, since=since)
            body = to_configmap(state, self.namespace)
            if found is None:
                self.owned.write.create(body)
                return state
            if self.owned.is_another(held.epoch, held.writer):
                raise LockLost(
                    f"rollout {self.name} is driven by a newer run (epoch {held.epoch}, ours "
                    f"{self.epoch}); this one stops, and `rollout status {self.name} -n "
                    f"{self.namespace}` shows what that one does"
                )
            if held == state:
                return state  # also where the answer to our own write was lost
            body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
            self.owned.write.replace(body)
            return state

        self._saved = looked_anew(attempt)

    def _must_be_settled(self) -> None:
        """Idle is true only of what answers with all it is asked for."""
        seen = self.observe()
        if seen.state.phase != "idle" and (why := seen.unsettled()):
            raise StepFailed(
                f"rollout {self.name} is not idle: {why}. The guard, or `rollout recover "
                f"{self.name}`, goes on"
            )

    def adopt(self, adoption: Adoption) -> None:
        """Make what somebody deployed by hand the stable release. The Service comes last: until it
        is ours, whoever looks is refused and changes nothing. Repeated, it completes."""
        state, _ = self.read_state()
        if state.stable is None or state.stable.id != adoption.release.id:
            self.save(replace(state, stable=adoption.release))
        self.owned.adopt(
            "Deployment",
            adoption.release.deployment,
            lambda found: adopted_deployment(found, self.name, adoption),
        )
        self.owned.adopt(
            "Service", self.name, lambda found: adopted_service(found, self.name, adoption)
        )

    def apply(self, body: Body) -> None:
        """Create a candidate's Service or Deployment, or make what is there the same.

        Raises Refused for somebody else's, StepFailed for a Deployment that serves: what serves is
        never changed, whatever it is called.
        """
        self.owned.put(body, check=self._must_not_serve)

    def _must_not_serve(self, found: Body) -> None:
        if found["kind"] != "Deployment":
            return
        release = (found["metadata"].get("labels") or {}).get(RELEASE_LABEL)
        service = self._service()
        chosen = (service or {"spec": {}})["spec"].get("selector") or {}
        pods = found["spec"]["template"]["metadata"].get("labels")
        if release == (leads_to(service) or "") or chooses(chosen, pods):
            raise StepFailed(
                f"{found['metadata']['name']} serves {self.namespace}/{self.name}: it is neither "
                "changed nor removed"
            )

    def _must_not_be_missed(self, found: Body) -> None:
        if why := self.observe().missed(found["metadata"]["labels"].get(RELEASE_LABEL, "")):
            raise StepFailed(f"{found['metadata']['name']} is not stopped: it answers, and {why}")

    def _remove_candidate_service(self) -> None:
        name = f"{self.name}-candidate"
        found = self.cluster.get("Service", name, self.namespace)
        if found is not None and self.owned.is_ours(found, "candidate"):
            self.owned.delete("Service", name, "candidate")

    def _prove(self, release: Release) -> None:
        """Say on the Service that the release it leads to has passed its soak."""

        def change(found: Body) -> Body:
            mark = switched_of(found)
            if mark is None or mark.release != release.id:
                return {}
            return switched_by({}, replace(mark, proven=True))

        self.owned.change("Service", self.name, "stable", change)

    def _point_service(self, move: PointService) -> None:
        release, mark = move.release, Switched(move.release.id, move.previous, move.proven)
        deploy = self.cluster.get("Deployment", release.deployment, self.namespace)
        if deploy is None:
            raise StepFailed(
                f"Deployment {self.namespace}/{release.deployment} is gone; run the rollout again"
            )
        wanted = switched_by(stable_service(deploy), mark)
        self._led.clear()

        def change(found: Body) -> Body:
            self._must_answer(move, found, wanted)
            return switched_by(switch(found, wanted), mark)

        if self._service() is None:
            self._must_answer(move, None, wanted)
            self.owned.put(wanted, check=lambda found: self._must_answer(move, found, wanted))
        else:
            self.owned.change("Service", self.name, "stable", change)
        emit(Progress("promote", "running", self.name, f"Service sends to {release.deployment}"))

    def _must_answer(self, move: PointService, service: Body | None, wanted: Body) -> None:
        """Last line of defence: whatever was decided, and whatever it leads to, a person's own pods
        too, a Service is led only to what can answer: to pods that it will choose."""
        release, every, serving = move.release, self._deployments(), leads_to(service) or ""
        view, before = every.get(release.id), every.get(serving)
        if serving == release.id:
            return
        why = "has no ready replica"
        if view and before and view.available < min(move.least, before.available):
            why = f"has {view.available} of {move.least} replicas ready"
        elif view is not None and view.available:
            chosen = wanted["spec"]["selector"]
            if any(map(ready, chosen_pods(self.cluster, self.namespace, chosen))):
                return
            why = f"has no ready pod that {selector_text(chosen)} chooses"
        stays = f"with {before.name}, which answers" if before and before.available else "as it is"
        raise StepFailed(
            f"Service {self.namespace}/{self.name} stays {stays}: {release.deployment} {why}; look "
            "at its pods, then run again"
        )

    def _scale(self, deployment: str, replicas: int, *, interrupts: bool = False) -> None:
        found = self.owned.get("Deployment", deployment, "engine")
        if found is None:
            if replicas == 0:
                return
            raise StepFailed(
                f"Deployment {self.namespace}/{deployment} is gone and cannot be scaled to "
                f"{replicas}; roll a known good revision out with `rollout run`"
            )

        def change(found: Body) -> Body:
            now = replicas_of(found)
            if replicas == 0 and available_of(found) and not interrupts:
                self._must_not_be_missed(found)
                self._must_not_serve(found)  # the Service may have been moved by hand since
            if 0 < replicas < now.asked and available_of(found) < replicas:
                raise StepFailed(
                    f"Deployment {self.namespace}/{deployment} is not scaled to {replicas}: only "
                    f"{available_of(found)} of its replicas are ready; look at its pods"
                )
            marks = {REPLICAS_ANNOTATION: now.serves_with, SCALED_ANNOTATION: replicas}
            return {
                "metadata": {"annotations": {key: str(value) for key, value in marks.items()}},
                "spec": {"replicas": replicas},
            }

        self.owned.change("Deployment", deployment, "engine", change)

    def _remove(self, deployment: str) -> None:
        """Delete a Deployment and wait for its pods to go: their accelerators must be free."""

        def check(found: Body) -> None:
            self._must_not_serve(found)
            self._must_not_be_missed(found)

        found = self.owned.delete("Deployment", deployment, "engine", check=check)
        if found is None:
            return
        if left := waits.until_gone(self.cluster, self.namespace, selector_of(found)):
            raise StepFailed(
                f"pods of {deployment} are still there after their time to end: {', '.join(left)}; "
                "look for a finalizer or a lost node, then run again"
            )

    def _gone(self, deployment: str, keep: int) -> None:
        found = self.cluster.get("Deployment", deployment, self.namespace)
        if found is not None and self.owned.is_ours(found, "engine"):
            emit(Progress("promote", "running", deployment, "waiting for its pods to end"))
            waits.until_gone(self.cluster, self.namespace, selector_of(found), keep=keep)

    def _drain(self, release: str, seconds: float) -> None:
        waits.until_led(self.cluster, self.namespace, self.name, release)
        since = self._led.setdefault(release, clock.monotonic())
        why = waits.until_drained(since, seconds, self.name, lambda: self.count(release))
        _log.info("what served before %s may stop: %s", release, why)
