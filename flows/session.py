"""What the steps of one rollout share: where it runs, what it found, what goes on record."""

from __future__ import annotations

import getpass
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows import report, told
from tasks.base import clock
from tasks.base.errors import LockLost, OutsideError, RolloutError, StepFailed
from tasks.base.progress import Progress, emit
from tasks.outside.disk import records
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.lease import LeaseLock
from tasks.outside.s3.mirror import Mirror
from tasks.record.outcome import RECORD_SCHEMA, Outcome, compact
from tasks.release.state import Release, with_history
from tasks.report.page import FILE as PAGE
from tasks.spec.rollout import Rollout

_log = logging.getLogger(__name__)
LEASE_ENV = "MODEL_ROLLOUT_LEASE_SECONDS"


def lease_seconds() -> int:
    """How long a dead holder blocks the next rollout: MODEL_ROLLOUT_LEASE_SECONDS, else 60."""
    return int(os.environ.get(LEASE_ENV, "60"))


def who() -> str:
    """user@host of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def new_run_id() -> str:
    """Sortable by time, unique."""
    return f"{clock.now():%Y%m%dT%H%M%S}-{clock.rng().getrandbits(24):06x}"


def keep_logs(name: str, rollout: str, logs: Mapping[str, str]) -> list[str]:
    """Write containers' logs (text by file name) into a rollout's folder; gives their paths.

    A disk that takes none must not hide the trouble that they tell of: it is only logged.
    """
    kept = []
    for file, text in sorted(logs.items()):
        try:
            kept.append(str(records.keep_log(records.folder(name, rollout), file, text)))
        except OutsideError as error:
            _log.error("the log %s is not kept: %s", file, error)
    return kept


@contextmanager
def logs_kept(name: str, rollout: str) -> Iterator[None]:
    """Keep the logs that an error carries, and let it name them, where there is no record."""
    try:
        yield
    except StepFailed as error:
        paths = keep_logs(name, rollout, error.logs)
        if not paths:
            raise
        raise StepFailed("\n".join([str(error), *(f"  log: {path}" for path in paths)])) from error


@dataclass
class Session:
    """One rollout under way."""

    spec: Rollout
    cluster: Cluster
    rollout: str = field(default_factory=new_run_id)
    why: str = "started by hand"
    # exactly this commit, wherever the spec's revision is; None: what the revision is now
    commit: str | None = None
    record: dict[str, Any] = field(default_factory=dict)
    lock: LeaseLock | None = None
    actor: Actor | None = None
    finished: bool = False
    # address of the vendor's exporter by node, where there is one
    exporters: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spec = self.spec
        self.record.update(
            schema=RECORD_SCHEMA,
            rollout=self.rollout,
            name=spec.name,
            namespace=spec.namespace,
            who=who(),
            why=self.why,
            started=clock.now().isoformat(timespec="seconds"),
            cluster=self.cluster.address,
            spec=spec.model_dump(mode="json", exclude_defaults=True),
            trust_remote_code=spec.model.trust_remote_code,
            steps=[],
        )

    @property
    def folder(self) -> Path:
        """Where this rollout's record and reports go."""
        return records.folder(self.spec.name, self.rollout)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a step and tell its state; yields a function that sets its closing sentence."""
        said = [""]

        def say(sentence: str) -> None:
            said[0] = sentence

        began = clock.monotonic()
        emit(Progress(name, "started"))
        state = "failed"
        try:
            yield say
            state = "done"
        except BaseException as error:
            said[0] = str(error).split("\n", 1)[0] or type(error).__name__
            self.keep_logs(getattr(error, "logs", {}))
            raise
        finally:
            seconds = round(clock.monotonic() - began, 3)
            self.record["steps"].append(
                {"step": name, "state": state, "seconds": seconds, "sentence": said[0]}
            )
            emit(Progress(name, state, message=said[0]))
            told.say(f"{name} {state} after {seconds:.1f} s: {said[0]}".removesuffix(": "))

    def keep_logs(self, logs: Mapping[str, str]) -> None:
        """Keep what was read of containers' logs (text by file name) beside the record, which
        names the files."""
        for path in keep_logs(self.spec.name, self.rollout, logs):
            known: list[str] = self.record.setdefault("logs", [])
            if path not in known:
                known.append(path)

    def fence(self) -> None:
        """Before every write: raises LockLost unless this run holds the lease."""
        if self.lock is None:
            raise LockLost("this run does not hold the lease: it writes inside locked() only")
        self.lock.check()

    def must_act(self) -> Actor:
        """The actor of a locked session."""
        if self.actor is None:
            raise RuntimeError("this step runs under the lock only")
        return self.actor

    def make_actor(self, *, epoch: int = 0) -> Actor:
        """An actor on this rollout's objects; without the lock it may only observe."""
        return Actor(
            self.cluster,
            self.spec.namespace,
            self.spec.name,
            fence=self.fence,
            epoch=epoch,
            ready_timeout_s=self.spec.serving.startup_timeout_s,
            soak_s=self.spec.promotion.soak_s,
        )

    @contextmanager
    def locked(self) -> Iterator[Actor]:
        """Hold the lease; every write inside is fenced by it. Raises Refused, LockLost."""
        lock = LeaseLock(
            self.cluster,
            self.spec.namespace,
            self.spec.name,
            f"{who()}/{self.rollout}",
            duration_s=lease_seconds(),
        )
        with lock:
            self.lock = lock
            try:
                self.actor = self.make_actor(epoch=lock.epoch)
                self.actor.take_over()
                yield self.actor
            finally:
                self.lock = self.actor = None

    def finish(self, outcome: Outcome) -> None:
        """Put the outcome on record, once: on disk, and in the cluster while the lock is held."""
        if self.finished:
            return
        self.finished = True
        path = self.folder / records.FILE
        self.record.update(
            outcome=outcome.kind,
            sentence=outcome.sentence,
            exit_code=outcome.exit_code,
            finished=clock.now().isoformat(timespec="seconds"),
            record=str(path),
            report=str(path.with_name(PAGE)),
            versions=report.versions(),
        )
        records.write(path, self.record)
        report.try_write(path)
        self._mirror(path)
        if self.actor is not None:
            self._tell_cluster(self.actor)

    def _tell_cluster(self, actor: Actor) -> None:
        """The history in the cluster; the outcome stands even when that fails."""
        try:
            state, _ = actor.read_state()
            keep = self.spec.promotion.history
            actor.save(with_history(state, compact(records.scrub(self.record)), keep))
        except RolloutError as error:
            self.record["history_error"] = str(error)
            _log.error("the history in the cluster lacks this rollout: %s", error)
            records.write(self.folder / records.FILE, self.record)

    def check_bucket(self) -> None:
        """A bucket that does not answer is an error now, not after an hour of measuring."""
        if (bucket := self._bucket()) is not None:
            bucket.check()

    def _bucket(self) -> Mirror | None:
        where = self.spec.records
        if where is None:
            return None
        return Mirror(where.bucket, where.prefix, where.endpoint, where.region)

    def _mirror(self, path: Path) -> None:
        """Copy the record to the bucket; the outcome stands even when that fails."""
        bucket = self._bucket()
        if bucket is None:
            return
        key = f"{self.spec.namespace}/{self.spec.name}/{self.rollout}"
        page = path.with_name(PAGE)
        try:
            self.record["mirror"] = bucket.put_json(f"{key}/{path.name}", records.read(path))
            if page.is_file():
                bucket.put_file(f"{key}/{page.name}", page, "text/html; charset=utf-8")
            for log in map(Path, self.record.get("logs", [])):
                bucket.put_file(
                    f"{key}/{records.LOGS}/{log.name}", log, "text/plain; charset=utf-8"
                )
        except RolloutError as error:
            self.record["mirror_error"] = str(error)
            _log.error("the record stays at %s: %s", path, error)
        records.write(path, self.record)

    def note_release(self, release: Release) -> None:
        """Put what is rolled out on record."""
        self.record["release"] = {"id": release.id, "deployment": release.deployment}
        self.record["model"] = {
            "id": release.model,
            "revision": release.revision,
            "commit": release.commit,
            "manifest": release.digest,
        }
        self.record["image"] = {"name": release.image}

    def named_leftover(self, error: BaseException) -> str:
        """A sentence for when even cleaning up failed."""
        release = self.record.get("release", {}).get("deployment", "the candidate")
        text = str(error) if isinstance(error, RolloutError) else repr(error)
        return (
            f"{release} may still exist in {self.spec.namespace} ({text}); "
            f"`rollout recover {self.spec.name} -n {self.spec.namespace}` settles it"
        )
