"""deployments/cluster as an API server takes it: each overlay, and what a site makes of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.local.kube.objects.kinds import BY_KIND
from tests.support.cluster.api_fixture import Api
from tests.support.places import ROOT

CLUSTER = ROOT / "deployments" / "cluster"
OVERLAYS = sorted(path.parent for path in CLUSTER.glob("overlays/*/kustomization.yaml"))
COMPONENTS = sorted(path.parent for path in CLUSTER.glob("components/*/kustomization.yaml"))
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
Kubectl = Callable[..., str]


@pytest.fixture
def kubectl(api: Api, tmp_path: Path) -> Kubectl:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not installed")
    env = {**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(api.kubeconfig)}

    def run(*words: str) -> str:
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, cwd=ROOT, env=env, timeout=120
        )
        # a warning is an answer, too
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return run


def apply(kubectl: Kubectl, folder: Path) -> None:
    kubectl("apply", "--server-side", "--validate=strict", "-k", str(folder))


def there(api: Api, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the server has of these."""
    found = []
    for body in bodies:
        kind, meta = BY_KIND[body["kind"]], body["metadata"]
        ns = meta["namespace"] if kind.namespaced else ""
        found.append(api.store.must(kind.plural, ns, meta["name"]))
    return found


def site(folder: Path, overlay: Path, *components: Path) -> Path:
    """A kustomization of somebody's own, in another namespace."""
    folder.mkdir()
    body = {
        "namespace": "llm",
        "resources": [os.path.relpath(overlay, folder)],
        "components": [os.path.relpath(path, folder) for path in components],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(body))
    return folder


def taken(api: Api, kubectl: Kubectl, folder: Path) -> list[dict[str, Any]]:
    """Apply it twice: all of it is there, and the second time changes nothing."""
    bodies = list(yaml.safe_load_all(kubectl("kustomize", str(folder))))
    apply(kubectl, folder)
    first = there(api, bodies)
    apply(kubectl, folder)
    assert there(api, bodies) == first
    return first


@pytest.mark.parametrize("folder", [CLUSTER, *OVERLAYS], ids=lambda path: path.name)
def test_the_server_takes_an_overlay(api: Api, kubectl: Kubectl, folder: Path) -> None:
    kinds = {body["kind"] for body in taken(api, kubectl, folder)}
    assert {"Deployment", "CronJob", "Role", "ConfigMap", "PersistentVolumeClaim"} <= kinds


@pytest.mark.parametrize("pool", ["process-pool", "kubernetes-pool"])
def test_it_takes_all_that_a_site_may_ask_for(
    api: Api, kubectl: Kubectl, tmp_path: Path, pool: str
) -> None:
    whole = site(tmp_path / "site", CLUSTER / "overlays" / pool, *COMPONENTS)
    made = taken(api, kubectl, whole)
    assert {body["metadata"].get("namespace") for body in made} == {None, "llm"}
    (space,) = (body for body in made if body["kind"] == "Namespace")
    assert space["metadata"]["labels"]["model-rollout/policy"] == "enforced"


def test_the_first_lines_of_the_page_make_all_that_its_pods_name(
    api: Api, kubectl: Kubectl
) -> None:
    first = re.search(r"(?m)^(?:    kubectl .*\n)+", PAGE)
    assert first
    for line in first[0].splitlines():
        kubectl(*line.split()[1:])
    kinds = ("deployments", "cronjobs")
    text = json.dumps([api.store.list(kind, "models") for kind in kinds])
    found = re.findall(r'"secretKeyRef": (\{[^}]*\})', text)
    asked = {ref["name"] for ref in map(json.loads, found) if not ref.get("optional")}
    assert asked == {"model-rollout-prefect"}
    api.store.must("secrets", "models", "model-rollout-prefect")


def test_a_server_moves_to_postgresql_and_back(api: Api, kubectl: Kubectl) -> None:
    def data() -> dict[str, Any]:
        found = api.store.must("deployments", "models", "model-rollout-server")
        pod = found["spec"]["template"]["spec"]
        names = [item["name"] for item in pod["containers"][0]["env"]]
        assert ("PREFECT_SERVER_DATABASE_CONNECTION_URL" in names) is ("emptyDir" in data_of(pod))
        return data_of(pod)

    def data_of(pod: dict[str, Any]) -> dict[str, Any]:
        return next(dict(item) for item in pod["volumes"] if item["name"] == "data")

    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "model-rollout-server"}}
    apply(kubectl, CLUSTER)
    assert data() == claim
    apply(kubectl, CLUSTER / "overlays" / "postgres")
    assert data() == {"name": "data", "emptyDir": {}}
    # its former database stays until somebody removes it
    api.store.must("persistentvolumeclaims", "models", "model-rollout-server")
    apply(kubectl, CLUSTER)
    assert data() == claim
