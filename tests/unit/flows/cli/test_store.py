"""Weights are cleared only where every rollout is known."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from flows.cli.store import Swept, commits_kept, mounted, show_swept, states_of
from tasks.base.errors import Refused, StepFailed
from tasks.outside.kubernetes.client import Forbidden, NotFound
from tasks.release.state import Release, State, to_configmap
from tasks.weights.messages import Cleared, Garbage
from tests.support.nodedata import make_spec

SPEC = make_spec()
COMMITS = [letter * 40 for letter in "abcd"]


def cluster(*states: Any, pods: Any = (), forbidden: Any = (), **made: Any) -> Any:
    """made: objects by kind. What else there is, this API server does not know."""
    rows = {"ConfigMap": list(states), "Pod": list(pods), **made}

    def listed(kind: str, label_selector: str = "") -> Any:
        if kind in forbidden and not label_selector:
            raise Forbidden("no", 403)
        if kind not in rows:
            raise NotFound("no such thing", 404)
        return rows[kind]

    return SimpleNamespace(list=listed)


def pod(commit: str) -> dict[str, Any]:
    path = f"{SPEC.store.path}/{SPEC.model.id}/{commit}"
    return {"volumes": [{"name": "weights", "hostPath": {"path": path}}]}


def state(commit: str, namespace: str = "elsewhere") -> dict[str, Any]:
    found = Release("i", "d", SPEC.model.id, "master", commit, "sha256:x", "i:1", "n")
    return to_configmap(State("other", previous=found), namespace)


def test_states_of_all_namespaces_and_what_is_mounted_count() -> None:
    found = cluster(
        state(COMMITS[0]),
        pods=[{"spec": pod(COMMITS[1])}],
        Deployment=[{"spec": {"template": {"spec": pod(COMMITS[2])}}}],
        StatefulSet=[{"spec": {"template": {"spec": pod(COMMITS[3])}}}],
    )
    assert commits_kept(found, SPEC) == set(COMMITS[:4])
    assert set(states_of(found)) == {("elsewhere", "other")}


def test_what_may_not_be_listed_is_told_and_our_own_deployments_count_all_the_same() -> None:
    made = [{"spec": {"template": {"spec": pod(COMMITS[0])}}}]
    found = cluster(Deployment=made, forbidden=("Deployment", "StatefulSet"))
    assert mounted(found).unseen == ("Deployment", "StatefulSet")
    assert commits_kept(found, SPEC) == {COMMITS[0]}


def test_nothing_goes_below_a_folder_that_somebody_mounts() -> None:
    body = pod("")
    body["volumes"][0]["hostPath"]["path"] = SPEC.store.path
    made = [{"metadata": {"name": "hand", "namespace": "x"}, "spec": {"template": {"spec": body}}}]
    with pytest.raises(Refused, match=f"Deployment x/hand mounts {SPEC.store.path}"):
        commits_kept(cluster(Deployment=made), SPEC)


def test_who_may_not_see_all_rollouts_clears_nothing() -> None:
    def listed(*_: Any, **__: Any) -> Any:
        raise Forbidden("configmaps is forbidden", 403)

    with pytest.raises(Refused, match="ConfigMaps of the whole cluster"):
        states_of(SimpleNamespace(list=listed))  # type: ignore[arg-type]


def test_a_state_that_cannot_be_read_may_name_anything() -> None:
    broken = state(COMMITS[0])
    broken["data"]["state"] = "{"
    with pytest.raises(StepFailed, match="readable rollout state"):
        commits_kept(cluster(broken), SPEC)


SWEPT = [
    Swept("n1", (Garbage(COMMITS[0], 2048, True),), Cleared(2048, 1, True), ("CronJob",)),
    Swept("n2", (), Cleared(0, 2, True), ("CronJob",)),
]


def test_what_was_removed_as_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_swept(SWEPT, SPEC, "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["kind"], found["not_listed"]) == (1, "store gc", ["CronJob"])
    assert found["model"] == SPEC.model.id
    assert found["nodes"][0] == {
        "node": "n1",
        "deleted": True,
        "bytes": 2048,
        "kept": 1,
        "commits": [{"commit": COMMITS[0], "bytes": 2048, "deleted": True}],
    }
    assert found["nodes"][1]["commits"] == []


def test_what_was_removed_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_swept(SWEPT, SPEC) == 0
    unseen, one, first, second = capsys.readouterr().out.splitlines()
    assert unseen == "CronJobs could not be listed: what they mount is not known"
    assert one.endswith(f"@ {COMMITS[0]}: 2.0 kB removed")
    assert first == "n1: 2.0 kB freed, 1 kept" and second == "n2: 0 bytes freed, 2 kept"
