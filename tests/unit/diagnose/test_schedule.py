"""Why no node takes a pod: the scheduler's words, what the pod asks for, what nodes have in all."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.diagnose.schedule import shortage

Object = dict[str, Any]
# As schedulers end their messages since 1.26; 1.36 adds a word on claims.
PREEMPTION = (
    " no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not "
    "helpful for scheduling."
)
BY_NAME = "0/1 nodes are available: 1 node(s) didn't satisfy plugin(s) [NodeAffinity]."
IN_WORDS = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."


def node(name: str, memory: str = "24Gi", **labels: str) -> Object:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
        "status": {"allocatable": {"cpu": "4", "memory": memory, "pods": "110"}},
    }


def pod(requests: dict[str, str] | None = None, **spec: Any) -> Object:
    container = {"name": "c", "resources": {"requests": requests or {}}}
    return {"metadata": {"name": "p"}, "spec": {"containers": [container], **spec}}


def required(*terms: Object) -> Object:
    wish = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"nodeAffinity": wish}


def rule(key: str, operator: str, *values: str) -> Object:
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize("end", ["", PREEMPTION])
@pytest.mark.parametrize("message", [BY_NAME, IN_WORDS, BY_NAME.replace("]", "] simultaneously")])
@pytest.mark.parametrize(
    ("spec", "wish"),
    [
        (
            {"affinity": required({"matchFields": [rule("metadata.name", "In", "node-z")]})},
            "node=node-z",
        ),
        (
            {
                "affinity": required(
                    {"matchExpressions": [rule("kubernetes.io/hostname", "In", "x", "y")]}
                )
            },
            "kubernetes.io/hostname In x, y",
        ),
        ({"nodeSelector": {"a": "b"}}, "a=b"),
    ],
)
def test_no_node_is_the_one_asked_for(message: str, end: str, spec: Object, wish: str) -> None:
    found = shortage(pod(**spec), message + end, [node("node-a")])
    assert (found.code, found.never) == ("node-selector", True)
    assert f"({wish})" in found.cause and "nodes.names" in found.action
    assert not shortage(pod(**spec), message + end, []).never


@pytest.mark.parametrize(
    ("wish", "fits"),
    [
        (rule("metadata.name", "In", "node-a"), True),
        (rule("kubernetes.io/hostname", "NotIn", "node-a"), False),
        (rule("gpu", "Exists"), False),
        (rule("gpu", "DoesNotExist"), True),
        (rule("count", "Gt", "3"), True),
        (rule("count", "Lt", "3"), False),
        (rule("kubernetes.io/hostname", "Gt", "3"), False),
    ],
)
def test_a_node_that_is_meant_may_still_come_free(wish: Object, fits: bool) -> None:
    where = "matchFields" if wish["key"] == "metadata.name" else "matchExpressions"
    asked = pod(affinity=required({where: [wish]}))
    found = shortage(asked, IN_WORDS, [node("node-a", count="4")])
    assert found.never is not fits


def test_what_is_short_is_named_with_what_is_asked_and_what_is_there() -> None:
    asked = pod({"memory": "20Gi", "cpu": "1"})
    message = "0/1 nodes are available: 1 Insufficient memory."
    found = shortage(asked, message + PREEMPTION, [node("node-a")])
    assert (found.code, found.never) == ("resources-busy", False)
    assert "too little memory is free" in found.cause
    assert "20.0Gi memory (24.0Gi in all on node-a)" in found.cause
    more = shortage(asked, message, [node(f"node-{letter}") for letter in "abcde"])
    assert more.cause.count("in all on") == 3 and "..." in more.cause


def test_too_large_for_the_nodes_that_are_meant() -> None:
    asked = pod(
        {"memory": "20Gi"},
        affinity=required({"matchFields": [rule("metadata.name", "In", "small")]}),
    )
    found = shortage(asked, IN_WORDS, [node("small", "8Gi"), node("large", "64Gi")])
    assert (found.code, found.never) == ("too-large", True)
    assert "20.0Gi memory, the largest node has 8.0Gi (small)" in found.cause
