"""`python -m tasks.outside.prefect.keeping FOLDER`: a Prefect server and a worker, kept alive.

Whoever started it may go. A process that ends by itself is started again, after a pause that
grows; what ended, and how, stands in keeper.log. Each of the three holds a lock on a file of the
folder while it lives, whatever becomes of the others, so that a pid which a stranger has by now is
never signalled.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import IO, Any

from tasks.base import clock
from tasks.base.errors import OutsideError

HOST = "127.0.0.1"
NAMES = ("keeper", "worker", "server")
START_S = 240.0
STOP_S = 60.0
PAUSES_S = (1.0, 2.0, 5.0, 15.0, 60.0)
# lived so long, it was no trouble of starting
SOUND_S = 300.0
# a log that is longer becomes the one before it
LOG_BYTES = 20 << 20
_FACTS = "service.json"
_TICK_S = 0.3
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
# with fifty rollouts at once a query took longer than the 10 s it is given, and the server answered
# 500: the client, which waits for 503 alone, ended its rollout
PATIENT = {
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
}
_SERVER_AUTH, _AUTH = "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"


@dataclass(frozen=True)
class Running:
    """What is kept. port: of the server, on loopback. version: of model-rollout and Prefect, of
    the processes that run."""

    port: int
    pool: str
    version: str
    limit: int | None = None

    @property
    def ui(self) -> str:
        """Address of the UI."""
        return f"http://{HOST}:{self.port}"

    @property
    def api(self) -> str:
        """Address of the API."""
        return f"{self.ui}/api"


def versions() -> str:
    """Of what would be started now."""
    return f"model-rollout {installed('model-rollout')}, Prefect {installed('prefect')}"


def answers(api: str) -> bool:
    """Whether a healthy Prefect server is there; it asks nobody for a password here."""
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def read(folder: Path) -> Running | None:
    """What was kept here last; None for nothing, or what another version wrote."""
    try:
        return Running(**json.loads((folder / _FACTS).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def log_of(folder: Path, name: str) -> Path:
    """The log of one of NAMES."""
    return folder / "logs" / f"{name}.log"


def shorten(path: Path) -> None:
    """Keep a log that has become too long as its `.1`, and begin anew. Who writes it has it open:
    so it is copied and emptied, not moved, and a line written in between may be lost."""
    with contextlib.suppress(FileNotFoundError):
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


# -- who lives ------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(folder: Path, name: str) -> Iterator[IO[str]]:
    """The lock of a process, for it to inherit. Raises OutsideError where one lives."""
    with (folder / f"{name}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutsideError(
                f"a {name} runs already with {folder}: `rollout down` ends it"
            ) from error
        yield file


def _note(file: IO[str], pid: int) -> None:
    file.seek(0)
    file.truncate()
    file.write(str(pid))
    file.flush()


def pid_of(folder: Path, name: str) -> int | None:
    """The pid of one of NAMES that lives; None where it does not."""
    path = folder / f"{name}.lock"
    try:
        with path.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(file.read() or 0) or None
    except (OSError, ValueError):
        pass
    return None


def end(folder: Path) -> list[str]:
    """End what lives, the keeper first, which ends the others; gives names."""
    ended = [name for name in NAMES if pid_of(folder, name) is not None]
    for name in NAMES:
        for number, patience in ((signal.SIGTERM, 2.5 * STOP_S), (signal.SIGKILL, 10.0)):
            if (pid := pid_of(folder, name)) is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            until = clock.monotonic() + patience
            while pid_of(folder, name) is not None and clock.monotonic() < until:
                clock.sleep(_TICK_S)
    return ended


# -- starting -------------------------------------------------------------------------------------


def start(folder: Path, kept: Running, environment: Mapping[str, str], *, attached: bool) -> Keeper:
    """Have a keeper start both, and wait until the server answers. attached: it ends with us.

    Raises OutsideError, with the end of the log, when it does not come to it.
    """
    end(folder)  # what a keeper that was killed left behind
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    (folder / _FACTS).write_text(json.dumps(asdict(kept)))
    with log_of(folder, "keeper").open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks.outside.prefect.keeping", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    keeper = Keeper(folder, process)
    until = clock.monotonic() + START_S
    try:
        while not (pid_of(folder, "server") and answers(kept.api)):
            if process.poll() is not None or clock.monotonic() > until:
                ended = "ended" if process.poll() is not None else f"not ready in {START_S:g} s"
                raise OutsideError(f"the Prefect server {ended}; {_tail(folder)}")
            clock.sleep(_TICK_S)
    except BaseException:
        keeper.stop()
        raise
    if not attached:
        process.returncode = 0  # it goes on without us
    return keeper


def _tail(folder: Path) -> str:
    name = "server" if log_of(folder, "server").exists() else "keeper"
    text = log_of(folder, name).read_text(errors="replace")[-1500:]
    return f"the end of {log_of(folder, name)}:\n{text}"


@dataclass
class Keeper:
    """A keeper that this process started."""

    folder: Path
    process: subprocess.Popen[bytes]

    def wait(self) -> int:
        """Until it ends; ended by what asks us to end. Gives its exit status."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.process.terminate())
        try:
            return self.process.wait()
        except KeyboardInterrupt:
            self.stop()
            return 0

    def stop(self) -> None:
        """End all three."""
        end(self.folder)


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
            with _locked(folder, self.name) as lock, log_of(folder, self.name).open("ab") as out:
                self.process = subprocess.Popen(
                    list(self.command),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=dict(self.environment),
                    start_new_session=True,
                    pass_fds=[lock.fileno()],
                )
                _note(lock, self.process.pid)
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


def _say(text: str) -> None:
    print(f"{clock.now().isoformat(timespec='seconds')} {text}", flush=True)


def environments(folder: Path, kept: Running, here: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Of server and worker. The database's address, a secret, is the server's alone."""
    both = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **PATIENT,
        **here,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": kept.api,
    }
    if (auth := both.get(_SERVER_AUTH)) and _AUTH not in both:
        both[_AUTH] = auth
    drop = (DATABASE, _SERVER_AUTH)
    return {"server": both, "worker": {k: v for k, v in both.items() if k not in drop}}


def keep(folder: Path) -> int:
    """Keep both until asked to end."""
    kept = read(folder)
    if kept is None:
        raise OutsideError(f"{folder / _FACTS} says nothing of what to keep; run `rollout up`")
    prefect = str(Path(sys.executable).with_name("prefect"))
    serve = ["server", "start", "--host", HOST, "--port", str(kept.port)]
    work = ["worker", "start", "--pool", kept.pool, "--type", "process", "--name", "rollout-up"]
    env = environments(folder, kept, os.environ)
    server = _Child("server", [prefect, *serve], env["server"])
    worker = _Child("worker", [prefect, *work], env["worker"])
    asked: list[Any] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.append(True))
    with _locked(folder, "keeper") as lock:
        _note(lock, os.getpid())
        ready = False
        while not asked:
            server.tend(folder)
            # one without a server would only fail; later on it waits for one by itself
            ready = ready or answers(kept.api)
            if ready:
                worker.tend(folder)
            for name in NAMES:
                shorten(log_of(folder, name))
            clock.sleep(_TICK_S)
        for child in (worker, server):
            child.stop()
            _say(f"the {child.name} is ended")
    return 0


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1])))
