"""Memory limits of containers: a cgroup each, where this machine lets us make one.

The kernel then holds the limit, and the program reads it where programs look, /sys/fs/cgroup.
Elsewhere a folder with the same two figures is shown there, and the kubelet's own look at the
processes holds the limit (see kubelet._watch_memory).
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from deployments.local.kube.node import procs

MOUNT = Path("/sys/fs/cgroup")
_PREFIX = "model-rollout-"
_TRIES, _PAUSE_S = 50, 0.02  # a cgroup is busy for a moment after its last process


@dataclass(frozen=True)
class Group:
    """One container life's cgroup. place: where its program looks for it."""

    path: Path
    place: Path
    unified: bool

    @property
    def join(self) -> str:
        """The file that takes a process in."""
        return str(self.path / "cgroup.procs")

    def overrun(self) -> bool:
        """The kernel has killed in it for want of memory."""
        name = "memory.events" if self.unified else "memory.oom_control"
        with contextlib.suppress(OSError):
            for line in (self.path / name).read_text().splitlines():
                word, _, count = line.partition(" ")
                if word == "oom_kill":
                    return int(count) > 0
        return False

    def remove(self) -> None:
        """Take it away, once its processes are gone."""
        for _ in range(_TRIES):
            try:
                return self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(_PAUSE_S)


def home(mount: Path = MOUNT, own: str | None = None) -> tuple[Path, bool] | None:
    """The folder below which we may make cgroups that hold memory, and whether it is of the
    unified hierarchy (version 2); None where there is none. own: the text of /proc/self/cgroup.

    Version 1: below our own. Version 2: beside our own, for one with processes has no children
    that are limited; systemd delegates that to a user's programs.
    """
    text = Path("/proc/self/cgroup").read_text() if own is None else own
    rows = [line.split(":", 2) for line in text.splitlines()]
    for _, controllers, path in rows:
        if "memory" in controllers.split(","):
            folder = mount / "memory" / path.lstrip("/")
            return (folder, False) if _writable(folder) else None
    for number, controllers, path in rows:
        if number != "0" or controllers or path == "/":
            continue
        folder = (mount / path.lstrip("/")).parent
        with contextlib.suppress(OSError):
            shared = (folder / "cgroup.subtree_control").read_text().split()
            if "memory" in shared and _writable(folder):
                return folder, True
    return None


def _writable(folder: Path) -> bool:
    return all(os.access(path, os.W_OK) for path in (folder, folder / "cgroup.procs"))


class Cgroups:
    """Makes them. `held`: it can; asked once, by making one."""

    def __init__(self) -> None:
        self._home = home()
        trial = self.make(f"trial-{id(self)}", 1 << 26)
        self.held = trial is not None
        if trial is not None:
            trial.remove()

    def make(self, name: str, limit: int) -> Group | None:
        """A cgroup of `limit` bytes; None where none can be made."""
        if self._home is None:
            return None
        folder, unified = self._home
        path = folder / f"{_PREFIX}{os.getpid()}-{name}"
        if unified:
            files = {"memory.max": limit, "memory.swap.max": 0, "memory.oom.group": 1}
        else:
            files = {"memory.limit_in_bytes": limit, "memory.memsw.limit_in_bytes": limit}
        group = Group(path, MOUNT if unified else MOUNT / "memory", unified)
        try:
            path.mkdir()
            for at, (file, value) in enumerate(files.items()):
                if at == 0 or (path / file).exists():
                    (path / file).write_text(str(value))
        except OSError:
            with contextlib.suppress(OSError):
                path.rmdir()
            return None
        return group

    def clean(self) -> None:
        """Take away what kubelets that are no more have left."""
        if self._home is None:
            return
        alive = procs.table()
        for path in self._home[0].glob(f"{_PREFIX}*"):
            owner = path.name.removeprefix(_PREFIX).partition("-")[0]
            if not owner.isdigit() or int(owner) not in alive:
                with contextlib.suppress(OSError):
                    path.rmdir()


@dataclass(frozen=True)
class Figures:
    """The two figures where there is no cgroup: a folder shown as /sys/fs/cgroup."""

    folder: Path
    place: Path = MOUNT

    def write(self, name: str, value: int) -> None:
        """Put one, in one step: a reader never sees half of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        half = self.folder / f".{name}"
        half.write_text(f"{value}\n")
        half.replace(self.folder / name)
