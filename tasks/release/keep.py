"""Which weights somebody needs: what a rollout's state names, and what a pod mounts."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from tasks.release.state import State, releases_named
from tasks.weights.manifest import safe_commit


def models_named(state: State) -> set[str]:
    """The models that a rollout's state names."""
    return {release.model for release in releases_named(state)}


def commits_named(
    model: str, store: str, states: Iterable[State], pods: Iterable[Mapping[str, Any]]
) -> set[str]:
    """Commits of a model that must stay.

    states: of every rollout of the cluster, wherever its weights lie: a state does not say where.
    pods: PodSpecs, of templates too; what they mount of the store stays, whosever they are.
    """
    named = {
        release.commit
        for state in states
        for release in releases_named(state)
        if release.model == model
    }
    root = f"{posixpath.normpath(store)}/{model}/"
    for pod in pods:
        for volume in pod.get("volumes") or ():
            path = posixpath.normpath(str((volume.get("hostPath") or {}).get("path", "")))
            if path.startswith(root):
                with suppress(ValueError):  # no commit's folder
                    named.add(safe_commit(path.removeprefix(root).split("/", 1)[0]))
    return named
