"""One life of a container: a process in its own session, its log, how it is ended, its exit."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from deployments.local.kube.node import procs, surroundings
from deployments.local.kube.node.limits import Group
from deployments.local.kube.node.probes import Place, attempt
from deployments.local.kube.node.surroundings import Around
from deployments.local.kube.objects.store import now

LINE = 1 << 16
PUMP_PATIENCE_S = 3.0
# From SIGTERM to SIGKILL at least, also after a hook that took the whole grace period: the
# kubelet's minimumGracePeriodInSeconds.
LEAST_S = 2.0


@dataclass(frozen=True)
class Exit:
    """How a life ended."""

    code: int
    reason: str
    started: str
    finished: str
    message: str = ""
    log: Path | None = None

    def state(self, container_id: str) -> dict[str, object]:
        """A ContainerStateTerminated."""
        out: dict[str, object] = {
            "exitCode": self.code,
            "reason": self.reason,
            "startedAt": self.started,
            "finishedAt": self.finished,
            "containerID": container_id,
        }
        if self.message:
            out["message"] = self.message
        return out


class PidFile:
    """Which processes we started, for whoever cleans up after a crash of ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    @staticmethod
    def _boot() -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def add(self, pid: int) -> None:
        """Note a process just started."""
        with contextlib.suppress(OSError, IndexError):
            started = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
            with self._lock, self._path.open("a") as out:
                out.write(f"{pid} {started} {self._boot()}\n")

    def clean(self) -> None:
        """Kill what an earlier daemon left and forget it."""
        if self._path.exists():
            boot = self._boot()
            for line in self._path.read_text().splitlines():
                parts = line.split()
                if len(parts) == 3 and parts[2] == boot:
                    procs.end(int(parts[0]), int(parts[1]))
            self._path.unlink()


class Life:
    """A running process. `on_exit` is called once, when `exit` is set and the log is whole.

    group: its cgroup, which goes with it. first: it is process 1 of its container.
    """

    def __init__(
        self,
        argv: Sequence[str],
        program: str,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        on_exit: Callable[[], None],
        pids: PidFile,
        around: Around,
        group: Group | None = None,
        *,
        first: bool = True,
    ) -> None:
        self.log, self.started, self.born = log, now(), time.monotonic()
        self.exit: Exit | None = None
        self.out_of_memory = False
        self.group, self._first, self._on_exit = group, first, on_exit
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        # PR_SET_PDEATHSIG follows the starting thread: it must live as long as the container
        self._process = surroundings.start(program, argv, env, cwd, around)
        pids.add(self.pid)
        assert self._process.stdout is not None
        self._pump = threading.Thread(
            target=self._write, args=(self._process.stdout,), name="log", daemon=True
        )
        self._pump.start()
        threading.Thread(target=self._wait, name="wait", daemon=True).start()

    @property
    def pid(self) -> int:
        """The leader's pid, and its session's id."""
        return self._process.pid

    def term(self) -> None:
        """SIGTERM to the leader, as a container's pid 1 would get it: it has no default action."""
        heard = not self._first or surroundings.heeds(self.pid, signal.SIGTERM)
        if heard and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the whole tree."""
        if self.exit is None:
            procs.signal_all(procs.tree(self.pid, procs.table()), signal.SIGKILL)

    def _write(self, pipe: IO[bytes]) -> None:
        with self.log.open("ab", buffering=0) as out, pipe:
            while line := pipe.readline(LINE):
                seconds, rest = divmod(time.time_ns(), 1_000_000_000)
                stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
                end = b"" if line.endswith(b"\n") else b"\n"
                out.write(f"{stamp}.{rest:09d}Z ".encode() + line + end)

    def _wait(self) -> None:
        code = self._process.wait()
        self._pump.join(0.05)
        while left := procs.tree(self.pid, procs.table()):  # a container ends with its pid 1
            procs.signal_all(left, signal.SIGKILL)
            time.sleep(0.01)
        self._pump.join(PUMP_PATIENCE_S)
        code = 128 - code if code < 0 else code
        reason = "Completed" if code == 0 else "Error"
        if self.group is not None:
            self.out_of_memory = self.out_of_memory or self.group.overrun()
            self.group.remove()
        if self.out_of_memory:
            code, reason = 137, "OOMKilled"
        self.exit = Exit(code, reason, self.started, now(), log=self.log)
        self._on_exit()


class Ending:
    """One container's end; `press` moves it on.

    hook: its preStop, empty for none. grace: seconds that all of it may take, which a second
    deletion may shorten. failed: called when a hook fails. wake: called when a hook is over.
    """

    def __init__(
        self,
        hook: Mapping[str, Any],
        place: Place,
        grace: Callable[[], float],
        term: Callable[[], None],
        kill: Callable[[], None],
        failed: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        self._grace, self._term, self._kill = grace, term, kill
        self._failed, self._wake = failed, wake
        self._begun = self._hook_until = time.monotonic()
        self._termed: float | None = None
        self._killed = 0.0
        if sleep := hook.get("sleep"):
            self._hook_until += float(sleep.get("seconds") or 0)
        elif hook and grace() > 0:
            self._hook_until += grace()
            asked = {**hook, "timeoutSeconds": grace()}
            threading.Thread(target=self._run, args=(asked, place), daemon=True).start()

    def _run(self, hook: Mapping[str, Any], place: Place) -> None:
        if not attempt(hook, place)[0]:
            self._failed()
        self._hook_until = time.monotonic()
        self._wake()

    def press(self, *, hurry: bool = False) -> float:
        """Do what is due; seconds until something is due again. hurry: no grace any more."""
        now = time.monotonic()
        until = self._begun + self._grace()
        if self._termed is None and not hurry:
            left = min(self._hook_until, until) - now
            if left > 0:
                return left
            self._term()
            self._termed = now
        due = now if hurry or self._termed is None else max(until, self._termed + LEAST_S)
        if self._killed:
            due = self._killed + 1.0
        if now < due:
            return due - now
        self._kill()
        self._killed = now
        return 1.0
