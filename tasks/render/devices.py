"""What a profile adds to pods: the serving pod's needs, and the probe's view of a host."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from tasks.accelerators.types import Profile
from tasks.render.release import PodNeeds

HOST = "/host"
# what every Linux node has; the probe reads modules, PCI devices, device files, kernel headers
COMMON_PATHS = ("/proc", "/sys", "/dev", "/lib/modules")
# folders of the file system standard, present on every node: the store's space is that of the
# nearest one, and mounting it creates nothing on the host
STANDARD_FOLDERS = ("/var/lib", "/var", "/opt", "/srv", "/mnt", "/home", "/root", "/usr/local")


def pod_needs(profile: Profile, resource: str) -> PodNeeds:
    """What a serving pod needs of this profile. resource: as choose_resource found it, or ''."""
    volumes, mounts, reasons = [], [], list(profile.security_reasons)
    for mount in profile.mounts:
        host: dict[str, Any] = {"path": mount.path}
        if mount.type:
            host["type"] = mount.type
        volumes.append({"name": mount.name, "hostPath": host})
        here: dict[str, Any] = {"name": mount.name, "mountPath": mount.path}
        if mount.read_only:
            here["readOnly"] = True
        mounts.append(here)
        reasons.append(f"{mount.path}: {mount.reason}")
    return PodNeeds(
        resource=resource,
        volumes=tuple(volumes),
        mounts=tuple(mounts),
        env=dict(profile.env),
        pod_security=dict(profile.pod_security),
        container_security=dict(profile.container_security),
        reasons=tuple(reasons),
        runtime_class=profile.runtime_class,
    )


def probe_root(profile: Profile) -> str:
    """Why the probe of such nodes runs as root; '' where it need not. What it mounts it reads only,
    but as root it may read what only root may."""
    tools = [tool.name for tool in profile.smi if not tool.in_container]
    if not tools:
        return ""
    return f"root: {' and '.join(tools)} of the host read what the driver shows to root alone"


def probe_mounts(
    profile: Profile, store_path: str, *, writable: bool = False
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(volumes, mounts) that show the host to the probe below /host, read-only.

    No privilege and no device access: the files in /dev can be seen, not opened. writable: the
    store itself is mounted for writing (and created), to measure its write rate.
    """
    paths = [*COMMON_PATHS, *profile.probe_paths]
    store = PurePosixPath(store_path)
    parent = next((p for p in STANDARD_FOLDERS if store.is_relative_to(p)), None)
    if parent and parent not in paths and not writable:
        paths.append(parent)
    volumes, mounts = [], []
    for path in paths:
        name = "host" + path.replace("/", "-").lower()
        volumes.append({"name": name, "hostPath": {"path": path}})
        mounts.append(
            {
                "name": name,
                "mountPath": HOST + path,
                "readOnly": True,
                "mountPropagation": "HostToContainer",
            }
        )
    if writable or parent is None:
        # outside the standard folders there is no parent to rely on: the store is made, as the
        # fetch would make it
        host = {"path": store_path, "type": "DirectoryOrCreate"}
        volumes.append({"name": "host-store", "hostPath": host})
        mounts.append(
            {"name": "host-store", "mountPath": HOST + store_path, "readOnly": not writable}
        )
    return volumes, mounts
