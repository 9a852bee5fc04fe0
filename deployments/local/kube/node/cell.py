"""A container of a pod over its lives: waiting, running, ended, started anew."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deployments.local.kube.node import rooms, surroundings
from deployments.local.kube.node.containers import Ending, Exit, Life
from deployments.local.kube.node.environment import variables
from deployments.local.kube.node.limits import Figures, Group
from deployments.local.kube.node.probes import Place, Watch
from deployments.local.kube.node.translate import Translator, any_address, expand
from deployments.local.kube.node.volumes import BadConfig, mounts_of
from deployments.local.kube.node.world import Pod
from deployments.local.kube.objects.amounts import quantity
from deployments.local.kube.objects.store import now
from deployments.local.kube.settings import Image

BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Cell:
    """One container. Only its pod's thread calls `step`, `end`, `press` and `status`."""

    def __init__(self, run: Pod, spec: Mapping[str, Any], *, init: bool) -> None:
        self.run, self.spec, self.init = run, spec, init
        self.name = str(spec["name"])
        self.life: Life | None = None
        self.exit: Exit | None = None  # the end of the current life, when it will not come again
        self.last: Exit | None = None  # the end of the life before
        self.waiting = ("PodInitializing" if run.has_init and not init else "ContainerCreating", "")
        self.lives = self._last_life = 0
        self.started = self.ready = False
        self._wait_until, self._crashes = 0.0, 0
        self._ending: Ending | None = None
        self._watches: list[Watch] = []
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
        self.memory_limit = int(quantity(str(limit))) if limit else None

        self.everywhere = False  # it was told to listen on 0.0.0.0
        self.figures = Figures(run.folder / "figures" / self.name)

    @property
    def restarts(self) -> int:
        """How often it was started anew: an end alone is no restart."""
        return max(0, self.lives - 1)

    # -- moving on ----------------------------------------------------------------------------

    def step(self) -> float | None:
        """Do what is due; seconds until something is due again, None for when it is told."""
        if self.exit is not None:
            return None
        if self.life is not None:
            if self.life.exit is None:
                return self._ending.press() if self._ending is not None else None
            self._ended(self.life.exit)
            if self.exit is not None:
                return None
        left = self._wait_until - time.monotonic()
        if left > 0:
            return left
        return self._start()

    def _ended(self, end: Exit) -> None:
        assert self.life is not None
        ran = time.monotonic() - self.life.born
        self.life = None
        self._after(end, ran)

    def _after(self, end: Exit, ran: float) -> None:
        self.started = self.ready = False
        self._ending = None
        for watch in self._watches:
            watch.over = True
        self._watches = []
        policy = self.run.policy
        if self.init and policy == "Always":
            policy = "OnFailure"
        if self.run.ending or policy == "Never" or (policy == "OnFailure" and end.code == 0):
            self.exit = end
            return
        settings = self.run.world.settings
        if ran >= settings.backoff_reset_s:
            self._crashes = 0
        self._crashes += 1
        self.last, self._last_life = end, self.lives
        pause = 0.0
        if self._crashes > 1:
            pause = min(settings.backoff_s * 2 ** (self._crashes - 2), settings.backoff_max_s)
            text = (
                f"back-off {pause:g}s restarting failed container={self.name} "
                f"pod={self.run.pod_name}_{self.run.ns}({self.run.uid})"
            )
            self.waiting = ("CrashLoopBackOff", text)
            self.run.say(
                "BackOff",
                f"Back-off restarting failed container {self.name} in pod "
                f"{self.run.pod_name}_{self.run.ns}({self.run.uid})",
                warning=True,
            )
        self._wait_until = time.monotonic() + pause

    def _start(self) -> float | None:
        settings = self.run.world.settings
        name = str(self.spec["image"])
        image = self.run.world.images.get(name)
        if image is None:
            return self._no_image(name, settings.image_backoff_s)
        try:
            argv, env, cwd = self.command(
                [*(self.spec.get("command") or []), *(self.spec.get("args") or [])], image
            )
        except BadConfig as error:
            self.waiting = ("CreateContainerConfigError", str(error))
            self.run.say("Failed", f"Error: {error}", warning=True)
            self._wait_until = time.monotonic() + settings.config_retry_s
            return settings.config_retry_s
        log = self.run.folder / "logs" / self.name / f"{self.lives}.log"
        if self.lives == 0:
            text = f'Container image "{name}" already present on machine'
            self.run.say("Pulled", f"{text} and can be accessed by the pod")
        program = shutil.which(argv[0], path=env["PATH"]) if argv else None
        self.lives += 1
        if program is None or not cwd.is_dir():
            what = argv[0] if argv else "(no command)"
            why = f'exec: "{what}": executable file not found in $PATH'
            if program is not None:
                why = f'chdir to cwd ("{cwd}") set in config.json failed: no such file or directory'
            text = f"failed to create containerd task: failed to create shim task: {why}: unknown"
            self.run.say("Failed", f"Error: {text}", warning=True)
            self._after(Exit(128, "StartError", now(), now(), text), 0.0)
            return 0.0 if self.exit is None else None
        self.life = self._live(program, argv, env, cwd, log)
        for word in ("Created", "Started"):
            self.run.say(word, f"Container {word.lower()}")
        self._watch()
        return None

    def _no_image(self, name: str, pause: float) -> float:
        if self.waiting[0] in ("ErrImagePull", "ImagePullBackOff"):
            if self.waiting[0] == "ErrImagePull":
                self.waiting = ("ImagePullBackOff", f'Back-off pulling image "{name}"')
                self.run.say("BackOff", self.waiting[1])
            self._wait_until = time.monotonic() + 10.0
            return 10.0
        text = f"manifest for {name} not found: not found"
        self.waiting = ("ErrImagePull", text)
        self.run.say("Failed", f'Failed to pull image "{name}": {text}', warning=True)
        self.run.say("Failed", "Error: ErrImagePull", warning=True)
        self._wait_until = time.monotonic() + pause
        return pause

    # -- the process's surroundings -----------------------------------------------------------

    def _live(
        self, program: str, argv: list[str], env: dict[str, str], cwd: Path, log: Path
    ) -> Life:
        """Start a life within the container's limit, and with the mounts that it alone sees."""
        run, spec = self.run, self.run.spec
        group: Group | None = None
        binds: list[tuple[str, str]] = []
        if self.memory_limit and run.world.cgroups is not None:
            name = f"{run.uid[:13]}-{self.name}-{self.lives}"
            group = run.world.cgroups.make(name, self.memory_limit)
        if group is not None:
            binds.append((str(group.path), str(group.place)))
        elif self.memory_limit:
            self.figures.write("memory.max", self.memory_limit)
            self.figures.write("memory.current", 0)
            binds.append((str(self.figures.folder), str(self.figures.place)))
        if not spec.get("hostIPC"):
            mounted = mounts_of(self.spec, run.volumes).get(rooms.SHM, str(run.shm))
            binds.append((mounted, rooms.SHM))
        fds = run.room.fds
        around = surroundings.Around(
            enter=fds,
            binds=tuple(binds) if fds else (),
            join=(group.join,) if group is not None else (),
        )
        first = not spec.get("hostPID") and not spec.get("shareProcessNamespace")
        wake, pids = run.wake.set, run.world.pids
        return Life(argv, program, env, cwd, log, wake, pids, around, group, first=first)

    def start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command in the running container, as exec probes do. Raises OSError."""
        argv, env, cwd = self.command(words)
        program = shutil.which(argv[0], path=env["PATH"]) if argv else None
        life = self.life
        if program is None or life is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), *argv[:1])
        fds = surroundings.namespaces(life.pid)
        try:
            join = (life.group.join,) if life.group is not None else ()
            around = surroundings.Around(enter=fds, join=join)
            return surroundings.start(program, argv, env, cwd, around)
        finally:
            for fd in fds:
                os.close(fd)

    def command(
        self, words: Sequence[str], image: Image | None = None
    ) -> tuple[list[str], dict[str, str], Path]:
        """Arguments, environment and working directory of a program in this container.

        Raises BadConfig.
        """
        run = self.run
        image = image or run.world.images[str(self.spec["image"])]
        paths = Translator(
            mounts_of(self.spec, run.volumes), str(run.folder / "mirror" / self.name)
        )
        for link, real in paths.mirrored().items():
            if not Path(link).is_symlink():
                Path(link).parent.mkdir(parents=True, exist_ok=True)
                Path(link).symlink_to(real)
        own = variables(run.world.store, run.view(), self.spec)
        given = {key: paths.text(value) for key, value in own.items()}
        env = {
            "PATH": f"{image.path_prepend}:{BASE_PATH}",
            "HOME": str(run.folder),
            # there is no file system of its own to have a /tmp in
            "TMPDIR": str(run.tmp),
            "HOSTNAME": run.pod_name,
            **image.env,
            **given,
        }
        told = [paths.text(expand(word, own)) for word in words]
        argv = [any_address(word, run.ip) for word in told]
        self.everywhere = self.everywhere or argv != told
        cwd = self.spec.get("workingDir")
        return argv, env, Path(paths.text(str(cwd))) if cwd else run.folder

    # -- probes -------------------------------------------------------------------------------

    def _watch(self) -> None:
        ports = {
            item["name"]: int(item["containerPort"])
            for item in self.spec.get("ports") or []
            if item.get("name")
        }
        self._place = Place(self.run.ip, ports, self.start)
        if self.spec.get("startupProbe"):
            self._add("startupProbe", self._startup)
        else:
            self._begin()

    def _begin(self) -> None:
        """Started: readiness and liveness count from now on."""
        self.started = True
        self.ready = not self.spec.get("readinessProbe")
        if not self.ready:
            self._add("readinessProbe", self._readiness)
        if self.spec.get("livenessProbe"):
            self._add("livenessProbe", self._alive)

    def _add(self, field: str, verdict: Any) -> None:
        probe, life = self.spec[field], self.life
        assert life is not None
        word = field.removesuffix("Probe").capitalize()

        def failed(message: str) -> None:
            self.run.say("Unhealthy", f"{word} probe failed: {message}", warning=True)

        def told(fine: bool) -> None:
            self.run.post(lambda: verdict(fine) if self.life is life else None)

        watch = Watch(probe, self._place, failed, told)
        self._watches.append(watch)
        delay = float(probe.get("initialDelaySeconds") or 0) - (time.monotonic() - life.born)
        self.run.world.prober.add(watch, max(0.05, delay))

    def _startup(self, fine: bool) -> None:
        for watch in self._watches:
            watch.over = True
        if fine:
            self._begin()
        else:
            self._doom("startup")

    def _readiness(self, fine: bool) -> None:
        self.ready = fine

    def _alive(self, fine: bool) -> None:
        if not fine:
            self._doom("liveness")

    def _doom(self, word: str) -> None:
        text = f"Container {self.name} failed {word} probe, will be restarted"
        self.run.say("Killing", text)
        self.end()

    def end(self) -> None:
        """Begin its end, if it runs and that has not begun: its hook, SIGTERM, SIGKILL."""
        life = self.life
        if life is None or self._ending is not None:
            return

        def failed() -> None:
            self.run.say("FailedPreStopHook", "PreStopHook failed", warning=True)

        hook = (self.spec.get("lifecycle") or {}).get("preStop") or {}
        run = self.run
        self._ending = Ending(
            hook,
            self._place,
            lambda: run.grace,
            life.term,
            life.kill,
            failed,
            run.wake.set,
        )
        self._ending.press()

    def press(self, *, hurry: bool) -> float:
        """Move its end on; seconds until something is due again."""
        return self._ending.press(hurry=hurry) if self._ending is not None else 0.0

    # -- saying -------------------------------------------------------------------------------

    def log(self, previous: bool) -> Path | None:
        """The log that `kubectl logs` would show."""
        last = self.last.log if self.last else None
        if previous:
            return last
        if self.life is not None:
            return self.life.log
        return self.exit.log if self.exit is not None else last

    def _id(self, life: int) -> str:
        text = f"{self.run.uid}/{self.name}/{life}"
        return f"local://{hashlib.sha256(text.encode()).hexdigest()}"

    def status(self) -> dict[str, Any]:
        """Its ContainerStatus."""
        name = str(self.spec["image"])
        image = self.run.world.images.get(name)
        out: dict[str, Any] = {
            "name": self.name,
            "image": name,
            "imageID": "",
            "ready": self.ready and self.life is not None,
            "started": self.started and self.life is not None,
            "restartCount": self.restarts,
            "lastState": {},
        }
        if self.init:
            out["ready"] = self.exit is not None and self.exit.code == 0
        if image is not None and self.lives:
            digest = hashlib.sha256(f"{name}\n{image.path_prepend}".encode()).hexdigest()
            out["imageID"] = f"local://sha256:{digest}"
            out["containerID"] = self._id(self.lives)
        if self.last is not None:
            out["lastState"] = {"terminated": self.last.state(self._id(self._last_life))}
        if self.life is not None:
            out["state"] = {"running": {"startedAt": self.life.started}}
        elif self.exit is not None:
            out["state"] = {"terminated": self.exit.state(self._id(self.lives))}
        else:
            reason, message = self.waiting
            words = {"message": message} if message else {}
            out["state"] = {"waiting": {"reason": reason, **words}}
        return out
