"""Weights that somebody names never go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.release.keep import commits_named, models_named
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
    keep = commits_named("o/one", "/data", states, pods)
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


@pytest.mark.parametrize(
    "path",
    ["/data/o/one", "/data/o/one-more/aaa", "/other/o/one/" + "a" * 40, "", "/data/o/one/.."],
)
def test_what_is_no_folder_of_the_model_names_nothing(path: str) -> None:
    pods = [{"volumes": [{"name": "w", "hostPath": {"path": path}}, {"name": "e"}]}, {}]
    assert commits_named("o/one", "/data/", [], pods) == set()


@given(STATES)
def test_a_rollout_is_locked_for_every_model_that_it_names(state: State) -> None:
    for model in MODELS:
        if commits_named(model, "/data", [state], []):
            assert model in models_named(state)


@given(STATES)
def test_a_state_says_the_same_when_it_is_read_again(state: State) -> None:
    assert from_configmap("n", to_configmap(state, "ns")) == state
