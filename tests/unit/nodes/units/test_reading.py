"""What a unit is: the annotations' formats, and laws that hold whatever a node says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.accelerators.profiles import PROFILES, profile
from tasks.nodes.facts import ApiFacts
from tasks.nodes.reasons import errors
from tasks.nodes.units.form import SeenCards
from tasks.nodes.units.reading import read_units
from tasks.nodes.units.reasons import lost_reasons
from tasks.nodes.units.register import read_cards, registers

NAMES = [
    *("nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-0g.5gb", "nvidia.com/mig-1g.5gb"),
    *("amd.com/gpu", "amd.com/cpx_nps4", "amd.com/spx_nps1", "hygon.com/dcu", "hygon.com/dcunum"),
    *("hygon.com/hcu-mig-2g-15gb", "hygon.com/dcu-share-36c-16g", "huawei.com/Ascend910"),
    *("huawei.com/Ascend910-16c", "huawei.com/Ascend910B4", "huawei.com/Ascend910B4-memory"),
]
LABELS = {
    "nvidia.com/gpu.replicas": ["1", "4", "0", "x"],
    "nvidia.com/gpu.sharing-strategy": ["none", "mps", "time-slicing"],
    "nvidia.com/mig.strategy": ["single", "mixed", ""],
    "nvidia.com/gpu.product": ["NVIDIA-L4-SHARED", "NVIDIA-A100-MIG-1g.5gb", "-MIG-0g.0gb"],
    "nvidia.com/gpu.memory": ["4864", "", "much"],
    "amd.com/gpu.compute-memory-partition": ["SPX_NPS1", "cpx_nps4", "?"],
    "amd.com/gpu.vram": ["24G", "0G"],
}
amounts = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 100).map(Decimal), max_size=4)
labels = st.fixed_dictionaries(
    {}, optional={key: st.sampled_from(values) for key, values in LABELS.items()}
)
hosts = st.builds(
    SeenCards,
    on_bus=st.none() | st.integers(0, 16),
    rows=st.integers(0, 64),
    addresses=st.integers(0, 16),
    memory_mib=st.none() | st.floats(1, 2e5),
)


@given(st.sampled_from(sorted(PROFILES)), amounts, labels, hosts, st.sampled_from(NAMES), st.text())
def test_no_node_crashes_the_reading(
    name: str,
    capacity: dict[str, Decimal],
    said: dict[str, str],
    seen: SeenCards,
    resource: str,
    text: str,
) -> None:
    annotations = {"hami.io/node-nvidia-register": text}
    api = ApiFacts(
        "n", labels=said, annotations=annotations, capacity=capacity, allocatable=capacity
    )
    row = profile(name)
    units = read_units(row, api, resource, seen)
    assert units.least <= units.most and units.ranks_per_unit >= 1
    for reason in errors(lost_reasons(row, seen, units, "tool")):
        assert reason.found and reason.action
    # a unit is never more than the smallest card, but where a label or a name says what it is
    told = any(key.endswith(("memory", "vram")) for key in said) or units.kind == "slice"
    if units.memory_bytes and seen.memory_mib and not told:
        assert units.memory_bytes <= seen.memory_mib * 2**20


@given(
    st.sampled_from(
        [
            *(("nvidia-gpu", "nvidia.com/gpu"), ("amd-gpu", "amd.com/gpu")),
            *(("hygon-dcu", "hygon.com/hcu"), ("ascend-npu", "huawei.com/Ascend910")),
            *(("iluvatar-gpu", "iluvatar.com/gpu"), ("metax-gpu", "metax-tech.com/gpu")),
        ]
    ),
    st.integers(1, 16),
)
def test_as_many_units_as_cards_are_cards(name: tuple[str, str], count: int) -> None:
    row, resource = profile(name[0]), name[1]
    api = ApiFacts("n", capacity={resource: Decimal(count)}, allocatable={resource: Decimal(count)})
    seen = SeenCards(count, count, count, 1000.0)
    units = read_units(row, api, resource, seen)
    assert (units.kind, units.cards, units.memory_bytes) == ("card", count, 1000 << 20)
    assert lost_reasons(row, seen, units, "tool") == []
    lost = SeenCards(count, count - 1, count - 1, 1000.0)
    assert count == 1 or [r.code for r in lost_reasons(row, lost, units, "tool")] == ["CARD_LOST"]


@pytest.mark.parametrize(
    ("text", "cards"),
    [
        # HAMi docs/protocol, both formats; the first JSON entry may leave index and NUMA node out
        ("GPU-f0,10,12288,100,NVIDIA-NVIDIA TITAN X,0,true:", [("GPU-f0", 10, 12288, True)]),
        (
            "MLU-45,10,23308,0,MLU-MLU370-X4,0,false,0,hami-core:MLU-54,10,23308,0,MLU-MLU370-X4,"
            "0,true,1,hami-core:",
            [("MLU-45", 10, 23308, False), ("MLU-54", 10, 23308, True)],
        ),
        ("DCU-0,2,16384,100,Z100L,0,true,0,hami-core:", [("DCU-0", 2, 16384, True)]),
        (
            '[{"id":"8eff","index":0,"count":10,"devmem":196288,"devcore":304,'
            '"type":"AMD Instinct MI300X VF","health":true}]',
            [("8eff", 10, 196288, True)],
        ),
        ('[{"id":"a","count":4,"devmem":32768}]', [("a", 4, 32768, True)]),
        ("", []),
    ],
)
def test_both_formats(text: str, cards: list[tuple[str, int, float, bool]]) -> None:
    assert [(c.ident, c.shares, c.memory_mib, c.healthy) for c in read_cards(text)] == cards


@pytest.mark.parametrize("text", ["nothing of the kind", "[1]", '[{"count": []}]', "a,b,c"])
def test_what_cannot_be_read_is_said(text: str) -> None:
    (register,) = registers({"hami.io/node-dcu-register": text}, r"hami\.io/.+-register", "x/y")
    assert register.cards == () and "cannot be read" in register.broken


def test_the_handshake_of_each_vendor() -> None:
    notes = {
        "hami.io/node-nvidia-register": "a,1,2",
        "hami.io/node-handshake": "Deleted_1",
        "hami.io/node-handshake-dcu": "Requesting_2",
        "hami.io/node-dcu-register": "b,1,2",
        "hami.io/node-register-Ascend910B4": "c,4,2",
        "hami.io/node-register-Ascend310P": "d,7,2",
        "hami.io/node-handshake-Ascend310P": "Deleted_3",
    }
    gone = {r.key: r.gone for r in registers(notes, r"hami\.io/.*register.*", "huawei.com/x")}
    assert list(gone.values()) == ["", "Deleted_1", "Deleted_3", ""]
    (own,) = registers(notes, r"hami\.io/node-register-.*", "huawei.com/Ascend910B4")
    assert own.shares == 4
