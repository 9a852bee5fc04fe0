"""From a spec to Kubernetes objects. Plain dicts in, plain dicts out.

A release's id is the hash of what it serves (commit, manifest digest, image, pod template less
the nodes it may run on), so the same inputs always name the same Deployment.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.base.errors import SpecError
from tasks.objects.asked import engine_resources, pod_claims
from tasks.objects.labels import (
    ENGINE_CONTAINER,
    INSTANCE_LABEL,
    KIND_LABEL,
    MANAGED_LABEL,
    MANAGER,
    RELEASE_LABEL,
    REPLICAS_ANNOTATION,
    SCALED_ANNOTATION,
    SERVICE_ANNOTATION,
)
from tasks.objects.merge import merge_pod
from tasks.objects.pods import engine_container
from tasks.objects.reached import deployment_name
from tasks.release.state import Release
from tasks.render.stopping import shutdown_args, stopping
from tasks.spec.rollout import Rollout, Toleration
from tasks.spec.voices import SWITCHES, env_voices

WEIGHTS_MOUNT = "/mnt/models"
HOSTNAME_LABEL = "kubernetes.io/hostname"
PROBE_EVERY_S = 10
ServiceType = Literal["ClusterIP", "NodePort"]


@dataclass(frozen=True)
class PodNeeds:
    """What an accelerator profile adds to a pod: Kubernetes objects, and the resource to ask for.

    resource: extended resource name, '' for none. volumes, mounts, env: added to the pod and its
    first container. pod_security, container_security: merged over our restrictive defaults;
    `reasons` says why each exception is needed and becomes an annotation. runtime_class: the pod's,
    where the spec says none.
    """

    resource: str = ""
    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    pod_security: dict[str, Any] = field(default_factory=dict)
    container_security: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    runtime_class: str = ""


def short_hash(*parts: str, length: int = 8) -> str:
    """A short stable hash for names."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:length]


def labels(spec: Rollout, kind: str, release: str = "") -> dict[str, str]:
    """Labels on everything we create; `kind` says what it is for."""
    out = {INSTANCE_LABEL: spec.name, MANAGED_LABEL: MANAGER, KIND_LABEL: kind}
    return {**out, RELEASE_LABEL: release} if release else out


def selector(name: str, release: str) -> dict[str, str]:
    """Pods of one release of one rollout."""
    return {INSTANCE_LABEL: name, RELEASE_LABEL: release}


def service_type(spec: Rollout) -> ServiceType:
    """The type a Service must have, at least, for the spec's way of reaching a release."""
    return "NodePort" if spec.access.mode == "node-port" else "ClusterIP"


def engine_args(spec: Rollout) -> list[str]:
    """vLLM's arguments, one `--flag=value` each."""
    serving = spec.serving
    args = [
        f"--model={WEIGHTS_MOUNT}",
        f"--served-model-name={spec.served_name}",
        "--host=0.0.0.0",
        f"--port={serving.port}",
        f"--dtype={serving.dtype}",
        f"--tensor-parallel-size={serving.tensor_parallel_size}",
    ]
    optional = {
        "--max-model-len": serving.max_model_len,
        "--max-num-seqs": serving.max_num_seqs,
        "--gpu-memory-utilization": serving.gpu_memory_utilization,
    }
    args += [f"{flag}={value}" for flag, value in optional.items() if value is not None]
    if serving.enforce_eager:
        args.append("--enforce-eager")
    if spec.model.trust_remote_code:
        args.append("--trust-remote-code")
    return [*args, *shutdown_args(spec), *serving.extra_args]


def tolerations(items: Sequence[Toleration]) -> list[dict[str, Any]]:
    return [item.model_dump(exclude_none=True) for item in items]


def merge_site(base: dict[str, Any], patch: dict[str, Any], place: str) -> dict[str, Any]:
    try:
        return merge_pod(base, patch)
    except ValueError as error:
        raise SpecError([f"{place}: {error}"]) from error


def _probe(port: int, every: int, failures: int, timeout: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/health", "port": port},
        "periodSeconds": every,
        "failureThreshold": failures,
        "timeoutSeconds": timeout,
    }


def _engine_env(spec: Rollout, needs: PodNeeds) -> list[dict[str, str]]:
    env = {
        # a user that the image does not know has no name, which libraries ask for
        **({"HOME": "/tmp", "USER": "engine"} if _scratch(spec) else {}),  # noqa: S108 - its own
        # weights are on the host: nothing may be looked up or reported elsewhere
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        **needs.env,
        **spec.serving.env,
    }
    return [{"name": key, "value": value} for key, value in env.items()]


def _scratch(spec: Rollout) -> bool:
    """Whether the engine needs a place to write: its caches go below HOME, which may be root's."""
    return spec.serving.read_only_root or spec.serving.run_as_user is not None


def _user(spec: Rollout) -> dict[str, Any]:
    user = spec.serving.run_as_user
    return {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user} if user else {}


def _pod(spec: Rollout, weights: str, needs: PodNeeds) -> dict[str, Any]:
    """The engine's PodSpec before a site's own fields and the choice of nodes."""
    serving = spec.serving
    volumes: list[dict[str, Any]] = [
        {"name": "weights", "hostPath": {"path": weights, "type": "Directory"}}
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "weights", "mountPath": WEIGHTS_MOUNT, "readOnly": True}
    ]
    if serving.resources.shm_gib:
        size = f"{serving.resources.shm_gib:g}Gi"
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108 - the pod's own
    if _scratch(spec):
        volumes.append({"name": "scratch", "emptyDir": {}})
        mounts.append({"name": "scratch", "mountPath": "/tmp"})  # noqa: S108 - the pod's own
    # a load may take the whole start-up time: liveness must not count before it is over
    start_failures = max(1, round(serving.startup_timeout_s / PROBE_EVERY_S))
    ends = stopping(spec)
    container: dict[str, Any] = {
        "name": ENGINE_CONTAINER,
        "image": serving.image,
        "command": list(serving.command),
        "args": engine_args(spec),
        "env": _engine_env(spec, needs),
        "ports": [{"name": "http", "containerPort": serving.port}],
        "resources": engine_resources(spec, needs.resource),
        "volumeMounts": [*mounts, *needs.mounts],
        "startupProbe": _probe(serving.port, PROBE_EVERY_S, start_failures, 5),
        # a saturated server answers /health late: patient time-outs, or it drops out of service
        "readinessProbe": _probe(serving.port, 5, 6, 15),
        "livenessProbe": _probe(serving.port, 30, 10, 30),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            **({"readOnlyRootFilesystem": True} if serving.read_only_root else {}),
            **_user(spec),
            **needs.container_security,
        },
    }
    if ends.hook:
        container["lifecycle"] = ends.hook
    pod: dict[str, Any] = {
        "containers": [container],
        "volumes": [*volumes, *needs.volumes],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, **needs.pod_security},
        "automountServiceAccountToken": False,
        # a Service called vllm would inject VLLM_PORT, which vLLM reads as its own setting
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": ends.grace,
        "tolerations": tolerations(spec.nodes.tolerations),
        **pod_claims(spec),
    }
    if serving.priority_class:
        pod["priorityClassName"] = serving.priority_class
    if serving.host_network:
        pod["hostNetwork"] = True
    if needs.runtime_class:
        pod["runtimeClassName"] = needs.runtime_class
    return _one_voice(merge_site(pod, serving.pod, "serving.pod"), container)


def _one_voice(pod: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """The pod, where a site's PodSpec left alone what vLLM is told. made: the engine without it.

    Raises SpecError otherwise: the record and every check would read the spec's own fields.
    """
    engine, found = engine_container(pod), list[str]()
    for part, field_ in (("command", "serving.command"), ("args", "serving.extra_args")):
        if engine.get(part) != made[part]:
            found.append(f"serving.pod: the engine's {part} take the place of ours; use {field_}")
    env = {item["name"]: item.get("value") for item in engine.get("env") or ()}
    offline = {item["name"]: item["value"] for item in made["env"] if item["name"] in SWITCHES}
    # one that is taken out is no more what we set it to
    if found := [*found, *env_voices({**dict.fromkeys(offline), **env}, "serving.pod env")]:
        raise SpecError(found)
    return pod


def weights_path(spec: Rollout, commit: str) -> str:
    """Host folder of one commit."""
    return f"{spec.store.path}/{spec.model.id}/{commit}"


def release_of(spec: Rollout, commit: str, digest: str, needs: PodNeeds) -> Release:
    """Name the release that a spec and a manifest make. Words that explain it change no id."""
    pod = _pod(spec, weights_path(spec, commit), needs)
    replicas = [] if spec.serving.replicas == 1 else [spec.serving.replicas]
    body = json.dumps([commit, digest, pod, replicas], sort_keys=True)
    ident = short_hash(body, length=10)
    return Release(
        id=ident,
        deployment=deployment_name(spec.name, ident),
        model=spec.model.id,
        revision=spec.model.revision,
        commit=commit,
        digest=digest,
        image=spec.serving.image,
        served_name=spec.served_name,
        replicas=spec.serving.replicas,
    )


def node_affinity(hostnames: Sequence[str]) -> dict[str, Any]:
    """Only nodes that hold the verified weights."""
    term = {
        "matchExpressions": [{"key": HOSTNAME_LABEL, "operator": "In", "values": sorted(hostnames)}]
    }
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"nodeAffinity": required}


def deployment(
    spec: Rollout,
    release: Release,
    needs: PodNeeds,
    hostnames: Sequence[str],
    asked: int | None = None,
) -> dict[str, Any]:
    """The candidate's Deployment. `hostnames`: kubernetes.io/hostname of the chosen nodes. asked:
    replicas it starts with; default: as many as it serves with."""
    pod = _pod(spec, weights_path(spec, release.commit), needs)
    pod = merge_pod({"affinity": node_affinity(hostnames)}, pod)
    annotations = {
        "model-rollout/model": release.model,
        "model-rollout/commit": release.commit,
        "model-rollout/manifest": release.digest,
    }
    if needs.reasons:
        annotations["model-rollout/exceptions"] = "; ".join(needs.reasons)
    replicas = release.replicas if asked is None else min(asked, release.replicas)
    fewer = {SCALED_ANNOTATION: str(replicas)} if replicas < release.replicas else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": release.deployment,
            "namespace": spec.namespace,
            "labels": labels(spec, "engine", release.id),
            "annotations": {
                **annotations,
                REPLICAS_ANNOTATION: str(release.replicas),
                **fewer,
                SERVICE_ANNOTATION: service_type(spec),
            },
        },
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": int(spec.serving.startup_timeout_s) + 60,
            "selector": {"matchLabels": selector(spec.name, release.id)},
            # a surge pod would wait for ever for accelerators that its elder holds
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
            },
            "template": {
                "metadata": {
                    "labels": labels(spec, "engine", release.id),
                    "annotations": annotations,
                },
                "spec": pod,
            },
        },
    }
