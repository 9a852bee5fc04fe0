"""deployments/cluster: what its kustomizations name, and what the service's pods name and may."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prefect.utilities.templating import apply_values, find_placeholders

from flows.cli.commands.app import build
from flows.cli.commands.service import up
from tasks.render.jobs import RUNNER_USER
from tasks.spec.file import read_spec
from tests.support.admission import Admission
from tests.support.places import ROOT, VERSIONS

CLUSTER = ROOT / "deployments" / "cluster"
POOL = CLUSTER / "overlays" / "kubernetes-pool"
EXAMPLE = CLUSTER / "overlays" / "site-example"
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
FILES = sorted(CLUSTER.rglob("kustomization.yaml"))
TEMPLATE: dict[str, Any] = json.loads((POOL / "base-job-template.json").read_text())
CLUSTER_WIDE = {
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def generated(kustomization: dict[str, Any]) -> Iterator[str]:
    for item in kustomization.get("configMapGenerator", []):
        yield from item.get("files", [])


@cache
def objects() -> list[dict[str, Any]]:
    """Those of every file that a kustomization of ours names, but for patches."""
    return [
        body
        for path in FILES
        for name in read(path).get("resources", [])
        if (path.parent / name).is_file()
        for body in yaml.safe_load_all((path.parent / name).read_text())
    ]


@cache
def pods() -> dict[str, dict[str, Any]]:
    """PodSpecs by kind and name; a flow run's as the worker makes it."""
    out = {"flow run": flow_run()["spec"]["template"]["spec"]}
    patched = read(POOL / "deploy.yaml")
    for body in [*objects(), patched]:
        spec = body.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "containers" in (pod := spec.get("template", {}).get("spec", {})):
            name = f"{body['kind']} {body['metadata']['name']} {'pool' if body is patched else ''}"
            out[f"{name}{len(out)}"] = pod
    return out


def flow_run() -> dict[str, Any]:
    """The Job of a flow run, as prefect-kubernetes fills the template in."""
    made = {"name": "a-run", "labels": {"a": "b"}, "command": ["prefect", "flow-run", "execute"]}
    defaults = {
        key: item["default"]
        for key, item in TEMPLATE["variables"]["properties"].items()
        if "default" in item
    }
    job: dict[str, Any] = apply_values(
        TEMPLATE["job_configuration"]["job_manifest"], defaults | made
    )
    return job


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_every_file_is_named_once() -> None:
    named: Counter[Path] = Counter()
    for path in FILES:
        body = read(path)
        names = [*body.get("resources", []), *body.get("components", []), *generated(body)]
        names += [item["path"] for item in body.get("patches", []) if "path" in item]
        for name in names:
            found = (path.parent / name).resolve()
            assert found.exists(), f"{path}: {name}"
            # kubectl refuses a file that lies elsewhere, and a folder above
            assert found.is_dir() or found.is_relative_to(path.parent), f"{path}: {name}"
            named[found] += found.is_file()
    files = {path for path in CLUSTER.rglob("*") if path.is_file()}
    assert {path.name for path in files - set(named)} == {"kustomization.yaml", "README.md"}
    assert set(named.values()) == {1, 0}


def test_the_namespace_is_changed_in_one_place() -> None:
    for body in objects():
        place = body["metadata"].get("namespace")
        assert place == (None if body["kind"] in CLUSTER_WIDE else "models"), body["metadata"]
    for name, pod in pods().items():
        assert "models" not in json.dumps([c.get("command") for c in containers(pod)]), name
    spec = read_spec(*EXAMPLE.glob("models/*.yaml"))
    assert spec.namespace == read(EXAMPLE / "kustomization.yaml")["namespace"]


@pytest.mark.parametrize("name", pods())
def test_a_pod_names_what_there_is(name: str) -> None:
    made = {(body["kind"], body["metadata"]["name"]) for body in objects()}
    made |= {
        ("ConfigMap", item["name"])
        for path in FILES
        for item in read(path).get("configMapGenerator", [])
    }
    pod, text = pods()[name], json.dumps(pods()[name])
    for kind, pattern in {
        "ConfigMap": r'"(?:configMap|configMapRef)": \{"name": "([^"]+)"',
        "PersistentVolumeClaim": r'"claimName": "([^"]+)"',
        "ServiceAccount": r'"serviceAccountName": "([^"]+)"',
    }.items():
        assert {(kind, found) for found in re.findall(pattern, text)} <= made
    for secret in re.findall(r'"(?:secretKeyRef|secretRef)": \{[^}]*?"name": "([^"]+)"', text):
        assert f"create secret generic {secret}" in PAGE
    mounted = {m["name"] for c in containers(pod) for m in c.get("volumeMounts", [])}
    if "volumes" in pod and "pool" not in name.split():
        assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("name", pods())
def test_a_pod_runs_an_image_of_this_version_and_as_restricted(name: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {f"model-rollout:{version}", f"model-rollout-kubernetes-worker:{version}"}
    (said,) = read(POOL / "kustomization.yaml")["configMapGenerator"][1]["literals"]
    assert said == f"MODEL_ROLLOUT_IMAGE=model-rollout:{version}"
    pod = pods()[name]
    patch = "securityContext" not in pod
    if not patch:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == RUNNER_USER
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(pod):
        if patch and "image" not in container:
            continue
        assert container["image"] in {*images, "__IMAGE__"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_a_flow_run_has_what_the_process_worker_has() -> None:
    worker = read(CLUSTER / "overlays" / "process-pool" / "worker.yaml")["spec"]["template"]["spec"]
    pod = flow_run()["spec"]["template"]["spec"]
    (ours,), (theirs,) = pod["containers"], worker["containers"]
    for key in ("serviceAccountName", "securityContext", "volumes"):
        assert pod[key] == worker[key]
    assert pod["terminationGracePeriodSeconds"] == worker["terminationGracePeriodSeconds"]
    for key in ("workingDir", "envFrom", "volumeMounts", "securityContext"):
        assert ours[key] == theirs[key]
    # where the server is, and its password, the worker adds
    added = {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}
    assert ours["env"] == [item for item in theirs["env"] if item["name"] not in added]


def test_the_job_template_is_one_for_the_server_the_worker_and_the_api() -> None:
    asked = {item.name for item in find_placeholders(TEMPLATE["job_configuration"])}
    assert asked == set(TEMPLATE["variables"]["properties"])
    script = read(POOL / "worker.yaml")["spec"]["template"]["spec"]["initContainers"][0]["command"]
    for mark in re.findall(r"__[A-Z]+__", json.dumps(TEMPLATE)):
        assert script[-1].count(f"s|{mark}|") == 1
    job = flow_run()
    pod = job["spec"]["template"]["spec"]
    # the worker refuses a template without them, and the API leaves them out
    assert (pod.pop("parallelism"), pod.pop("completions")) == (1, 1)
    job["metadata"]["namespace"] = "models"
    for version in VERSIONS:
        kubernetes_validate.validate(job, version, strict=True)
    # a second pod of a rollout is a second rollout: Prefect starts it again, not Kubernetes
    assert job["spec"]["backoffLimit"] == 0 and pod["restartPolicy"] == "Never"


def test_the_policy_is_asked_about_models_and_not_about_flow_runs() -> None:
    """A flow run's pod has a token and a claim, which no engine may have."""
    job = flow_run()
    job["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "prefect"}
    account, _, _ = yaml.safe_load_all((POOL / "rbac.yaml").read_text())
    user = f"system:serviceaccount:models:{account['metadata']['name']}"
    assert not Admission(job, user=user).asked()


def test_what_brings_deployments_does_it_for_the_pool_of_the_worker() -> None:
    base, pool = read(CLUSTER / "base" / "deploy.yaml"), read(POOL / "deploy.yaml")
    process = read(CLUSTER / "overlays" / "process-pool" / "worker.yaml")
    jobs = read(POOL / "worker.yaml")["spec"]["template"]["spec"]
    for body, worker in ((base, process["spec"]["template"]["spec"]), (pool, jobs)):
        pod = body["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        program, *command = container["command"]
        found, given, _ = build().parse_args(command)
        assert program == "rollout" and found is up
        assert given.arguments["apply"] is True and given.arguments["specs"] == ("specs",)
        name = given.arguments.get("pool", "model-rollout")
        started = " ".join(worker["containers"][0]["command"]).replace("=", " ")
        assert f"--pool {name} " in started
        for early in [*pod.get("initContainers", []), *worker.get("initContainers", [])]:
            assert {"name": "POOL", "value": name} in early["env"]
    (container,) = base["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (mount,) = (item for item in container["volumeMounts"] if item["name"] == "specs")
    assert mount["mountPath"] == f"{container['workingDir']}/specs"


def test_the_worker_of_the_pool_may_only_make_jobs_and_look() -> None:
    _, role, _ = yaml.safe_load_all((POOL / "rbac.yaml").read_text())
    rights = {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    changing = {right for right in rights if right[1] not in ("get", "list", "watch")}
    assert changing == {("jobs", "create"), ("jobs", "delete")}


def test_a_process_worker_asks_its_rollouts_to_stop_and_waits_for_them() -> None:
    """Prefect's own ends at once, and what it runs is killed with its container."""
    worker = read(CLUSTER / "overlays" / "process-pool" / "worker.yaml")["spec"]["template"]["spec"]
    *shell, script = worker["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    run = "trap 'sleep 0.2; echo cleaned up; exit' TERM; echo begun; while :; do sleep 0.05; done"
    first = [sys.executable, "-c", f"import subprocess; subprocess.run(['sh', '-c', {run!r}])"]
    with subprocess.Popen(first, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        assert "/proc/1/" in script
        there = script.replace("/proc/1/", f"/proc/{process.pid}/")
        assert subprocess.run([*shell, there], timeout=120).returncode == 0
        assert process.stdout.read() == "cleaned up\n"


def test_both_images_have_the_same_prefect() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text()
        return set(re.findall(r"(?m)^([\w.-]+==[^\s;]+)", text))

    def names(found: set[str]) -> set[str]:
        return {pin.partition("==")[0] for pin in found}

    run, worker = pins("run.txt"), pins("kubernetes-worker.txt")
    assert "prefect" in names(run) & names(worker)
    assert names(run ^ worker) & names(run) & names(worker) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.parent.relative_to(CLUSTER)))
def test_kubectl_builds_it(path: Path, tmp_path: Path) -> None:
    """A component on top of the process pool, in another namespace, as a site does."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    folder, place = path.parent, "llm" if path.parent == EXAMPLE else "models"
    if read(path)["kind"] == "Component":
        parts = (CLUSTER / "overlays" / "process-pool", path.parent)
        whole, part = (os.path.relpath(item, tmp_path) for item in parts)
        site = {"namespace": "llm", "resources": [whole], "components": [part]}
        folder, place = tmp_path, "llm"
        (folder / "kustomization.yaml").write_text(json.dumps(site))
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    bodies = list(yaml.safe_load_all(done.stdout))
    assert len(bodies) > 10
    for body in bodies:
        assert body["metadata"].get("namespace", place) == place
        for subject in body.get("subjects", []):
            assert subject["namespace"] == place
        for version in VERSIONS:
            kubernetes_validate.validate(body, version, strict=True)


@pytest.mark.parametrize("name", pods())
def test_a_container_says_what_it_needs(name: str) -> None:
    """A quota of the namespace refuses pods of which one does not."""
    for container in containers(pods()[name]):
        if "image" in container:
            assert {"cpu", "memory"} == set(container["resources"]["requests"])
            assert set(container["resources"]["limits"]) == {"memory"}


def test_whoever_asks_the_server_is_let_in() -> None:
    policy = read(CLUSTER / "components" / "network" / "network.yaml")
    ours, runs, _ = policy["spec"]["ingress"][0]["from"]
    (named,), (run,) = (item["podSelector"]["matchExpressions"] for item in (ours, runs))
    asking = set()
    for body in objects():
        spec = body.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template", {})
        if '"PREFECT_API_URL"' in json.dumps(template):
            asking.add(template["metadata"]["labels"][named["key"]])
    assert asking == set(named["values"])
    # tests/flows/server/test_pool.py sees its worker put it on a Job
    assert run == {"key": "prefect.io/flow-run-id", "operator": "Exists"}
