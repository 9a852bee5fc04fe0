"""K100_AI nodes of the embedded cluster, each with one fault: check-nodes names it; plan shows all.

The nodes' roots are folders with the driver's files and a script that prints what hy-smi printed
in the field report; the probe is the real one, in a real Job.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.local import hub
from deployments.local.kube.cluster import LocalCluster
from deployments.local.kube.settings import Image, NodeDef
from flows.cli.main import main
from tests.cluster.deepseek import MODEL, SPEC, publish
from tests.support import hostroot
from tests.support.cluster.hand import Hand

RUNNER = "model-rollout:0.1.0"
DCU, HCU = "hygon.com/dcu", "hygon.com/hcu"
# node -> the error code it must be refused with; what else differs from a healthy node is below
REFUSED = {
    "driver-missing": "DRIVER_MISSING",
    "old-driver": "DRIVER_TOO_OLD",
    "card-lost": "CARD_LOST",
    "mkfd-absent": "DEVICE_FILE_MISSING",
    "label-wrong": "LABEL_DISAGREES",
    "plugin-dead": "PLUGIN_UNHEALTHY",
    "both-plugins": "PLUGINS_CONFLICT",
    "renamed": "RESOURCE_RENAMED",
}
GOOD = ("healthy", "version-file-absent")
FAULTS = {
    "driver-missing": ("driver missing",),
    "old-driver": ("old driver",),
    "card-lost": ("card lost",),
    "mkfd-absent": ("mkfd absent",),
    "version-file-absent": ("version file absent",),
}


def node(name: str, folder: Path) -> NodeDef:
    """One node with eight cards and its fault."""
    prefix = HCU if name == "renamed" else DCU
    labels = {
        prefix: "true",
        f"{prefix}.name": "Z100L" if name == "label-wrong" else "K100_AI",
        f"{prefix}.cu-count": "120",
        f"{prefix}.vram": "64G",
    }
    capacity = {"cpu": "64", "memory": "512Gi", prefix: "8"}
    if name == "both-plugins":
        capacity[HCU] = "8"
    root = hostroot.build(folder / name, FAULTS.get(name, ()))
    return NodeDef(name, labels=labels, capacity=capacity, host_root=root)


@dataclass
class Farm:
    """The cluster and its hub; `commit`: of the model there."""

    cluster: LocalCluster
    commit: str
    folder: Path

    def spec(self, **nodes: Any) -> str:
        """The DeepSeek example with other nodes."""
        data = yaml.safe_load(SPEC.read_text())
        data["nodes"].update(nodes)
        path = self.folder / "spec.yaml"
        path.write_text(yaml.safe_dump(data))
        return str(path)

    def run(self, *arguments: str) -> int:
        """A `rollout` command in this process."""
        return main([*arguments, "--kubeconfig", str(self.cluster.kubeconfig)])


@pytest.fixture(scope="module")
def farm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Farm]:
    if request.config.getoption("--kubeconfig"):
        pytest.skip("needs the embedded cluster: the faults are in its nodes' folders")
    folder = tmp_path_factory.mktemp("dcu")
    (folder / "hub").mkdir()
    commit = publish(folder / "hub")
    image = Image(str(Path(sys.executable).parent), {"MODEL_ROLLOUT_PLAIN_DEVICES": "1"})
    nodes = [node(name, folder) for name in (*GOOD, *REFUSED, "disk-full")]
    for item in nodes:
        if item.name != "disk-full":
            # the weights are there, so this machine's own disk does not decide
            store = Path(str(item.host_root)) / "var/lib/model-rollout/models"
            (store / MODEL / commit).mkdir(parents=True)
    with (
        LocalCluster(folder / "cluster", nodes, {RUNNER: image}) as cluster,
        hub.LocalHub(folder / "hub") as server,
        pytest.MonkeyPatch.context() as patch,
        Hand.connect(str(cluster.kubeconfig)) as api,
    ):
        patch.setenv("MODELSCOPE_ENDPOINT", server.url)
        patch.setenv("MODEL_ROLLOUT_HOME", str(folder / "records"))
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "models"}})
        dead = {"status": {"allocatable": {DCU: "0"}}}
        api.patch("Node", "plugin-dead", None, dead, sub="status")
        yield Farm(cluster, commit, folder)


def codes(verdict: dict[str, Any], severity: str) -> set[str]:
    return {r["code"] for r in verdict["reasons"] if r["severity"] == severity}


@pytest.fixture(scope="module")
def verdicts(farm: Farm) -> dict[str, dict[str, Any]]:
    """What check-nodes says of all nodes at once, by name."""
    alive: set[str] = set()
    most = 0

    def hear(event: tuple[int, str, str, Any]) -> None:
        nonlocal most
        _, plural, what, obj = event
        if plural == "jobs":
            (alive.discard if what == "DELETED" else alive.add)(obj["metadata"]["uid"])
            most = max(most, len(alive))

    farm.cluster.store.listen(hear)
    names = [*GOOD, *REFUSED]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert farm.run("check-nodes", farm.spec(names=names, probe_parallelism=3), "--json") == 0
    farm.cluster.store.unlisten(hear)
    assert most == 3 and not alive  # side by side, no more than allowed, and all removed
    body = json.loads(said.getvalue())
    assert body["usable"] is True and body["refused"] == []
    return {item["node"]: item for item in body["nodes"]}


@pytest.mark.parametrize("name", REFUSED)
def test_each_fault_is_refused_with_its_own_code(
    verdicts: dict[str, dict[str, Any]], name: str
) -> None:
    verdict = verdicts[name]
    assert verdict["usable"] is False
    assert REFUSED[name] in codes(verdict, "error")
    # and with nothing that is not part of it
    part_of_it = {"driver-missing": {"DEVICE_FILE_MISSING", "HOST_PATH_MISSING", "CARD_LOST"}}
    assert codes(verdict, "error") - {REFUSED[name]} <= part_of_it.get(name, set())
    for reason in verdict["reasons"]:
        assert reason["found"] and reason["expected"] and reason["action"]


def test_a_healthy_node_passes_with_what_was_seen(verdicts: dict[str, dict[str, Any]]) -> None:
    verdict = verdicts["healthy"]
    assert verdict["usable"] and codes(verdict, "error") == set() and verdict["probed"]
    assert (verdict["resource"], verdict["allocatable"], verdict["free"]) == (DCU, 8, 8)
    assert verdict["driver"] == "6.3.8-V1.9.2" and verdict["cards"].startswith("8 x K100_AI")
    assert verdict["engine_memory_bytes"] == 65520 << 20


def test_a_working_node_without_a_version_file_passes(
    verdicts: dict[str, dict[str, Any]],
) -> None:
    verdict = verdicts["version-file-absent"]
    assert verdict["usable"] and "DRIVER_VERSION_UNKNOWN" in codes(verdict, "warning")


def test_the_newer_generation_is_served_under_its_own_name(
    farm: Farm, capsys: pytest.CaptureFixture[str]
) -> None:
    assert farm.run("check-nodes", farm.spec(names=["renamed"]), "--json") == 0
    verdict = json.loads(capsys.readouterr().out)["nodes"][0]
    assert verdict["usable"] and verdict["resource"] == HCU
    # a spec that insists on the old name is told the new one
    asked = farm.spec(names=["renamed"], resource=DCU)
    assert farm.run("check-nodes", asked, "--json") == 5
    body = json.loads(capsys.readouterr().out)
    reason = body["nodes"][0]["reasons"][0]
    assert reason["code"] == "RESOURCE_RENAMED" and HCU in reason["found"]
    assert body["refused"][0].startswith("0 of 1 node(s) usable")


def test_a_full_disk_is_refused_with_the_arithmetic(
    farm: Farm, capsys: pytest.CaptureFixture[str]
) -> None:
    # no disk is this large: the real free space of this machine does not suffice
    spec = farm.spec(names=["disk-full"])
    huge = ["--set", "store.keep_free_gib=1000000"]
    assert farm.run("check-nodes", spec, "--json", *huge) == 5
    reasons = json.loads(capsys.readouterr().out)["nodes"][0]["reasons"]
    full = next(r for r in reasons if r["code"] == "DISK_FULL")
    assert full["severity"] == "error" and "61.0 GiB of weights" in full["expected"]


def test_a_person_reads_every_reason_on_a_line_of_its_own(
    farm: Farm, capsys: pytest.CaptureFixture[str]
) -> None:
    assert farm.run("check-nodes", farm.spec(names=["mkfd-absent"])) == 5
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert any(
        line.startswith("mkfd-absent: error DEVICE_FILE_MISSING: /dev/mkfd: missing; expected")
        for line in lines
    )
    assert "refused: 0 of 1 node(s) usable, at least 1 needed" in lines


def test_a_plan_asks_as_much_of_the_api_for_many_nodes_as_for_one(
    farm: Farm, capsys: pytest.CaptureFixture[str]
) -> None:
    def calls(names: list[str]) -> int:
        before = len(farm.cluster.audit)
        farm.run("plan", farm.spec(names=names))
        return len(farm.cluster.audit) - before

    assert calls(["healthy"]) == calls([*GOOD, *REFUSED]) > 0


def test_plan_shows_everything_and_changes_nothing(
    farm: Farm, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(farm.cluster.audit)
    assert farm.run("plan", farm.spec(names=["healthy"])) == 0
    said = capsys.readouterr().out
    asked = farm.cluster.audit[before:]
    # what it would write is tried, and nothing is made
    tried = {(verb, plural) for verb, _, plural, *_ in asked if verb not in ("get", "list")}
    assert tried == {("patch", "deployments"), ("patch", "services"), ("create", "services")}
    with Hand.connect(str(farm.cluster.kubeconfig)) as api:
        assert api.list("Deployment", "models") == api.list("Service", "models") == []
    for words in (
        "strategy:     parallel",
        f"= {farm.commit}",
        "10 files, 65,527,75",
        "serving:      nothing",
        "nothing serves yet",
        f"8 {DCU} needed, 8 free",
        "healthy: weights not looked for (add --probe)",
        "61.03 GiB / 8 device(s) = 7.63 GiB each",
        "32 such sequences at once",
        "interruption: none",
        "approval:     none",
        "ttft_p95_ms: at most 1000 ms at load single",
        "digest:",
    ):
        assert words in said, words


def test_plan_with_a_probe_adds_disk_bytes_and_the_memory_budget(
    farm: Farm, capsys: pytest.CaptureFixture[str]
) -> None:
    assert farm.run("plan", farm.spec(names=["healthy"]), "--probe") == 0
    said = capsys.readouterr().out
    assert "healthy: 0 bytes to fetch, 65,527,75" in said and "GiB free" in said
    assert "budget: 0.92 x 63.98 GiB of device = 58.87 GiB" in said
    assert "left for the KV cache" in said
    assert farm.run("plan", farm.spec(names=["healthy"]), "--json") == 0
    without = json.loads(capsys.readouterr().out)
    # a probe tells more, and promises the same
    assert f"digest:       {without['digest']} " in said


def test_manifests_of_a_plan_are_what_would_be_made(
    farm: Farm, capsys: pytest.CaptureFixture[str]
) -> None:
    assert farm.run("plan", farm.spec(names=["healthy"]), "--manifests") == 0
    bodies = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [body["kind"] for body in bodies] == ["Job", "Service", "Deployment"]
    engine = bodies[2]["spec"]["template"]["spec"]["containers"][0]
    assert engine["resources"]["limits"][DCU] == "8"
    weights = bodies[2]["spec"]["template"]["spec"]["volumes"][0]["hostPath"]["path"]
    assert weights.endswith(f"{MODEL}/{farm.commit}")


def test_an_impossible_plan_is_refused_with_its_reason(
    farm: Farm, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = farm.spec(names=["healthy"])
    # 40 heads on 16 ranks, and 16 devices on a node with 8
    assert farm.run("plan", spec, "--set", "serving.tensor_parallel_size=16") == 5
    said = capsys.readouterr().out
    assert "refused" in said and "RESOURCE_INSUFFICIENT" in said
    assert farm.run("plan", spec, "--set", "serving.tensor_parallel_size=3") == 5
    said = capsys.readouterr().out
    assert "TENSOR_PARALLEL" in said and "40" in said
