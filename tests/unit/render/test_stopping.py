"""How a pod ends: pause, time for streams and grace period agree, whatever the spec says."""

from __future__ import annotations

import math
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.base.errors import SpecError
from tasks.render.release import PodNeeds, deployment, release_of
from tasks.render.stopping import STREAMS_S, stopping
from tasks.spec.file import read_spec
from tasks.spec.flags import SHUTDOWN as FLAG
from tasks.spec.overrides import Override
from tasks.spec.promotion import Promotion
from tasks.spec.rollout import Rollout
from tests.support.places import ROOT, VERSIONS

SPEC = ROOT / "deployments" / "models" / "smollm2-135m-cpu.yaml"
BASE = read_spec(SPEC)
COMMIT, DIGEST = "c" * 40, "sha256:" + "d" * 64


def changed(**parts: Any) -> Rollout:
    told = [Override(tuple(key.split("__")), value, key) for key, value in parts.items()]
    return read_spec(SPEC, told)


def rendered(spec: Rollout) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The pod, its engine, and the engine's words for the flag."""
    release = release_of(spec, COMMIT, DIGEST, PodNeeds())
    body = deployment(spec, release, PodNeeds(), ["n"])
    for version in VERSIONS:
        kubernetes_validate.validate(body, version, strict=True)
    pod = body["spec"]["template"]["spec"]
    engine = pod["containers"][0]
    return pod, engine, [arg for arg in engine["args"] if arg.startswith("--shutdown")]


@pytest.mark.parametrize(
    ("drain_s", "grace", "flag"), [(600, 140, 120), (120, 140, 120), (30, 50, 30), (0.5 + 1, 22, 2)]
)
def test_a_pod_has_time_for_its_streams(drain_s: float, grace: int, flag: int) -> None:
    pod, engine, said = rendered(changed(promotion__drain_s=drain_s))
    assert pod["terminationGracePeriodSeconds"] == grace
    assert engine["lifecycle"] == {"preStop": {"sleep": {"seconds": 10}}}
    assert said == [f"{FLAG}={flag}"]


def test_what_the_spec_says_wins() -> None:
    pod, engine, said = rendered(changed(serving__pod={"terminationGracePeriodSeconds": 6}))
    assert pod["terminationGracePeriodSeconds"] == 6 and said == [f"{FLAG}=2"]
    assert engine["lifecycle"]["preStop"] == {"sleep": {"seconds": 2}}
    pod, engine, said = rendered(changed(serving__pod={"terminationGracePeriodSeconds": 0}))
    assert "lifecycle" not in engine and said == []

    own = {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    for life in (own, {"preStop": None}, None):
        containers = [{"name": "engine", "lifecycle": life}]
        pod, engine, _ = rendered(changed(serving__pod={"containers": containers}))
        assert engine.get("lifecycle") in (own, {}, None) and engine.get("lifecycle") != {
            "preStop": {"sleep": {"seconds": 10}}
        }
    # beside something else it stays
    containers = [{"name": "engine", "lifecycle": {"postStart": own["preStop"]}}]
    _, engine, _ = rendered(changed(serving__pod={"containers": containers}))
    assert set(engine["lifecycle"]) == {"preStop", "postStart"}


@pytest.mark.parametrize(
    "words",
    [
        ["--shutdown-timeout=300"],
        ["--shutdown_timeout=300"],
        ["--shutdown-timeout", "300"],
        ["--shutdown-time=300"],
        ["--shutdown_time", "300"],
        ["--shutdown-timeout=5", "--shutdown-t=300"],
    ],
)
def test_a_flag_of_its_own_makes_room_for_itself(words: list[str]) -> None:
    pod, engine, _ = rendered(changed(serving__extra_args=words))
    assert engine["args"][-len(words) :] == words and f"{FLAG}=120" not in engine["args"]
    assert pod["terminationGracePeriodSeconds"] == 320
    # beside a grace period of the site's own
    own = {"terminationGracePeriodSeconds": 304}
    pod, engine, _ = rendered(changed(serving__extra_args=words, serving__pod=own))
    assert pod["terminationGracePeriodSeconds"] == 304
    assert engine["lifecycle"] == {"preStop": {"sleep": {"seconds": 2}}}


@pytest.mark.parametrize("words", [[FLAG], [f"{FLAG}=300.5"], [FLAG, "-1"], [f"{FLAG}=x"]])
def test_a_flag_that_vllm_would_not_take_is_refused(words: list[str]) -> None:
    with pytest.raises(SpecError, match=r"serving\.extra_args: .* whole seconds"):
        changed(serving__extra_args=words)


def test_streams_are_not_cut_by_a_shorter_grace_period() -> None:
    own = {"terminationGracePeriodSeconds": 100}
    with pytest.raises(SpecError, match=r"serving\.pod.*100 s end before the 300 s"):
        changed(serving__extra_args=[f"{FLAG}=300"], serving__pod=own)


def test_what_a_long_drain_does_not_give_is_said() -> None:
    said = Promotion.model_fields["drain_s"].description or ""
    assert f"evicted has at most {STREAMS_S} s" in said and FLAG in said


@given(
    st.floats(1, 10_000),
    st.one_of(st.none(), st.integers(0, 4000)),
    st.one_of(st.none(), st.integers(0, 4000)),
)
def test_the_parts_fit_into_the_whole(drain_s: float, grace: int | None, told: int | None) -> None:
    promotion = BASE.promotion.model_copy(update={"drain_s": drain_s})
    serving = BASE.serving.model_copy(
        update={
            "pod": {} if grace is None else {"terminationGracePeriodSeconds": grace},
            "extra_args": [] if told is None else [f"{FLAG}={told}"],
        }
    )
    assume(grace is None or told is None or told <= grace)
    found = stopping(BASE.model_copy(update={"promotion": promotion, "serving": serving}))
    assert found.grace >= found.pause + found.streams
    assert grace in (None, found.grace)
    # the API refuses a sleep of 0, and one beyond the grace period
    assert not found.hook or 0 < found.hook["preStop"]["sleep"]["seconds"] <= found.grace
    if told is not None:
        assert found.streams == told
    if grace is None:
        assert found.streams == (min(math.ceil(drain_s), 120) if told is None else told)


def test_an_engine_that_does_not_know_the_flag_is_not_given_it() -> None:
    for image in ("vllm/vllm-openai:v0.17.1", "exact-engine:1"):
        pod, _, said = rendered(changed(serving__image=image))
        assert said == [] and pod["terminationGracePeriodSeconds"] == 140
