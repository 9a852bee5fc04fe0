"""Names are data, and a miss is a warning with a way round: cards, resources, images, toolkits."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tasks.accelerators.profiles import profile
from tasks.spec.images import vllm_release

CASES = "names"
Case = dict[str, Any]
Holds = Callable[[Case], None]
Named = Callable[[str, str], Case]


def test_c13_cuda_compatibility_is_a_warning(field_case: Named, holds: Holds) -> None:
    holds(field_case(CASES, "c13_compat_switched_on"))


def test_c13_a_nightly_tag_tells_its_cuda(field_case: Named, holds: Holds) -> None:
    holds(field_case(CASES, "c13_nightly_tag"))


def test_c15_hami_names_of_ascend_are_found(field_case: Named, holds: Holds) -> None:
    holds(field_case(CASES, "c15_hami_910c"))


def test_c24_k100_lc_is_usable(field_case: Named, holds: Holds) -> None:
    holds(field_case(CASES, "c24_k100_lc"))


def test_other_names(sibling: Case, holds: Holds) -> None:
    holds(sibling)


@pytest.mark.parametrize(
    ("family", "image", "toolkit"),
    [
        # vllm/vllm-openai's tags on Docker Hub
        ("nvidia-gpu", "vllm/vllm-openai:cu130-nightly", "13.0"),
        ("nvidia-gpu", "vllm/vllm-openai:v0.11.2-cu128", "12.8"),
        ("nvidia-gpu", "vllm/vllm-openai:cu129-nightly-aarch64", "12.9"),
        ("nvidia-gpu", "vllm/vllm-openai:v0.16.0", "12.9"),
        # NVIDIA's own, gpustack/runner (2026-08), PyTorch's wheels
        ("nvidia-gpu", "nvidia/cuda:12.8.1-devel-ubuntu22.04", "12.8.1"),
        ("nvidia-gpu", "gpustack/runner:cuda13.0-vllm0.27.1", "13.0"),
        ("nvidia-gpu", "registry/llm:torch2.5-cu118", "11.8"),
        ("nvidia-gpu", "registry/llm:focus1.2", ""),
        # by vLLM's release: vllm-project/vllm#5635 (2024-06), #18813 (2025-05), PR 39878 (2026-04),
        # NVIDIA/Model-Optimizer PR 2042 (2026-08)
        ("nvidia-gpu", "vllm/vllm-openai:v0.5.0", "12.4"),
        ("nvidia-gpu", "docker.io/vllm/vllm-openai:v0.9.0", "12.8"),
        ("nvidia-gpu", "vllm/vllm-openai:v0.11.0", "12"),
        ("nvidia-gpu", "vllm/vllm-openai:v0.19.1", "12.9"),
        ("nvidia-gpu", "vllm/vllm-openai:v0.19.1-cu130", "13.0"),
        ("nvidia-gpu", "vllm/vllm-openai:v0.26.0", "13.0"),
        ("nvidia-gpu", "vllm/vllm-openai:v0.21.0-cu129", "12.9"),
        # newer than what was read, no release, another's build of the same name
        ("nvidia-gpu", "vllm/vllm-openai:v0.99.0", ""),
        ("nvidia-gpu", "vllm/vllm-openai:latest", ""),
        ("nvidia-gpu", "lmcache/vllm-openai:v0.3.9", ""),
        # vllm-project/vllm#31333 (2026-04), vllm-project/vllm-omni PR 5115 (v0.25.0, ROCm 7.2.3)
        ("amd-gpu", "vllm/vllm-openai-rocm:v0.19.0", "7.2.1"),
        ("amd-gpu", "vllm/vllm-openai-rocm:v0.25.0", "7.2.3"),
        ("amd-gpu", "vllm/vllm-openai-rocm:v0.22.1", "7.2"),
        ("amd-gpu", "vllm/vllm-openai-rocm:v0.14.0", ""),
        ("nvidia-gpu", "registry/vllm:v0.16-cu12", "12"),
        ("nvidia-gpu", "registry/vllm:cuda-13", "13"),
        # rocm/vllm on Docker Hub, gpustack/runner
        ("amd-gpu", "rocm/vllm:rocm6.4.1_vllm_0.9.1_20250702", "6.4.1"),
        ("amd-gpu", "gpustack/runner:rocm7.2-vllm0.25.1", "7.2"),
        ("amd-gpu", "registry/vllm:rocm641", "6.4.1"),
        ("amd-gpu", "rocm/vllm-dev:nightly", ""),
        # sourcefind.cn, HYGON-AI image list (October 2026)
        ("hygon-dcu", "x/vllm:0.21.0-ubuntu22.04-dtk2604-py3.10", "26.04"),
        ("hygon-dcu", "x/vllm:0.21.0-ubuntu22.04-dtk26041-py3.10", "26.04.1"),
        ("hygon-dcu", "x/vllm:0.9.2-dtk2504.1-py3.10", "25.04.1"),
        ("hygon-dcu", "gpustack/runner:dtk25.04-vllm0.9.2", "25.04"),
        # quay.io/ascend, gpustack/runner
        ("ascend-npu", "quay.io/ascend/cann:8.2.rc1-910b-ubuntu22.04-py3.11", "8.2.rc1"),
        ("ascend-npu", "gpustack/runner:cann9.0-910b-vllm0.20.2", "9.0"),
        ("ascend-npu", "quay.io/ascend/vllm-ascend:v0.23.0-a3", "9.1.0"),
        # 0.11.0rc1 has 8.3.rc1, 0.11.0 has 8.3.rc2: what both share; docs.vllm.ai, 2026-11
        ("ascend-npu", "quay.io/ascend/vllm-ascend:v0.11.0rc1", "8.3"),
        ("ascend-npu", "quay.io/ascend/vllm-ascend:v0.18.0", "9.0.0"),
        ("ascend-npu", "quay.io/ascend/vllm-ascend:v0.26.0rc1", "9.1.0"),
    ],
)
def test_toolkits_of_images(family: str, image: str, toolkit: str) -> None:
    assert profile(family).toolkit_of(image, vllm_release(image)) == toolkit


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        # Ascend device plugin (MindCluster v26.1.0), its static virtual names and whole ones
        ("huawei.com/Ascend910", "whole"),
        ("huawei.com/Ascend310P-V", "whole"),
        ("huawei.com/Ascend310P-IPro", "whole"),
        ("huawei.com/Ascend910-16c", "split"),
        ("huawei.com/Ascend910-10c.3cpu.16g.ndvpp", "split"),
        ("huawei.com/Ascend910-10c.4cpu.16g.dvpp", "split"),
        ("huawei.com/Ascend310P-4c.3cpu.ndvpp", "split"),
        ("huawei.com/npu-core", "dynamic"),
        # HAMi's chart (2026-08-21)
        ("huawei.com/Ascend910A", "whole"),
        ("huawei.com/Ascend910B2", "whole"),
        ("huawei.com/Ascend910B4-1", "whole"),
        ("huawei.com/Ascend910B4-1-memory", "dynamic"),
        ("huawei.com/Ascend910C-core", "dynamic"),
    ],
)
def test_resources_of_ascend(name: str, kind: str) -> None:
    row = profile("ascend-npu").resource_kind(name)
    assert row is not None and row.kind == kind


SOURCE = re.compile(
    r"constructed\b"
    r"|https://\S+"
    r"|[\w.-]+/[\w.-]+(#\d+| PR \d+|\b)"  # a repository, with an issue or what of it
    r"|(NVIDIA CUDA|MindCluster|HYGON-AI|[\w.-]+\.(sh|com)) "  # a vendor's page
)


def test_every_case_says_where_it_is_from(every_case: dict[str, Case]) -> None:
    vague = {n: c.get("source") for n, c in every_case.items() if not SOURCE.match(c["source"])}
    assert vague == {}
