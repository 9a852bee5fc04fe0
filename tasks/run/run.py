"""One rollout under way: what it was asked, what goes on record, and the lock to write under."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tasks.base import clock
from tasks.base.errors import Aborted, NotNow, OutsideError, Refused, RolloutError, StepFailed
from tasks.base.heard import Heard
from tasks.base.progress import listening
from tasks.outside.disk import records
from tasks.outside.evalscope.exam import questions_of
from tasks.outside.kubernetes.access import reach
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.lease import who
from tasks.outside.prefect import parameters, told
from tasks.outside.prefect.road import Road
from tasks.outside.vllm.engine import Answered, Engine, Late
from tasks.record.outcome import ENDINGS, Kind, Outcome, compact, not_now
from tasks.record.parts import ResolveModel
from tasks.release.memory.terms import terms_of
from tasks.release.plan import bends_figures
from tasks.release.soaking import Look
from tasks.release.state import Judged, Release, in_doubt, with_history
from tasks.release.versions.decide import closed, waits_for_window
from tasks.run.locked import Locked, locked, not_held
from tasks.run.measuring.sitting import Sitting
from tasks.run.telling.cluster import announce
from tasks.run.telling.people import tell_end
from tasks.run.ui.reported import ReportPlace, bucket_of, publish
from tasks.spec.rollout import Rollout
from tasks.verdict.decide import TAKES, asked_of, same_demands
from tasks.weights.manifest import Manifest

_log = logging.getLogger(__name__)
ASK_S = 10.0
ASK_TOKENS = 4


class Run(Sitting):
    """What the steps of one rollout share. It may read the cluster; `locked()` gives what writes.

    commit: roll exactly this one out; None: what the revision is now. again: also a release that
    was judged before. may_interrupt: somebody has agreed to what the plan interrupts. by_itself: a
    schedule or an event started it, and nobody asked for it. outcome: how it ended, None while it
    runs. subject: what the steps are about, for the names of their task
    runs. measured: what the benchmark saw that a soak goes by; None before that. ask_s: how long
    one small request may take; what takes longer is asked again.
    """

    def __init__(
        self,
        spec: Rollout,
        cluster: Cluster,
        *,
        rollout: str | None = None,
        why: str = "started by hand",
        commit: str | None = None,
        again: bool = True,
        may_interrupt: bool = True,
        by_itself: bool = False,
    ) -> None:
        super().__init__(spec, cluster.address, kind="rollout", rollout=rollout, why=why)
        self.cluster, self.commit, self.again = cluster, commit, again
        self.may_interrupt, self.by_itself = may_interrupt, by_itself
        self.outcome: Outcome | None = None
        self.shown = ReportPlace()  # once it has ended
        self.subject = spec.name
        self.measured: dict[str, float] | None = None
        self.ask_s = ASK_S
        self.road = Road()
        self.settled = ""  # what cleaning up after an error came to
        self.heard = Heard()  # what its steps told, from the first one on
        self.promoting: Release | None = None  # from before its Service is moved
        self._after_all = False  # promoted, though an error ended it
        self._held: Locked | None = None

    def check(self) -> None:
        """Find out now, not after an hour, what could not end well. Raises RolloutError."""
        if reason := bends_figures(self.spec):
            raise Refused(reason)
        if (bucket := bucket_of(self.spec.records)) is not None:
            bucket.check()
        questions_of(self.spec)

    # -- steps --------------------------------------------------------------------------------

    def note_release(self, release: Release, manifest: Manifest) -> None:
        """Put what is rolled out on record."""
        self.subject = release.deployment
        parameters.rename(f"rollout {release.deployment}", self.rollout)
        self.record.resolve_model = ResolveModel(
            model=release.model,
            revision=release.revision,
            commit=release.commit,
            manifest=release.digest,
            files=len(manifest.files),
            bytes=manifest.total_bytes,
            release=release.id,
            deployment=release.deployment,
            image=release.image,
            trust_remote_code=self.spec.model.trust_remote_code,
        )

    def judged(self, verdict: str) -> Judged:
        """A verdict on what is rolled out, for the cluster's memory."""
        plan = self.record.plan
        what = self.record.resolve_model
        return Judged(
            what.release if what else "",
            asked_of(self.spec),
            verdict,
            self.rollout,
            clock.now().isoformat(timespec="seconds"),
            strategy=plan.strategy if plan else "",
        )

    def ask(self, service: str, release: Release) -> tuple[Look, list[str]]:
        """Ask a Service, by the spec's means, for the models it serves, and its own for a few
        tokens: an engine may list a model and answer nothing."""
        try:
            with (
                reach(self.cluster, self.spec, service, release.id) as endpoint,
                Engine(endpoint.url, timeout_s=self.ask_s) as engine,
            ):
                names = engine.models()
                if release.served_name not in names:
                    return Look(), names
                try:
                    answer = engine.chat(release.served_name, "Say hello.", ASK_TOKENS)
                except Late as error:  # the way there is good: it has just told its models
                    return Look(answer="none", why=str(error), ttft_s=error.waited_s), []
                if not answer.chunks:
                    return Look(answer="bad", why="a request was answered without a token"), []
                tokens = answer.completion_tokens or answer.chunks
                return Look(tokens=tokens, ttft_s=answer.ttft_s), names
        except Answered as error:
            return Look(answer="bad", why=str(error)), []
        except (OutsideError, StepFailed) as error:
            return Look(answer="none", why=str(error)), []

    # -- the lock -----------------------------------------------------------------------------

    def observer(self) -> Actor:
        """An actor that may look; every write of it raises LockLost."""
        spec = self.spec
        return Actor(self.cluster, spec.namespace, spec.name, fence=not_held, epoch=0)

    @contextmanager
    def locked(
        self, clean_up: Callable[[Run, Locked, BaseException], BaseException]
    ) -> Iterator[Locked]:
        """Hold the lease, and give the only object that can write; afterwards it cannot.

        clean_up: called with what ends the block by force, still under the lock; gives the error to
        go on with, whose outcome is put on record here. Raises Refused, LockLost.
        """
        spec = self.spec
        with locked(
            self.cluster,
            spec.namespace,
            spec.name,
            f"{who()}/{self.rollout}",
            ready_timeout_s=spec.serving.startup_timeout_s,
            heard=self.heard,
        ) as held:
            self._held = held
            try:
                yield held
            except BaseException as error:
                held.halt.deafen()
                ended = error if self.outcome else clean_up(self, held, error)
                if self.outcome is None:
                    self._finish_after(self._shown(ended))
                if ended is error:
                    raise
                raise ended from error
            finally:
                self._held = None

    # -- the end ------------------------------------------------------------------------------

    def conduct(self, pipeline: Callable[[], Outcome]) -> Outcome:
        """Run it; every ending goes on record. Cancellation passes through after cleaning up."""
        aloud = told.Aloud()
        try:
            with listening(lambda event: aloud.hear(self.heard.hear(event)), own=True):
                return pipeline()
        except BaseException as error:
            ended = self.outcome or self._finish_after(ended_by(error))
            # who interrupts what was done by then is told so
            done = self._after_all and isinstance(error, KeyboardInterrupt)
            if not (done or isinstance(error, RolloutError)):
                raise
            _log.debug("the rollout ended in an error", exc_info=True)
            return ended

    def finish(self, outcome: Outcome) -> Outcome:
        """Put the outcome on record, once: in the cluster while the lock is held, on disk, in the
        bucket. Each is tried, whatever becomes of the others.

        Raises OutsideError where the disk does not take it.
        """
        if self.outcome is not None:
            raise RuntimeError(f"this run has ended already: {self.outcome.sentence}")
        self.outcome = outcome
        path = self.closed(outcome)
        try:
            if self._held is not None:
                self._held.halt.deafen()  # it has ended: nothing is left to be stopped
                self._tell_cluster(self._held.actor)
        finally:
            try:
                self.write(path)
            except OutsideError as error:
                self.outcome = Outcome("error", f"{outcome.sentence}, but {error}")
                self.note(self.outcome)
                raise
            finally:
                self._mirror(path)
                self.shown = publish(self.record)
                tell_end(
                    self.record,
                    self.outcome,
                    moved=self.promoting is not None,
                    serves=self._led_there() if self.outcome.stopped else False,
                    report=self.shown.address,
                )
        return outcome

    def _led_there(self) -> bool | None:
        """Whether the Service leads to what was being promoted; None where nobody can say."""
        if self.promoting is None:
            return False
        try:
            return self.observer().observe().serving == self.promoting.id
        except RolloutError:
            return None

    def _shown(self, error: BaseException) -> Outcome:
        """How a run ends that an error ended under the lock: by what the cluster shows. A release
        that has passed its soak and serves is promoted, whatever came after that."""
        ended = ended_by(error, self.settled)
        if self.promoting is None or not self.serves_proven(self.promoting):
            return ended
        name = self.promoting.deployment
        self._after_all = True
        _log.error("%s serves and is proven; what came after that: %s", name, ended.sentence)
        return Outcome("promoted", f"{name} promoted; after its soak: {ended.sentence}")

    def window_closed(self) -> str:
        """Why a rollout that started by itself may not change what serves now; '' where it may."""
        return closed(self.spec, self.cluster.now()) if self.by_itself else ""

    def must_be_open(self, strategy: str) -> None:
        """Raises NotNow where the candidate is to have seats of what serves, and may not now."""
        if strategy in TAKES and (window := self.window_closed()):
            raise NotNow(not_now(self.subject, window).sentence)

    def passed_before(self, release: Release) -> bool:
        """A release passed under these targets, waits for its window alone, and may be promoted."""
        state = self.observer().observe().state
        before, asked = terms_of(state, release.id).spec, self.record.spec
        waits = waits_for_window(state, release, self.cluster.now())
        return waits and same_demands(before, asked) and not self.window_closed()

    def serves_proven(self, release: Release) -> bool:
        """The Service leads to a release that has passed its soak and answers, as far as the
        cluster can be read."""
        try:
            seen = self.observer().observe()
        except RolloutError:
            return False
        state = seen.state
        stable = state.stable is not None and state.stable.id == release.id == seen.serving
        proven = state.phase in ("proven", "idle") and not in_doubt(state, release.id)
        return stable and proven and seen.alive(release.id)

    def _finish_after(self, outcome: Outcome) -> Outcome:
        """As `finish`, where an error ends the run: no trouble with the record hides that one."""
        with suppress(RolloutError):
            self.finish(outcome)
        return self.outcome or outcome

    def _tell_cluster(self, actor: Actor) -> None:
        """The history in the cluster; the outcome stands even when that fails."""
        try:
            keep = self.spec.promotion.history
            entry = records.scrub(compact(self.record).as_dict())
            actor.change_state(lambda held: with_history(held, entry, keep))
        except Exception as error:
            self.record.history_error = str(error)
            _log.error("the history in the cluster lacks this rollout: %s", error)
        if (ended := self.outcome) is not None:
            ending = ENDINGS[ended.kind]
            announce(actor, ending.state, ended.sentence, bad=ending.look != "good")


# Python's and Prefect's names for what a person, a supervisor or the server asks
_ASKED = ("KeyboardInterrupt", "TerminationSignal", "CancelledError")


def ended_by(error: BaseException, settled: str = "") -> Outcome:
    """The outcome of a run that an error ends. settled: what cleaning up came to."""
    after = f"; {settled}" if settled else ""
    if isinstance(error, RolloutError):
        kind: Kind = "refused" if isinstance(error, Refused) else "error"
        return Outcome(kind, f"{error}{after}", stopped=isinstance(error, Aborted))
    name = type(error).__name__
    what = "interrupted" if name in _ASKED else f"interrupted: {name}"
    return Outcome("error", f"{what}{after}", stopped=True)
