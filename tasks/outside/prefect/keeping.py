"""`python -m tasks.outside.prefect.keeping FOLDER`: a Prefect server and a worker, kept alive.

Whoever started it may go. A process that ends by itself is started again, after a pause that
grows; what ended, and how, stands in keeper.log.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, BinaryIO

from tasks.base import clock
from tasks.base.errors import OutsideError
from tasks.base.loopback import straight
from tasks.outside.prefect.living import KEEPER, NAMES, STOP_S, TICK_S, locked, note, pid_of
from tasks.outside.prefect.service import facts
from tasks.service.database import FAMILY, database_in
from tasks.service.kept import HOST, PASSWORD, Running

START_S = 240.0
PAUSES_S = (1.0, 2.0, 5.0, 15.0, 60.0)
# lived so long, it was no trouble of starting
SOUND_S = 300.0
# a log that is longer becomes the one before it
LOG_BYTES = 20 << 20
# with fifty rollouts at once a query took longer than the 10 s it is given, and the server answered
# 500: the client, which waits for 503 alone, ended its rollout
PATIENT = {"PREFECT_CLIENT_RETRY_EXTRA_CODES": "500"}
# Of PostgreSQL alone. Of SQLite Prefect sets how long a lock is waited for itself, 60 s (PRAGMA
# busy_timeout in prefect/server/database/configurations.py of 3.8.8), and the server stands still
# all the while where its event loop clears away the cursor of a connection that waits.
QUERIES = {"PREFECT_SERVER_DATABASE_TIMEOUT": "60"}
_AUTH = "PREFECT_API_AUTH_STRING"
# the server's doing so often before it answers once is no accident of its start
DEATHS = 3


def versions() -> str:
    """Of what would be started now."""
    return f"model-rollout {installed('model-rollout')}, Prefect {installed('prefect')}"


def answers(api: str) -> bool:
    """Whether a Prefect server is there, whatever its database does; it asks nobody for a password
    here, and no proxy stands between."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{api}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def log_of(folder: Path, name: str) -> Path:
    """The log of one of NAMES."""
    return folder / "logs" / f"{name}.log"


def shorten(path: Path) -> None:
    """Keep a log that has become too long as its `.1`, and begin anew. Who writes it has it open:
    so it is copied and emptied, not moved, and a line written in between may be lost."""
    with contextlib.suppress(OSError):  # another time, then
        if path.stat().st_size > LOG_BYTES:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            os.truncate(path, 0)


def free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        # as servers do: one that ended a moment ago keeps nobody out
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


# -- starting -------------------------------------------------------------------------------------


def start(folder: Path, kept: Running, environment: Mapping[str, str], *, attached: bool) -> Keeper:
    """Have a keeper start both, and wait until the server answers. attached: it ends with us.

    For one at a time, where no keeper lives. Raises OutsideError, with the end of the log, when
    it does not come to it.
    """
    facts.write(folder, kept)
    with log_of(folder, "keeper").open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", KEEPER, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    keeper = Keeper(process)
    try:
        if trouble := ready(folder, kept, lambda: process.poll() is None):
            over = process.poll() is not None
            log = log_of(folder, "keeper" if over else "server")
            text = log.read_text(errors="replace")[-1500:] if log.exists() else ""
            raise OutsideError(f"the Prefect server: {trouble}; the end of {log}:\n{text}")
    except BaseException:
        keeper.stop()
        raise
    if not attached:
        process.returncode = 0  # it goes on without us
    return keeper


def ready(folder: Path, kept: Running, goes_on: Callable[[], bool]) -> str:
    """Wait until the server answers: ''. Else why that is given up: its keeper does not go on, it
    ended DEATHS times, or START_S is over."""
    until, seen = clock.monotonic() + START_S, set[int]()
    while not ((pid := pid_of(folder, "server")) and answers(kept.api)):
        seen |= {pid} if pid else set()
        if not goes_on():
            return "its keeper ended"
        if len(seen) > DEATHS:
            return (
                f"it ended {DEATHS} times before it answered; where its database was used by a "
                "newer Prefect, or is damaged, install that one again or restore the backup"
            )
        if clock.monotonic() > until:
            return f"it is not ready in {START_S:g} s"
        clock.sleep(TICK_S)
    return ""


@dataclass
class Keeper:
    """A keeper that this process started."""

    process: subprocess.Popen[bytes]

    def wait(self) -> int:
        """Until it ends; ended by what asks us to end. Gives its exit status."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, lambda *_: self.process.terminate())
        try:
            return self.process.wait()
        except KeyboardInterrupt:
            self.stop()
            return 0

    def stop(self) -> None:
        """End this one, which ends what it started; nobody else's, whose the folder may be now."""
        self.process.terminate()
        try:
            self.process.wait(2.5 * STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# -- keeping --------------------------------------------------------------------------------------


@dataclass
class _Child:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    failures: int = 0
    again_at: float = 0.0

    def tend(self, folder: Path) -> None:
        """Start it where it does not run, once its pause is over."""
        now = clock.monotonic()
        if self.process is not None and (status := self.process.poll()) is not None:
            if self.name == "server":  # what it left would hold its port
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
            self.failures = 0 if now - self.began > SOUND_S else self.failures
            pause = PAUSES_S[min(self.failures, len(PAUSES_S) - 1)]
            self.failures, self.again_at, self.process = self.failures + 1, now + pause, None
            _say(f"the {self.name} ended by itself ({status}), started again in {pause:g} s; see "
                 f"{log_of(folder, self.name)}")  # fmt: skip
        if self.process is None and now >= self.again_at:
            self.began = now
            with locked(folder, self.name) as lock, _writing(log_of(folder, self.name)) as out:
                self.process = subprocess.Popen(
                    list(self.command),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=dict(self.environment),
                    start_new_session=True,
                    pass_fds=[lock.fileno()],
                )
                note(lock, self.process.pid)
            _say(f"the {self.name} is started, pid {self.process.pid}")

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _say(f"the {self.name} is ended")


def _tend(child: _Child, folder: Path) -> None:
    """Whatever keeps it from being started passes, or a person mends it: the other one is kept."""
    try:
        child.tend(folder)
    except (OSError, OutsideError) as error:
        child.again_at = clock.monotonic() + PAUSES_S[-2]
        _say(f"the {child.name} cannot be started: {error}")


def _writing(log: Path) -> BinaryIO:
    """The log, to write on; nowhere where the disk does not take it: what is kept matters more."""
    try:
        log.parent.mkdir(exist_ok=True)
        return log.open("ab")
    except OSError as error:
        _say(f"{log} cannot be written ({error.strerror}): what is said goes nowhere")
        return Path(os.devnull).open("wb")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(f"{clock.now().isoformat(timespec='seconds')} {text}", flush=True)


def environments(folder: Path, kept: Running, here: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Of server and worker. The database's address, a secret, is the server's alone."""
    both = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **PATIENT,
        **(QUERIES if database_in(here).startswith("postgresql") else {}),
        **straight(here),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": kept.api,
    }
    if not both.get(PASSWORD, "-"):  # set to nothing
        del both[PASSWORD]
    if (auth := both.get(PASSWORD)) and _AUTH not in both:
        both[_AUTH] = auth
    drop = (*FAMILY, PASSWORD)
    return {"server": both, "worker": {k: v for k, v in both.items() if not k.startswith(drop)}}


@contextlib.contextmanager
def _alone(port: int) -> Iterator[None]:
    """No other keeper has this port: of two that begin at once, one would take the other's server
    for its own. On Linux, by a name that is as wide as the port and goes with the process."""
    with socket.socket(socket.AF_UNIX) as name:
        if sys.platform == "linux":
            try:
                name.bind(f"\0model-rollout-{port}")
            except OSError as error:
                raise OutsideError(
                    f"port {port} of this machine is another service's, which begins or runs; "
                    "give another one with --port"
                ) from error
        yield


def keep(folder: Path) -> int:
    """Keep both until asked to end."""
    kept = facts.read(folder)
    if kept is None:
        raise OutsideError(f"{folder} has no service.json that says what to keep; run `rollout up`")
    prefect = str(Path(sys.executable).with_name("prefect"))
    serve = ["server", "start", "--host", HOST, "--port", str(kept.port)]
    work = ["worker", "start", "--pool", kept.pool, "--type", "process", "--name", "rollout-up"]
    env = environments(folder, kept, os.environ)
    server = _Child("server", [prefect, *serve], env["server"])
    worker = _Child("worker", [prefect, *work], env["worker"])
    asked: list[Any] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.append(True))
    with _alone(kept.port), locked(folder, "keeper") as lock:
        note(lock, os.getpid())
        answered = False
        try:
            while not asked:
                _tend(server, folder)
                # one without a server would only fail; later on it waits for one by itself
                answered = answered or answers(kept.api)
                if answered:
                    _tend(worker, folder)
                for name in NAMES:
                    shorten(log_of(folder, name))
                clock.sleep(TICK_S)
        finally:
            for child in (worker, server):
                child.stop()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(keep(Path(sys.argv[1])))
    except OutsideError as error:
        _say(str(error))
        sys.exit(error.exit_code)
