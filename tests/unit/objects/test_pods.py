"""What is read of pods, whatever the kubelet has not written yet."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.objects.pods import (
    conditions,
    ending,
    engine_container,
    image_digests,
    is_true,
    ready,
    restarts,
    state,
    statuses,
)

READY = {"type": "Ready", "status": "True"}


def pod(status: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"metadata": {"name": "p", **meta}, "spec": {}}
    return body if status is None else {**body, "status": status}


@pytest.mark.parametrize(
    ("status", "is_ready"),
    [
        (None, False),
        ({}, False),
        ({"conditions": None}, False),
        ({"conditions": []}, False),
        ({"conditions": [READY]}, True),
        ({"conditions": [{"type": "Ready", "status": "False", "reason": "X"}]}, False),
        ({"conditions": [{"type": "Ready", "status": "Unknown"}]}, False),
        ({"conditions": [{"type": "Ready"}]}, False),
        ({"conditions": [{"type": "ContainersReady", "status": "True"}]}, False),
        ({"conditions": [{"type": "PodScheduled", "status": "True"}, READY]}, True),
    ],
)
def test_a_pod_is_ready_by_its_condition_alone(
    status: dict[str, Any] | None, is_ready: bool
) -> None:
    assert ready(pod(status)) is is_ready


def test_what_is_asked_to_end_is_not_ready_any_more() -> None:
    going = pod({"conditions": [READY]}, deletionTimestamp="2026-01-01T00:00:00Z")
    assert ending(going) and is_true(going, "Ready") and not ready(going)
    assert not ending(pod({})) and not ending(pod({}, deletionTimestamp=None))


def test_conditions_are_found_by_their_type() -> None:
    lost = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    found = conditions(pod({"conditions": [READY, lost]}))
    assert found == {"Ready": READY, "DisruptionTarget": lost}
    assert conditions(pod()) == conditions(pod({"conditions": None})) == {}


ENGINE = {"name": "engine", "restartCount": 2, "imageID": "r/vllm@sha256:b"}
SIDE = {"name": "side", "restartCount": 1, "imageID": "r/side@sha256:c"}
INIT = {"name": "prep", "restartCount": 4}


@pytest.mark.parametrize(
    ("status", "names", "with_init", "again"),
    [
        (None, [], [], 0),
        ({}, [], [], 0),
        ({"containerStatuses": None, "initContainerStatuses": None}, [], [], 0),
        ({"containerStatuses": [ENGINE]}, ["engine"], ["engine"], 2),
        ({"containerStatuses": [ENGINE, SIDE]}, ["engine", "side"], ["engine", "side"], 3),
        # those that run first stand first, and their restarts are not the engine's
        (
            {"containerStatuses": [ENGINE], "initContainerStatuses": [INIT]},
            ["engine"],
            ["prep", "engine"],
            2,
        ),
        ({"initContainerStatuses": [INIT]}, [], ["prep"], 0),
        # a kubelet that has not counted yet
        ({"containerStatuses": [{"name": "engine"}]}, ["engine"], ["engine"], 0),
        (
            {"containerStatuses": [{"name": "engine", "restartCount": None}]},
            ["engine"],
            ["engine"],
            0,
        ),
    ],
)
def test_containers_and_their_restarts(
    status: dict[str, Any] | None, names: list[str], with_init: list[str], again: int
) -> None:
    found = pod(status)
    assert [entry["name"] for entry in statuses(found)] == names
    assert [entry["name"] for entry in statuses(found, init=True)] == with_init
    assert restarts([found]) == again
    assert restarts([found, pod({"containerStatuses": [SIDE]}), pod()]) == again + 1


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({}, {}),
        ({"state": None}, {}),
        ({"state": {}}, {}),
        ({"state": {"running": {}}}, {"running": {}}),
        (
            {"state": {"waiting": {"reason": "ContainerCreating"}}},
            {"waiting": {"reason": "ContainerCreating"}},
        ),
        (
            {"state": {"terminated": {"exitCode": 137}}, "lastState": {"running": {}}},
            {"terminated": {"exitCode": 137}},
        ),
    ],
)
def test_a_containers_state(entry: Any, found: dict[str, Any]) -> None:
    assert state(entry) == found


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"containers": [{"name": "engine"}, {"name": "side"}]}, "engine"),
        ({"containers": [{"name": "side"}, {"name": "engine"}]}, "engine"),
        # a site's own PodSpec may call it otherwise
        ({"containers": [{"name": "main"}, {"name": "side"}]}, "main"),
        ({"containers": [{}]}, None),
        ({"containers": []}, None),
        ({"containers": None}, None),
        ({}, None),
    ],
)
def test_the_container_that_serves(spec: dict[str, Any], name: str | None) -> None:
    assert engine_container(spec).get("name") == name


def test_image_digests_are_the_engines_once_each() -> None:
    other = {**ENGINE, "imageID": "r/vllm@sha256:a"}
    pods = [
        pod({"containerStatuses": [SIDE, ENGINE]}),
        pod({"containerStatuses": [ENGINE]}),
        pod({"containerStatuses": [other]}),
        pod({"containerStatuses": [{"name": "engine", "imageID": ""}]}),
        pod({"containerStatuses": [{"name": "engine"}]}),
        pod(),
    ]
    assert image_digests(pods) == ["r/vllm@sha256:a", "r/vllm@sha256:b"]
    assert image_digests([]) == []
