"""A first spec, for what the nodes offer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.cli.main import main
from flows.cli.reading.starter import Offer, offer_of, starter
from tasks.accelerators.profiles import PROFILES
from tasks.base.errors import OutsideError
from tasks.outside.kubernetes.client import Cluster
from tasks.spec.file import parse_spec
from tests.support.cluster.actor_world import World, world
from tests.support.update_golden import RESOURCES


def node(name: str, allocatable: dict[str, str], labels: dict[str, str] | None = None) -> Any:
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "status": {"allocatable": {"cpu": "8", **allocatable}},
    }


@pytest.mark.parametrize("name", PROFILES)
def test_of_each_accelerator_it_is_a_spec(name: str) -> None:
    resource = RESOURCES[name]
    offer = offer_of([node("a", {resource: "8"} if resource else {})])
    assert (offer.accelerator, offer.resource) == (name, resource)
    spec = parse_spec(starter("chat", "models", offer, "o/n"))
    assert (spec.nodes.accelerator, spec.namespace, spec.model.id) == (name, "models", "o/n")


def test_a_name_that_yaml_takes_for_something_else_stays_one() -> None:
    for name in ("null", "on", "1e3", "123"):
        spec = parse_spec(starter(name, name, offer_of([]), f"{name}/n"))
        assert (spec.name, spec.namespace, spec.model.id) == (name, name, f"{name}/n")


def test_what_most_cards_are_and_what_other_rollouts_use() -> None:
    label = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    nodes = [
        node("a", {"nvidia.com/gpu": "8"}, label),
        node("b", {"nvidia.com/gpu": "4"}, label),
        node("c", {"hygon.com/dcu": "2"}),
        node("d", {"amd.com/gpu": "0"}),
    ]
    others = [
        {"store": {"path": "/data"}, "runner": {"image": "r.example/runner:1"}},
        {"store": {"path": "/data"}},
        {"store": {"path": "/other"}},
        {},
    ]
    found = offer_of(nodes, others)
    assert found == Offer(
        "nvidia-gpu",
        "nvidia.com/gpu",
        8,
        2,
        "NVIDIA-H100-80GB-HBM3",
        "/data",
        "r.example/runner:1",
    )
    spec = parse_spec(starter("chat", "models", found))
    assert spec.nodes.model == "NVIDIA-H100-80GB-HBM3" and spec.store.path == "/data"
    assert spec.runner.image == "r.example/runner:1"
    assert offer_of(nodes, (), "hygon-dcu").devices == 2
    assert offer_of(nodes, (), "ascend-npu") == Offer("ascend-npu", nodes=4)


def test_without_a_cluster_it_has_placeholders_and_says_so() -> None:
    text = starter("chat", "default", Offer())
    assert "no cluster answered: one of hygon-dcu" in text and "id: owner/name" in text
    assert parse_spec(text).name == "chat"


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_is_written_once(
    inside: Path, reached: list[World], capsys: pytest.CaptureFixture[str]
) -> None:
    reached.append(world())
    assert main(["init", "chat", "-n", "models", "--model", "o/n"]) == 0
    said = capsys.readouterr().out
    assert "chat.yaml: written (cpu on 1 node(s))" in said
    text = (inside / "chat.yaml").read_text()
    assert parse_spec(text).nodes.accelerator == "cpu"
    assert main(["init", "chat"]) == 2
    assert "chat.yaml is there and is not written over" in capsys.readouterr().err
    assert (inside / "chat.yaml").read_text() == text
    assert main(["init", "chat", "--file", "other.yaml"]) == 0
    assert main(["validate", "chat.yaml", "other.yaml"]) == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("init Chat", "lower-case letters"),
        ("init chat --model nobodys", "model.id: string should match"),
        ("init chat --accelerator tpu", "no profile 'tpu'; there are: hygon-dcu"),
        ("init chat --file none/chat.yaml", "none/chat.yaml cannot be written"),
    ],
)
def test_what_cannot_be_written_is_said_and_nothing_is(
    line: str,
    said: str,
    inside: Path,
    reached: list[World],
    capsys: pytest.CaptureFixture[str],
) -> None:
    reached.append(world())
    assert main(line.split()) in (1, 2)
    assert said in capsys.readouterr().err and list(inside.iterdir()) == []


def test_a_cluster_that_does_not_answer_is_no_error(
    inside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def connect(*_: Any, **__: Any) -> None:
        raise OutsideError("no cluster to talk to")

    monkeypatch.setattr(Cluster, "connect", connect)
    assert main(["init", "chat", "--accelerator", "amd-gpu"]) == 0
    assert "written (no cluster answered)" in capsys.readouterr().out
    assert parse_spec((inside / "chat.yaml").read_text()).nodes.accelerator == "amd-gpu"
