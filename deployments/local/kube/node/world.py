"""What all pods of a cluster share, and what a container asks of its pod."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deployments.local.kube.network.addresses import Addresses
from deployments.local.kube.node.containers import PidFile
from deployments.local.kube.node.limits import Cgroups
from deployments.local.kube.node.probes import Prober
from deployments.local.kube.node.rooms import Room
from deployments.local.kube.objects.record import Recorder
from deployments.local.kube.objects.store import Object, Store
from deployments.local.kube.settings import Image, Settings


@dataclass(frozen=True)
class World:
    """What all pods of a cluster share. rooms: pods get mounts of their own. cgroups: None for
    memory limits that the kubelet's look at the processes holds."""

    store: Store
    record: Recorder
    settings: Settings
    images: Mapping[str, Image]
    addresses: Addresses
    prober: Prober
    pids: PidFile
    folder: Path
    rooms: bool
    cgroups: Cgroups | None


class Pod(Protocol):
    """The pod of a container, as the container sees it."""

    world: World
    spec: Object
    ns: str
    pod_name: str
    uid: str
    policy: str
    ip: str
    folder: Path
    tmp: Path
    shm: Path
    volumes: dict[str, Path]
    room: Room
    wake: threading.Event
    has_init: bool
    ending: bool

    @property
    def grace(self) -> float:
        """Seconds from the first word of its end to SIGKILL."""

    def view(self) -> Object:
        """The pod with its addresses, for fieldRefs."""

    def post(self, call: Callable[[], object]) -> None:
        """Have the pod's thread call something."""

    def say(self, reason: str, message: str, *, warning: bool = False) -> None:
        """An event about this pod."""
