"""Rules of the embedded cluster that need no cluster: paths, placement, rolling."""

from __future__ import annotations

import pytest

from deployments.local.kube.cluster import node_object
from deployments.local.kube.control import fit
from deployments.local.kube.control.deployments import bounds
from deployments.local.kube.node.translate import Translator, any_address, expand
from deployments.local.kube.settings import NodeDef

MOUNTS = {
    "/host/proc": "/r/proc",
    "/host/sys/fs": "/r/fs",
    "/dev/shm": "/p/shm",
    "/models": "/w/m",
    "/models/lora": "/w/l",
}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("/models", "/w/m"),
        ("/models/a", "/w/m/a"),
        ("/models/lora/a", "/w/l/a"),
        ("/models/loras", "/w/m/loras"),
        ("/modelsx", "/modelsx"),
        ("--model=/models/a", "--model=/w/m/a"),
        ("/models:/host/proc:/usr", "/w/m:/r/proc:/usr"),
        ('{"path": "/models/a"}', '{"path": "/w/m/a"}'),
        ("http://host/models", "http://host/models"),
        ("relative/models", "relative/models"),
        ("--root=/host", "--root=/mir/host"),
        ("/host/", "/mir/host"),
        ("/host/sys", "/mir/host/sys"),
        ("/host/other", "/host/other"),
        ("/dev/null", "/dev/null"),
        ("/dev/shm", "/p/shm"),
        ("/", "/"),
    ],
)
def test_translation(said: str, meant: str) -> None:
    assert Translator(MOUNTS, "/mir").text(said) == meant


def test_mirror_links_only_what_lies_below_no_other_mount() -> None:
    assert Translator(MOUNTS, "/mir").mirrored() == {
        "/mir/host/proc": "/r/proc",
        "/mir/host/sys/fs": "/r/fs",
        "/mir/dev/shm": "/p/shm",
    }


def test_words() -> None:
    assert any_address("--host=0.0.0.0", "127.9.9.9") == "--host=127.9.9.9"
    assert any_address("0.0.0.0:80", "127.9.9.9") == "127.9.9.9:80"
    assert any_address("10.0.0.0.0", "127.9.9.9") == "10.0.0.0.0"
    assert expand("$(A)-$$(A)-$(B)", {"A": "1"}) == "1-$(A)-$(B)"


def why(node: NodeDef, spec: dict[str, object]) -> list[str]:
    """What keeps a pod with one container off a node."""
    full = {"containers": [{"name": "c", "resources": {"limits": {"hygon.com/dcu": "2"}}}], **spec}
    found = fit.obstacle(full, fit.needs(full), node_object(node, "127.0.0.1"), {})
    return list(found.reasons)


def test_what_keeps_a_pod_off_a_node() -> None:
    card = {"hygon.com/dcu": "8"}
    taint = {"key": "dedicated", "value": "llm", "effect": "NoSchedule"}
    assert why(NodeDef("n", capacity=card), {}) == []
    assert why(NodeDef("n"), {}) == ["Insufficient hygon.com/dcu"]
    assert why(NodeDef("n", capacity=card | {"pods": "0"}), {}) == ["Too many pods"]
    assert why(NodeDef("n", capacity=card, ready=False), {}) == [fit.TAINTED]
    assert why(NodeDef("n", capacity=card, unschedulable=True), {}) == [fit.CORDONED]
    tainted = NodeDef("n", capacity=card, taints=(taint,))
    assert why(tainted, {}) == [fit.TAINTED]
    toleration = {"key": "dedicated", "operator": "Equal", "value": "llm"}
    assert why(tainted, {"tolerations": [toleration]}) == []
    soft = NodeDef("n", capacity=card, taints=({**taint, "effect": "PreferNoSchedule"},))
    assert why(soft, {}) == []
    assert why(NodeDef("n", capacity=card), {"nodeSelector": {"a": "b"}}) == [fit.AFFINITY]


@pytest.mark.parametrize(("operator", "value", "fits"), [("Gt", "40", True), ("Lt", "40", False)])
def test_affinity_compares_numbers(operator: str, value: str, fits: bool) -> None:
    node = node_object(NodeDef("n", labels={"memory": "64"}), "127.0.0.1")
    item = {"key": "memory", "operator": operator, "values": [value]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [item]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    assert fit.wanted_here({"affinity": {"nodeAffinity": required}}, node) is fits


def names(*values: str) -> dict[str, object]:
    """A term of required node affinity: by name."""
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": list(values)}]}


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ([names("n")], []),
        ([names("m")], [fit.NOT_NAMED]),
        ([names("m"), names("n")], []),
        # one term names no node, so every node is looked at
        ([names("m"), {"matchExpressions": [{"key": "a", "operator": "Exists"}]}], [fit.AFFINITY]),
    ],
)
def test_affinity_by_name_leaves_the_other_nodes_out(terms: list[object], words: list[str]) -> None:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    node = NodeDef("n", capacity={"hygon.com/dcu": "8"})
    assert why(node, {"affinity": {"nodeAffinity": required}}) == words


def test_the_verdict_counts_reasons_and_says_whether_preemption_helps() -> None:
    busy = fit.Obstacle(("Insufficient hygon.com/dcu",), lasting=False)
    assert fit.verdict([busy, busy, fit.Obstacle((fit.CORDONED,))]) == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient hygon.com/dcu. "
        "no new claims to deallocate, preemption: 0/3 nodes are available: "
        "1 Preemption is not helpful for scheduling, "
        "2 No preemption victims found for incoming pod."
    )
    assert fit.verdict([]) == "no nodes available to schedule pods"
    spec = {"containers": [{"name": "c", "resources": {"limits": {"memory": "2Gi"}}}]}
    node = node_object(NodeDef("n", capacity={"memory": "1Gi"}), "127.0.0.1")
    assert fit.obstacle(spec, fit.needs(spec), node, {}).lasting


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (1, "25%", "25%", (1, 0)),
        (3, 0, 0, (0, 1)),
        (5, "30%", 0, (2, 0)),
    ],
)
def test_surge_rounds_up_and_unavailable_down(
    replicas: int, surge: object, unavailable: object, expected: tuple[int, int]
) -> None:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    assert bounds({"replicas": replicas, "strategy": {"rollingUpdate": rolling}}) == expected
