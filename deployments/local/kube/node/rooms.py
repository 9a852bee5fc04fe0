"""A pod's own file systems in memory: /dev/shm and volumes of medium Memory, of the right size.

They live in a mount namespace that is held by file descriptors alone, so that nothing of them
stays, whoever dies. Without a privilege it takes a user namespace; where the machine gives
neither, `why_not` says so, and programs see the machine's own /dev/shm.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from deployments.local.kube.node import surroundings
from deployments.local.kube.objects.amounts import quantity

SHM = "/dev/shm"
SHM_BYTES = 64 << 20  # what every container runtime gives
MAKER = str(Path(__file__).with_name("roommaker.py"))
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class InMemory:
    """A file system in memory: where (a folder that is there), how large."""

    path: Path
    size: int
    programs: bool = True  # may hold some that run


class NoRoom(Exception):
    """The machine does not let us make one."""


class Room:
    """The namespaces of a pod. `close` lets them go."""

    def __init__(self, fds: Sequence[int]) -> None:
        self.fds = tuple(fds)

    def close(self) -> None:
        """Give the file descriptors back."""
        for fd in self.fds:
            os.close(fd)
        self.fds = ()


def make(places: Sequence[InMemory]) -> Room:
    """Make a room. Raises NoRoom."""
    plan = [
        [str(p.path), p.size, _NOSUID | _NODEV | (0 if p.programs else _NOEXEC)] for p in places
    ]
    with subprocess.Popen(
        [sys.executable, "-I", "-S", MAKER, json.dumps(plan)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as maker:
        assert maker.stdout is not None
        said = maker.stdout.readline().strip()
        if said != "ready":
            raise NoRoom(said or "it ended without a word")
        return Room(surroundings.namespaces(maker.pid))


def why_not() -> str:
    """Why this machine gives no rooms; '' where it does. Tries one, from making to mounting."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "shm"
        place.mkdir()
        try:
            room = make([InMemory(place, 1 << 20)])
        except (NoRoom, OSError) as error:
            return str(error)
        try:
            around = surroundings.Around(enter=room.fds, binds=((str(place), SHM),))
            tried = surroundings.start(
                "/bin/true", ["true"], {}, Path("/"), around, stdout=subprocess.DEVNULL
            )
            return "" if tried.wait(_PATIENCE_S) == 0 else "a program cannot be started in one"
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        finally:
            room.close()


# -- sizes, as the kubelet reckons them -------------------------------------------------------


def _limit(spec: Mapping[str, Any]) -> Decimal | None:
    """A pod's memory limit: its containers' in sum, None unless each has one."""
    total = Decimal(0)
    for container in spec["containers"]:
        limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
        if not limit:
            return None
        total += quantity(str(limit))
    return total


def volume_bytes(spec: Mapping[str, Any], empty_dir: Mapping[str, Any], node: Decimal) -> int:
    """Size of an emptyDir in memory: the least of its sizeLimit, the pod's memory limit and
    `node`, the node's allocatable memory. Source: calculateEmptyDirMemorySize of the kubelet."""
    sizes = [node]
    if limit := _limit(spec):
        sizes.append(limit)
    if given := empty_dir.get("sizeLimit"):
        sizes.append(quantity(str(given)))
    return int(min(sizes))


def in_memory(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The emptyDir volumes of medium Memory, by name."""
    return {
        str(volume["name"]): volume["emptyDir"]
        for volume in spec.get("volumes") or []
        if (volume.get("emptyDir") or {}).get("medium") == "Memory"
    }
