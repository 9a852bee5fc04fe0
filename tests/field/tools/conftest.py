"""A node of a vendor whose tool printed this, judged whole."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.accelerators.profiles import profile
from tasks.nodes.assess import api_facts, judge_node
from tasks.nodes.document import ProbeDoc
from tasks.nodes.reasons import Reason
from tests.support.nodedata import load, make_spec

INPUTS = Path(__file__).parent / "inputs"
# what the tests here are about; the rest of a node is the recorded one's
ABOUT = ("SMI_FAILED", "CARD_", "FACT_UNKNOWN")
Told = Callable[..., list[Reason]]


@pytest.fixture
def text() -> Callable[[str], str]:
    """A case's input, without the lines that explain it."""

    def read(name: str) -> str:
        lines = (INPUTS / name).read_text().splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("#"))

    return read


@pytest.fixture
def told() -> Told:
    """The reasons about the tool and the cards of a node of that vendor.

    runs: (arguments, output) or (arguments, output, status). on_bus: cards there, and in the
    plugin's capacity. held: whole cards that a pod of ours holds. asked: tensor parallel size.
    tool: default: the row's first. offered: allocatable, default all. nodes: of the spec.
    drivers: bound to the cards, default: not told.
    """

    def judge(
        name: str,
        runs: Sequence[tuple[Any, ...]],
        on_bus: int,
        held: int = 0,
        asked: int = 1,
        tool: str = "",
        offered: int | None = None,
        nodes: dict[str, Any] | None = None,
        drivers: Sequence[str] = (),
        **serving: Any,
    ) -> list[Reason]:
        data = load(name)
        world, prof = copy.deepcopy(data["base"]), profile(name)
        status, probe = world["node"]["status"], world["probe"]
        resource = next(n for n in status["capacity"] if prof.resource_kind(n))
        for key in ("capacity", "allocatable"):
            whole = offered is None or key == "capacity"
            status[key][resource] = str(on_bus if whole else offered)
        card = probe["pci"][0]
        probe["pci"] = [{**card, "address": f"0000:{i + 1:02x}:00.0"} for i in range(on_bus)]
        for item, driver in zip(probe["pci"], drivers, strict=False):
            item["driver"] = driver
        # labels of the recorded cards are none of these
        world["node"]["metadata"]["labels"] = {}
        probe["smi"]["runs"] = [
            {"args": list(run[0]), "stdout": run[1], "status": run[2] if len(run) > 2 else 0}
            for run in runs
        ]
        probe["smi"]["name"] = tool or probe["smi"]["name"]
        if held:
            ours = {"app.kubernetes.io/instance": "r1", "model-rollout/release": "old"}
            limits = {"resources": {"limits": {resource: str(held)}}}
            world["pods"].append(
                {
                    "metadata": {"name": "ours", "namespace": "default", "labels": ours},
                    "spec": {"nodeName": "n", "containers": [limits]},
                    "status": {"phase": "Running"},
                }
            )
        spec = make_spec(
            {"nodes": {"accelerator": name, **(nodes or {})}},
            {"serving": {"image": "vllm:x", "tensor_parallel_size": asked, **serving}},
        )
        api = api_facts(world["node"], world["pods"], world["daemonsets"])
        verdict = judge_node(spec, prof, api, ProbeDoc.from_json(probe), 0)
        return [reason for reason in verdict.reasons if reason.code.startswith(ABOUT)]

    return judge
