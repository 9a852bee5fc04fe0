"""What is measured and judged, and how it ended, on record: of a rollout, and of what serves."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.base import clock
from tasks.base.errors import OutsideError
from tasks.base.progress import Progress, emit
from tasks.outside.disk import pages, records
from tasks.outside.kubernetes.lease import new_run_id, who
from tasks.outside.prefect import artifacts, told
from tasks.record.outcome import Outcome
from tasks.record.parts import StepTaken
from tasks.record.record import Record, RecordKind
from tasks.report.page import FILE as PAGE
from tasks.report.page import FILES
from tasks.run.ui.reported import bucket_of, key_of
from tasks.spec.rollout import Rollout

_log = logging.getLogger(__name__)


class Sitting:
    """A record that grows step by step, and ends on this machine's disk, and in the bucket that
    the spec names. It changes no cluster.

    address: of the cluster, or of the engine that is measured. kind: of its record.
    """

    def __init__(
        self, spec: Rollout, address: str, *, kind: RecordKind, rollout: str | None, why: str
    ) -> None:
        self.spec = spec
        self.rollout = rollout or new_run_id()
        self._said, self._well = "", True
        self.record = Record(
            kind=kind,
            rollout=self.rollout,
            name=spec.name,
            namespace=spec.namespace,
            who=who(),
            why=why,
            started=clock.now().isoformat(timespec="seconds"),
            cluster=address,
            spec=spec.model_dump(mode="json", exclude_defaults=True),
        )

    @property
    def folder(self) -> Path:
        """Where its record and reports go."""
        return records.folder(self.spec.name, self.rollout)

    def key(self, what: str, *more: str) -> str:
        """The key of an artifact of this model (see artifacts.key_of)."""
        return artifacts.key_of(what, self.spec.namespace, self.spec.name, *more)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step, tell its state, and put both on record with what it said last."""
        self._said, self._well, state, began = "", True, "failed", clock.monotonic()
        emit(Progress(name, "started"))
        try:
            yield
            state = "done" if self._well else "failed"
        except BaseException as error:
            self._said = str(error).split("\n", 1)[0] or type(error).__name__
            self.keep_logs(getattr(error, "logs", {}))
            raise
        finally:
            seconds, said = round(clock.monotonic() - began, 3), self._said
            self.record.steps.append(
                StepTaken(step=name, state=state, seconds=seconds, sentence=said)
            )
            emit(Progress(name, state, message=said))
            told.say(f"{name} {state} after {seconds:.1f} s: {said}".removesuffix(": "))

    def say(self, sentence: str, *, log: str | None = None, well: bool = True) -> None:
        """What the step that runs comes to. log: other words for the log of its task run. well: it
        went its course and found something wrong, where not."""
        self._said, self._well = sentence, well
        told.say(sentence if log is None else log)

    def keep_logs(self, logs: Mapping[str, str]) -> None:
        """Keep what was read of containers' logs (text by file name) beside the record, which
        names the files."""
        for path in records.keep_logs(self.spec.name, self.rollout, logs):
            if path not in self.record.logs:
                self.record.logs.append(path)

    def closed(self, outcome: Outcome) -> Path:
        """Note how it ended; gives where the record goes."""
        path, record = records.place(self.spec.name, self.rollout) / records.FILE, self.record
        self.note(outcome)
        record.finished = clock.now().isoformat(timespec="seconds")
        record.record, record.report = str(path), str(path.with_name(PAGE))
        record.versions = pages.versions()
        return path

    def end(self, outcome: Outcome) -> Outcome:
        """Put the outcome on record, on this disk and in the bucket. Raises OutsideError where the
        disk does not take it."""
        path = self.closed(outcome)
        self.write(path)
        self._mirror(path)
        return outcome

    def write(self, path: Path) -> None:
        """Write the record, and its page where that can be drawn. Raises OutsideError."""
        records.folder(self.spec.name, self.rollout)
        records.write(path, self.record.as_dict())
        pages.try_write(path)

    def note(self, outcome: Outcome) -> None:
        """How it ended, in the record."""
        self.record.outcome, self.record.sentence = outcome.kind, outcome.sentence
        self.record.exit_code = int(outcome.exit_code)

    def _mirror(self, path: Path) -> None:
        """Copy the record to the bucket; the outcome stands even when that fails."""
        bucket = bucket_of(self.spec.records)
        if bucket is None:
            return
        pages_drawn = [page for name in FILES.values() if (page := path.with_name(name)).is_file()]
        try:
            written = records.scrub(self.record.as_dict())
            self.record.mirror = bucket.put_json(key_of(self.record, path.name), written)
            for page in pages_drawn:
                key = key_of(self.record, page.name)
                bucket.put_file(key, page, "text/html; charset=utf-8")
            for log in map(Path, self.record.logs):
                key = key_of(self.record, f"{records.LOGS}/{log.name}")
                bucket.put_file(key, log, "text/plain; charset=utf-8")
        except Exception as error:
            self.record.mirror_error = str(error)
            _log.error("the record stays at %s: %s", path, error)
        with suppress(OutsideError):
            records.write(path, self.record.as_dict())
