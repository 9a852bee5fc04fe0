"""Nodes of the vendors as `kubectl describe` showed them, or as their documentation builds them.

Without a probe, so that only names, labels and amounts decide; each says what it is.
"""

from __future__ import annotations

from typing import Any

import pytest

from tasks.accelerators.profiles import profile
from tasks.nodes.assess import NodeVerdict, api_facts, judge_node
from tests.support.nodedata import make_spec


def judged(
    name: str,
    amounts: dict[str, str],
    labels: dict[str, str],
    resource: str | None = None,
    daemons: dict[str, str] | None = None,
    **node: Any,
) -> NodeVerdict:
    """The verdict on one replica of one device."""
    room = {"cpu": "64", "memory": "256Gi", "pods": "110"}
    body = {
        "metadata": {"name": "n", "labels": labels},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "capacity": {**room, **amounts, **node.get("capacity", {})},
            "allocatable": {**room, **amounts},
        },
    }
    pods = [
        {
            "metadata": {
                "name": daemon,
                "namespace": "kube-system",
                "ownerReferences": [{"kind": "DaemonSet", "name": daemon}],
            },
            "spec": {"nodeName": "n", "containers": [{"image": image}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }
        for daemon, image in (daemons or {}).items()
    ]
    spec = make_spec({"nodes": {"accelerator": name, "resource": resource}})
    return judge_node(spec, profile(name), api_facts(body, pods, []), None)


def test_eight_mxc550_recorded() -> None:
    """t9k's installation notes, 2025-04, node mx-5500g6: vfio-gpu is for machines."""
    verdict = judged(
        "metax-gpu",
        {"metax-tech.com/gpu": "8", "metax-tech.com/vfio-gpu": "0"},
        {
            "metax-tech.com/driver.ready": "true",
            "metax-tech.com/gpu.installed": "true",
            "metax-tech.com/gpu.memory": "64GB",
            "metax-tech.com/gpu.product": "MXC550",
            "metax-tech.com/gpu.driver.major": "2",
        },
        daemons={
            "metax-gpu-device": "cr.metax-tech.com/cloud/gpu-device:0.9.2",
            "metax-gpu-label": "cr.metax-tech.com/cloud/gpu-label:0.9.2",
            "metax-container-runtime": "cr.metax-tech.com/cloud/container-runtime:0.9.2",
        },
    )
    assert (verdict.usable, verdict.resource, verdict.seats) == (True, "metax-tech.com/gpu", 8)
    assert [reason.code for reason in verdict.reasons] == ["NOT_PROBED"]


def test_two_mxc500_on_arm_recorded() -> None:
    """A cluster's notes, 2026-04, node of two MXC500 (arm64, Kylin V10)."""
    labels = {"metax-tech.com/gpu.installed": "true", "metax-tech.com/gpu.product": "MXC500"}
    verdict = judged("metax-gpu", {"metax-tech.com/gpu": "2"}, labels)
    assert (verdict.usable, verdict.seats) == (True, 2)


def test_one_mxc500_in_sixteen_shares_documented() -> None:
    """Koordinator's page for MetaX: shares are asked for by their name."""
    labels = {"metax-tech.com/gpu.installed": "true"}
    refused = judged("metax-gpu", {"metax-tech.com/sgpu": "16"}, labels)
    assert [r.code for r in refused.errors] == ["RESOURCE_ABSENT"]
    assert "metax-tech.com/sgpu" in refused.errors[0].action
    asked = judged("metax-gpu", {"metax-tech.com/sgpu": "16"}, labels, "metax-tech.com/sgpu")
    assert (asked.usable, asked.resource) == (True, "metax-tech.com/sgpu")


def test_one_shared_s60_recorded() -> None:
    """A vendor's node, 2026-05: one card, seen as six drs-gcu and as six shared-gcu."""
    labels = {
        "enflame.com/gcu.count": "1",
        "enflame.com/gcu.driverVer": "1.8.7",
        "enflame.com/gcu.family": "SCORPIO",
        "enflame.com/gcu.memory": "41984",
        "enflame.com/gcu.model": "S60",
        "enflame.com/gcu.present": "true",
        "enflame.com/gcushare": "true",
    }
    amounts = {
        "enflame.com/gcu": "0",
        "enflame.com/drs-gcu": "6",
        "enflame.com/shared-gcu": "6",
        "enflame.com/gcu-count": "1",
        "enflame-tech.com/gcu": "0",
    }
    refused = judged("enflame-gcu", amounts, labels)
    assert [r.code for r in refused.errors] == ["RESOURCE_ABSENT"]
    action = refused.errors[0].action
    assert "enflame.com/drs-gcu" in action and "enflame.com/shared-gcu" in action
    assert judged("enflame-gcu", amounts, labels, "enflame.com/drs-gcu").usable


def test_eight_t10_documented() -> None:
    """The vendor's feature discovery page, 2023: the older name of the resource."""
    labels = {"enflame.com/gcu.count": "8", "enflame.com/gcu.present": "true"}
    verdict = judged(
        "enflame-gcu",
        {"enflame-tech.com/gcu": "8"},
        labels,
        daemons={"enflame-device-plugin-daemonset": "enflame/k8s-device-plugin:latest"},
    )
    assert (verdict.usable, verdict.resource) == (True, "enflame-tech.com/gcu")


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        # names of the vendors' own plugins; no public node of these was found: constructed
        ("mthreads-gpu", "mthreads.com/gpu"),
        ("cambricon-mlu", "cambricon.com/mlu"),
        ("cambricon-mlu", "cambricon.com/mlu370"),
        ("cambricon-mlu", "cambricon.com/mlu590"),
        ("iluvatar-gpu", "iluvatar.com/gpu"),
        ("iluvatar-gpu", "iluvatar.ai/gpu"),
        ("kunlunxin-xpu", "kunlunxin.com/xpu"),
        ("kunlunxin-xpu", "baidu.com/xpu"),
        ("thead-ppu", "alibabacloud.com/ppu"),
        ("thead-ppu", "aliyun.com/ppu"),
    ],
)
def test_whole_cards_are_found_by_every_name(name: str, resource: str) -> None:
    labels = dict.fromkeys(profile(name).labels.presence, "true")
    verdict = judged(name, {resource: "8"}, labels)
    assert (verdict.usable, verdict.resource, verdict.seats) == (True, resource, 8)
    assert [reason.code for reason in verdict.reasons] == ["NOT_PROBED"]


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("mthreads-gpu", "mthreads.com/vgpu"),  # HAMi; sgpu-core and -memory beside it
        ("cambricon-mlu", "cambricon.com/mlu370.share"),
        ("cambricon-mlu", "cambricon.com/mlu590.mim-2m.8gb"),
        ("cambricon-mlu", "cambricon.com/mlu370.smlu.vmemory"),
        ("cambricon-mlu", "cambricon.com/vmlu"),
        ("iluvatar-gpu", "iluvatar.ai/BI-V150-vgpu"),
        ("iluvatar-gpu", "iluvatar.ai/MR-V100.vMem"),
        ("kunlunxin-xpu", "kunlunxin.com/vxpu"),
        ("thead-ppu", "alibabacloud.com/ppu-4u.4g48gb"),
        ("thead-ppu", "alibabacloud.com/ppu.partitioned.mig-4u.4g48gb"),
    ],
)
def test_parts_of_cards_are_asked_for_by_name(name: str, resource: str) -> None:
    labels = dict.fromkeys(profile(name).labels.presence, "true")
    refused = judged(name, {resource: "8"}, labels)
    assert [reason.code for reason in refused.errors] == ["RESOURCE_ABSENT"]
    assert judged(name, {resource: "8"}, labels, resource).usable
