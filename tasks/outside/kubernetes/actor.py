"""Execute moves on the cluster, each under the fence and safe to repeat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tasks.base import clock
from tasks.base.errors import OutsideError, StepFailed
from tasks.base.progress import Progress, emit
from tasks.objects.labels import RELEASE_LABEL
from tasks.objects.reached import Switched, leads_to, switched_of
from tasks.objects.replicas import available_of, replicas_of, scaled_marks
from tasks.outside.kubernetes import waits
from tasks.outside.kubernetes.access import (
    bent_now,
    chosen_of,
    down,
    images_of,
    ready_pods,
    strangers_of,
)
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.owned import ChangedByHand, Memory, Owned
from tasks.outside.kubernetes.waits import NotProven, SoakFailed
from tasks.release.adopt import Adoption
from tasks.release.back import known_against
from tasks.release.course import views_of
from tasks.release.draining import Count
from tasks.release.memory.recall import recalled
from tasks.release.moves import (
    AwaitFreed,
    AwaitReady,
    Course,
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
from tasks.release.seats.edited import held_fast, more_asked
from tasks.release.seats.led import not_led
from tasks.release.soaking import Look, Rules, Seen
from tasks.release.state import Judged, Release, State, with_verdict
from tasks.render.adopted import adopted_deployment, adopted_service
from tasks.render.services import leading_nowhere, stable_service, switch, switched_by

__all__ = ["Actor", "ChangedByHand", "NotProven", "SoakFailed"]

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
        self.owned = Owned(cluster, namespace, name, fence, epoch)
        self.epoch, self.fence = epoch, fence
        self.ready_timeout_s, self.count = ready_timeout_s, count
        self.look, self.rules = look, rules or Rules()
        self.watched: Seen | None = None  # by the last soak, passed or not
        self.asked = ""  # digest of what is asked of the release, for the verdict of a soak
        self._memory = Memory(self.owned)
        # release id -> when the Service was first seen to lead to it alone (monotonic seconds)
        self._led: dict[str, float] = {}

    # -- observe ------------------------------------------------------------------------------

    def observe(self) -> Observed:
        """Read the cluster, to decide from: a memory that disagrees with the Service is told from
        that. Raises OutsideError; Refused for what is another's."""
        return self._observe(self.read_state()[0], decide=True)

    def _observe(self, state: State, *, decide: bool) -> Observed:
        service, (items, copies) = self._service(), waits.until_seen(self.owned.told_apart)
        serving, candidate = leads_to(service), state.candidate.id if state.candidate else None
        seen = Observed(
            state,
            serving,
            views_of(items, state.made),
            bent=bent_now(self.cluster, service, items),
            lost=service is None or not service["spec"].get("selector"),
            absent=service is None,
            strangers=strangers_of(
                self.cluster, self.namespace, self.name, {serving, candidate}, copies
            ),
            down=down(self.cluster, self.namespace, self.name, serving, items),
            ran=images_of(self.cluster, self.namespace, self.name, candidate),
        )
        return recalled(seen, items, switched_of(service)) if decide else seen

    def read_state(self) -> tuple[State, str | None]:
        """The state, to decide from, and the ConfigMap's resourceVersion (see Memory.read)."""
        return self._memory.read()

    def looked(self) -> Observed:
        """A look before a write; what was decided stays decided from what was read then."""
        return self._observe(self._memory.read(decide=False)[0], decide=False)

    def _service(self) -> Body | None:
        return self.owned.get("Service", self.name, "stable")

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
                f"ours is {self.epoch}: the Lease or the ConfigMap was deleted or restored since; "
                "nothing was changed: run this again, it takes an epoch above that one"
            )
        self._memory.change(lambda held: held)
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
            case Scale():
                self._scale(move)
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
                    self._led[release.id] = waits.soak(
                        release, self.rules, self.look, self._saw, *self._memory.noted(release.id)
                    )
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

        def known(state: State) -> State:
            if state.phase != "soaking" or not state.stable or state.stable.id != release.id:
                return state
            at = clock.now().isoformat(timespec="seconds")
            found = Judged(release.id, self.asked, "failed", state.rollout, at)
            return with_verdict(replace(state, breach=why), found)

        try:
            self.change_state(known)
        except OutsideError as error:  # the way back writes it down once more before it moves
            _log.error("the breach was not written down: %s", error)

    def _saw(self, seen: Seen) -> None:
        self.watched = seen

    def save(self, state: State) -> None:
        """Write what was decided from the state as it was read last. Raises ChangedByHand where it
        is not that any more."""
        self._memory.save(state)

    def change_state(self, change: Callable[[State], State]) -> None:
        """Write what `change` makes of the state that is there then."""
        self._memory.change(change)

    def _must_be_settled(self) -> None:
        """Idle is true only of what answers with all it is asked for."""
        seen = self.looked()
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

    def apply(self, body: Body) -> Body:
        """Create a candidate's Service or Deployment, or make what is there the same; gives it as
        the API server has it.

        Raises Refused for somebody else's, StepFailed for a Deployment that serves: what serves is
        never changed, whatever it is called.
        """
        return self.owned.put(body, check=self._must_not_serve)

    def _must_not_serve(self, found: Body) -> None:
        if found["kind"] != "Deployment":
            return
        if self._serves(found):
            raise StepFailed(
                f"{found['metadata']['name']} serves {self.namespace}/{self.name}: it is neither "
                "changed nor removed"
            )

    def _serves(self, found: Body) -> bool:
        """The Service names its release, or chooses pods of it, or would."""
        service = self._service()
        named = (found["metadata"].get("labels") or {}).get(RELEASE_LABEL)
        return named == (leads_to(service) or "") or chosen_of(self.cluster, service, found)

    def _must_not_be_missed(self, found: Body) -> None:
        if why := self.looked().missed(found["metadata"]["labels"].get(RELEASE_LABEL, "")):
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
        """Last line of defence (see `not_led`)."""
        release, serving = move.release, leads_to(service) or ""
        every = views_of(self.owned.deployments())
        selectors = (service or {"spec": {}})["spec"].get("selector"), wanted["spec"]["selector"]
        now, then = (ready_pods(self.cluster, self.namespace, item or {}) for item in selectors)
        named, by_hand = serving == release.id, bool(selectors[0]) and not serving
        view = every.get(release.id)
        if why := not_led(move, view, now, then, named=named, by_hand=by_hand):
            stays = f"with {every[serving].name}, which answers" if serving in every and now else ""
            raise StepFailed(
                f"Service {self.namespace}/{self.name} stays {stays or 'as it is'}: "
                f"{release.deployment} {why}; look at its pods, then run again"
            )

    def _scale(self, move: Scale) -> None:
        deployment, replicas = move.deployment, move.replicas
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
            if move.lends and now.asked <= replicas:
                return {}  # we did that before, or somebody has
            if move.lends and now.asked > move.lends:
                raise StepFailed(more_asked(deployment, now.asked, move.lends))
            if replicas < now.asked and (why := self._held_fast(found)) and self._serves(found):
                raise StepFailed(why)
            if replicas == 0 and available_of(found) and not move.interrupts:
                self._must_not_be_missed(found)
                self._must_not_serve(found)  # the Service may have been moved by hand since
            asked = max(replicas, now.asked) if move.of else replicas
            if replicas and now.asked and not (move.lends or now.stopped or move.of):
                asked = now.asked  # somebody has set it since this was decided
            if 0 < asked < now.asked and available_of(found) < asked:
                raise StepFailed(
                    f"Deployment {self.namespace}/{deployment} is not scaled to {replicas}: only "
                    f"{available_of(found)} of its replicas are ready; look at its pods"
                )
            (view,) = views_of([found]).values()
            marks = scaled_marks(asked, max(view.seated.serves_with, move.of))
            return {"metadata": {"annotations": marks}, "spec": {"replicas": asked}}

        self.owned.change("Deployment", deployment, "engine", change)

    def _held_fast(self, found: Body) -> str:
        """Why nothing is taken from it while somebody changes it; '' also where it is known to be
        bad."""
        state = self._memory.read(decide=False)[0]
        (view,) = views_of([found], state.made).values()
        bad = state.stable is not None and state.stable.id == view.release
        return "" if bad and known_against(state) == "fail" else held_fast(view)

    def _remove(self, deployment: str) -> None:
        """Delete a Deployment and wait for its pods to go: their accelerators must be free."""

        def check(found: Body) -> None:
            self._must_not_serve(found)
            self._must_not_be_missed(found)

        found = self.owned.delete("Deployment", deployment, "engine", check=check)
        if found is None:
            return
        if left := waits.until_removed(self.cluster, self.namespace, found):
            raise StepFailed(
                f"of {deployment} there is still after its time to end: {', '.join(left)}; look "
                "for a finalizer or a lost node, then run again"
            )

    def _gone(self, deployment: str, keep: int) -> None:
        found = self.cluster.get("Deployment", deployment, self.namespace)
        if found is not None and self.owned.is_ours(found, "engine"):
            emit(Progress("promote", "running", deployment, "waiting for its pods to end"))
            waits.until_gone(self.cluster, self.namespace, found, keep=keep)

    def _drain(self, release: str, seconds: float) -> None:
        waits.until_led(self.cluster, self.namespace, self.name, release)
        if release not in self._led:
            since = waits.led_at(self.cluster, self.namespace, self.name)
            since -= waits.waited_s(seconds, self.cluster.now(), *self._memory.noted(release))
            self._led[release] = since
        led = self._led[release]
        why = waits.until_drained(led, seconds, self.name, lambda: self.count(release))
        _log.info("what served before %s may stop: %s", release, why)
