"""The profile table, and the pods it shapes."""

from __future__ import annotations

import re

import pytest

from tasks.accelerators.profiles import PROFILES, profile
from tasks.nodes.compatibility import CHECKS
from tasks.nodes.tools.read import PARSERS
from tasks.render.devices import HOST, STANDARD_FOLDERS, pod_needs, probe_mounts
from tasks.render.jobs import probe_job
from tasks.render.release import deployment, release_of
from tasks.spec.rollout import Rollout
from tests.support.nodedata import make_spec

NAMES = sorted(PROFILES)


def test_spec_and_table_name_the_same_profiles() -> None:
    for name in NAMES:
        assert make_spec({"nodes": {"accelerator": name}}).nodes.accelerator == name
    form = Rollout.model_json_schema()["$defs"]["Nodes"]["properties"]["accelerator"]
    assert sorted(form["enum"]) == NAMES, "Prefect's UI offers them all"
    with pytest.raises(ValueError, match="known are amd-gpu"):
        profile("tpu")


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_whole(name: str) -> None:
    row = profile(name)
    for tool in row.smi:
        assert tool.parser in PARSERS and tool.runs and tool.candidates
    assert not row.compatibility or row.compatibility in CHECKS
    for rule in [r.pattern for r in row.resources] + [c.pattern for c in row.components]:
        re.compile(rule)
    assert bool(row.resources) == (name != "cpu") == bool(row.pci_vendor) == bool(row.modules)
    exceptions = [*row.pod_security, *row.container_security]
    assert len(row.security_reasons) >= len(exceptions), "a reason beside each exception"
    assert all(mount.reason for mount in row.mounts)


@pytest.mark.parametrize(
    ("tag", "toolkit"),
    [
        (
            "image.sourcefind.cn:5000/dcu/admin/base/vllm:0.8.5-ubuntu22.04-dtk25.04.1-rc5",
            "25.04.1",
        ),
        (
            "harbor.sourcefind.cn:5443/dcu/admin/base/vllm:0.15.1-ubuntu22.04-dtk26.04-py3.10",
            "26.04",
        ),
        (
            "harbor.sourcefind.cn:5443/x/custom:vllm0.18.1-hotfix-ubuntu22.04-dtk2604-py3.10",
            "26.04",
        ),
        ("registry:5000/dtk26.04/vllm", ""),
        ("vllm:0.9-DTK25.04@sha256:0123", "25.04"),
        ("vllm@sha256:dtk25", ""),
    ],
)
def test_toolkit_of_an_image(tag: str, toolkit: str) -> None:
    assert profile("hygon-dcu").toolkit_of(tag) == toolkit


@pytest.mark.parametrize(
    ("resource", "kind", "generation"),
    [
        ("hygon.com/dcu", "whole", "dcu"),
        ("hygon.com/hcu", "whole", "hcu"),
        ("hygon.com/dcunum", "dynamic", "dcu"),
        ("hygon.com/hcumem", "dynamic", "hcu"),
        ("hygon.com/dcu-share-4c-16g", "split", "dcu"),
        ("hygon.com/hcu-mig-4g-31gb", "split", "hcu"),
        ("hygon.com/K100_AI", "named", "named"),
        ("dcu.com/gpu", "whole", "koordinator"),
        ("dcu.com/gpu-memory", "dynamic", "koordinator"),
    ],
)
def test_hygon_resource_names(resource: str, kind: str, generation: str) -> None:
    row = profile("hygon-dcu").resource_kind(resource)
    assert row is not None and (row.kind, row.generation) == (kind, generation)


def test_other_vendors_resources_are_not_ours() -> None:
    assert profile("hygon-dcu").resource_kind("nvidia.com/gpu") is None
    assert profile("nvidia-gpu").resource_kind("nvidia.com/mig-1g.10gb").kind == "split"  # type: ignore[union-attr]
    assert profile("ascend-npu").resource_kind("huawei.com/Ascend910").kind == "whole"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "image", "role"),
    [
        ("dcu-device-plugin", "dcu-plugin:v2.4.1", "device-plugin"),
        ("hcu-device-plugin", "hcu-plugin:v3.0.0", "device-plugin"),
        ("vdcu-plugin", "vdcu-plugin:v2.4.1", "virtual-plugin"),
        ("vhcu-device-plugin", "x", "virtual-plugin"),
        ("dcu-label-node", "dcu-label-node:v2", "label-node"),
        ("dcu-exporter", "dcu-exporter:v2.0.0.240718", "exporter"),
        ("cilium", "quay.io/cilium/cilium:v1", ""),
        # a registry path is no image name
        ("logs", "registry/dcu-device-plugin/fluent-bit:3", ""),
    ],
)
def test_hygon_components(name: str, image: str, role: str) -> None:
    assert profile("hygon-dcu").component_role(name, (image,)) == role


def test_hygon_serving_pod_is_the_field_reports_without_its_faults() -> None:
    spec = make_spec(
        {"nodes": {"accelerator": "hygon-dcu"}, "serving": {"tensor_parallel_size": 8}}
    )
    needs = pod_needs(profile("hygon-dcu"), "hygon.com/dcu")
    body = deployment(spec, release_of(spec, "c", "d", needs), needs, ["worker1"])
    pod = body["spec"]["template"]["spec"]
    engine = pod["containers"][0]
    paths = {v["name"]: v.get("hostPath", {}).get("path") for v in pod["volumes"]}
    assert {"/opt/hyhal", "/dev/kfd", "/dev/mkfd", "/dev/dri", "/sys/kernel/debug"} <= set(
        paths.values()
    )
    assert engine["resources"]["limits"] == {"hygon.com/dcu": "8"}
    security = engine["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"], "add": ["SYS_PTRACE"]}
    assert security["allowPrivilegeEscalation"] is False and "privileged" not in security
    assert pod["securityContext"]["supplementalGroups"] == [44]
    assert pod["securityContext"]["seccompProfile"] == {"type": "Unconfined"}
    assert "hostNetwork" not in pod and "hostIPC" not in pod
    read_only = {m["name"] for m in engine["volumeMounts"] if m.get("readOnly")}
    assert {"hyhal", "kernel-debug", "weights"} <= read_only
    assert len(needs.reasons) == 3 + 5  # one for each exception and each host path


def test_the_cpu_profile_adds_nothing() -> None:
    needs = pod_needs(profile("cpu"), "")
    assert (needs.resource, needs.volumes, needs.mounts, needs.env) == ("", (), (), {})
    assert not needs.pod_security and not needs.container_security


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("store", ["/var/lib/model-rollout/models", "/data/models", "/opt/models"])
def test_the_probe_job_sees_the_host_and_can_change_nothing(name: str, store: str) -> None:
    spec = make_spec({"nodes": {"accelerator": name}, "store": {"path": store}})
    volumes, mounts = probe_mounts(profile(name), store)
    pod = probe_job(spec, "n1", "r", volumes, mounts)["spec"]["template"]["spec"]
    names = [v["name"] for v in pod["volumes"]]
    assert len(names) == len(set(names)) and all(len(n) <= 63 for n in names)
    for mount in mounts:
        assert mount["readOnly"] and mount["mountPath"].startswith(HOST + "/")
    host = {v["name"]: v["hostPath"] for v in volumes}
    assert {m["name"]: m["mountPath"] for m in mounts} == {
        key: HOST + value["path"] for key, value in host.items()
    }
    made = [v["path"] for v in host.values() if v.get("type")]
    assert made == ([] if store.startswith(STANDARD_FOLDERS) else [store])
    runner = pod["containers"][0]["securityContext"]
    assert runner["capabilities"] == {"drop": ["ALL"]} and "privileged" not in runner
    assert "/" not in {v["path"] for v in host.values()}, "never the whole host"


def test_only_the_write_rate_writes() -> None:
    volumes, mounts = probe_mounts(profile("cpu"), "/var/lib/models", writable=True)
    writable = [m["mountPath"] for m in mounts if not m.get("readOnly")]
    assert writable == ["/host/var/lib/models"]
    assert volumes[-1]["hostPath"]["type"] == "DirectoryOrCreate"
