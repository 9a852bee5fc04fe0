"""The stand-in writes down what Kubernetes 1.36 wrote down, and what it wrote is what was sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deployments.local.kube.admit.canonical import canonical
from deployments.local.kube.admit.defaults import defaulted
from deployments.local.kube.objects import pods
from tasks.release.written.meaning import kept, same_amount

HERE = Path(__file__).parent
AMOUNTS: dict[str, list[str]] = json.loads((HERE / "amounts.json").read_text())["amounts"]
OBJECTS: dict[str, Any] = json.loads((HERE / "objects.json").read_text())


@pytest.mark.parametrize("text", AMOUNTS)
def test_amounts(text: str) -> None:
    assert [canonical(text, listed=True), canonical(text)] == AMOUNTS[text]


@pytest.mark.parametrize("text", AMOUNTS)
def test_what_is_written_down_is_written_down_as_it_is(text: str) -> None:
    listed, single = AMOUNTS[text]
    assert canonical(listed, listed=True) == listed
    assert canonical(single) == single


@pytest.mark.parametrize("text", AMOUNTS)
def test_an_amount_is_the_same_as_it_was_sent(text: str) -> None:
    assert same_amount(text, AMOUNTS[text][0])


@pytest.mark.parametrize("pair", OBJECTS["deployments"])
def test_deployments(pair: dict[str, Any]) -> None:
    meta = {"name": "x", "namespace": "y"}
    assert (
        defaulted("deployments", {"metadata": meta, "spec": pair["sent"]})["spec"]
        == (pair["answered"])
    )


@pytest.mark.parametrize("pair", OBJECTS["pods"])
def test_pods(pair: dict[str, Any]) -> None:
    made = defaulted("pods", {"metadata": {"name": "x"}, "spec": pair["sent"]})
    assert pods.default(made)["spec"]["containers"] == pair["answered"]


@pytest.mark.parametrize("pair", OBJECTS["deployments"])
def test_what_kubernetes_answers_is_what_was_sent(pair: dict[str, Any]) -> None:
    sent, answered = (pair[side]["template"]["spec"] for side in ("sent", "answered"))
    assert [key for key in sent if not kept(sent[key], answered.get(key), key)] == []


@pytest.mark.parametrize("pair", OBJECTS["pods"])
def test_what_a_pod_is_made_as_is_what_was_sent(pair: dict[str, Any]) -> None:
    assert kept(pair["sent"]["containers"], pair["answered"], "containers")
