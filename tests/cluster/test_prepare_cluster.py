"""prepare-cluster applies a vendor's manifests and waits for their effect on the nodes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.local.kube.cluster import LocalCluster
from deployments.local.kube.settings import NodeDef
from flows import prepare_cluster as module
from flows.prepare_cluster import prepare_cluster
from tasks.base.errors import SpecError, StepFailed
from tasks.outside.kubernetes.client import Cluster
from tests.support.cluster.hand import Hand
from tests.support.waiting import until

DCU = "hygon.com/dcu"


def daemonset(name: str, **meta: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": f"vendor.example/{name}:2.4"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, **meta},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


MANIFESTS = [
    daemonset("dcu-device-plugin", namespace="kube-system"),
    daemonset("dcu-label-node", namespace="vendor"),
    daemonset("dcu-exporter"),  # no namespace: kubectl would take default
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "vendor"}},
]


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalCluster]:
    if request.config.getoption("--kubeconfig"):
        pytest.skip("needs the embedded cluster: the test plays the vendor's part on its nodes")
    monkeypatch.setattr(module, "POLL_S", 0.1)
    nodes = [NodeDef(name, capacity={"cpu": "8"}, kubelet=False) for name in ("dcu-1", "dcu-2")]
    with LocalCluster(tmp_path / "cluster", nodes, {}) as running:
        yield running


@pytest.fixture
def vendor(tmp_path: Path) -> str:
    folder = tmp_path / "vendor"
    folder.mkdir()
    (folder / "plugin.yaml").write_text(yaml.safe_dump_all(MANIFESTS))
    (folder / "README.md").write_text("not a manifest")
    return str(folder)


def prepare(cluster: LocalCluster, vendor: str, nodes: list[str], **more: Any) -> list[str]:
    """The flow's function, without a Prefect server."""
    where = {"kubeconfig": str(cluster.kubeconfig), **more}
    return prepare_cluster.fn("hygon-dcu", [vendor], nodes, **where)


def equip(api: Cluster, name: str, *, label: bool = True, offer: bool = True) -> None:
    """What label-node and the device plugin would do."""
    if label:
        api.patch("Node", name, None, {"metadata": {"labels": {DCU: "true"}}})
    if offer:
        amounts = {"capacity": {DCU: "8"}, "allocatable": {DCU: "8"}}
        api.patch("Node", name, None, {"status": amounts}, sub="status")


def test_it_waits_until_every_expected_node_offers_the_accelerator(
    cluster: LocalCluster, vendor: str
) -> None:
    done: list[str] = []
    with Hand.connect(str(cluster.kubeconfig)) as api:
        run = threading.Thread(
            target=lambda: done.extend(prepare(cluster, vendor, ["dcu-1", "dcu-2"], timeout_s=300))
        )
        run.start()
        until(lambda: api.get("DaemonSet", "dcu-exporter", "default"), every_s=0.05)
        equip(api, "dcu-1")
        equip(api, "dcu-2", offer=False)
        run.join(0.5)
        assert run.is_alive() and not done  # one node still offers nothing
        equip(api, "dcu-2")
        run.join(300)
        assert api.get("DaemonSet", "dcu-label-node", "vendor") is not None
    # the namespace before what lives in it
    assert done == [
        "Namespace vendor",
        "DaemonSet dcu-device-plugin",
        "DaemonSet dcu-label-node",
        "DaemonSet dcu-exporter",
    ]


def test_it_names_the_node_and_what_it_lacks(cluster: LocalCluster, vendor: str) -> None:
    with Hand.connect(str(cluster.kubeconfig)) as api:
        equip(api, "dcu-1", offer=False)
        # its pods are made by a controller, and are there when half a second is over
        api.apply(MANIFESTS[0])
        until(lambda: [pod["status"]["phase"] for pod in api.list("Pod")] == ["Pending"] * 2)
    with pytest.raises(StepFailed) as failed:
        prepare(cluster, vendor, ["dcu-1", "dcu-2", "dcu-3"], timeout_s=0.5)
    said = str(failed.value)
    assert "after 0.5 s the cluster is not ready for hygon-dcu" in said
    assert "dcu-1: label" not in said and "dcu-2: label" in said
    nothing = "no hygon-dcu resource is allocatable"
    why = "dcu-device-plugin: Pending)"  # no kubelet takes its pod up
    assert f"dcu-1: {nothing} ({why}" in said and f"dcu-2: {nothing} ({why}" in said
    assert "dcu-3: no such node in the cluster" in said


def test_a_dry_run_changes_nothing(cluster: LocalCluster, vendor: str) -> None:
    (Path(vendor) / "plugin.yaml").write_text(yaml.safe_dump(MANIFESTS[0]))
    said = prepare(cluster, vendor, ["dcu-1"], dry_run=True)
    assert said == ["DaemonSet dcu-device-plugin"]
    with Hand.connect(str(cluster.kubeconfig)) as api:
        assert api.list("DaemonSet") == []


def test_wrong_parameters_are_refused_before_anything_is_applied(
    cluster: LocalCluster, vendor: str
) -> None:
    kubeconfig = str(cluster.kubeconfig)
    with pytest.raises(SpecError, match="accelerator"):
        prepare_cluster.fn("abacus", [vendor], ["dcu-1"], kubeconfig=kubeconfig)
    with pytest.raises(SpecError, match="name the nodes"):
        prepare(cluster, vendor, [])
    with pytest.raises(SpecError, match=r"nowhere\.yaml: cannot be read"):
        prepare(cluster, str(Path(vendor) / "nowhere.yaml"), ["dcu-1"])
    (Path(vendor) / "z.yaml").write_text("kind: [")
    with pytest.raises(SpecError, match=r"z\.yaml: not valid YAML"):
        prepare(cluster, vendor, ["dcu-1"])
    writes = [verb for verb, *_ in cluster.audit if verb not in ("get", "list")]
    assert writes == []
