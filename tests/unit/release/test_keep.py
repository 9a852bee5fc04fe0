"""Weights that somebody names never go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.release.keep import Kept, kept_of, models_named, mounts_in, mounts_of
from tasks.release.state import Release, State, from_configmap, to_configmap
from tasks.weights.garbage import garbage

COMMITS = [letter * 40 for letter in "abcdef"]
MODELS = ["o/one", "o/two"]


def release(model: str, commit: str) -> Release:
    return Release("i", "d", model, "master", commit, "sha256:x", "i:1", "n")


RELEASES = st.builds(release, st.sampled_from(MODELS), st.sampled_from(COMMITS))
STATES = st.builds(
    State,
    name=st.just("n"),
    phase=st.sampled_from(["idle", "testing", "promoting", "reverting", "held"]),
    stable=st.none() | RELEASES,
    candidate=st.none() | RELEASES,
    previous=st.none() | RELEASES,
    wanted=st.none() | RELEASES,
)
PODS = st.builds(
    lambda path: {"volumes": [{"name": "w", "hostPath": {"path": path}}]},
    st.builds("/data/{}/{}{}".format, st.sampled_from(MODELS), st.sampled_from(COMMITS),
              st.sampled_from(["", "/", "/x"])),
)  # fmt: skip


@given(
    st.lists(STATES, max_size=4),
    st.lists(PODS, max_size=3),
    st.lists(st.tuples(st.sampled_from(MODELS), st.sampled_from(COMMITS)), unique=True),
)
def test_nothing_that_is_named_goes(
    states: list[State], pods: list[dict[str, Any]], published: list[tuple[str, str]]
) -> None:
    found = kept_of("o/one", "/data", states, [m for pod in pods for m in mounts_of("a pod", pod)])
    keep = found.commits
    assert found.whole == ()
    gone = garbage(published, "o/one", keep)
    named = {
        (r.model, r.commit)
        for s in states
        for r in (s.stable, s.candidate, s.previous, s.wanted)
        if r is not None
    }
    mounted = {pod["volumes"][0]["hostPath"]["path"].rstrip("/") for pod in pods}
    for model, commit in gone:
        assert model == "o/one" and (model, commit) in published
        assert (model, commit) not in named
        assert not any(
            path == f"/data/{model}/{commit}" or path.startswith(f"/data/{model}/{commit}/")
            for path in mounted
        )
    left = [item for item in published if item not in gone]
    assert garbage(left, "o/one", keep) == []


def kept(pod: dict[str, Any], store: str = "/data/") -> Kept:
    return kept_of("o/one", store, [], mounts_of("pod x", pod))


def mounting(path: str, **mount: Any) -> dict[str, Any]:
    engine = {"name": "engine", "volumeMounts": [{"name": "w", "mountPath": "/m", **mount}]}
    return {
        "containers": [engine],
        "volumes": [{"name": "w", "hostPath": {"path": path}}, {"name": "e", "emptyDir": {}}],
    }


@pytest.mark.parametrize(
    "path",
    ["/data/o/one-more/aaa", "/other/o/one/" + "a" * 40, "", "/data/o/one/x", "/data/o/two"],
)
def test_what_is_no_folder_of_the_model_names_nothing(path: str) -> None:
    assert kept(mounting(path)) == Kept()


@pytest.mark.parametrize("path", ["/data", "/data/", "/data/o", "/data/o/one", "/data/o/one/.."])
@pytest.mark.parametrize("sub", [{}, {"subPathExpr": "$(MODEL)"}])
def test_a_mount_of_any_parent_keeps_all_below_it(path: str, sub: dict[str, str]) -> None:
    found = kept(mounting(path, **sub))
    assert found.commits == frozenset() and len(found.whole) == 1 and "pod x" in found.whole[0]
    assert kept(mounting("/srv"), "/srv/models").whole == ("pod x mounts /srv",)


def test_of_a_part_of_a_volume_that_part_is_mounted() -> None:
    assert kept(mounting("/data", subPath=f"o/one/{COMMITS[0]}")).commits == {COMMITS[0]}
    assert kept(mounting("/data", subPath="o/two")) == Kept()
    assert kept(mounting("/data", subPath="o")).whole


def test_who_looks_at_a_whole_host_keeps_only_what_it_speaks_of() -> None:
    """Agents on every node mount `/`; an engine that does so is told what to read there."""
    assert kept(mounting("/")) == Kept()
    engine = mounting("/")
    engine["containers"][0]["args"] = ["--model=/host/data/o/one/x"]
    assert kept(engine).whole


@pytest.mark.parametrize("model", ["o/one", "/models/o/one/" + COMMITS[0], "/data/o/one"])
@pytest.mark.parametrize("commit", ["unknown", ""])
def test_a_release_of_an_unknown_commit_keeps_the_whole_model(model: str, commit: str) -> None:
    states = [State("m", previous=release(model, commit))]
    assert kept_of("o/one", "/data", states, []).whole
    assert kept_of("o/two", "/data", states, []) == Kept()


TEMPLATE = {"template": {"spec": mounting("/data/o/one/" + COMMITS[0])}}
JOB = {"app.kubernetes.io/managed-by": "model-rollout", "model-rollout/kind": "fetch"}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Pod", TEMPLATE["template"]["spec"]),
        *((kind, TEMPLATE) for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job")),
        ("CronJob", {"jobTemplate": {"spec": TEMPLATE}}),
        ("PersistentVolume", {"hostPath": {"path": "/data/o/one/" + COMMITS[0]}}),
        ("PersistentVolume", {"local": {"path": "/data/o/one/" + COMMITS[0]}}),
    ],
)
def test_whatever_makes_pods_counts_at_zero_too(kind: str, spec: dict[str, Any]) -> None:
    item = {"metadata": {"name": "x", "namespace": "elsewhere"}, "spec": spec}
    mounts = mounts_in(item, kind)
    assert kept_of("o/one", "/data", [], mounts) == Kept(frozenset({COMMITS[0]}))
    assert mounts_in({**item, "spec": {}}, kind) == []


def test_our_own_jobs_and_those_that_are_over_mount_nothing() -> None:
    pod: dict[str, Any] = {"metadata": {"name": "x", "labels": JOB}, "spec": mounting("/data")}
    assert mounts_in(pod, "Pod") == []
    engine = {**pod, "metadata": {"labels": {**JOB, "model-rollout/kind": "engine"}}}
    assert kept_of("o/one", "/data", [], mounts_in(engine, "Pod")).whole
    over = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}, "spec": TEMPLATE}
    assert mounts_in(over, "Job") == []


@given(STATES)
def test_a_rollout_is_locked_for_every_model_that_it_names(state: State) -> None:
    for model in MODELS:
        if kept_of(model, "/data", [state], []).commits:
            assert model in models_named(state)


@given(STATES)
def test_a_state_says_the_same_when_it_is_read_again(state: State) -> None:
    assert from_configmap("n", to_configmap(state, "ns")) == state
