"""What a rollout finds before it changes anything: the model at the hub, the nodes. THIN."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.accelerators.profiles import Profile, profile
from tasks.base.errors import Refused, RolloutError, StepFailed
from tasks.nodes.assess import (
    ApiFacts,
    NodeVerdict,
    agree_on_resource,
    api_facts,
    exporter_url,
    group_pods,
    is_candidate,
    judge_node,
    preselect,
    unknown_nodes,
    weights_on,
)
from tasks.nodes.document import ProbeDoc, last_document
from tasks.nodes.facts import quantity
from tasks.nodes.host_memory import shm_reasons
from tasks.nodes.memory import ModelShape, ShapeVerdict, estimate
from tasks.nodes.reasons import Reason
from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster, Object
from tasks.outside.kubernetes.jobs import run_job
from tasks.outside.modelscope.hub import Hub
from tasks.release.moves import Observed
from tasks.release.plan import NodeSeat
from tasks.release.state import Release
from tasks.render.devices import pod_needs, probe_mounts
from tasks.render.jobs import probe_job
from tasks.render.release import PodNeeds, deployment, release_of
from tasks.spec.rollout import Rollout
from tasks.weights.manifest import HUB_COMMIT, Manifest

CONFIG_BYTES = 16 << 20


@dataclass(frozen=True)
class Survey:
    """Facts without a probe. endpoint: hub address from outside the spec, or None.

    resource, needs, release: by what most nodes offer; a probe may still say otherwise.
    """

    spec: Rollout
    profile: Profile
    manifest: Manifest
    endpoint: str | None
    seen: Observed
    facts: tuple[ApiFacts, ...]
    resource: str
    needs: PodNeeds
    release: Release
    shape: ModelShape | None


@dataclass(frozen=True)
class Looked:
    """One node's verdict, the weights the probe saw there, and the logs of a probe that failed
    (text by file name)."""

    verdict: NodeVerdict
    bytes_present: int = 0
    bytes_missing: int | None = None
    logs: Mapping[str, str] = field(default_factory=dict)

    def seat(self) -> NodeSeat:
        """The node as the plan sees it."""
        item = self.verdict
        return NodeSeat(
            name=item.node,
            hostname=item.hostname,
            seats=item.seats,
            seats_without_stable=item.seats_without_stable,
            bytes_present=self.bytes_present,
            bytes_missing=self.bytes_missing,
            disk_free=item.disk_free,
            devices_free=item.free,
            lacks=item.lacks,
            lacks_without_stable=item.lacks_without_stable,
        )


def hub_endpoint() -> str | None:
    """The hub this process is pointed at by its environment."""
    return os.environ.get("MODELSCOPE_ENDPOINT") or None


def _passing(pod: Object, spec: Rollout, serving: str | None) -> bool:
    """A pod of this rollout that will be gone or used again: its seat is ours."""
    labels = pod["metadata"].get("labels") or {}
    ours = (
        pod["metadata"].get("namespace") == spec.namespace
        and labels.get(INSTANCE_LABEL) == spec.name
        and RELEASE_LABEL in labels
    )
    return ours and labels[RELEASE_LABEL] != serving


def resolve(hub: Hub, spec: Rollout, commit: str | None = None) -> Manifest:
    """What is rolled out: what the spec's revision is now, or exactly `commit`.

    commit: as an event names it (see manifest.build), or the hub's own id of it. The manifest's
    revision stays the spec's. Raises OutsideError, and Refused when the commit cannot be had.
    """
    model = spec.model
    manifest = hub.resolve(model.id, model.revision, model.exclude)
    if commit is None or _same(manifest.commit, commit):
        return manifest
    now, hub_commit = manifest.commit, commit.split("-", 1)[0]
    if HUB_COMMIT.match(hub_commit):
        manifest = hub.resolve(model.id, hub_commit, model.exclude)
        if _same(manifest.commit, commit):
            return replace(manifest, revision=model.revision)
    raise Refused(
        f"{model.id} at commit {commit} was asked for; {model.revision} is {now} by now, and hub "
        f"{hub.endpoint} and model.exclude of the spec no longer make the former; the next event "
        "names the newest"
    )


def _same(found: str, asked: str) -> bool:
    """Whether a manifest's commit is the one that was asked for."""
    return found == asked or (bool(HUB_COMMIT.match(asked)) and found.split("-", 1)[0] == asked)


def look_around(cluster: Cluster, spec: Rollout, commit: str | None = None) -> Survey:
    """Resolve the model and read the API's view of the nodes.

    commit: roll exactly this one out (see `resolve`). Raises OutsideError, StepFailed, Refused.
    """
    endpoint = hub_endpoint()
    hub = Hub.from_env(spec.model.endpoint or endpoint)
    manifest = resolve(hub, spec, commit)
    seen = Actor(cluster, spec.namespace, spec.name, fence=lambda: None, epoch=0).observe()
    row = profile(spec.nodes.accelerator)
    nodes = cluster.list("Node")
    unknown = unknown_nodes(spec, [node["metadata"]["name"] for node in nodes])
    if unknown:
        raise StepFailed("; ".join(str(reason) for reason in unknown))
    pods = group_pods(pod for pod in cluster.list("Pod") if not _passing(pod, spec, seen.serving))
    daemonsets = cluster.list("DaemonSet")
    facts = tuple(
        api_facts(node, pods.get(node["metadata"]["name"], ()), daemonsets)
        for node in nodes
        if is_candidate(spec, node)
    )
    quick = [judge_node(spec, row, fact, None, stable_release=seen.serving) for fact in facts]
    resource, _ = agree_on_resource(quick)
    needs = pod_needs(row, resource)
    return Survey(
        spec=spec,
        profile=row,
        manifest=manifest,
        endpoint=endpoint,
        seen=seen,
        facts=facts,
        resource=resource,
        needs=needs,
        release=release_of(spec, manifest.commit, manifest.digest, needs),
        shape=_shape(hub, spec, manifest),
    )


def with_resource(survey: Survey, resource: str) -> Survey:
    """The survey once the probes have settled which resource is asked for."""
    if resource == survey.resource:
        return survey
    needs = pod_needs(survey.profile, resource)
    release = release_of(survey.spec, survey.manifest.commit, survey.manifest.digest, needs)
    return replace(survey, resource=resource, needs=needs, release=release)


def settle_resource(survey: Survey, looked: Sequence[Looked]) -> tuple[Survey, list[Looked]]:
    """One resource for all nodes; usable nodes that offer another are refused."""
    resource, verdicts = agree_on_resource([item.verdict for item in looked])
    out = [replace(item, verdict=v) for v, item in zip(verdicts, looked, strict=True)]
    usable = any(verdict.usable for verdict in verdicts)
    return (with_resource(survey, resource) if usable else survey), out


def _shape(hub: Hub, spec: Rollout, manifest: Manifest) -> ModelShape | None:
    """The model's shape from its config.json; None for a repository without one."""
    if manifest.entry("config.json") is None:
        return None
    data = hub.read_small(spec.model.id, manifest, "config.json", CONFIG_BYTES)
    try:
        config: dict[str, Any] = json.loads(data)
    except ValueError as error:
        raise StepFailed(
            f"config.json of {spec.model.id} at {manifest.commit} is not JSON ({error}); "
            "choose another revision"
        ) from error
    sizes = {
        kind: sum(entry.size for entry in manifest.files if entry.path.endswith(kind))
        for kind in (".safetensors", ".bin")
    }
    # a repository with both holds the same weights twice
    weights = sizes[".safetensors"] or sizes[".bin"]
    try:
        return ModelShape.from_config(config, weights)
    except ValueError:
        return None  # no language model's config: what it needs is for the engine to say


def probe_node(cluster: Cluster, survey: Survey, fact: ApiFacts, run: str) -> Looked:
    """Run the probe on one node, unless the API's facts make it pointless, and judge the node."""
    spec, serving = survey.spec, survey.seen.serving
    if preselect(spec, survey.profile, fact):
        return Looked(judge_node(spec, survey.profile, fact, None, stable_release=serving))
    volumes, mounts = probe_mounts(
        survey.profile, spec.store.path, writable=spec.nodes.measure_disk
    )
    url = exporter_url(survey.profile, fact)
    job = probe_job(
        spec,
        fact.name,
        run,
        volumes,
        mounts,
        [f"--metrics={url}"] if url else [],
        survey.profile.probe_env,
    )
    lines: list[str] = []
    action = ""
    try:
        result = run_job(
            cluster,
            job,
            timeout_s=spec.nodes.probe_timeout_s,
            on_line=lines.append,
            delete=True,
        )
        if not result.succeeded:
            action = result.diagnosis.action if result.diagnosis else ""
            raise StepFailed(f"the probe Job failed: {result.sentence()}", result.logs)
        doc = ProbeDoc.from_json(json.loads(last_document("\n".join(lines))))
    except (RolloutError, ValueError) as error:
        verdict = judge_node(
            spec,
            survey.profile,
            fact,
            None,
            probe_error=str(error).split("\n", 1)[0],
            probe_action=action,
            stable_release=serving,
        )
        return Looked(verdict, logs=getattr(error, "logs", {}))
    total = survey.manifest.total_bytes
    present, missing = weights_on(doc, spec.model.id, survey.manifest.commit, total)
    verdict = judge_node(spec, survey.profile, fact, doc, missing, stable_release=serving)
    return Looked(verdict, present, missing)


def smallest(looked: Sequence[Looked]) -> NodeVerdict | None:
    """The usable node with the least memory for the engine, which decides; None where unknown."""
    known = [v for item in looked if (v := item.verdict).usable and v.engine_memory_bytes]
    return min(known, key=lambda v: v.engine_memory_bytes or 0, default=None)


def fit(survey: Survey, looked: list[Looked]) -> ShapeVerdict | None:
    """Whether the model fits the smallest usable node; None where its shape is unknown.

    Without a probe only what the spec itself limits is known: on CPUs the pod's memory.
    """
    if survey.shape is None:
        return None
    least = smallest(looked)
    sizes = [least.engine_memory_bytes] if least and least.engine_memory_bytes else []
    limit = survey.spec.serving.resources.memory
    if limit and not survey.profile.has_devices:
        sizes.append(int(quantity(limit)))
    return estimate(survey.spec, survey.shape, min(sizes, default=None))


def fit_reasons(survey: Survey, looked: list[Looked]) -> list[Reason]:
    """What is wrong, or worth knowing, of model and pod whatever the node."""
    rendered = deployment(survey.spec, survey.release, survey.needs, [])
    shape = fit(survey, looked)
    return [
        *shm_reasons(survey.spec, rendered["spec"]["template"]["spec"]),
        *(shape.reasons if shape else ()),
    ]
