"""The load generator's process and the files it is driven by."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.base import clock
from tasks.base.errors import OutsideError
from tasks.measure.engine_view import MetricsWatch
from tasks.outside.evalscope.orders import (
    Account,
    Advanced,
    Event,
    LoadOrder,
    Ready,
    RunEnded,
    event_of,
)

START_S = 120.0
HEED_S = 0.5  # between questions whether a load may go on
# Shares of a run's limit, so that evalscope ends by itself with all rows written, even against a
# wedged engine; the kill is the last resort.
DURATION_SHARE, REQUEST_SHARE = 0.6, 0.15
REQUEST_TIMEOUT_S = 600.0


def environment() -> dict[str, str]:
    """Ours for a child that asks an engine: no site's proxy may stand between them."""
    return {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}


def end(child: subprocess.Popen[Any]) -> None:
    """Kill a child that leads its session, with all it started, and close its pipes."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


@dataclass(frozen=True)
class EngineTarget:
    """Where an OpenAI-compatible engine answers.

    url: without /v1. model: the served name. api_key_env: the environment variable that holds the
    key; the key itself is never passed on. watch: samples the engine's own figures, where
    one process answers for all of it; None: unknown.
    """

    url: str
    model: str
    api_key_env: str | None = None
    watch: MetricsWatch | None = None


@dataclass(frozen=True)
class RunFiles:
    """What one run of evalscope left.

    error: '' or why it did not end well. sent: measured requests that went out, fewer than asked
    where the run reached its time limit; None: unknown.
    """

    folder: Path
    error: str
    errors: dict[str, str] = field(default_factory=dict)
    unsent: frozenset[str] = frozenset()
    sent: int | None = None
    lags: list[tuple[float, float]] = field(default_factory=list)
    cpu: list[tuple[float, float]] = field(default_factory=list)

    @property
    def database(self) -> Path:
        """evalscope's table of requests."""
        return self.folder / "benchmark_data.db"


def duration(timeout_s: float) -> float:
    """How long evalscope may send (s) in a run that may take `timeout_s`."""
    return DURATION_SHARE * timeout_s


def request_timeout(timeout_s: float) -> int:
    """How long one request may take (s, at least 1) in a run that may take `timeout_s`."""
    return max(1, int(min(REQUEST_TIMEOUT_S, REQUEST_SHARE * timeout_s)))


class LoadGenerator:
    """The child process that runs evalscope, started when needed and again when it died.

    log: the file that its log is added to. heed: called every HEED_S while a load runs; what it
    raises ends the load at once. Use as a context manager: leaving ends the child,
    whatever happened. The child is a process group of its own, so that a Ctrl-C reaches only us
    and nothing of it can stay behind.
    """

    def __init__(self, log: Path, heed: Callable[[], None] = lambda: None) -> None:
        self._log_path, self._heed = log, heed
        self._child: subprocess.Popen[str] | None = None
        self._events: queue.Queue[Event | None] = queue.Queue()

    def __enter__(self) -> LoadGenerator:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        return self._child.pid if self._child is not None else None

    def kill(self) -> None:
        """End the child and everything it started."""
        if self._child is None:
            return
        end(self._child)
        self._child = None

    def run(
        self,
        order: LoadOrder,
        *,
        timeout_s: float,
        on_event: Callable[[Advanced], None],
    ) -> RunFiles:
        """Run one load, for at most timeout_s; the order's out_dir is made.

        A child that dies, hangs or reports an error is an outcome (RunFiles.error), not an
        exception. Raises OutsideError only where no child can be started.
        """
        folder = Path(order.out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._ensure()
            error = self._drive(order, timeout_s, on_event)
        except BaseException:
            self.kill()
            raise
        if error:
            self.kill()  # whatever state it is in, the next run starts clean
        return _collect(folder, error)

    def _drive(
        self,
        order: LoadOrder,
        timeout_s: float,
        on_event: Callable[[Advanced], None],
    ) -> str:
        child = self._child
        assert child is not None and child.stdin is not None
        file = order.write()
        try:
            child.stdin.write(f"{file}\n")
            child.stdin.flush()
        except BrokenPipeError:
            return "the load generator died before it was asked"
        deadline = clock.monotonic() + timeout_s
        while True:
            event = self._next(deadline - clock.monotonic())
            if event is None:
                late = clock.monotonic() >= deadline
                self.kill()
                how = f"did not end in {timeout_s:g} s and was stopped" if late else "died"
                return f"the load generator {how}; its log is in {self._log_path}"
            if isinstance(event, RunEnded):
                return f"evalscope failed: {event.error}" if event.error else ""
            if isinstance(event, Advanced):
                on_event(event)

    def _next(self, wait_s: float) -> Event | None:
        """The next event; None when the child ended or the time is over."""
        deadline = clock.monotonic() + wait_s
        while True:
            self._heed()
            left = deadline - clock.monotonic()
            try:
                return self._events.get(timeout=min(HEED_S, max(0.0, left)))
            except queue.Empty:
                if left <= HEED_S:
                    return None

    def _ensure(self) -> None:
        if self._child is not None and self._child.poll() is None:
            return
        self.kill()
        for _ in range(2):
            self._start()
            event = self._next(START_S)
            if isinstance(event, Ready):
                return
            self.kill()
        tail = self._log_path.read_text(encoding="utf-8", errors="replace")[-600:]
        raise OutsideError(
            f"the load generator (evalscope perf) did not start in {START_S:g} s; is "
            f"evalscope[perf] installed? Its last words: {tail}"
        )

    def _start(self) -> None:
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("a", encoding="utf-8") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tasks.outside.evalscope.bench_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**environment(), "PYTHONUNBUFFERED": "1"},
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        # a queue of its own: what an earlier child still says must not be heard
        events: queue.Queue[Event | None] = queue.Queue()
        self._events = events
        pipe = self._child.stdout

        def listen() -> None:
            assert pipe is not None
            with suppress(ValueError, OSError):
                for line in pipe:
                    if (event := event_of(line)) is not None:
                        events.put(event)
            events.put(None)

        threading.Thread(target=listen, daemon=True).start()


def _collect(folder: Path, error: str) -> RunFiles:
    try:
        said = Account.read(folder)
    except (OSError, ValueError, TypeError):
        return RunFiles(folder, error or "the load generator left no account of itself")
    return RunFiles(
        folder, error, said.errors, frozenset(said.unsent), said.sent, said.lags, said.cpu
    )
