"""Look for new model versions, and tell the rollout's trigger with an event.

An event is a hint and may be lost; this flow runs on a schedule and says it again until the
version serves. The event's id follows from the version, so the same one triggers once.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from prefect import flow, task, unmapped
from prefect.events import emit_event

from tasks.base.errors import Refused, RolloutError, SpecError, StepFailed
from tasks.outside.disk.site import site_policy, spec_below
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.modelscope.hub import Hub
from tasks.outside.modelscope.place import hub_endpoint
from tasks.outside.prefect import told
from tasks.outside.prefect.road import QUIET
from tasks.release.state import configmap_name, from_configmap
from tasks.spec.file import read_spec
from tasks.spec.policy import hub_violations
from tasks.spec.rollout import Rollout
from tasks.steps.resolve_model import resolve
from tasks.weights.manifest import Manifest

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

    Every spec is looked at, each in a task run of its own; those that could not be are named in
    the end, and fail the run.

    Args:
        spec_files: Rollout specs to watch; a folder means every *.yaml in it.
        kubeconfig: Path of a kubeconfig; default: the pod's service account or ~/.kube/config.
        context: Context of the kubeconfig.
    """
    found, failed = _expand(spec_files)
    runs = watch_model.map(found, unmapped(kubeconfig), unmapped(context))
    said = []
    for path, run in zip(found, runs, strict=True):
        try:
            said.append(run.result())
        except Exception as error:  # whatever it is, it must not hide the others
            failed.append(f"{path}: {error if isinstance(error, RolloutError) else repr(error)}")
    if failed:
        raise StepFailed(
            f"{len(failed)} of {len(said) + len(failed)} could not be looked at: "
            + "; ".join(failed)
        )
    return said


@task(name="watch_model", task_run_name="watch_model {path}", **QUIET)
def watch_model(path: Path, kubeconfig: str | None, context: str | None) -> str:
    """Compare one spec's model with what serves, and emit the event; gives a sentence."""
    spec = read_spec(spec_below(str(path), "spec_files"))
    if reasons := hub_violations(site_policy(), spec.model.endpoint or hub_endpoint()):
        raise Refused("; ".join(reasons))
    with Cluster.connect(kubeconfig, context) as cluster:
        found = cluster.get("ConfigMap", configmap_name(spec.name), spec.namespace)
    stable = from_configmap(spec.name, found).stable
    manifest = resolve(Hub.from_env(spec.model.endpoint or hub_endpoint()), spec)
    what = f"{spec.name}: {spec.model.id} @ {spec.model.revision} is {manifest.commit[:12]}"
    if stable and (stable.commit, stable.digest) == (manifest.commit, manifest.digest):
        sentence = f"{what}, which serves already"
    else:
        _emit(path, spec, manifest)
        sentence = f"{what}, which is new: {stable.commit[:12] if stable else 'nothing'} serves"
    told.say(sentence)
    return sentence


def _emit(path: Path, spec: Rollout, manifest: Manifest) -> None:
    emit_event(
        event=EVENT,
        resource={
            "prefect.resource.id": f"model-rollout.rollout.{spec.namespace}.{spec.name}",
            "prefect.resource.name": spec.name,
            "model-rollout.model": spec.model.id,
        },
        # the trigger in prefect.yaml hands the commit on: it is what gets rolled out
        payload={
            "spec_file": str(path),
            "revision": spec.model.revision,
            "commit": manifest.commit,
            "digest": manifest.digest,
        },
        id=event_id(spec.namespace, spec.name, manifest.commit),
    )


def _expand(paths: list[str]) -> tuple[list[Path], list[str]]:
    """The spec files; and what is wrong with paths that name none."""
    found: list[Path] = []
    wrong = []
    for item in paths:
        path = Path(item)
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        found += files
        if not files:
            wrong.append(f"{path}: a folder without any *.yaml")
    if not found and not wrong:
        raise SpecError(["spec_files: it is empty; name a spec file, or a folder of them"])
    return list(dict.fromkeys(found)), wrong
