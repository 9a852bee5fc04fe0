"""What stands in an edited ConfigMap is a state, or an error that names the field."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from flows.cli.reading.states import list_rows, listed
from tasks.base.errors import StepFailed
from tasks.outside.prometheus.exporter import Rollouts
from tasks.release.comeback import digests_of
from tasks.release.course import Observed
from tasks.release.state import (
    Judged,
    Release,
    State,
    Terms,
    from_configmap,
    to_configmap,
    with_history,
)
from tasks.release.versions.decide import last_end, served_before, went_back
from tasks.release.versions.memory import WatchMemory
from tasks.report.gauges import Overseen
from tests.support.reportdata import JUNK

NOW = "2026-01-01T00:00:00+00:00"
STABLE = Release("r1", "chat-r1", "o/m", "master", "c1", "sha256:1", "i:1", "chat", 2, NOW)
FULL = State(
    "chat",
    phase="soaking",
    stable=STABLE,
    candidate=replace(STABLE, id="r2", deployment="chat-r2"),
    previous=replace(STABLE, id="r0", deployment="adopted.by-hand"),
    wanted=replace(STABLE, id="r3", deployment="chat-r3"),
    epoch=3,
    rollout="run-1",
    doubts={"r0": "fail"},
    terms={"r1": Terms({"model": {"id": "o/m"}}, {"ttft_s": 1.0}, NOW, NOW, 5.0, 7, NOW)},
    judged=(Judged("r2", "d", "inconclusive", "run-0", NOW, 2, "lend"),),
    made={"r1": "m"},
    ran={"r1": ("sha256:1",)},
    history=({"rollout": "run-0", "outcome": "failed", "steps": [{"step": "smoke"}]},),
)


def places(found: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a document."""
    if not isinstance(found, dict | list):
        return [at]
    inner = found.items() if isinstance(found, dict) else enumerate(found)
    return [*([at] if at else []), *(p for key, item in inner for p in places(item, (*at, key)))]


def document(state: State = FULL) -> dict[str, Any]:
    data = to_configmap(state, "models")["data"]
    return {"state": json.loads(data["state"]), "history": json.loads(data["history"])}


def edited(at: tuple[str | int, ...], value: Any) -> State:
    body = to_configmap(FULL, "models")
    found = document()
    part: Any = found
    for key in at[:-1]:
        part = part[key]
    part[at[-1]] = value
    body["data"] = {key: json.dumps(item) for key, item in found.items()}
    return from_configmap("chat", body)


def test_what_is_written_is_read() -> None:
    assert from_configmap("chat", to_configmap(FULL, "models")) == FULL


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (("state", "stable", "image"), None, "stable.image is None: "),
        (("state", "stable", "created"), 5, "stable.created is 5: "),
        (("state", "stable", "replicas"), "two", "stable.replicas is 'two': "),
        (("state", "stable", "replicas"), -1, "stable.replicas is -1: "),
        (("state", "stable", "replicas"), 10**400, "stable.replicas is 1000"),
        (("state", "stable", "deployment"), "../x", "stable.deployment is '../x': "),
        (("state", "stable"), ["x"], "stable is ['x']: "),
        (("state", "phase"), "sleeping", "phase is 'sleeping': "),
        (("state", "phase"), None, "phase is not there"),
        (("state", "epoch"), 1.5, "epoch is 1.5: "),
        (("state", "why"), 5, "why is 5: "),
        (("state", "judged"), "abc", "judged is 'abc': "),
        (("state", "judged", 0, "tries"), [], "judged.0.tries is []: "),
        (("state", "made", "r1"), 5, "made.r1 is 5: "),
        (("state", "ran", "r1"), "abc", "ran.r1 is 'abc': "),
        (("state", "terms"), [1], "terms is [1]: "),
        (("state", "terms", "r1"), 5, "terms.r1 is 5: "),
        (("state", "terms", "r1", "spec"), "x", "terms.r1.spec is 'x': "),
        (("state", "terms", "r1", "measured", "ttft_s"), "x", "terms.r1.measured.ttft_s is 'x': "),
        (("history",), {"a": 1}, "history is {'a': 1}: "),
        (("history", 0), None, "history.0 is None: "),
        (("state",), 5, "data.state is 5, an object is expected"),
    ],
)
def test_what_is_none_is_told_with_its_place(
    at: tuple[str | int, ...], value: Any, said: str
) -> None:
    with pytest.raises(StepFailed) as caught:
        edited(at, value)
    told = f"ConfigMap models/rollout-chat does not hold a readable rollout state: {said}"
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("role", ["stable", "candidate", "previous"])
def test_who_serves_is_never_guessed(role: str) -> None:
    body = to_configmap(FULL, "models")
    raw = json.loads(body["data"]["state"])
    del raw[role]
    body["data"]["state"] = json.dumps(raw)
    with pytest.raises(StepFailed, match=f"{role} is not there"):
        from_configmap("chat", body)


@pytest.mark.parametrize("data", [{}, {"state": "{"}, {"state": "[" * 100_000}, None])
def test_what_is_no_json_is_told(data: Any) -> None:
    with pytest.raises(StepFailed, match=r"data\.state is (not there|no JSON)"):
        from_configmap("chat", {**to_configmap(FULL, "models"), "data": data})


@given(st.dictionaries(st.sampled_from(["rollout", "outcome", "resolve_model", "deploy"]), JUNK))
def test_a_history_that_somebody_wrote_in_decides_nothing(entry: dict[str, Any]) -> None:
    state = replace(FULL, history=(entry, {"resolve_model": {"release": "r1"}, "deploy": entry}))
    assert isinstance(digests_of(state.history, "r1"), tuple)
    assert served_before(state, WatchMemory(), STABLE) in (True, False)
    assert went_back(state, STABLE) and isinstance(last_end(state, STABLE), str)
    assert with_history(state, {"rollout": "run-2"}, 2).history[1] is entry
    kept = from_configmap("chat", to_configmap(state, "models")).history
    told = [json.dumps(found, sort_keys=True) for found in (kept, state.history)]
    assert told[0] == told[1]  # as text: NaN is not itself


@given(st.sampled_from(places(document())), JUNK)
def test_whoever_reads_many_goes_on(at: tuple[str | int, ...], value: Any) -> None:
    """What is a state is told to everybody, whatever stands in it."""
    try:
        state = edited(at, value)
    except StepFailed as error:
        assert "models/rollout-chat" in str(error)
        return
    good = Overseen("models", State("good", stable=STABLE))
    seen = Rollouts(lambda: [Overseen("models", state), good])
    seen.renew()
    seen.renew()
    registry = CollectorRegistry()
    registry.register(seen)
    assert b'name="good"' in generate_latest(registry)
    assert list_rows([listed("models", "chat", Observed(state, None))])
