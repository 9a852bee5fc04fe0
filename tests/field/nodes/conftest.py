"""Nodes as public reports describe them: a few figures a node, made into what the judge reads.

A case: source; profile; capacity, allocatable (default: capacity), labels, annotations, daemons
[{name, image, ready, note}]; cards {bus, passed (of those, to vfio-pci), rows, memory (null:
not told), model, device, addresses, mig (cards in that mode, or all)}; driver; spec; expect. Where
`cards` is absent the node was not probed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.accelerators.profiles import Profile, profile
from tasks.nodes.assess import NodeVerdict, judge_node
from tasks.nodes.document import Device, ProbeDoc, SmiRun, SmiRuns
from tasks.nodes.facts import ApiFacts, api_facts
from tests.support.nodedata import make_spec

DRIVERS = {
    "nvidia-gpu": "580.95.05",
    "amd-gpu": "6.16.6",
    "hygon-dcu": "6.3.30-V1.4.1a",
    "ascend-npu": "25.5.2",
    "iluvatar-gpu": "4.3.8",
    "cambricon-mlu": "6.2.11",
    "mthreads-gpu": "2.7.0",
}
IMAGES = {
    "nvidia-gpu": "vllm/vllm-openai:v0.11.0-cu128",
    "amd-gpu": "rocm/vllm:rocm6.4.1",
    "hygon-dcu": "dcu/vllm:dtk26.04",
    "ascend-npu": "quay.io/ascend/vllm-ascend:v0.13.0",
    "iluvatar-gpu": "gpustack/runner:corex4.2-vllm0.8.3",
    "cambricon-mlu": "vllm-mlu:x",
    "mthreads-gpu": "vllm-musa:x",
}

FILES = ("components", "lacking", "names", "toolkits", "units")

Judge = Callable[[dict[str, Any]], NodeVerdict]


def cases(name: str) -> dict[str, dict[str, Any]]:
    """The cases of one file, or of the files of one folder, by name."""
    here = Path(__file__).parent
    files = sorted((here / name).glob("*.yaml")) or [here / f"{name}.yaml"]
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        found |= yaml.safe_load(file.read_text())
    return found


def facts_of(case: dict[str, Any]) -> ApiFacts:
    """The API's side."""
    pods = [
        {
            "metadata": {
                "name": f"{d['name']}-x",
                "namespace": "kube-system",
                "ownerReferences": [{"kind": "DaemonSet", "name": d["name"]}],
            },
            "spec": {"nodeName": "n", "containers": [{"image": d.get("image", "x")}]},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": str(d.get("ready", True))}],
                "containerStatuses": [
                    {"state": {"waiting": {"reason": d["note"]}} if d.get("note") else {}}
                ],
            },
        }
        for d in case.get("daemons", [])
    ]
    common = {"cpu": "128", "memory": "1000Gi", "pods": "110"}
    amounts = {**common, **case.get("capacity", {})}
    node = {
        "metadata": {
            "name": "n",
            "labels": case.get("labels", {}),
            "annotations": case.get("annotations", {}),
        },
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "capacity": amounts,
            "allocatable": {**amounts, **case.get("allocatable", {})},
        },
    }
    return api_facts(node, pods)


def _smi(row: Profile, cards: dict[str, Any], driver: str) -> SmiRuns:
    """What the vendor's tool would print of these cards."""
    count, memory, model = cards.get("rows", 0), cards.get("memory", 0), cards.get("model", "")
    addresses = cards.get("addresses", count)
    bus = [f"0000:{0x10 + i * addresses // max(count, 1):02x}:00.0" for i in range(count)]
    tool = row.smi[0].name
    args: tuple[str, ...] = ("--json",)
    if tool == "nvidia-smi":
        head = (
            "index, name, memory.total [MiB], memory.used [MiB], temperature.gpu, power.draw [W], "
            "driver_version, ecc.errors.uncorrected.volatile.total, pci.bus_id, mig.mode.current\n"
        )
        mig = cards.get("mig", 0)
        modes = ["Enabled" if mig is True or i >= count - mig else "[N/A]" for i in range(count)]
        amounts = "[N/A], [N/A]" if memory is None else f"{memory} MiB, 4 MiB"
        text = head + "".join(
            f"{i}, {model}, {amounts}, 31, 71.45 W, {driver}, 0, 0000{bus[i].upper()}, {modes[i]}\n"
            for i in range(count)
        )
    elif tool == "ixsmi":
        args, line = (), "+" + "-" * 77 + "+\n"
        text = f"{line}|  IX-ML: {driver}   Driver Version: {driver}   CUDA Version: 10.2 |\n" + (
            "| GPU  Name        | Bus-Id       | Clock-SM  Clock-Mem  |\n"
            "| Fan  Temp  Perf  Pwr:Usage/Cap| Memory-Usage | GPU-Util  Compute M. |\n"
        )
        text += line + "".join(
            f"| {i}    {model}   | 0000{bus[i]} | 1500MHz   1600MHz |\n"
            f"| N/A  40C   P0    104W / 350W  | 64MiB / {memory}MiB | 0%   Default |\n{line}"
            for i in range(count)
        )
        text += "| Processes:   GPU Memory |\n"
    elif tool == "npu-smi":
        args = ("info",)
        text = f"| npu-smi {driver}  Version: {driver} |\n" + "".join(
            f"| {i}     {model}    | OK            | 89.9  39  0 / 0   |\n"
            f"| 0       {i}          | {bus[i]}  | 0     0 / 0    2900 / {memory}  |\n"
            for i in range(count)
        )
        text += "| NPU     Chip      | Process id    | Process name  | Process memory(MB) |\n"
    else:
        tool = "rocm-smi" if tool == "amd-smi" else tool
        body: dict[str, Any] = {
            f"card{i}": {"Card Series": model, "vram Total Memory (MiB)": str(memory)}
            for i in range(count)
        }
        if "addresses" in cards:
            for i in range(count):
                body[f"card{i}"]["PCI Bus"] = bus[i]
        text = json.dumps(body)
    return SmiRuns(tool, f"/usr/bin/{tool}", (SmiRun(args, 0, text),))


def probe_of(case: dict[str, Any]) -> ProbeDoc | None:
    """The host's side, healthy but for the cards."""
    cards = case.get("cards")
    if cards is None:
        return None
    row = profile(case["profile"])
    driver = case.get("driver", DRIVERS[row.name])
    device = cards.get("device") or next(iter(row.models), "2330")
    pci = (
        {
            "address": f"0000:{0x10 + i:02x}:00.0",
            "vendor": row.pci_vendor,
            "device": device,
            "class": f"{row.pci_classes[0]}0000",
            "driver": row.modules[0] if i < cards["bus"] - cards.get("passed", 0) else "vfio-pci",
        }
        for i in range(cards["bus"])
    )
    doc = {
        "schema": 1,
        "profile": row.name,
        "pci": list(pci),
        "store": {"total_bytes": 10**13, "free_bytes": 10**13},
    }
    return replace(
        ProbeDoc.from_json(doc),
        modules={row.modules[0]: driver},
        devices={d.path: Device(d.kind, ("renderD128",)) for d in row.devices},
        smi=_smi(row, cards, driver),
    )


def judged(case: dict[str, Any]) -> NodeVerdict:
    """The verdict on one case."""
    spec = make_spec(
        {"nodes": {"accelerator": case["profile"]}, "serving": {"image": IMAGES[case["profile"]]}},
        case.get("spec", {}),
    )
    return judge_node(spec, profile(case["profile"]), facts_of(case), probe_of(case), 0)


@pytest.fixture
def judge() -> Judge:
    """Judge one case."""
    return judged


def check(case: dict[str, Any], verdict: NodeVerdict) -> None:
    """What the case expects: usable, errors and warnings (codes), resource, unit (words in it),
    memory_mib, says (words in the reasons), silent (codes that must not be there)."""
    expect, said = case["expect"], [f"{r.severity} {r}" for r in verdict.reasons]
    assert verdict.usable is expect.get("usable", True), said
    found = {
        severity: {r.code for r in verdict.reasons if r.severity == severity}
        for severity in ("error", "warning")
    }
    assert found["error"] == set(expect.get("errors", [])), said
    if "warnings" in expect:
        assert found["warning"] == set(expect["warnings"]), said
    assert not {r.code for r in verdict.reasons} & set(expect.get("silent", [])), said
    if "resource" in expect:
        assert verdict.resource == expect["resource"]
    for word in expect.get("unit", []):
        assert word in verdict.unit, verdict.unit
    if "memory_mib" in expect:
        assert verdict.engine_memory_bytes == int(expect["memory_mib"] * 2**20), verdict.unit
    for word in expect.get("says", []):
        assert word in " ".join(said), said


@pytest.fixture
def holds() -> Callable[[dict[str, Any]], None]:
    """Judge a case and compare with what it expects."""
    return lambda case: check(case, judged(case))


@pytest.fixture
def field_case() -> Callable[[str, str], dict[str, Any]]:
    """A case by file and name."""
    return lambda name, which: cases(name)[which]


@pytest.fixture
def every_case() -> dict[str, dict[str, Any]]:
    """The cases of all files."""
    return {n: c for name in FILES for n, c in cases(name).items()}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`sibling`: every case of the module's file but those with a test of their own."""
    if "sibling" in metafunc.fixturenames:
        found = cases(metafunc.module.CASES)
        rest = {name: case for name, case in found.items() if not re.match(r"c\d", name)}
        metafunc.parametrize("sibling", rest.values(), ids=list(rest))
