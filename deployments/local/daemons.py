"""Processes that outlive the command that started them: hub, cluster, Prefect server.

Each is known by its pid and start time, so that a pid used again by a stranger is never signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from deployments.local.errors import StandInError

START_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Daemon:
    """A process we started: name, pid, start time (clock ticks since boot), its log."""

    name: str
    pid: int
    started: str
    log: str


def start_time(pid: int) -> str:
    """When a process started, as the kernel tells; '' when there is none (or it is a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def alive(daemon: Daemon) -> bool:
    """The very process we started still runs."""
    return start_time(daemon.pid) == daemon.started != ""


def launch(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str],
    ready: Callable[[], bool],
) -> Daemon:
    """Start a process in its own session and wait until `ready`.

    Raises StandInError with the end of its log when it dies or never becomes ready.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(env),
            start_new_session=True,
        )
    daemon = Daemon(name, child.pid, start_time(child.pid), str(log))
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready():
        if child.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-1500:]
            what = "ended" if child.poll() is not None else f"not ready after {START_TIMEOUT_S:g} s"
            stop(daemon)
            raise StandInError(f"the embedded {name} {what}; the end of {log}:\n{tail}")
        time.sleep(0.1)
    return daemon


def stop(daemon: Daemon) -> None:
    """End it and wait; killed when it does not listen."""
    for number, patience in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, 10.0)):
        if not alive(daemon):
            break
        os.kill(daemon.pid, number)
        deadline = time.monotonic() + patience
        while alive(daemon) and time.monotonic() < deadline:
            _reap(daemon.pid)
            time.sleep(0.05)
    _reap(daemon.pid)


def _reap(pid: int) -> None:
    """Collect our own dead child, so that it does not look alive as a zombie."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def save(path: Path, daemons: Sequence[Daemon], facts: Mapping[str, str]) -> None:
    """Write what runs, and where, in one step."""
    half = path.with_suffix(".half")
    half.write_text(json.dumps({"daemons": [asdict(d) for d in daemons], "facts": dict(facts)}))
    half.replace(path)


def read(path: Path) -> tuple[list[Daemon], dict[str, str]]:
    """What was written by `save`; nothing where there is no readable file."""
    try:
        data = json.loads(path.read_text())
        return [Daemon(**item) for item in data["daemons"]], dict(data["facts"])
    except (OSError, ValueError, KeyError, TypeError):
        return [], {}
