"""What a vendor's row says: names, components, and what its pods get."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tasks.accelerators.profiles import PROFILES, profile
from tasks.nodes.tools.frames import FRAMES
from tasks.nodes.tools.words import SAYINGS
from tasks.render.devices import pod_needs
from tasks.render.jobs import probe_job
from tasks.render.release import deployment, release_of
from tests.support.nodedata import make_spec

HOOKED = {"mthreads-gpu": "mthreads", "iluvatar-gpu": "iluvatar"}


@pytest.mark.parametrize(
    ("name", "resource", "kind"),
    [
        ("metax-gpu", "metax-tech.com/gpu", "whole"),
        ("metax-gpu", "metax-tech.com/vcore", "dynamic"),
        ("metax-gpu", "metax-tech.com/vfio-gpu", ""),
        ("mthreads-gpu", "mthreads.com/sgpu-core", "dynamic"),
        ("cambricon-mlu", "cambricon.com/mlu", "whole"),
        ("cambricon-mlu", "cambricon.com/mlu370", "named"),
        ("cambricon-mlu", "cambricon.com/mlu.share", "split"),
        ("cambricon-mlu", "cambricon.com/mlu.smlu.vcore", "dynamic"),
        ("cambricon-mlu", "cambricon.com/real-mlu-counts", ""),
        ("iluvatar-gpu", "iluvatar.ai/vcuda-memory", "dynamic"),
        ("iluvatar-gpu", "iluvatar.ai/BI-V100-vgpu.vCore", "dynamic"),
        ("kunlunxin-xpu", "kunlunxin.com/vxpu-memory", "dynamic"),
        ("enflame-gcu", "enflame.com/gcu-count", ""),
        ("enflame-gcu", "enflame.com/vgcu-percentage", "dynamic"),
        ("thead-ppu", "alibabacloud.com/ppu-64u.4g48gb", "split"),
        ("thead-ppu", "aliyun.com/ppu.shared", "split"),
        ("metax-gpu", "metax-tech.com/gpu.sliced.memory-mib", "dynamic"),
    ],
)
def test_resource_names(name: str, resource: str, kind: str) -> None:
    row = profile(name).resource_kind(resource)
    assert (row.kind if row else "") == kind
    assert all(p.resource_kind(resource) is None for p in PROFILES.values() if p.name != name)


@pytest.mark.parametrize(
    ("name", "daemonset", "image", "role"),
    [
        ("metax-gpu", "metax-gpu-device", "cr.metax-tech.com/cloud/gpu-device:1", "device-plugin"),
        ("metax-gpu", "metax-gpu-label", "cr.metax-tech.com/cloud/gpu-label:1", "label-node"),
        ("metax-gpu", "metax-maca", "cr.metax-tech.com/cloud/mxc500-maca:2", ""),
        ("cambricon-mlu", "cambricon-device-plugin-daemonset", "x", "device-plugin"),
        ("iluvatar-gpu", "iluvatar-device-plugin", "x", "device-plugin"),
        ("iluvatar-gpu", "ix-feature-discovery", "x", "label-node"),
        (
            "kunlunxin-xpu",
            "vxpu-device-plugin",
            "projecthami/vxpu-device-plugin:1",
            "virtual-plugin",
        ),
        ("enflame-gcu", "gcushare-device-plugin", "x", "virtual-plugin"),
        ("enflame-gcu", "gcu-feature-discovery", "x", "label-node"),
        ("enflame-gcu", "gcu-exporter", "x", "exporter"),
        ("thead-ppu", "ack-ppu", "acs/ppu-device-plugin:v1.4.0", "device-plugin"),
        ("mthreads-gpu", "mt-universal-gpu-device-controller", "x", "device-plugin"),
    ],
)
def test_components(name: str, daemonset: str, image: str, role: str) -> None:
    assert profile(name).component_role(daemonset, (image,)) == role


def pods(name: str, **patch: Any) -> list[dict[str, Any]]:
    """The engine's and the probe's PodSpec."""
    row, spec = profile(name), make_spec({"nodes": {"accelerator": name}}, patch)
    needs = pod_needs(row, row.resources[0].pattern.replace("\\", ""))
    runtime = row.runtime_class
    bodies = [
        deployment(spec, release_of(spec, "c", "d", needs), needs, ["n"]),
        probe_job(spec, "n", "r", [], [], env=row.probe_env, runtime_class=runtime),
    ]
    return [body["spec"]["template"]["spec"] for body in bodies]


@pytest.mark.parametrize("name", sorted(set(PROFILES) - {"cpu"}))
def test_a_pod_runs_under_the_class_whose_hook_brings_the_card(name: str) -> None:
    """Moore Threads' and Iluvatar's plugins bring no device files; a spec's own word goes first."""
    for pod in pods(name):
        assert pod.get("runtimeClassName") == HOOKED.get(name)
    other: dict[str, Any] = {"runtimeClassName": "other"}
    for pod in pods(name, serving={"pod": other}, runner={"pod": other}):
        assert pod["runtimeClassName"] == "other"
    none: dict[str, Any] = {"runtimeClassName": None}
    for pod in pods(name, serving={"pod": none}, runner={"pod": none}):
        assert "runtimeClassName" not in pod


@pytest.mark.parametrize(
    ("rest", "kind", "counts"),
    [
        ("shared", "split", True),
        ("sliced", "dynamic", True),
        ("sliced.units", "dynamic", False),
        ("sliced.cores-percentage", "dynamic", False),
        ("sliced.memory-percentage", "dynamic", False),
        ("sliced.memory-mib", "dynamic", False),
        ("partitioned", "dynamic", True),
        ("partitioned.units", "dynamic", False),
        ("partitioned.mig-2g.15gb", "split", False),
        ("partitioned.mig-4u.4g48gb", "split", False),
        ("partitioned.mig-half", "split", False),
    ],
)
@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("amd-gpu", "amd.com/gpu"),
        ("ascend-npu", "huawei.com/npu"),
        ("cambricon-mlu", "cambricon.com/mlu"),
        ("enflame-gcu", "enflame.com/gcu"),
        ("hygon-dcu", "hygon.com/dcu"),
        ("iluvatar-gpu", "iluvatar.com/gpu"),
        ("kunlunxin-xpu", "kunlunxin.com/xpu"),
        ("metax-gpu", "metax-tech.com/gpu"),
        ("mthreads-gpu", "mthreads.com/gpu"),
        ("nvidia-gpu", "nvidia.com/gpu"),
        ("thead-ppu", "alibabacloud.com/ppu"),
    ],
)
def test_names_that_gpustack_adds(name: str, base: str, rest: str, kind: str, counts: bool) -> None:
    row = profile(name).resource_kind(f"{base}.{rest}")
    assert row is not None and (row.kind, row.counts) == (kind, counts)
    whole = profile(name).resource_kind(base)
    assert whole is not None and whole.kind == "whole"


@pytest.mark.parametrize("name", ["Ascend950", "Ascend950-memory", "ascend-1980", "ascend-310"])
def test_an_npu_that_is_newer_than_the_list(name: str) -> None:
    row = profile("ascend-npu").resource_kind(f"huawei.com/{name}")
    assert row is not None and row.kind == ("dynamic" if "memory" in name else "whole")


def test_rows_of_tools_are_whole() -> None:
    for saying in SAYINGS:
        assert saying.source and saying.action
        re.compile(saying.pattern)
    for frame in FRAMES.values():
        for rule in (frame.driver, frame.memory, frame.mode, frame.not_driver):
            re.compile(rule)
    used = {tool.parser for row in PROFILES.values() for tool in row.smi}
    assert set(FRAMES) <= used
