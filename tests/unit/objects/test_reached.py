"""Where a Service leads, and whose pods carry no label of ours."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.base.errors import Refused, StepFailed
from tasks.objects.labels import INSTANCE_LABEL, REACHED_ANNOTATION, RELEASE_LABEL
from tasks.objects.reached import Reached, chooses, labelled, leads_to, reached_of

REACHED = Reached("adopted-1", {"app": "vllm"}, [{"port": 80, "targetPort": 8123}])


def item(selector: Any = None, note: str | None = REACHED.text()) -> dict[str, Any]:
    notes = {} if note is None else {REACHED_ANNOTATION: note}
    labels = {INSTANCE_LABEL: "m", RELEASE_LABEL: "adopted-1"}
    meta = {"name": "m", "namespace": "models", "labels": labels, "annotations": notes}
    return {"kind": "Service", "metadata": meta, "spec": {"selector": selector}}


@pytest.mark.parametrize(
    ("service", "release"),
    [
        (None, None),
        (item({INSTANCE_LABEL: "m", RELEASE_LABEL: "new"}), "new"),
        (item({"app": "vllm"}), "adopted-1"),
        (item({"app": "vllm"}, note=None), None),
        (item(None, note=None), None),
    ],
)
def test_where_a_service_leads(service: Any, release: str | None) -> None:
    assert leads_to(service) == release


@pytest.mark.parametrize("selector", [{"tier": "x"}, {"app": "other"}, {}, None])
def test_a_selector_that_somebody_changed_is_not_guessed_about(selector: Any) -> None:
    with pytest.raises(Refused, match="somebody changed it"):
        leads_to(item(selector))


def test_what_is_remembered_comes_back_as_it_was() -> None:
    assert reached_of(item()) == REACHED and reached_of(item(note=None)) is None
    for note in ("{", "[]", "{}", '{"release": "x", "selector": 1, "ports": []}'):
        with pytest.raises(StepFailed, match="models/m: annotation model-rollout/reached-by"):
            reached_of(item(note=note))


def test_an_empty_selector_chooses_nothing() -> None:
    assert chooses({"a": "1"}, {"a": "1", "b": "2"}) and not chooses({"a": "1"}, {"a": "2"})
    assert not chooses({}, {"a": "1"}) and not chooses({"a": "1"}, None)


def test_only_pods_of_the_adopted_are_labelled() -> None:
    owners = [{"kind": "ReplicaSet", "name": "m-5d8"}]
    meta = {"namespace": "models", "labels": {"app": "vllm"}}
    theirs = {"metadata": {**meta, "ownerReferences": owners}}
    copies = {"metadata": {**meta, "ownerReferences": [{**owners[0], "name": "m-copy-5d8"}]}}
    other = {"metadata": {"namespace": "models", "labels": {"app": "x"}}}
    bare = {"metadata": {"namespace": "models"}}
    found = labelled([theirs, other, bare, copies], [item()])
    marks = {INSTANCE_LABEL: "m", RELEASE_LABEL: "adopted-1"}
    assert found[0]["metadata"]["labels"] == {"app": "vllm", **marks} and found[1:] == [
        other,
        bare,
        copies,
    ]
    assert labelled([theirs], [item(note=None)]) == [theirs]
