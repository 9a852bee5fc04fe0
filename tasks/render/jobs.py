"""The Jobs that run our own code on nodes: probe, fetch, verify, gc."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from tasks.objects.template import Named
from tasks.release.state import Release
from tasks.render.release import labels, merge_site, short_hash, tolerations
from tasks.spec.hubs import OTHER_FOR_ENV, OTHER_TOKEN_ENV, TOKEN_ENV, is_modelscope, origin
from tasks.spec.places import ModelRef, SecretRef
from tasks.spec.rollout import Rollout

STORE_MOUNT = "/store"
SCRATCH_MOUNT = "/scratch"  # all that can be written besides the store
# who a Job runs as that needs no root; the runner image's own
RUNNER_USER = 10001
STORE_ROOT = (
    "root: the kubelet makes a missing store's folder root's; "
    "runner.run_as_user names whoever else owns it"
)


def on_host(job: Mapping[str, Any], text: str) -> str:
    """What a Job said, with the paths of its node, where a person looks, for its container's."""
    pod = job["spec"]["template"]["spec"]
    hosts = {
        item["name"]: item["hostPath"]["path"] for item in pod["volumes"] if "hostPath" in item
    }
    for mount in pod["containers"][0]["volumeMounts"]:
        if path := hosts.get(mount["name"]):
            inside = re.escape(mount["mountPath"])
            text = path.join(re.split(rf"(?<![\w./-]){inside}(?![\w.-])", text))
    return text


def _job(
    spec: Rollout,
    name: str,
    kind: str,
    node: str,
    pod: dict[str, Any],
    deadline_s: float,
    root: str = STORE_ROOT,
) -> dict[str, Any]:
    """A Job pinned to one node by name, which labels cannot forge. root: why it runs as root, ''
    where it need not."""
    why = "" if spec.runner.run_as_user else root
    field_match = {"key": "metadata.name", "operator": "In", "values": [node]}
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchFields": [field_match]}]
            }
        }
    }
    base = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "affinity": affinity,
        "tolerations": tolerations(spec.nodes.tolerations),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, **_user(spec, why)},
    }
    whole = merge_site({**base, **pod}, spec.runner.pod, "runner.pod")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": spec.namespace,
            "labels": labels(spec, kind),
            "annotations": {
                "model-rollout/node": node,
                **({"model-rollout/exceptions": why} if why else {}),
            },
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(deadline_s),
            "ttlSecondsAfterFinished": 3600,
            "template": {"metadata": {"labels": labels(spec, kind)}, "spec": whole},
        },
    }


def _user(spec: Rollout, root: str) -> dict[str, Any]:
    """Who a Job runs as; root where there is a reason, without any of its capabilities."""
    user = 0 if root else spec.runner.run_as_user or RUNNER_USER
    return {**({} if root else {"runAsNonRoot": True}), "runAsUser": user, "runAsGroup": user}


def _runner_container(
    spec: Rollout, command: list[str], mounts: list[dict[str, Any]], env: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": "runner",
        "image": spec.runner.image,
        "command": command,
        "env": [*({"name": name, "value": SCRATCH_MOUNT} for name in ("HOME", "TMPDIR")), *env],
        "volumeMounts": [*mounts, {"name": "scratch", "mountPath": SCRATCH_MOUNT}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


SCRATCH: dict[str, Any] = {"name": "scratch", "emptyDir": {}}


def fetch_job(
    spec: Rollout,
    node: str,
    commit: str,
    digest: str,
    endpoint: str | None = None,
    fetch_ref: str = "",
) -> dict[str, Any]:
    """The Job that brings one commit's weights to one node, from `endpoint` or the spec's hub.

    fetch_ref: what that hub is asked for (of the manifest), so that a branch may move meanwhile;
    default: the spec's revision.
    """
    model = spec.model
    command = [
        *("rollout", "job", "fetch"),
        f"--model={model.id}",
        f"--revision={fetch_ref or model.revision}",
        f"--commit={commit}",
        f"--digest={digest}",
        f"--store={STORE_MOUNT}",
        f"--keep-free-gib={spec.store.keep_free_gib:g}",
        f"--eviction-percent={spec.store.eviction_percent:g}",
        *(f"--exclude={pattern}" for pattern in model.exclude),
    ]
    hub = model.endpoint or endpoint
    if hub:
        command.append(f"--endpoint={hub}")
    env = _login(model, hub)
    mounts = [{"name": "store", "mountPath": STORE_MOUNT}]
    host = {"path": spec.store.path, "type": "DirectoryOrCreate"}
    pod = {
        "containers": [_runner_container(spec, command, mounts, env)],
        "volumes": [{"name": "store", "hostPath": host}, SCRATCH],
    }
    name = f"{spec.name}-fetch-{short_hash(node, commit, digest)}"
    return _job(spec, name, "fetch", node, pod, deadline_s=24 * 3600)


def gc_job(
    spec: Rollout, node: str, keep: Sequence[str], run: str, *, does: Literal["", "mark", "delete"]
) -> dict[str, Any]:
    """The Job that looks for weights of the spec's model that nobody names, marks them, or removes
    what one of the same run has marked."""
    command = [
        *("rollout", "job", "gc"),
        f"--model={spec.model.id}",
        f"--store={STORE_MOUNT}",
        *(f"--keep={commit}" for commit in keep),
        *([f"--{does}={run}"] if does else []),
    ]
    mounts = [{"name": "store", "mountPath": STORE_MOUNT, "readOnly": not does}]
    host = {"path": spec.store.path, "type": "DirectoryOrCreate"}
    pod = {
        "containers": [_runner_container(spec, command, mounts, [])],
        "volumes": [{"name": "store", "hostPath": host}, SCRATCH],
    }
    name = f"{spec.name}-gc-{short_hash(node, run, does)}"
    return _job(spec, name, "gc", node, pod, deadline_s=3600)


def verify_job(spec: Rollout, release: Release, store: str, node: str) -> dict[str, Any]:
    """The Job that hashes a release's weights on a node again. store: host path of its store."""
    command = [
        *("rollout", "job", "verify"),
        f"--model={release.model}",
        f"--commit={release.commit}",
        f"--digest={release.digest}",
        f"--store={STORE_MOUNT}",
    ]
    mounts = [{"name": "store", "mountPath": STORE_MOUNT}]  # it seals what it has hashed
    pod = {
        "containers": [_runner_container(spec, command, mounts, [])],
        "volumes": [{"name": "store", "hostPath": {"path": store, "type": "Directory"}}, SCRATCH],
    }
    name = f"{spec.name}-verify-{short_hash(node, release.commit, release.digest)}"
    return _job(spec, name, "verify", node, pod, deadline_s=24 * 3600)


def named_job(spec: Rollout, secrets: Sequence[Named], node: str) -> dict[str, Any]:
    """The Job that ends well where these Secrets are there, with their keys: the kubelet looks for
    them. It does nothing, and no variable of it has a name that a program heeds."""

    def of_key(number: int, named: Named) -> dict[str, Any]:
        ref = {"name": named.name, "key": named.key}
        return {"name": f"NAMED_{number}", "valueFrom": {"secretKeyRef": ref}}

    env = [of_key(number, named) for number, named in enumerate(secrets) if named.key]
    container = _runner_container(spec, ["true"], [], env)
    if whole := sorted({named.name for named in secrets if not named.key}):
        container["envFrom"] = [{"prefix": "NAMED_", "secretRef": {"name": name}} for name in whole]
    name = f"{spec.name}-named-{short_hash(node, *map(str, secrets))}"
    pod = {"containers": [container], "volumes": [SCRATCH]}
    return _job(spec, name, "verify", node, pod, deadline_s=600, root="")


def _login(model: ModelRef, hub: str | None) -> list[dict[str, Any]]:
    """The token of exactly this hub, from its Secret. None: ModelScope's own."""

    def variable(name: str, secret: SecretRef) -> dict[str, Any]:
        ref = {"name": secret.name, "key": secret.key}
        return {"name": name, "valueFrom": {"secretKeyRef": ref}}

    if model.token_secret and (hub is None or is_modelscope(hub)):
        return [variable(TOKEN_ENV, model.token_secret)]
    if model.endpoint_token and hub:
        where = {"name": OTHER_FOR_ENV, "value": origin(hub)}
        return [variable(OTHER_TOKEN_ENV, model.endpoint_token), where]
    return []


def probe_job(
    spec: Rollout,
    node: str,
    run: str,
    volumes: Sequence[dict[str, Any]],
    mounts: Sequence[dict[str, Any]],
    extra_args: Sequence[str] = (),
    env: Mapping[str, str] = MappingProxyType({}),
    root: str = "",
    runtime_class: str = "",
) -> dict[str, Any]:
    """The Job that looks at one node's hardware; `volumes` and `mounts` show it the host. root: why
    it runs as root; writing to the store is a reason of its own. runtime_class: whose hook shows it
    the cards, '' for none."""
    root = root or (STORE_ROOT if spec.nodes.measure_disk else "")
    command = [
        *("rollout", "job", "probe"),
        f"--profile={spec.nodes.accelerator}",
        "--root=/host",
        f"--store={spec.store.path}",
        *(["--write-rate"] if spec.nodes.measure_disk else []),
        *extra_args,
    ]
    named = [{"name": key, "value": value} for key, value in env.items()]
    pod = {
        "containers": [_runner_container(spec, command, list(mounts), named)],
        "volumes": [*volumes, SCRATCH],
        **({"runtimeClassName": runtime_class} if runtime_class else {}),
    }
    name = f"{spec.name}-probe-{short_hash(node, run)}"
    return _job(spec, name, "probe", node, pod, spec.nodes.probe_timeout_s, root)
