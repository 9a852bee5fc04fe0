"""kubectl against the API server, and the tables it shows."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from deployments.local.kube.api.tables import table
from tests.support.cluster.api_fixture import CONFIGS, PODS, Api, config, deployment, pod, serving

Kubectl = Callable[..., str]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    log = tmp_path / "log"
    log.write_text("2026-01-01T10:00:00.000000000Z hello\n")
    with serving(tmp_path, logs=lambda *_: log) as served:
        yield served


@pytest.fixture
def kubectl(api: Api, tmp_path: Path) -> Kubectl:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not installed")

    def run(*words: str, fails: bool = False) -> str:
        done = subprocess.run(
            [program, "--kubeconfig", str(api.kubeconfig), *words],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        assert done.returncode == int(fails), done.stderr
        return done.stdout + done.stderr

    return run


def test_a_table_is_given_where_it_is_asked_for(api: Api) -> None:
    api.cluster.create(pod())
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    _, shown = api.send("GET", PODS, **accept)
    assert [c["name"] for c in shown["columnDefinitions"]] == [
        "Name",
        "Ready",
        "Status",
        "Restarts",
        "Age",
    ]
    assert shown["rows"][0]["cells"][:4] == ["p", "0/1", "Pending", "0"]
    assert shown["rows"][0]["object"]["metadata"]["name"] == "p"
    assert api.send("GET", PODS)[1]["kind"] == "PodList"


def test_the_status_column_of_a_pod_says_what_is_wrong() -> None:
    meta = {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}
    spec = {"containers": [{}, {}]}

    def status(phase: str, *states: dict[str, object], **extra: object) -> list[object]:
        entries = [{"state": s, "ready": "running" in s, "restartCount": 1} for s in states]
        obj = {
            "metadata": {**meta, **extra},
            "spec": spec,
            "status": {"phase": phase, "containerStatuses": entries},
        }
        return list(table("pods", obj)["rows"][0]["cells"][1:4])

    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    assert status("Running", {"running": {}}, {"running": {}}) == ["2/2", "Running", "2"]
    assert status("Running", {"running": {}}, waiting) == ["1/2", "CrashLoopBackOff", "2"]
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    assert status("Failed", ended) == ["0/2", "OOMKilled", "1"]
    assert status("Running", deletionTimestamp="x")[1] == "Terminating"


def test_kubectl_applies_changes_scales_and_deletes(
    api: Api, kubectl: Kubectl, tmp_path: Path
) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(yaml.safe_dump_all([deployment(replicas=2), config()]))
    assert "web created" in kubectl("apply", "-f", str(file))
    assert "web unchanged" in kubectl("apply", "-f", str(file))
    changed = deployment()
    changed["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}]
    file.write_text(yaml.safe_dump_all([changed, config()]))
    assert "web configured" in kubectl("apply", "-f", str(file))
    kubectl("scale", "deployment", "web", "--replicas=5")
    patch = '{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"image:2"}]}}}}'
    kubectl("patch", "deployment", "web", "-p", patch)
    now = api.store.must("deployments", "default", "web")["spec"]
    container = now["template"]["spec"]["containers"][0]
    assert (now["replicas"], container["image"]) == (5, "image:2")
    assert container["env"] == [{"name": "A", "value": "1"}]
    assert "0/5" in kubectl("get", "deployments")
    assert "Replicas:" in kubectl("describe", "deployment", "web")
    assert "deleted" in kubectl("delete", "-f", str(file))
    assert api.store.list("deployments") == []


def test_kubectl_apply_server_side_tells_conflicts(api: Api, kubectl: Kubectl) -> None:
    api.cluster.apply(config(data={"a": "1"}))
    file = api.kubeconfig.parent / "c.yaml"
    file.write_text(yaml.safe_dump(config(data={"a": "2"})))
    said = kubectl("apply", "--server-side", "-f", str(file), fails=True)
    assert 'conflict with "model-rollout": .data.a' in said
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(file))
    assert api.send("GET", f"{CONFIGS}/c")[1]["data"] == {"a": "2"}


def test_kubectl_reads_logs_kinds_and_versions(api: Api, kubectl: Kubectl) -> None:
    bound = pod()
    bound["spec"]["nodeName"] = "n"
    api.cluster.create(bound)
    state = {"name": "main", "state": {"running": {}}}
    api.store.set_status("pods", "default", "p", {"containerStatuses": [state]})
    assert kubectl("logs", "p") == "hello\n"
    assert "v1.31.0+standin" in kubectl("version")
    assert "deployments" in kubectl("api-resources")
    assert kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    bad = api.kubeconfig.parent / "bad.yaml"
    bad.write_text(yaml.safe_dump({**config("bad"), "colour": "red"}))
    assert 'unknown field "colour"' in kubectl("apply", "-f", str(bad), fails=True)
    assert "not found" in kubectl("get", "pod", "none", fails=True)
    assert "p" in kubectl("get", "pods", "-A", "-o", "name")
