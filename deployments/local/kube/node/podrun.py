"""The thread that leads one pod from its volumes to its removal."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from deployments.local.kube.node import rooms
from deployments.local.kube.node.cell import Cell
from deployments.local.kube.node.volumes import NotMounted, set_up
from deployments.local.kube.node.world import World
from deployments.local.kube.objects import pods
from deployments.local.kube.objects.amounts import quantity
from deployments.local.kube.objects.store import Object, now


class PodRunner:
    """One pod on one node. `update` tells it of a new object; `stop` ends it without a word."""

    def __init__(self, world: World, pod: Object, host_ip: str, host_root: Path) -> None:
        self.world, self.pod = world, pod
        self.host_ip, self.host_root = host_ip, host_root
        meta, self.spec = pod["metadata"], pod["spec"]
        self.ns, self.pod_name, self.uid = meta["namespace"], meta["name"], meta["uid"]
        self.policy = self.spec.get("restartPolicy") or "Always"
        self.folder = world.folder / self.uid
        # short: a Unix socket's path has 107 characters, and engines put theirs into TMPDIR
        self.tmp = Path(tempfile.gettempdir()) / f"pod-{self.uid[:8]}"
        own_network = not self.spec.get("hostNetwork")
        self.ip = world.addresses.take() if own_network else host_ip
        self.volumes: dict[str, Path] = {}
        self.shm = self.folder / "shm"
        self.room = rooms.Room(())
        self.has_init = bool(self.spec.get("initContainers"))
        self.init = [Cell(self, item, init=True) for item in self.spec.get("initContainers") or []]
        self.main = [Cell(self, item, init=False) for item in self.spec["containers"]]
        self.wake = threading.Event()
        self.ending = False
        self._started_at = now()
        self._mounted = self._removed = False
        self._overdue = False
        self._posts: deque[Callable[[], object]] = deque()
        self.thread = threading.Thread(target=self._run, name=f"pod {self.pod_name}", daemon=True)

    @property
    def cells(self) -> list[Cell]:
        """All containers."""
        return [*self.init, *self.main]

    @property
    def grace(self) -> float:
        """Seconds from the first word of its end to SIGKILL."""
        given = self.pod["metadata"].get("deletionGracePeriodSeconds")
        if given is None:
            given = self.spec.get("terminationGracePeriodSeconds")
        return float(30 if given is None else given)

    def update(self, pod: Object, *, removed: bool) -> None:
        """A new version of the object, or its forced removal."""
        self.pod = pod
        if removed:
            self._removed = True
        if removed or pods.terminating(pod):
            self.wake.set()

    def stop(self) -> None:
        """End at once; the cluster goes."""
        self._removed = True
        self.wake.set()

    def post(self, call: Callable[[], object]) -> None:
        """Have the pod's thread call something."""
        self._posts.append(call)
        self.wake.set()

    def say(self, reason: str, message: str, *, warning: bool = False) -> None:
        """An event about this pod."""
        host = str(self.spec.get("nodeName", ""))
        self.world.record(self.pod, reason, message, warning=warning, source="kubelet", host=host)

    def view(self) -> Object:
        """The pod with its addresses, for fieldRefs."""
        return {**self.pod, "status": {"podIP": self.ip, "hostIP": self.host_ip}}

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        for path in (self.tmp, self.folder / "logs", self.shm):
            path.mkdir(parents=True, exist_ok=True)
        try:
            self._write()
            while not self._removed and not pods.terminating(self.pod):
                self.wake.clear()
                while self._posts:
                    self._posts.popleft()()
                pause = self._step()
                self._write()
                if not self._posts:
                    self.wake.wait(pause)
            self._end()
        finally:
            self.world.addresses.give(self.ip)
            self.room.close()
            for path in (self.folder, self.tmp):
                shutil.rmtree(path, ignore_errors=True)

    def _step(self) -> float | None:
        if not self._mounted:
            try:
                self.volumes = set_up(self.world.store, self.pod, self.host_root, self.folder)
                self._furnish()
            except NotMounted as error:
                self.say("FailedMount", str(error), warning=True)
                return self.world.settings.config_retry_s
            self._mounted = True
        if self._finished():
            return None
        if self._deadline():
            return 0.5
        for cell in self.init:
            pause = cell.step()
            if cell.exit is None:
                return self._sooner([pause])
            if cell.exit.code:
                return None
        return self._sooner([cell.step() for cell in self.main])

    def _furnish(self) -> None:
        """Make the pod's file systems in memory. Raises NotMounted."""
        if not self.world.rooms:
            return
        node = self.world.store.get("nodes", "", str(self.spec.get("nodeName"))) or {}
        memory = quantity(str((node.get("status") or {}).get("allocatable", {}).get("memory", 0)))
        places = [
            rooms.InMemory(self.volumes[name], rooms.volume_bytes(self.spec, source, memory))
            for name, source in rooms.in_memory(self.spec).items()
        ]
        places.append(rooms.InMemory(self.shm, rooms.SHM_BYTES, programs=False))
        try:
            self.room = rooms.make(places)
        except (rooms.NoRoom, OSError) as error:
            raise NotMounted("shm", str(error)) from error

    def _sooner(self, pauses: list[float | None]) -> float | None:
        limit = self.spec.get("activeDeadlineSeconds")
        if limit is not None:
            pauses = [*pauses, max(0.05, float(limit) - pods.seconds_since(self._started_at))]
        return min((pause for pause in pauses if pause is not None), default=None)

    def _deadline(self) -> bool:
        limit = self.spec.get("activeDeadlineSeconds")
        if limit is None or pods.seconds_since(self._started_at) < float(limit):
            return False
        if not self._overdue:
            self._overdue = self.ending = True
            text = "Pod was active on the node longer than the specified deadline"
            self.say("DeadlineExceeded", text, warning=True)
            self._stop_lives()
        return True

    def _finished(self) -> bool:
        return self._overdue or self._phase() in pods.FINISHED

    def _stop_lives(self) -> None:
        """End all that runs, each by its hook, SIGTERM, the grace, SIGKILL; waits until they are
        gone. A removal cuts the grace."""
        for cell in self._live():
            cell.end()
        while live := self._live():
            self.wake.clear()
            pauses = [cell.press(hurry=self._removed) for cell in live]
            if self._live():
                self.wake.wait(max(0.02, min(pauses)))
        for cell in self.cells:
            # one that never lived must not be started now
            if cell.life is not None:
                cell.step()

    def _live(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.life is not None and cell.life.exit is None]

    def _end(self) -> None:
        self.ending = True
        if not self._removed:
            for cell in self.cells:
                if cell.life is not None:
                    self.say("Killing", f"Stopping container {cell.name}")
        for cell in self.cells:
            cell.ready = False
        self._stop_lives()
        if not self._removed:
            self._write()
            self.world.store.remove("pods", self.ns, self.pod_name)

    # -- status -------------------------------------------------------------------------------

    def _phase(self) -> str:
        if self._overdue:
            return "Failed"
        if any(cell.exit is not None and cell.exit.code for cell in self.init):
            return "Failed"
        if all(cell.exit is not None for cell in self.main):
            good = all(cell.exit is not None and cell.exit.code == 0 for cell in self.main)
            return "Succeeded" if good else "Failed"
        initialized = all(cell.exit is not None for cell in self.init)
        tried = any(cell.lives for cell in self.main)
        return "Running" if initialized and tried else "Pending"

    def _write(self) -> None:
        phase = self._phase()
        statuses = [cell.status() for cell in self.main]
        initialized = all(cell.exit is not None and cell.exit.code == 0 for cell in self.init)
        unready = [item["name"] for item in statuses if not item["ready"]]
        why = ("", "")
        if phase in pods.FINISHED:
            why = ("PodCompleted" if phase == "Succeeded" else "PodFailed", "")
        elif unready:
            text = f"containers with unready status: [{' '.join(unready)}]"
            why = ("ContainersNotReady", text)
        ready = not unready and phase == "Running"
        begun: tuple[str, str] = ("", "")
        if not initialized:
            open_ones = [c.name for c in self.init if c.exit is None or c.exit.code]
            text = f"containers with incomplete status: [{' '.join(open_ones)}]"
            begun = ("ContainersNotInitialized", text)
        with self.world.store.lock:
            pod = self.world.store.get("pods", self.ns, self.pod_name)
            if pod is None or pod["metadata"]["uid"] != self.uid:
                return
            old = dict(pod.get("status") or {})
            conditions = old.get("conditions") or []
            conditions = pods.set_condition(conditions, "PodScheduled", True)
            conditions = pods.set_condition(conditions, "Initialized", initialized, *begun)
            conditions = pods.set_condition(conditions, "ContainersReady", ready, *why)
            conditions = pods.set_condition(conditions, "Ready", ready, *why)
            status = {
                **old,
                "phase": phase,
                "conditions": conditions,
                "hostIP": self.host_ip,
                "podIP": self.ip,
                "podIPs": [{"ip": self.ip}],
                "startTime": self._started_at,
                "containerStatuses": statuses,
            }
            if self.init:
                status["initContainerStatuses"] = [cell.status() for cell in self.init]
            if self._overdue:
                status["reason"] = "DeadlineExceeded"
            self.world.store.set_status("pods", self.ns, self.pod_name, status)
