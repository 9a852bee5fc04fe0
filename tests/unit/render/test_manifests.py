"""What is rendered from the example specs and what an operator applies: schema-checked, strictly.

The DeepSeek spec is held against the field report it mends, and against a golden file
(`python -m tests.support.update_golden` renews it).
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tasks.accelerators.profiles import PROFILES
from tasks.base.errors import SpecError
from tasks.nodes.assess import api_facts, judge_node
from tasks.nodes.document import ProbeDoc
from tasks.spec.file import build_spec
from tests.support.nodedata import load
from tests.support.places import ROOT, VERSIONS
from tests.support.update_golden import (
    BEGIN,
    DEEPSEEK,
    DOCS,
    END,
    GOLDEN,
    golden,
    rendered,
    specs,
    with_reasons,
)

SPECS = specs()
CLUSTER = ROOT / "deployments" / "cluster"


def manifests() -> list[Path]:
    """The files that kustomizations name whole: patches are none."""
    named = [
        folder.parent / name
        for folder in CLUSTER.rglob("kustomization.yaml")
        for name in yaml.safe_load(folder.read_text()).get("resources", [])
    ]
    return sorted(path for path in named if path.is_file())


def check(body: dict[str, Any]) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(body, version, strict=True)


@pytest.mark.parametrize("name", SPECS)
def test_everything_rendered_fits_the_schema(name: str) -> None:
    for body in rendered(SPECS[name]).values():
        check(body)


def test_the_check_is_strict() -> None:
    body = rendered(SPECS[DEEPSEEK])["deployment"]
    body["spec"]["template"]["spec"]["contaners"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        check(body)


def test_every_accelerator_has_an_example() -> None:
    assert {spec.nodes.accelerator for spec in SPECS.values()} == set(PROFILES)
    for name, spec in SPECS.items():
        row = PROFILES[spec.nodes.accelerator]
        if row.toolkit_name and row.toolkit_table:
            # or the driver could not be matched with the image
            assert spec.serving.toolkit or row.toolkit_of(spec.serving.image), name


@pytest.mark.parametrize("name", SPECS)
def test_an_example_runs_on_its_recorded_healthy_node(name: str) -> None:
    """Card model, toolkit and driver of the examples fit what such nodes really print."""
    spec = SPECS[name]
    world = copy.deepcopy(load(spec.nodes.accelerator)["base"])
    room = {"cpu": "128", "memory": "512Gi", "pods": "110"}
    for key in ("capacity", "allocatable"):
        world["node"]["status"][key] = {**world["node"]["status"][key], **room}
    api = api_facts(world["node"], world["pods"], world["daemonsets"])
    doc = ProbeDoc.from_json(json.loads(json.dumps(world["probe"])))
    verdict = judge_node(spec, PROFILES[spec.nodes.accelerator], api, doc, 0)
    assert [str(reason) for reason in verdict.reasons] == [] and verdict.seats >= 1


@pytest.mark.parametrize("path", manifests(), ids=lambda path: path.name)
def test_what_an_operator_applies_fits_the_schema(path: Path) -> None:
    bodies = [body for body in yaml.safe_load_all(path.read_text()) if body]
    assert bodies
    for body in bodies:
        check(body)


def test_the_worker_has_the_account_that_the_roles_are_bound_to() -> None:
    rbac = list(yaml.safe_load_all((CLUSTER / "base" / "rbac.yaml").read_text()))
    account = next(b for b in rbac if b["kind"] == "ServiceAccount")["metadata"]
    subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    named = {(b["kind"], b["metadata"]["name"]) for b in rbac}
    bindings = [b for b in rbac if b["kind"].endswith("Binding")]
    assert len(bindings) == 2
    for binding in bindings:
        assert binding["subjects"] == [subject]
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in named
    pod = yaml.safe_load((CLUSTER / "overlays" / "process-pool" / "worker.yaml").read_text())
    assert pod["metadata"]["namespace"] == account["namespace"]
    assert pod["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]


@pytest.mark.parametrize("name", golden())
def test_the_golden_file(name: str) -> None:
    text = (GOLDEN / name).read_text()
    assert text == golden()[name], "changed: look at `python -m tests.support.update_golden`'s diff"


def test_the_documented_reason_codes_are_the_codes() -> None:
    text = DOCS.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert text == with_reasons(text), "renew it: `python -m tests.support.update_golden`"


def pod_of(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["spec"]["template"]["spec"]
    return found


def test_what_the_field_report_had_right() -> None:
    pod = pod_of(rendered(SPECS[DEEPSEEK])["deployment"])
    engine = pod["containers"][0]
    assert engine["image"].endswith("/vllm:0.8.5-ubuntu22.04-dtk25.04.1-rc5-das1.6-py3.10-20250711")
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    seen = {m["mountPath"]: volumes[m["name"]] for m in engine["volumeMounts"]}
    for path, kind in (
        ("/opt/hyhal", "Directory"),
        ("/dev/kfd", "CharDevice"),
        ("/dev/mkfd", "CharDevice"),
        ("/dev/dri", "Directory"),
    ):
        assert seen[path]["hostPath"] == {"path": path, "type": kind}
    assert seen["/dev/shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Gi"}
    assert "/sys/kernel/debug" in seen  # not in the report: driver 6.3 needs it for hy-smi
    assert 44 in pod["securityContext"]["supplementalGroups"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "Unconfined"}
    assert engine["securityContext"]["capabilities"]["add"] == ["SYS_PTRACE"]
    assert {
        "--served-model-name=DeepSeek-R1-Distill-Qwen-32B",
        "--dtype=auto",
        "--gpu-memory-utilization=0.92",
        "--tensor-parallel-size=8",
        "--max-num-seqs=32",
        "--max-model-len=20000",
        "--enforce-eager",
    } <= set(engine["args"])


def test_what_the_field_report_had_wrong_is_mended() -> None:
    body = rendered(SPECS[DEEPSEEK])["deployment"]
    pod = pod_of(body)
    engine = pod["containers"][0]
    # one device a rank, on whichever generation the nodes offer
    assert engine["resources"]["limits"]["hygon.com/dcu"] == "8"
    newer = pod_of(rendered(SPECS[DEEPSEEK], "hygon.com/hcu")["deployment"])["containers"][0]
    assert newer["resources"]["limits"]["hygon.com/hcu"] == "8"
    assert "hygon.com/dcu" not in newer["resources"]["limits"]
    data = SPECS[DEEPSEEK].model_dump(mode="json", exclude_unset=True)
    data["serving"]["accelerators"] = 4
    with pytest.raises(SpecError, match="8 does not match the 4 accelerators"):
        build_spec(data, "the report's own numbers")
    # the host's namespaces, unless asked
    assert not {"hostNetwork", "hostIPC", "hostPID"} & set(pod)
    assert engine["securityContext"]["allowPrivilegeEscalation"] is False
    assert not engine["securityContext"].get("privileged")
    assert not any("trust-remote-code" in arg for arg in engine["args"])
    # a load of 30 minutes is not killed; a server that answers late is not restarted
    startup, liveness = engine["startupProbe"], engine["livenessProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 30 * 60
    assert body["spec"]["progressDeadlineSeconds"] > 30 * 60
    assert liveness["timeoutSeconds"] * liveness["failureThreshold"] >= 5 * 60
    ready = engine["readinessProbe"]
    assert ready["timeoutSeconds"] >= 10 and ready["failureThreshold"] >= 3
    # no pod waits for the accelerators of the one it replaces
    assert body["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_every_exception_is_explained_and_jobs_have_none() -> None:
    for name, spec in SPECS.items():
        objects = rendered(spec)
        body = objects["deployment"]
        pod, said = pod_of(body), body["metadata"]["annotations"].get("model-rollout/exceptions")
        engine = pod["containers"][0]["securityContext"]
        loose = pod["securityContext"]["seccompProfile"]["type"] != "RuntimeDefault"
        if loose or engine["capabilities"].get("add"):
            assert said and "seccomp" in said and "SYS_PTRACE" in said, name
        host = [v["hostPath"]["path"] for v in pod["volumes"] if "hostPath" in v]
        for path in host:
            assert path.startswith(spec.store.path) or path in (said or ""), (name, path)
        for job in (pod_of(objects["probe"]), pod_of(objects["fetch"])):
            runner = job["containers"][0]["securityContext"]
            assert runner["capabilities"] == {"drop": ["ALL"]}
            assert runner["readOnlyRootFilesystem"] and not runner["allowPrivilegeEscalation"]
            assert job["automountServiceAccountToken"] is False
        mounts = pod_of(objects["probe"])["containers"][0]["volumeMounts"]
        assert all(m.get("readOnly") for m in mounts if m["mountPath"].startswith("/host"))
