"""What a cluster is made of: nodes, images and the pace of its loops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Image:
    """An image: a folder put first on PATH, and environment variables."""

    path_prepend: str
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeDef:
    """A node. host_root: the folder that plays its file system (one of its own when None).

    kubelet False: a node on which nothing runs, for inventories; its pods are what their
    creator says they are.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, Any], ...] = ()
    capacity: Mapping[str, str] = field(default_factory=dict)
    host_root: Path | None = None
    kubelet: bool = True
    ready: bool = True
    unschedulable: bool = False


@dataclass(frozen=True)
class Settings:
    """Times in seconds. The defaults are Kubernetes' own, but for the image back-off's start."""

    backoff_s: float = 10.0  # first CrashLoopBackOff; doubles
    backoff_max_s: float = 300.0
    backoff_reset_s: float = 600.0  # a life this long starts the back-off anew
    job_backoff_s: float = 10.0
    image_backoff_s: float = 1.0  # from ErrImagePull to ImagePullBackOff
    config_retry_s: float = 2.0  # between tries at mounts, secrets and config maps
    resync_s: float = 30.0
    memory_poll_s: float = 0.5
    proxy_sync_s: float = 1.0  # from a change to the rules that follow it, as kube-proxy batches
    rooms: bool = True  # pods get /dev/shm and cgroups of their own, where the machine lets us
    probe_workers: int = 8
    events_kept: int = 1000
    port: int = 0  # of the API server; 0 picks a free one
