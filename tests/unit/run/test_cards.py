"""The look at the cards after the load: a check a node, with what it found on record."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.accelerators.profiles import profile
from tasks.base.errors import StepFailed
from tasks.nodes.assess import api_facts, judge_node
from tasks.nodes.document import ProbeDoc
from tasks.nodes.tools.cards import Card
from tasks.record.parts import Smoke
from tasks.run.cards import check_cards
from tasks.run.findings import Looked, Planned, Survey
from tasks.run.run import Run
from tasks.weights.manifest import FileEntry, build
from tests.support import hostroot
from tests.support.cluster.actor_world import world
from tests.support.cluster.runs import run_of
from tests.support.nodedata import load
from tests.support.surveys import survey

module = import_module("tasks.run.cards")
DCU = "hygon.com/dcu"
SERVING = {"image": "vllm:x", "tensor_parallel_size": 2}
NODE: dict[str, Any] = load("hygon-dcu")["base"]["node"]
PROBE: dict[str, Any] = load("hygon-dcu")["base"]["probe"]


def pod(spec: Any, release: str, *, up: bool = True) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/instance": spec.name,
        "model-rollout/release": release,
    }
    return {
        "metadata": {"name": "m-1", "namespace": spec.namespace, "labels": labels},
        "spec": {
            "nodeName": NODE["metadata"]["name"],
            "containers": [{"name": "engine", "resources": {"limits": {DCU: "2"}}}],
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(up)}]},
    }


def planned(run: Run, before: tuple[float, ...], file: str) -> Planned:
    """The plan of a release of 8 GiB over two cards, whose probe saw this memory in use."""
    found: Survey = survey(run.spec)
    manifest = build("o/m", "master", "c" * 40, [FileEntry(file, 8 * 2**30, "0" * 64)])
    fact = api_facts(NODE)
    verdict = judge_node(run.spec, profile("hygon-dcu"), fact, None)
    seen = tuple(Card(i, "K100_AI", 65520, held) for i, held in enumerate(before))
    found = replace(
        found,
        manifest=manifest,
        resource=DCU,
        facts=(fact,),
        looked=(Looked(verdict, cards=seen),),
    )
    return SimpleNamespace(survey=found)  # type: ignore[return-value]


def looked(
    monkeypatch: pytest.MonkeyPatch,
    used: tuple[int, ...] | Exception,
    file: str = "a.safetensors",
    **nodes: Any,
) -> tuple[Run, list[Any]]:
    """Two cards asked for; the tool says this of the eight, or the probe raises."""
    run = run_of(
        world(phase="testing", candidate=True),
        nodes={"accelerator": "hygon-dcu", **nodes},
        serving=SERVING,
    )
    run.record.smoke = Smoke()
    plan = planned(run, (2,) * 8, file)
    mine = pod(run.spec, plan.survey.release.id)
    vars(run.cluster).update(list=lambda kind, ns=None, **_: [NODE] if kind == "Node" else [mine])

    def read(*_: Any) -> ProbeDoc:
        if isinstance(used, Exception):
            raise used
        text = hostroot.hy_smi_json()
        for held in used:
            text = text.replace(
                '"vram Total Used Memory (MiB)": "2"',
                f'"vram Total Used Memory (MiB)": "{held}"',
                1,
            )
        runs = [{"args": ["--json"], "status": 0, "stdout": text, "stderr": ""}]
        return ProbeDoc.from_json({**PROBE, "smi": {"name": "hy-smi", "path": "p", "runs": runs}})

    monkeypatch.setattr(module, "read_node", read)
    return run, check_cards(run, plan, [mine])


def test_the_cards_asked_for_hold_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    run, (check,) = looked(monkeypatch, (59000, 59000))
    assert check.ok and check.name == f"cards {NODE['metadata']['name']}"
    assert check.found == "card 0: 59,000 of 65,520 MiB, card 1: 59,000 of 65,520 MiB"
    assert run.record.smoke
    assert [(c.index, c.used_mib, c.before_mib, c.role) for c in run.record.smoke.cards][:3] == [
        (0, 59000, 2, "loaded"),
        (1, 59000, 2, "loaded"),
        (2, 2, 2, "idle"),
    ]


def test_fewer_cards_than_asked_end_the_smoke(monkeypatch: pytest.MonkeyPatch) -> None:
    _, (check,) = looked(monkeypatch, (59000,))
    assert not check.ok
    assert check.found.startswith("1 of the 2 cards asked for hold the model's share of 4,096 MiB")


def test_weights_that_nobody_can_weigh_fail_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, (check,) = looked(monkeypatch, (59000,), "m.Q4_K_M.gguf")
    assert check.ok and check.found == "the model's share is not known and was not judged"


def test_a_look_that_cannot_be_taken_is_told_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, (check,) = looked(monkeypatch, StepFailed("the probe Job failed: no image", {"a": "b"}))
    assert check.ok and check.found == "not looked at: the probe Job failed: no image"
    assert run.record.smoke and run.record.smoke.cards == []


def test_a_spec_may_want_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    _, checks = looked(monkeypatch, StepFailed("never asked"), check_loaded=False)
    assert checks == []
