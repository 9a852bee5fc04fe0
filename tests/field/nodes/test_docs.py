"""What docs/nodes.md says of asking for parts of cards, tried on constructed nodes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.support.places import ROOT

PAGE = (ROOT / "docs" / "nodes.md").read_text()
H100 = {"bus": 8, "rows": 8, "memory": 81559, "model": "NVIDIA H100 80GB HBM3"}
HAMI = {
    "hami.io/node-handshake": "Requesting_2026.01.01 00:00:00",
    "hami.io/node-nvidia-register": ":".join(
        f"GPU-{i},10,81559,100,NVIDIA-NVIDIA H100,0,true" for i in range(8)
    )
    + ":",
}
NPU = ",".join(
    f'{{"index":{i},"id":"Ascend910B4-{i}","count":4,"devmem":32768,"devcore":20,"health":true}}'
    for i in range(8)
)
ASCEND = {"hami.io/node-register-Ascend910B4": f"[{NPU}]"}


def node(profile: str, capacity: dict[str, str], cards: dict[str, Any], **more: Any) -> Any:
    return {"profile": profile, "capacity": capacity, "cards": cards, **more}


def examples() -> list[dict[str, Any]]:
    """The specs of the section on units."""
    section = PAGE.split("## Cards and units")[1].split("\n## ")[0]
    return [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", section, re.S)]


def test_the_examples_are_judged_by_the_part(judge: Callable[[Any], Any]) -> None:
    hami, mig = examples()
    shared = node("nvidia-gpu", {"nvidia.com/gpu": "80"}, H100, annotations=HAMI)
    verdict = judge({**shared, "spec": hami})
    assert verdict.usable and verdict.engine_memory_bytes == 16000 << 20, verdict.reasons
    assert judge(shared).engine_memory_bytes == 81559 << 20
    slices = {"nvidia.com/gpu": "0", "nvidia.com/mig-3g.40gb": "16"}
    verdict = judge({**node("nvidia-gpu", slices, H100), "spec": mig})
    assert verdict.usable and verdict.unit.startswith("16 x slice of 8 cards"), verdict.reasons
    assert verdict.resource == mig["nodes"]["resource"]
    assert verdict.engine_memory_bytes == int(40960 * 0.99 * 2**20)


@pytest.mark.parametrize(
    ("case", "resource", "limit"),
    [
        (
            node("ascend-npu", {"huawei.com/Ascend910B4": "32"}, {}, annotations=ASCEND),
            None,
            "huawei.com/Ascend910B4-memory",
        ),
        *(
            (
                node("hygon-dcu", {f"hygon.com/{n}num": "32", f"hygon.com/{n}mem": "524160"}, {}),
                f"hygon.com/{n}num",
                f"hygon.com/{n}mem",
            )
            for n in ("dcu", "hcu")
        ),
        (
            node("nvidia-gpu", {"volcano.sh/vgpu-number": "80"}, {}),
            "volcano.sh/vgpu-number",
            "volcano.sh/vgpu-memory",
        ),
        (
            node("nvidia-gpu", {"nvidia.com/gpu": "8", "nvidia.com/gpu.sliced": "800"}, {}),
            "nvidia.com/gpu.sliced",
            "nvidia.com/gpu.sliced.memory-mib",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_row_of_the_table_asks_for_memory(
    case: dict[str, Any], resource: str | None, limit: str, judge: Callable[[Any], Any]
) -> None:
    rows = [line for line in PAGE.splitlines() if f"`{limit}`" in line]
    assert rows and (resource is None or f"`{resource}`" in rows[-1])
    models = {"ascend-npu": ("910B4", 32768), "hygon-dcu": ("K100_AI", 65520)}
    model, memory = models.get(case["profile"], ("NVIDIA H100 80GB HBM3", 81559))
    # what is asked for is offered, too, where the plugin says how much there is
    amounts = {limit: "524160", **case["capacity"]}
    engine = {"name": "engine", "resources": {"limits": {limit: "16000"}}}
    spec = {
        "nodes": {"resource": resource} if resource else {},
        "serving": {"tensor_parallel_size": 1, "pod": {"containers": [engine]}},
    }
    cards = {"bus": 8, "rows": 8, "memory": memory, "model": model}
    verdict = judge({**case, "capacity": amounts, "cards": cards, "spec": spec})
    assert verdict.usable, verdict.reasons
    assert verdict.engine_memory_bytes == 16000 << 20, verdict.unit
