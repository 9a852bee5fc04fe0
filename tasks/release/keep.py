"""Which weights somebody needs: what a rollout's state names, and what is mounted of the store. A
mount of a folder may read all that lies below it."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.objects.labels import KIND_LABEL, MANAGED_LABEL, MANAGER
from tasks.release.state import State, releases_named
from tasks.weights.manifest import safe_commit

# our Jobs mount the whole store: what they are for, the states say
_JOBS = ("probe", "fetch", "verify", "gc")


@dataclass(frozen=True)
class Mount:
    """A folder of a host that something mounts. who: in words. text: all that its pod says."""

    who: str
    path: str
    text: str = ""


@dataclass(frozen=True)
class Kept:
    """commits: of a model, that must stay. whole: why nobody knows which others may go, one
    sentence each; empty where all others may."""

    commits: frozenset[str] = frozenset()
    whole: tuple[str, ...] = ()


def models_named(state: State) -> set[str]:
    """The models that a rollout's state names."""
    return {release.model for release in releases_named(state)}


def kept_of(model: str, store: str, states: Iterable[State], mounts: Iterable[Mount]) -> Kept:
    """What of a model must stay.

    states: of every rollout of the cluster, wherever its weights lie: a state does not say where.
    mounts: of pods, of templates that may make pods, and of volumes, whosever they are. A mount of
    `/` is of who looks at a whole host, and counts where it speaks of the store or of the model.
    """
    commits: set[str] = set()
    whole: list[str] = []
    for state in states:
        for release in releases_named(state):
            if not _speaks(release.model, model):
                continue
            if _is_commit(release.commit):
                commits.update([release.commit] if release.model == model else [])
            else:
                whole.append(
                    f"rollout {state.name} has {release.deployment}, of which nobody knows the "
                    "commit"
                )
    root = posixpath.normpath(store)
    for mount in mounts:
        path, folder = posixpath.normpath(mount.path or "."), posixpath.join(root, model)
        if _below(path, folder) and path != folder:
            first = posixpath.relpath(path, folder).split("/", 1)[0]
            commits.update([first] if _is_commit(first) else [])
        elif _below(folder, path) and (path != "/" or root in mount.text or model in mount.text):
            whole.append(f"{mount.who} mounts {path}")
    return Kept(frozenset(commits), tuple(dict.fromkeys(whole)))


def mounts_of(who: str, pod: Mapping[str, Any]) -> list[Mount]:
    """What a PodSpec mounts of its host: of a volume that is mounted by subPath alone, that."""
    every = [
        mount
        for kind in ("containers", "initContainers", "ephemeralContainers")
        for container in pod.get(kind) or ()
        for mount in container.get("volumeMounts") or ()
    ]
    text, out = json.dumps(pod, sort_keys=True), []
    for volume in pod.get("volumes") or ():
        host = str((volume.get("hostPath") or {}).get("path") or "")
        if not host:
            continue
        mine = [mount for mount in every if mount.get("name") == volume.get("name")]
        parts = {str(mount.get("subPath") or "") for mount in mine} or {""}
        out += [Mount(who, posixpath.join(host, part.lstrip("/")), text) for part in sorted(parts)]
    return out


def mounts_in(item: Mapping[str, Any], kind: str) -> list[Mount]:
    """What a Pod mounts, or what a kind of object makes pods of, or a PersistentVolume lies on. Our
    own Jobs' mounts do not count, nor do those of a Job that is over."""
    meta, spec = item.get("metadata") or {}, item.get("spec") or {}
    who = "/".join(filter(None, (meta.get("namespace"), meta.get("name"))))
    who = f"{kind} {who}"
    if kind == "PersistentVolume":
        local = (spec.get("hostPath") or {}).get("path") or (spec.get("local") or {}).get("path")
        return [Mount(who, str(local))] if local else []
    labels = meta.get("labels") or {}
    if labels.get(MANAGED_LABEL) == MANAGER and labels.get(KIND_LABEL) in _JOBS:
        return []
    status = item.get("status") or {}
    over = {found.get("type") for found in status.get("conditions") or () if _true(found)}
    if kind == "Job" and over & {"Complete", "Failed"}:
        return []
    if kind == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    pod = spec if kind == "Pod" else (spec.get("template") or {}).get("spec") or {}
    return mounts_of(who, pod)


def _true(condition: Mapping[str, Any]) -> bool:
    return bool(condition.get("status") == "True")


def _is_commit(text: str) -> bool:
    try:
        safe_commit(text)
    except ValueError:
        return False
    return True


def _speaks(named: str, model: str) -> bool:
    """Whether a release is of a model: what was adopted may name the folder that it reads."""
    return named == model or f"/{model}/" in f"/{named}/"


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder if folder == "/" else f"{folder}/")
