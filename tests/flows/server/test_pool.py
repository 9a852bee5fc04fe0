"""The Kubernetes pool as shipped: Prefect's worker in the stand-in, and the Jobs that it makes.

Its pods run here as processes: there is no DNS and no token in them, so that worker and flow are
given the server's address and a kubeconfig of their accounts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml

from deployments.local import daemons, stack
from deployments.local.kube.serve import make
from tests.flows.house import NAMESPACE, House, house
from tests.support.cluster.hand import Hand
from tests.support.places import ROOT
from tests.support.served import Served
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)
OVERLAY = ROOT / "deployments" / "cluster" / "overlays" / "kubernetes-pool"
POOL = "model-rollout-kubernetes"
LOGIN = "who:knows"
ACCOUNTS = "/opt/model-rollout/specs"  # where a flow's pod has something mounted of the test's


def site(home: House, kubeconfig: Path) -> Path:
    """The overlay as a site changes it: without a server and metrics, and with what the worker's
    container lacks here."""
    folder = home.folder / "site"
    folder.mkdir()
    address = {"name": "PREFECT_WORKER_WEBSERVER_HOST"}
    given = [
        {"name": "PREFECT_API_URL", "value": home.prefect_api},
        {"name": "PREFECT_WORKER_QUERY_SECONDS", "value": "1"},
        {"name": "KUBECONFIG", "value": f"{ACCOUNTS}/worker"},
        {**address, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]

    def patch(name: str, **more: Any) -> dict[str, Any]:
        meta = {"name": name, "namespace": NAMESPACE}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, **more}
        return {"patch": json.dumps(body)}

    mounts = [{"name": "specs", "mountPath": ACCOUNTS}]
    worker = {
        "initContainers": [{"name": "pool", "env": given}],
        "containers": [
            {
                "name": "worker",
                "env": given,
                "volumeMounts": mounts,
                "readinessProbe": {"periodSeconds": 1},
            }
        ],
        "volumes": [{"name": "specs", "configMap": {"name": "model-rollout-specs"}}],
    }
    shutil.copy(kubeconfig, folder / "worker")
    shutil.copy(home.kubeconfig, folder / "flows")
    specs = {"name": "model-rollout-specs", "behavior": "merge", "files": ["worker", "flows"]}
    body = {
        "namespace": NAMESPACE,
        "resources": [os.path.relpath(OVERLAY, folder)],
        "images": [{"name": "model-rollout-kubernetes-worker", "newName": "model-rollout"}],
        "configMapGenerator": [specs],
        "generatorOptions": {"disableNameSuffixHash": True},
        "patches": [
            patch("model-rollout-worker", spec={"template": {"spec": worker}}),
            patch("model-rollout-server", **{"$patch": "delete"}),
            patch("model-rollout-metrics", **{"$patch": "delete"}),
        ],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(body))
    return folder


@dataclass
class Pooled:
    """The server's side and the cluster's."""

    served: Served

    def start(self, **more: Any) -> dict[str, Any]:
        """A run of the guard, as a person starts it."""
        found = self.served.deployment("guard")["id"]
        body = {"state": {"type": "SCHEDULED"}, "job_variables": more}
        run: dict[str, Any] = self.served.call(
            "POST", f"/deployments/{found}/create_flow_run", body
        )
        return run

    def jobs(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """The Jobs of a flow run."""
        label = ("prefect.io/flow-run-id", run["id"])
        with Hand.connect(str(self.served.home.cluster.kubeconfig)) as api:
            found = api.list("Job", NAMESPACE)
        return [item for item in found if label in item["metadata"].get("labels", {}).items()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that waits less long for whoever was to end a run that is cancelled."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    env["PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS"] = "2"
    started: list[daemons.Daemon] = []
    url = stack.start_prefect(tmp_path_factory.mktemp("server"), env, started)
    try:
        yield f"{url}/api"
    finally:
        for item in started:
            daemons.stop(item)


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory, server: str) -> Iterator[Pooled]:
    """The overlay applied, its worker ready, and deployments in its pool."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    with house(tmp_path_factory.mktemp("pooled"), server) as home:

        def run(*words: str) -> str:
            command = [kubectl, "--kubeconfig", str(home.cluster.kubeconfig), "-n", NAMESPACE]
            done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout

        home.cluster.warn()  # Prefect has fields of a Job in the pod's spec
        make(home.cluster, OVERLAY / "rbac.yaml")
        account = home.cluster.kubeconfig_of(NAMESPACE, "model-rollout-worker")
        secret = f"--from-literal=auth={LOGIN}"
        run("create", "secret", "generic", "model-rollout-prefect", secret)
        run("apply", "--server-side", "--force-conflicts", "-k", str(site(home, account)))
        run("wait", "--for=condition=Available", "deploy/model-rollout-worker", "--timeout=300s")
        (home.folder / "specs").mkdir()
        home.spec().rename(home.folder / "specs" / "tiny.yaml")
        home.rollout("up", "--apply", "--specs", "specs", "--pool", POOL, expect=0)
        served = Served(home, home.folder)
        for name in ("guard", "watch-models"):
            found = served.deployment(name)
            for schedule in found["schedules"]:
                place = f"/deployments/{found['id']}/schedules/{schedule['id']}"
                served.call("PATCH", place, {"active": False})
        yield Pooled(served)


def test_the_worker_makes_the_pool_with_the_template(pooled: Pooled) -> None:
    found = pooled.served.call("GET", f"/work_pools/{POOL}")
    text = (OVERLAY / "base-job-template.json").read_text()
    text = text.replace("__IMAGE__", "model-rollout:0.1.0").replace("__NAMESPACE__", NAMESPACE)
    assert found["type"] == "kubernetes" and found["base_job_template"] == json.loads(text)


def test_a_flow_run_is_a_job_of_the_template_and_ends(pooled: Pooled) -> None:
    run = pooled.start(env={"KUBECONFIG": f"{ACCOUNTS}/flows"})
    ended = pooled.served.ended(run["id"])
    assert ended["state_type"] == "COMPLETED", ended["state"]
    (job,) = pooled.jobs(run)
    assert ended["infrastructure_pid"] == f"{NAMESPACE}:{job['metadata']['name']}"
    assert LOGIN not in json.dumps(job)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {item["name"]: item for item in container["env"]}
    key = {"name": "model-rollout-prefect", "key": "auth"}
    assert env["PREFECT_API_AUTH_STRING"]["valueFrom"] == {"secretKeyRef": key}
    assert container["args"] == ["prefect", "flow-run", "execute"]
    assert pod["serviceAccountName"] == "model-rollout" and job["spec"]["backoffLimit"] == 0


def test_a_run_that_is_cancelled_before_it_starts_leaves_no_job(pooled: Pooled) -> None:
    run = pooled.start(cpu_request="900")
    waiting = until(lambda: pooled.jobs(run))
    assert len(waiting) == 1
    place = f"/flow_runs/{run['id']}"
    until(lambda: pooled.served.call("GET", place)["infrastructure_pid"])
    pooled.served.call("POST", f"{place}/set_state", {"state": {"type": "CANCELLING"}})
    assert pooled.served.ended(run["id"])["state_type"] == "CANCELLED"
    until(lambda: not pooled.jobs(run), timeout_s=60)


def test_the_worker_asks_for_no_more_than_its_role_grants(pooled: Pooled) -> None:
    _, role, _ = yaml.safe_load_all((OVERLAY / "rbac.yaml").read_text())
    granted = {
        (verb, group, name)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for name in rule["resources"]
    }
    others = (
        "kubectl/",
        f"OpenAPI-Generator/{kubernetes.__version__}/",
    )  # the test's and the flow's
    used = {
        (verb, group, f"{plural}/{sub}" if sub else plural)
        for verb, group, plural, sub, ns, agent in pooled.served.home.cluster.audit
        if ns == NAMESPACE and not agent.startswith(others)
    }
    seen = {("watch", "", "pods"), *((verb, "batch", "jobs") for verb in ("create", "delete"))}
    assert seen <= used <= granted
