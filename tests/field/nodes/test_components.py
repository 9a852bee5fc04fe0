"""Plugins that crash, that run and offer nothing, and devices that are offered by DRA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasks.accelerators.profiles import profile

CASES = "components"
Case = dict[str, Any]
Holds = Callable[[Case], None]
Named = Callable[[str, str], Case]


@pytest.mark.parametrize("which", ["c16_amd_operator", "c16_amd_operator_nothing_registered"])
def test_c16_amd_operators_plugin_is_known(which: str, field_case: Named, holds: Holds) -> None:
    holds(field_case(CASES, which))


def test_c17_a_running_plugin_that_offers_nothing(field_case: Named, holds: Holds) -> None:
    holds(field_case(CASES, "c17_zero_with_running_plugin"))


def test_other_components(sibling: Case, holds: Holds) -> None:
    holds(sibling)


@pytest.mark.parametrize(
    ("family", "name", "image", "role"),
    [
        # NVIDIA gpu-operator v25
        ("nvidia-gpu", "nvidia-device-plugin-daemonset", "x", "device-plugin"),
        ("nvidia-gpu", "nvidia-dcgm-exporter", "nvidia/k8s/dcgm-exporter:4", "exporter"),
        ("nvidia-gpu", "gpu-feature-discovery", "nvcr.io/nvidia/k8s-device-plugin", "label-node"),
        # plugins of other devices
        ("amd-gpu", "kube-sriov-device-plugin", "k8snetworkplumbingwg/sriov-device-plugin:v3", ""),
        ("amd-gpu", "nvidia-device-plugin", "nvcr.io/nvidia/k8s-device-plugin:v0.17.1", ""),
        ("nvidia-gpu", "intel-gpu-plugin", "intel/intel-gpu-plugin:0.32", ""),
        # HAMi's chart: its Ascend plugin has a name of its own
        ("ascend-npu", "hami-ascend-device-plugin", "x", "virtual-plugin"),
        ("ascend-npu", "plugin", "projecthami/ascend-device-plugin:v1.4.0", "virtual-plugin"),
        ("ascend-npu", "ascend-device-plugin-daemonset", "x", "device-plugin"),
    ],
)
def test_roles_of_daemonsets(family: str, name: str, image: str, role: str) -> None:
    assert profile(family).component_role(name, (image,)) == role
