"""Runs the pods of the nodes that have a kubelet."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments.local.kube.network.addresses import Addresses
from deployments.local.kube.network.endpoints import Target
from deployments.local.kube.node import procs, rooms
from deployments.local.kube.node.cell import Cell
from deployments.local.kube.node.containers import PidFile
from deployments.local.kube.node.limits import Cgroups
from deployments.local.kube.node.podrun import PodRunner
from deployments.local.kube.node.probes import Prober
from deployments.local.kube.node.world import World
from deployments.local.kube.objects import pods
from deployments.local.kube.objects.record import Recorder
from deployments.local.kube.objects.store import Event, Object, Store
from deployments.local.kube.objects.work import Work
from deployments.local.kube.settings import Image, Settings

LOG = logging.getLogger(__name__)
# what a program listens on -> where it is found on this machine
_LOCAL = {"127.0.0.1": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "::1": "::1"}


@dataclass(frozen=True)
class Home:
    """A node's address and the folder that plays its root."""

    address: str
    root: Path


class Kubelets:
    """All kubelets of a cluster: one listener, a thread a pod, a few for probes."""

    def __init__(
        self,
        store: Store,
        record: Recorder,
        settings: Settings,
        homes: Mapping[str, Home],
        images: Mapping[str, Image],
        folder: Path,
        addresses: Addresses,
    ) -> None:
        self._store, self._homes, self._settings = store, homes, settings
        self._folder = folder
        self._cgroups = Cgroups()
        why = rooms.why_not() if settings.rooms else "they are turned off"
        self.notes: list[str] = []
        if why:
            self.notes.append(
                "containers see this machine's own /dev/shm and memory, not what their pod asks "
                f"for: mounts of a pod's own cannot be made here ({why})"
            )
        self._world = World(
            store=store,
            record=record,
            settings=settings,
            images=images,
            addresses=addresses,
            prober=Prober(settings.probe_workers),
            pids=PidFile(folder / "pids"),
            folder=folder / "pods",
            rooms=not why,
            cgroups=self._cgroups if settings.rooms and self._cgroups.held else None,
        )
        self._runs: dict[str, PodRunner] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._limited = threading.Event()
        self._work = Work("kubelet", self._take)
        self._memory = threading.Thread(target=self._watch_memory, name="memory", daemon=True)

    def start(self) -> None:
        """Clean up after a crash and begin."""
        for note in self.notes:
            LOG.warning("%s", note)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._world.pids.clean()
        self._cgroups.clean()
        shutil.rmtree(self._world.folder, ignore_errors=True)
        self._world.folder.mkdir(parents=True)
        self._world.prober.start()
        self._store.listen(self._hear)
        for pod in self._store.list("pods"):
            self._hear((0, "pods", "ADDED", pod))
        self._work.start()
        self._memory.start()

    def stop(self) -> None:
        """Kill every container and wait for their threads."""
        self._store.unlisten(self._hear)
        self._stopping.set()
        self._limited.set()
        self._work.stop()
        self._world.prober.stop()
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.stop()
        for run in runs:
            run.thread.join(10.0)
        self._memory.join(5.0)
        with contextlib.suppress(OSError):
            self._world.pids.clean()

    def logs(self, ns: str, pod: str, container: str, previous: bool) -> Path | None:
        """A container's log file; None when there is none."""
        cell = self._cell(ns, pod, container)
        return cell.log(previous) if cell else None

    def loopback(self, ns: str, pod: str, port: int) -> Target | None:
        """Where a port of the pod's own 127.0.0.1 leads; None where nothing listens there.

        All pods share one loopback, so it is asked who listens, and 0.0.0.0 in a container's
        arguments has become the pod's address: there a program was told to listen everywhere.
        """
        run = self._run(ns, pod)
        if run is None:
            return None
        table = procs.table()
        for cell in run.cells:
            if cell.life is None:
                continue
            found = procs.listening(procs.tree(cell.life.pid, table))
            for address, where in _LOCAL.items():
                if (address, port) in found:
                    return where, port
            if cell.everywhere and (run.ip, port) in found:
                return run.ip, port
        return None

    def _run(self, ns: str, pod: str) -> PodRunner | None:
        found = self._store.get("pods", ns, pod)
        return self._runs.get(found["metadata"]["uid"]) if found else None

    def _cell(self, ns: str, pod: str, container: str) -> Cell | None:
        run = self._run(ns, pod)
        return next((c for c in run.cells if c.name == container), None) if run else None

    # -- inside -------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        _, plural, what, obj = event
        if plural != "pods" or (obj.get("spec") or {}).get("nodeName") not in self._homes:
            return
        uid = obj["metadata"]["uid"]
        run = self._runs.get(uid)
        if run is not None:
            run.update(obj, removed=what == "DELETED")
        elif what != "DELETED":
            self._work.add((obj["metadata"]["namespace"], obj["metadata"]["name"], uid))

    def _take(self, key: Hashable) -> None:
        """Start a pod that is new here."""
        assert isinstance(key, tuple)
        ns, name, uid = key
        with self._store.lock:
            pod: Object | None = self._store.get("pods", ns, name)
            if pod is None or pod["metadata"]["uid"] != uid or uid in self._runs:
                return
            if pods.phase(pod) in pods.FINISHED:
                return
            if self._stopping.is_set():
                return
            home = self._homes[pod["spec"]["nodeName"]]
            run = PodRunner(self._world, pod, home.address, home.root)
            with self._lock:
                self._runs[uid] = run
        threading.Thread(target=self._reap, args=(uid, run), name="reap", daemon=True).start()

    def _reap(self, uid: str, run: PodRunner) -> None:
        run.thread.start()
        if any(cell.memory_limit for cell in run.cells):
            self._limited.set()
        run.thread.join()
        with self._lock:
            self._runs.pop(uid, None)

    def _watch_memory(self) -> None:
        """Kill containers whose processes hold more than limits.memory."""
        while not self._stopping.is_set():
            self._limited.wait()
            self._limited.clear()
            with self._lock:
                runs = list(self._runs.values())
            cells = [cell for run in runs for cell in run.cells if cell.memory_limit]
            if not cells:
                continue
            self._limited.set()
            if any(cell.life is not None for cell in cells):
                table = procs.table()
                for cell in cells:
                    self._judge(cell, table)
            self._stopping.wait(self._settings.memory_poll_s)

    @staticmethod
    def _judge(cell: Cell, table: dict[int, procs.Proc]) -> None:
        life, limit = cell.life, cell.memory_limit
        if life is None or limit is None or life.exit is not None:
            return
        if life.group is not None:
            over = life.group.overrun()  # the kernel may have ended one process of several
        else:
            tree = procs.tree(life.pid, table)
            held = sum(proc.rss for proc in tree)
            held = procs.charged_memory(tree) if held > limit else held
            cell.figures.write("memory.current", held)
            over = held > limit
        if over:
            life.out_of_memory = True
            life.kill()
