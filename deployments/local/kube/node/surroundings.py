"""How a program gets to where its container is: namespaces, mounts of its own, a cgroup."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LAUNCHER = str(Path(__file__).with_name("launcher.py"))


@dataclass(frozen=True)
class Around:
    """enter: file descriptors of namespaces, in order. binds: (source, destination) mounts that
    only the program sees. join: cgroup.procs files."""

    enter: tuple[int, ...] = ()
    binds: tuple[tuple[str, str], ...] = ()
    join: tuple[str, ...] = ()


def start(
    program: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    around: Around,
    stdout: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start a program there, in a session of its own; it dies with the thread that starts it."""
    plan = {**asdict(around), "parent": os.getpid(), "cwd": str(cwd), "names": sorted(env)}
    return subprocess.Popen(
        [sys.executable, "-I", "-S", LAUNCHER, json.dumps(plan), program, *argv],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        env=dict(env),
        pass_fds=around.enter,
        start_new_session=True,
    )


def namespaces(pid: int) -> tuple[int, ...]:
    """The user and the mount namespace of a process, where they are not ours; to be closed.

    A user namespace comes first: it gives the right to enter the other.
    """
    found: list[int] = []
    for name in ("user", "mnt"):
        there = Path(f"/proc/{pid}/ns/{name}")
        if there.stat().st_ino != Path(f"/proc/self/ns/{name}").stat().st_ino:
            found.append(os.open(there, os.O_RDONLY | os.O_CLOEXEC))
    return tuple(found)


def heeds(pid: int, number: int) -> bool:
    """Whether a container's first process would notice a signal: the kernel drops what process 1
    has no handler for. One that it blocks waits for it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    masks: dict[str, Any] = dict(line.split(":", 1) for line in lines if line.startswith("Sig"))
    bit = 1 << (number - 1)
    return any(int(masks[name], 16) & bit for name in ("SigCgt", "SigBlk"))
