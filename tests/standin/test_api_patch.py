"""JSON patch, merge patch, strategic merge patch."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.local.kube.api.patches import json_patch, merge_patch, strategic_patch
from deployments.local.kube.objects.status import StatusError
from tasks.outside.kubernetes.client import ApiError, Conflict
from tests.support.cluster.api_fixture import CONFIGS, DEPLOYMENTS, Api, config, deployment

STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


# The cases of RFC 7386, appendix A, that a map can hold.
@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        (["a"], {"b": "c"}, {"b": "c"}),
    ],
)
def test_merge_patch_follows_the_rfc(before: Any, patch: Any, after: Any) -> None:
    assert merge_patch(before, patch) == after


@pytest.mark.parametrize(
    ("steps", "after"),
    [
        ([{"op": "add", "path": "/l/-", "value": 3}], {"l": [1, 2, 3], "m": {"a/b": 1}}),
        ([{"op": "add", "path": "/l/0", "value": 0}], {"l": [0, 1, 2], "m": {"a/b": 1}}),
        ([{"op": "remove", "path": "/m/a~1b"}], {"l": [1, 2], "m": {}}),
        ([{"op": "replace", "path": "/l/1", "value": 9}], {"l": [1, 9], "m": {"a/b": 1}}),
        ([{"op": "move", "from": "/l/0", "path": "/m/x"}], {"l": [2], "m": {"a/b": 1, "x": 1}}),
        ([{"op": "copy", "from": "/l", "path": "/k"}], {"l": [1, 2], "m": {"a/b": 1}, "k": [1, 2]}),
        ([{"op": "test", "path": "/l/0", "value": 1}], {"l": [1, 2], "m": {"a/b": 1}}),
    ],
)
def test_json_patch_follows_the_rfc(steps: Any, after: Any) -> None:
    before = {"l": [1, 2], "m": {"a/b": 1}}
    assert json_patch(before, steps) == after
    assert before == {"l": [1, 2], "m": {"a/b": 1}}


@pytest.mark.parametrize(
    "step",
    [
        {"op": "test", "path": "/l/0", "value": 2},
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/l/7", "value": 2},
        {"op": "replace", "path": "/none", "value": 2},
        {"op": "add", "path": "/l/5", "value": 2},
        {"op": "dance", "path": "/l"},
        {"path": "/l"},
    ],
)
def test_a_json_patch_that_fails_is_refused_whole(step: Any) -> None:
    with pytest.raises(StatusError) as caught:
        json_patch({"l": [1]}, [{"op": "add", "path": "/x", "value": 1}, step])
    assert caught.value.code == 422


def test_strategic_patch_merges_lists_by_key_and_obeys_directives() -> None:
    spec = {
        "containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "1"}],
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "ports": [{"port": 80, "name": "old"}],
        "finalizers": ["one", "two"],
    }
    patch = {
        "containers": [
            {"name": "a", "image": "2", "args": ["y"]},
            {"name": "b", "$patch": "delete"},
            {"name": "c", "image": "3"},
        ],
        "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
        "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
        "ports": [{"port": 80, "name": "new"}],
        "$deleteFromPrimitiveList/finalizers": ["one"],
        "finalizers": ["three"],
    }
    assert strategic_patch(spec, patch) == {
        "containers": [{"name": "c", "image": "3"}, {"name": "a", "image": "2", "args": ["y"]}],
        "strategy": {"type": "Recreate"},
        "ports": [{"port": 80, "name": "new"}],
        "finalizers": ["two", "three"],
    }
    assert strategic_patch({"m": {"a": 1}}, {"m": {"$patch": "replace", "b": 2}}) == {"m": {"b": 2}}
    with pytest.raises(StatusError, match="merge key 'name'"):
        strategic_patch(spec, {"containers": [{"image": "2"}]})


def test_patches_reach_the_object(api: Api) -> None:
    api.cluster.create(deployment())
    image = {"spec": {"containers": [{"name": "main", "image": "image:2"}]}}
    path = f"{DEPLOYMENTS}/web"
    _, changed = api.send("PATCH", path, {"spec": {"template": image}}, STRATEGIC)
    assert changed["spec"]["template"]["spec"]["containers"][0]["image"] == "image:2"
    assert changed["metadata"]["generation"] == 2
    steps = [{"op": "replace", "path": "/spec/replicas", "value": 0}]
    assert api.send("PATCH", path, steps, JSON_PATCH)[1]["spec"]["replicas"] == 0
    bad = [{"op": "test", "path": "/spec/replicas", "value": 5}]
    assert api.send("PATCH", path, bad, JSON_PATCH)[0] == 422


def test_a_patch_with_a_version_is_conditional(api: Api) -> None:
    made = api.cluster.create(config())
    version = made["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "data": {"a": "1"}}
    api.cluster.patch("ConfigMap", "c", "default", patch)
    with pytest.raises(Conflict):
        api.cluster.patch("ConfigMap", "c", "default", {**patch, "data": {"a": "2"}})


def test_a_patch_may_not_break_the_object(api: Api) -> None:
    api.cluster.create(deployment())
    for patch, said in (
        ({"spec": {"selector": {"matchLabels": {"app": "x"}}}}, "field is immutable"),
        ({"spec": {"replicas": "two"}}, "spec.replicas: found string"),
        ({"spec": {"repliccas": 2}}, 'unknown field "spec.repliccas"'),
        ({"metadata": {"name": "other"}}, "does not match the name on the URL"),
    ):
        with pytest.raises(ApiError, match=said):
            api.cluster.patch("Deployment", "web", "default", patch)


def test_an_unknown_patch_type_is_refused(api: Api) -> None:
    api.cluster.create(config())
    code, body = api.send("PATCH", f"{CONFIGS}/c", {}, "application/json")
    assert (code, body["reason"]) == (415, "UnsupportedMediaType")
