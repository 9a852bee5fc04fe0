"""Look for new model versions, and tell the rollout's trigger with an event.

An event is a hint and may be lost; this flow runs on a schedule and says it again until the
version serves. The event's id follows from the version, so the same one triggers once.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from prefect import flow
from prefect.events import emit_event

from tasks.cluster import Cluster
from tasks.errors import SpecError
from tasks.hub import Hub
from tasks.specfile import read_spec
from tasks.state import configmap_name, from_configmap

EVENT = "model-rollout.new-version"
_SPACE = uuid.UUID("6f7a4a0e-6d1c-4f0a-9a53-2f0c8f1f4f11")


def event_id(namespace: str, name: str, commit: str) -> uuid.UUID:
    """The same version of the same rollout always has the same event id."""
    return uuid.uuid5(_SPACE, f"{namespace}/{name}/{commit}")


@flow(name="watch-models", persist_result=False)
def watch_models(
    spec_files: list[str],
    kubeconfig: str | None = None,
    context: str | None = None,
) -> list[str]:
    """Compare what the hub has with what serves; gives one sentence for each spec.

    Args:
        spec_files: Rollout specs to watch; a folder means every *.yaml in it.
        kubeconfig: Path of a kubeconfig; default: the pod's service account or ~/.kube/config.
        context: Context of the kubeconfig.
    """
    said = []
    with Cluster.connect(kubeconfig, context) as cluster:
        for path in _expand(spec_files):
            spec = read_spec(path)
            endpoint = spec.model.endpoint or os.environ.get("MODELSCOPE_ENDPOINT")
            hub = Hub(endpoint, os.environ.get("MODELSCOPE_API_TOKEN"))
            manifest = hub.resolve(spec.model.id, spec.model.revision, spec.model.exclude)
            found = cluster.get("ConfigMap", configmap_name(spec.name), spec.namespace)
            stable = from_configmap(spec.name, found).stable
            if stable and (stable.commit, stable.digest) == (manifest.commit, manifest.digest):
                said.append(f"{spec.name}: {manifest.commit[:12]} serves already")
                continue
            emit_event(
                event=EVENT,
                resource={
                    "prefect.resource.id": f"model-rollout.rollout.{spec.namespace}.{spec.name}",
                    "prefect.resource.name": spec.name,
                    "model-rollout.model": spec.model.id,
                },
                payload={
                    "spec_file": str(path),
                    "revision": spec.model.revision,
                    "commit": manifest.commit,
                    "digest": manifest.digest,
                },
                id=event_id(spec.namespace, spec.name, manifest.commit),
            )
            before = stable.commit[:12] if stable else "nothing"
            said.append(f"{spec.name}: {manifest.commit[:12]} is new, {before} serves")
    return said


def _expand(paths: list[str]) -> list[Path]:
    out: list[Path] = []
    for item in paths:
        path = Path(item)
        out += sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not out:
        raise SpecError([f"spec_files: {paths} names no spec file"])
    return out
