"""Which cards, drivers and toolkits go together, and what no source says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasks.accelerators.profiles import PROFILES, profile
from tasks.nodes.compatibility import compatible
from tasks.nodes.rules_host import Hardware, image_toolkit, toolkit_reasons
from tasks.nodes.tools.read import Inventory
from tests.support.nodedata import make_spec

CASES = "toolkits"
QUIET = sorted(row.name for row in PROFILES.values() if row.toolkit_name and not row.toolkit_table)


def test_cards_and_toolkits(
    sibling: dict[str, Any], holds: Callable[[dict[str, Any]], None]
) -> None:
    holds(sibling)


@pytest.mark.parametrize(
    ("family", "image", "toolkit"),
    [
        # docs.nvidia.com/deeplearning/frameworks/vllm-release-notes, rel-25-10 to rel-26-10
        ("nvidia-gpu", "nvcr.io/nvidia/vllm:25.10-py3", "13.0.2"),
        ("nvidia-gpu", "nvcr.io/nvidia/vllm:26.01-py3", "13.1.1"),
        ("nvidia-gpu", "nvcr.io/nvidia/vllm:26.03.post1-py3", "13.2"),
        ("nvidia-gpu", "nvcr.io/nvidia/vllm:26.05-py3", "13.2.1"),
        ("nvidia-gpu", "nvcr.io/nvidia/vllm:26.10-py3", "13.4.3"),
        ("nvidia-gpu", "nvcr.io/nvidia/vllm:25.12.post1-py3", "13.1"),
        # a month that no page was found for has what its neighbours share
        ("nvidia-gpu", "nvcr.io/nvidia/vllm:25.09-py3", "13.0"),
        ("nvidia-gpu", "nvcr.io/nvidia/vllm:26.07-py3", "13"),
        # sglang-release-notes rel-25-10; Triton's support matrix; a mirror keeps the path
        ("nvidia-gpu", "nvcr.io/nvidia/sglang:25.10-py3", "13.0.2"),
        ("nvidia-gpu", "harbor.local/nvcr.io/nvidia/pytorch:25.03-py3", "12.8"),
        ("nvidia-gpu", "nvcr.io/nvidia/pytorch:24.07-py3", "12.5.1"),
        # newer than the table, and one built on an older month (25.10 of it has CUDA 12.9.1)
        ("nvidia-gpu", "nvcr.io/nvidia/vllm:27.01-py3", ""),
        ("nvidia-gpu", "nvcr.io/nvidia/tritonserver:25.10-trtllm-python-py3", ""),
        # cr.metax-tech.com, verl-project/verl, flagos-ai/release-info
        ("metax-gpu", "maca/vllm:maca.ai3.1.0.7-torch2.6-py310-ubuntu22.04-amd64", "3.1.0.7"),
        ("metax-gpu", "maca/vllm-metax:0.23.0-maca.ai3.8.0.103-torch2.10", "3.8.0.103"),
        ("metax-gpu", "flagos-base/flagos-base-metax-maca3.7.2.1:2.1.2", "3.7.2.1"),
        # gpustack/runner, flagos-ai/release-info
        ("iluvatar-gpu", "gpustack/runner:corex4.2-vllm0.8.3", "4.2"),
        ("iluvatar-gpu", "flagos-base/flagos-base-iluvatar-corex4.4.0:2.1.2", "4.4.0"),
        ("iluvatar-gpu", "registry.iluvatar.com.cn/vllm:0.8.3", ""),
        ("mthreads-gpu", "gpustack/runner:musa4.1-vllm0.9.2", "4.1"),
        ("mthreads-gpu", "flagtree-mthreads-py310-torch2.7.1-musa4.3.5-mcc5.1.0:3.6", "4.3.5"),
        ("mthreads-gpu", "registry.mthreads.com/vllm-musa:0.19.0", ""),
        # paddlepaddle.org.cn's page for MLU370, flagos-ai/release-info
        ("cambricon-mlu", "device/paddle-mlu:cntoolkit3.0.2-cnnl1.13.0", "3.0.2"),
        ("cambricon-mlu", "flagos-base/flagos-base-cambricon-neuware4.4.3:2.1.2", "4.4.3"),
        ("cambricon-mlu", "device/paddle-mlu:ctr2.15.0-ubuntu20-gcc84-py310", ""),
        ("kunlunxin-xpu", "flagos-base/flagos-base-kunlunxin-xre5.37.1:2.1.2", "5.37.1"),
        ("kunlunxin-xpu", "flagos-base/flagos-base-kunlunxin-xre5.29.0:2.1.2", "5.29.0"),
        ("kunlunxin-xpu", "paddlepaddle/fastdeploy-xpu:2.4.0", ""),
        # gpustack/runner; FlagRelease's Qwen3.6-35B-A3B (2026-04) and Qwen3.8-27B (2026-08)
        ("thead-ppu", "gpustack/runner:hggc13.0-vllm0.23.0", "13.0"),
        (
            "thead-ppu",
            "flagrelease-public/qwen3.6-35b-a3b:python_3.12.3-torch_2.9.0-pcp_hggc13.0-gpu_pp1",
            "13.0",
        ),
        ("thead-ppu", "flagrelease-public/qwen3.8-27b:cp312-pt210-hggc130-x64-1.3.2", "13.0"),
        # opendatalab/MinerU docs/zh/usage/acceleration_cards/Enflame.md; the two others constructed
        (
            "enflame-gcu",
            "enflame:docker_images_topsrider_i3x_3.6.20260106_vllm0.11",
            "3.6.20260106",
        ),
        ("enflame-gcu", "registry/vllm-gcu:topsrider3.4", "3.4"),
        ("enflame-gcu", "registry/vllm-gcu:0.8.0", ""),
    ],
)
def test_toolkits_of_images(family: str, image: str, toolkit: str) -> None:
    spec = make_spec({"nodes": {"accelerator": family}, "serving": {"image": image}})
    assert image_toolkit(spec, profile(family)) == toolkit


@pytest.mark.parametrize(
    ("family", "driver", "toolkit", "codes"),
    [
        # Cambricon/mlu-ops README: CNToolkit 4.1.0 with driver 6.0.3, 3.8.4 with 5.10.25
        ("cambricon-mlu", "5.10.22", "4.1.0", ["DRIVER_TOOLKIT_MISMATCH"]),
        ("cambricon-mlu", "v6.2.15", "4.4.3", []),
        ("cambricon-mlu", "5.10.22", "3.8.4", ["DRIVER_TOOLKIT_MISMATCH"]),
        ("cambricon-mlu", "4.20.11", "3.0.2", []),
        # flagos-ai/release-info base/, ixsmi of PaddlePaddle/docs: the host's module is older
        ("iluvatar-gpu", "4.3.8", "4.4.0", ["DRIVER_TOOLKIT_MISMATCH"]),
        ("iluvatar-gpu", "4.4.0", "4.4.0", []),
        ("iluvatar-gpu", "4.3.8", "4.2", []),
        # nobody names a least driver
        ("metax-gpu", "2.14.8", "3.8.1.3", []),
        ("mthreads-gpu", "2.7.0", "5.2.0", []),
        ("kunlunxin-xpu", "5.0.21.16", "5.37.1", []),
        ("enflame-gcu", "1.2.0", "3.6.20260106", []),
    ],
)
def test_least_drivers_of_other_vendors(
    family: str, driver: str, toolkit: str, codes: list[str]
) -> None:
    found = compatible(profile(family), driver, ["any"], toolkit)
    assert [r.code for r in found] == codes
    assert {r.severity for r in found} <= {"warning"}


@pytest.mark.parametrize("family", QUIET)
def test_an_image_that_tells_none_is_no_remark(family: str) -> None:
    """No table of the vendor's could be asked for it."""
    spec = make_spec({"nodes": {"accelerator": family}, "serving": {"image": "registry/x:1"}})
    hardware = Hardware("1.2.3", True, Inventory(), ("card",), 1, 65536.0)
    assert toolkit_reasons(spec, profile(family), hardware) == []
