"""What a vendor's manifests hold, and what nodes still lack after they are applied."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.accelerators.profiles import profile
from tasks.base.errors import SpecError
from tasks.nodes.components import missing, read_manifests
from tasks.nodes.facts import ApiFacts, api_facts

HYGON = profile("hygon-dcu")


def node(
    labels: dict[str, str], amounts: dict[str, str], daemons: list[dict[str, Any]] | None = None
) -> ApiFacts:
    body = {
        "metadata": {"name": "n", "labels": labels},
        "status": {"capacity": amounts, "allocatable": amounts},
    }
    return api_facts(body, daemons or [])


def daemon_pod(owner: str, waiting: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    ready = "False" if waiting else "True"
    return {
        "metadata": {"name": "p", "ownerReferences": [{"kind": "DaemonSet", "name": owner}]},
        "spec": {"nodeName": "n", "containers": [{"image": "x"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"state": state}],
        },
    }


def test_objects_come_in_an_order_that_can_be_applied() -> None:
    texts = {
        "a.yaml": (
            "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d}\n---\n---\n"
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: s}\n"
        ),
        "b.yaml": (
            "apiVersion: v1\nkind: List\nitems:\n"
            "- {apiVersion: v1, kind: Namespace, metadata: {name: n}}\n"
            "- {apiVersion: v1, kind: Service, metadata: {name: e}}\n"
        ),
    }
    kinds = [item["kind"] for item in read_manifests(texts)]
    assert kinds == ["Namespace", "ServiceAccount", "DaemonSet", "Service"]


def test_every_problem_of_the_files_is_said_at_once() -> None:
    texts = {
        "a.yaml": "kind: [",
        "b.yaml": "just text\n---\nkind: Pod\napiVersion: v1\nmetadata: {}\n",
        "c.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: fine}\n",
    }
    with pytest.raises(SpecError) as failed:
        read_manifests(texts)
    said = str(failed.value)
    assert "a.yaml: not valid YAML" in said
    assert "b.yaml: document 1 is no" in said and "b.yaml: document 2 is no" in said
    assert "c.yaml" not in said


def test_files_without_an_object_are_refused() -> None:
    with pytest.raises(SpecError, match="hold no object"):
        read_manifests({"a.yaml": "# nothing\n---\n"})


@pytest.mark.parametrize("prefix", ["hygon.com/dcu", "hygon.com/hcu"])
def test_both_generations_satisfy(prefix: str) -> None:
    assert missing(HYGON, [node({prefix: "true"}, {prefix: "8"})], ["n"]) == []


def test_what_is_missing_is_named_with_where_to_look() -> None:
    bare = node({}, {"cpu": "8"})
    lines = missing(HYGON, [bare], ["n", "gone"])
    assert [line.split(":", 1)[0] for line in lines] == ["n", "n", "gone"]
    assert "label hygon.com/hcu or hygon.com/dcu is missing" in lines[0]
    assert "no hygon-dcu resource is allocatable (no device plugin is meant for it)" in lines[1]
    assert "no such node" in lines[2]


def test_a_sick_plugin_is_named_and_a_stranger_is_not() -> None:
    pods = [
        daemon_pod("dcu-device-plugin", "CrashLoopBackOff"),
        daemon_pod("kube-proxy", "ErrImagePull"),
    ]
    labels = {"hygon.com/dcu": "true"}
    assert missing(HYGON, [node(labels, {"hygon.com/dcu": "0"}, pods)], ["n"]) == [
        "n: no hygon-dcu resource is allocatable (dcu-device-plugin: CrashLoopBackOff)"
    ]
    healthy = [daemon_pod("dcu-device-plugin")]
    (line,) = missing(HYGON, [node(labels, {}, healthy)], ["n"])
    assert "runs there and offers none" in line


def test_a_plugin_without_a_pod_on_the_node_is_named() -> None:
    body = {"metadata": {"name": "n", "labels": {"hygon.com/dcu": "true"}}, "status": {}}
    plugin = {
        "metadata": {"name": "dcu-device-plugin", "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": []}}},
    }
    (line,) = missing(HYGON, [api_facts(body, [], [plugin])], ["n"])
    assert "DaemonSet kube-system/dcu-device-plugin has no pod there" in line


def test_a_profile_without_devices_lacks_nothing() -> None:
    assert missing(profile("cpu"), [node({}, {"cpu": "8"})], ["n"]) == []
