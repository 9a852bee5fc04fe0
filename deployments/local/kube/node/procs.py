"""Process trees: their memory and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Proc:
    """One line of /proc: pid, parent, session, start (clock ticks since boot), RSS (bytes)."""

    pid: int
    parent: int
    session: int
    started: int
    rss: int


def table() -> dict[int, Proc]:
    """All processes but zombies."""
    out = {}
    for name in (entry.name for entry in Path("/proc").iterdir()):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                text = Path(f"/proc/{name}/stat").read_text()
                field = text.rsplit(")", 1)[1].split()
                if field[0] not in "ZX":
                    out[int(name)] = Proc(
                        int(name),
                        int(field[1]),
                        int(field[3]),
                        int(field[19]),
                        int(field[21]) * PAGE,
                    )
    return out


def tree(root: int, procs: dict[int, Proc]) -> list[Proc]:
    """A process, its descendants and everyone in their sessions that it leads."""
    found = {pid for pid, proc in procs.items() if proc.session == root or pid == root}
    grew = True
    while grew:
        more = {pid for pid, proc in procs.items() if proc.parent in found and pid not in found}
        found |= more
        grew = bool(more)
    return [procs[pid] for pid in found]


def charged_memory(procs: list[Proc]) -> int:
    """Bytes a tree could not give back: anonymous and shared memory, each page counted once.

    Mapped files are left out, as the kernel drops them before it kills. RSS where that is hidden.
    """
    total = 0
    for proc in procs:
        try:
            lines = Path(f"/proc/{proc.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            total += proc.rss
            continue
        for line in lines:
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
    return total


def listening(procs: list[Proc]) -> set[tuple[str, int]]:
    """Addresses and TCP ports that these processes listen on: ('127.0.0.1', 80), ('::', 80)."""
    theirs = set()
    for proc in procs:
        with contextlib.suppress(OSError):
            for fd in Path(f"/proc/{proc.pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    theirs.add(str(fd.readlink()))
    out = set()
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
                field = line.split()
                if field[3] == "0A" and f"socket:[{field[9]}]" in theirs:
                    raw, port = field[1].split(":")
                    out.add((_address(family, raw), int(port, 16)))
    return out


def _address(family: socket.AddressFamily, raw: str) -> str:
    """An address as /proc/net writes it: words of four bytes, each in this machine's order."""
    words = [int(raw[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(raw), 8)]
    return socket.inet_ntop(family, b"".join(words))


def signal_all(procs: list[Proc], number: int) -> None:
    """Signal each; gone ones are fine."""
    for proc in procs:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(proc.pid, number)


def end(root: int, started: int) -> None:
    """Kill what is left of a tree that a crashed daemon left behind.

    Its leader may be dead; a stranger who was given the leader's pid is not touched.
    """
    for _ in range(50):
        procs = table()
        leader = procs.get(root)
        if leader is not None and leader.started != started:
            return
        left = [proc for proc in tree(root, procs) if proc.started >= started]
        if not left:
            return
        signal_all(left, signal.SIGKILL)
        time.sleep(0.02)
