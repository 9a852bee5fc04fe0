"""Spellings of cards, in both directions."""

from __future__ import annotations

import pytest

from tasks.accelerators.profiles import profile
from tasks.nodes.tools.names import likeness


@pytest.mark.parametrize(
    ("left", "right", "alike"),
    [
        ("K100_AI", "K100-AI", "same"),
        ("K100", "K100_AI", "other"),
        ("BW1000", "BW", "same"),  # BW cards may report their series only
        ("BW1000", "BW100", "other"),
        # gpu-feature-discovery's labels beside nvidia-smi's names
        ("NVIDIA-A100-SXM4-80GB-SHARED", "NVIDIA A100-SXM4-80GB", "same"),
        ("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", "NVIDIA H100 80GB HBM3", "same"),
        ("NVIDIA-RTX-6000-Ada-Generation", "NVIDIA RTX 6000 Ada Generation", "same"),
        ("Tesla-T4", "NVIDIA A10", "other"),
        # what people write for nvidia-smi's names
        ("H100", "NVIDIA H100 80GB HBM3", "same"),
        ("A100-80GB", "NVIDIA A100-SXM4-80GB", "same"),
        ("A100-40GB", "NVIDIA A100-SXM4-80GB", "other"),
        ("A100-PCIE-80GB", "NVIDIA A100-SXM4-80GB", "other"),
        ("H100 NVL", "NVIDIA H100 80GB HBM3", "same"),  # the tool names no form
        ("H100 PCIe", "NVIDIA H100 NVL", "other"),
        ("V100", "Tesla V100-SXM2-32GB", "same"),
        ("V100", "Tesla V100S-PCIE-32GB", "other"),
        ("L40", "NVIDIA L40S", "other"),
        ("L40S", "NVIDIA L40S", "same"),
        ("L4", "NVIDIA L40", "other"),
        ("A10", "NVIDIA A100-SXM4-40GB", "other"),
        ("A10", "NVIDIA A10G", "other"),
        ("A40", "NVIDIA L40", "other"),
        ("H20", "NVIDIA H20-3e", "other"),  # 141 GB, not 96
        ("H200", "NVIDIA H20", "other"),
        ("4090", "NVIDIA GeForce RTX 4090", "same"),
        ("RTX 4090", "NVIDIA GeForce RTX 4090 D", "other"),
        ("RTX4090", "NVIDIA GeForce RTX 4090", "same"),
        ("RTX 3090", "NVIDIA GeForce RTX 3090 Ti", "other"),
        ("RTX 4080", "NVIDIA GeForce RTX 4080 SUPER", "other"),
        ("RTX 6000 Ada", "NVIDIA RTX 6000 Ada Generation", "same"),
        ("RTX 6000", "NVIDIA RTX 6000 Ada Generation", "other"),
        ("RTX PRO 6000", "NVIDIA RTX PRO 6000 Blackwell Server Edition", "same"),
        ("RTX 6000 Ada", "NVIDIA RTX PRO 6000 Blackwell Server Edition", "other"),
        ("RTX A6000", "NVIDIA RTX 6000 Ada Generation", "other"),
        ("GB10", "NVIDIA GB10", "same"),
        ("GH200", "NVIDIA GH200 480GB", "same"),
        ("GB200", "NVIDIA B200", "other"),
        ("B300", "NVIDIA B300 SXM6 AC", "same"),
        ("TITAN RTX", "NVIDIA TITAN RTX", "same"),
        ("TITAN Xp", "NVIDIA TITAN RTX", "other"),
        ("NVIDIA-A10-24Q", "A10", "same"),  # a guest's share of a card, by its memory
        # AMD: node labeller, amd-smi, rocm-smi
        ("AMD_Instinct_MI300X_OAM", "AMD Instinct MI300X", "same"),
        ("AMD_Instinct_MI250X_MI250", "AMD INSTINCT MI250 (MCM) OAM AC MBA", "same"),
        ("MI300X", "AMD Instinct MI300A", "other"),
        ("MI300X", "AMD Instinct MI325X", "other"),
        ("MI250", "AMD Instinct MI250X", "other"),
        ("7900XTX", "Radeon RX 7900 XTX", "same"),
        ("7900XT", "Radeon RX 7900 XTX", "other"),
        ("RX 7900 XT", "Radeon RX 7900 XTX", "other"),
        ("W7900", "AMD Radeon PRO W7900", "same"),
        ("R9700", "AMD Radeon AI PRO R9700", "same"),
        # Ascend: npu-smi, labels of MindCluster and HAMi
        ("910B4", "910B", "same"),
        ("910B4", "910B3", "other"),
        ("Ascend910", "910B4", "same"),
        ("Ascend910B3", "910B3", "same"),
        ("Ascend910B3", "910B4", "other"),
        ("Ascend 310P3", "310P3", "same"),
        ("310P", "310P3", "same"),
        ("Ascend910_9392", "Ascend910_9381", "other"),
        # the others' tools, labels and documents
        ("BI150", "BI-V150", "spelling"),  # an alias of Iluvatar's row makes them one
        ("BI-V150", "Iluvatar BI-V150", "same"),
        ("BI-V150", "Iluvatar BI-V150S", "other"),
        ("BI-V150", "BI-V100", "other"),
        ("MTT-S4000", "MTT S4000", "same"),
        ("S4000", "MTT S4000", "same"),
        ("S80", "MTT S4000", "other"),
        ("MLU370-X8", "MLU370-X8", "same"),
        ("MLU370-X4", "MLU370-X8", "other"),
        ("MLU370", "MLU370-X8", "same"),
        ("MLU370", "MLU590", "other"),
        ("P800", "P800 OAM", "same"),
        ("R300", "P800 OAM", "other"),
        ("C500", "MetaX C500", "same"),
        ("C550", "MetaX C500", "other"),
        ("S60", "Enflame S60", "same"),
        ("ZW810E", "PPU-ZW810E", "same"),
    ],
)
def test_spellings_of_a_card(left: str, right: str, alike: str) -> None:
    assert (likeness(left, right), likeness(right, left)) == (alike, alike)


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [
        ("iluvatar-gpu", "BI150", "Iluvatar BI-V150"),
        ("metax-gpu", "MXC500", "MetaX C500"),
        ("ascend-npu", "Ascend910B3", "910B3"),
        ("hygon-dcu", "BW1000 64G", "BW1000"),
    ],
)
def test_a_rows_aliases_hold(name: str, left: str, right: str) -> None:
    row = profile(name)
    assert (likeness(left, right, row), likeness(right, left, row)) == ("same", "same")
