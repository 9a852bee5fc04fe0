"""When a Deployment is ready, which pods are its newest, and what work a Job stands for."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.diagnose.pods import Diagnosis
from tasks.objects.labels import REPLICAS_ANNOTATION
from tasks.outside.kubernetes.jobs import outcome, work_of
from tasks.outside.kubernetes.ready import NotReady, _Waiting, is_ready, newest, selector_text


def deployment(**status: int) -> dict[str, Any]:
    whole = {
        "observedGeneration": 3,
        "replicas": 2,
        "updatedReplicas": 2,
        "availableReplicas": 2,
    }
    return {
        "metadata": {"generation": 3, "uid": "d", "annotations": {}},
        "spec": {"replicas": 2},
        "status": {**whole, **status},
    }


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({}, True),
        ({"observedGeneration": 2}, False),  # the controller has not seen the change
        ({"updatedReplicas": 1}, False),  # one is still of the old template
        ({"replicas": 3}, False),  # an old one is still there
        ({"availableReplicas": 1}, False),
    ],
)
def test_ready(status: dict[str, int], ready: bool) -> None:
    assert is_ready(deployment(**status)) is ready


@pytest.mark.parametrize(("noted", "due"), [("2", True), ("3", False), ("nonsense", False)])
def test_what_only_somebody_else_asks_for_is_not_waited_for(noted: str, due: bool) -> None:
    deploy = deployment(replicas=5)
    deploy["spec"]["replicas"] = 5
    deploy["metadata"]["annotations"] = {REPLICAS_ANNOTATION: noted}
    assert not is_ready(deploy)  # a pod is of an older template, or not made yet
    deploy["status"]["updatedReplicas"] = 5
    assert is_ready(deploy) is due


def test_a_pod_of_those_may_find_no_seat() -> None:
    """The one that is due loads still; the autoscaler's own has no node, and is no reason."""
    deploy = deployment(replicas=4, updatedReplicas=4)
    deploy["metadata"] |= {"name": "x", "annotations": {REPLICAS_ANNOTATION: "3"}}
    deploy["spec"] |= {"replicas": 4}
    seen: list[list[str]] = []

    def nodes(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
        seen.append([pod["metadata"]["name"] for pod in pods])
        return []

    evidence = SimpleNamespace(events=lambda pod: [], logs=lambda pod: {}, nodes=nodes)
    cluster: Any = SimpleNamespace(now=clock.now)
    waiting = _Waiting(cluster, "ns", deploy, lambda _: None, 120)
    vars(waiting)["evidence"] = evidence
    waiting.sets = {("ns", "rs"): replicaset("rs", "", "2026-01-01T00:00:00Z")}
    for name, node in (("loads", "a"), ("waits", ""), ("waits-too", "")):
        waiting.pods["ns", name] = unready(name, node)
        waiting._diagnose()
    assert seen == [["loads"], ["loads"], ["loads", "waits-too"]]


def unready(name: str, node: str) -> dict[str, Any]:
    placed = {"nodeName": node} if node else {}
    meta = {"name": name, "namespace": "ns", "ownerReferences": [{"uid": "rs"}]}
    return {"metadata": meta, "spec": {"containers": [], **placed}, "status": {"phase": "Pending"}}


def test_a_deployment_nobody_has_looked_at_is_not_ready() -> None:
    assert not is_ready({"metadata": {"generation": 1}, "spec": {"replicas": 1}})


def replicaset(uid: str, revision: str, created: str, owner: str = "d") -> dict[str, Any]:
    return {
        "metadata": {
            "uid": uid,
            "creationTimestamp": created,
            "annotations": {"deployment.kubernetes.io/revision": revision} if revision else {},
            "ownerReferences": [{"uid": owner}],
        }
    }


def test_the_newest_replicaset_is_that_of_the_revision_not_the_youngest() -> None:
    rolled_back = replicaset("1", "3", "2026-01-01T00:00:00Z")
    sets = [rolled_back, replicaset("2", "2", "2026-01-02T00:00:00Z")]
    deploy = deployment()
    deploy["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "3"}
    assert newest(deploy, sets) == "1"
    assert newest(deployment(), sets) == "2"  # no revision known: the youngest
    assert newest(deploy, [replicaset("9", "3", "2026-01-03T00:00:00Z", "other")]) is None


def test_a_failure_keeps_its_diagnosis_between_processes() -> None:
    why = Diagnosis("oom-killed", "killed", fatal=True)
    error = NotReady("x will not become ready", why, {"x-engine.log": "its log"})
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.diagnosis == error.diagnosis
    assert again.logs == {"x-engine.log": "its log"}
    step = pickle.loads(pickle.dumps(StepFailed("no", {"a.log": "b"})))
    assert str(step) == "no" and step.logs == {"a.log": "b"}


def test_the_same_work_is_known_by_its_spec_alone() -> None:
    job = {"metadata": {"name": "fetch"}, "spec": {"template": {"a": 1, "b": 2}}}
    same = {"metadata": {"name": "other"}, "spec": {"template": {"b": 2, "a": 1}}}
    other = copy.deepcopy(job)
    other["spec"]["template"]["a"] = 2
    assert work_of(job) == work_of(same) != work_of(other)


@pytest.mark.parametrize(
    ("conditions", "want"),
    [
        ([], None),
        ([{"type": "FailureTarget", "status": "True"}], None),
        ([{"type": "Complete", "status": "False"}], None),
        ([{"type": "Complete", "status": "True"}], ("Complete", "")),
        (
            [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "late"}],
            ("Failed", "DeadlineExceeded: late"),
        ),
    ],
)
def test_outcome(conditions: list[dict[str, str]], want: tuple[str, str] | None) -> None:
    assert outcome({"status": {"conditions": conditions}}) == want


def test_selector_text() -> None:
    assert selector_text({"matchLabels": {"b": "2", "a": "1"}}) == "a=1,b=2"
