"""What a memory may hold, and how what a person wrote into it is read."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.objects import remembered
from tasks.objects.remembered import MOST_BYTES
from tasks.release.memory.terms import UNPROVEN_HOURS, unproven_text, unproven_until, with_terms
from tasks.release.seats.kept import held_text
from tasks.release.state import State, Terms, from_configmap, to_configmap
from tasks.release.wish import expired
from tests.support.cluster.actor_world import NEW, NS, OLD, OLDER, in_test

MIB = 1 << 20
HISTORY = tuple({"rollout": str(i), "t": "y" * 1000} for i in range(1000))


def large(size: int) -> Terms:
    return Terms({"smoke": [{"prompt": "x" * size}]}, {"ttft_s": 1.0}, "2026-01-01T00:00:00+00:00")


def written(state: State) -> tuple[int, State]:
    body = to_configmap(state, NS)
    return sum(len(v.encode()) for v in body["data"].values()), from_configmap("m", body)


def remembers(**sizes: int) -> State:
    terms = {ident: large(size) for ident, size in sizes.items()}
    return State(
        "m", stable=OLD, previous=OLDER, candidate=NEW, terms=terms, history=HISTORY, rollout="r"
    )


@pytest.mark.parametrize(
    ("sizes", "lost"),
    [
        ({"old": 1000, "older": 1000, "new": 1000}, []),
        # as large as this version takes them: all three are kept
        ({"old": 250_000, "older": 250_000, "new": 250_000}, []),
        # of an older version
        ({"old": 340_000, "older": 340_000, "new": 340_000}, ["older"]),
        ({"old": 500_000, "older": MIB, "new": MIB}, ["older", "new"]),
        ({"old": 10, "older": 10, "new": MIB}, ["older", "new"]),
        ({"old": 10, "older": MIB, "new": 10}, ["older"]),
    ],
)
def test_a_state_has_room_in_a_config_map(sizes: dict[str, int], lost: list[str]) -> None:
    state = remembers(**sizes)
    size, held = written(state)
    assert size <= MOST_BYTES < MIB
    assert [key for key in ("older", "new") if not held.terms[key].spec] == lost
    # what serves is watched by its own; nothing else of the others goes
    assert held.terms["old"] == state.terms["old"]
    assert all(held.terms[key].since for key in held.terms)
    assert (held.stable, held.previous, held.candidate) == (OLD, OLDER, NEW)
    assert held.history == HISTORY[: len(held.history)]
    assert written(held)[1] == held  # what was written once is written so again


def test_a_sentence_has_an_end() -> None:
    size, held = written(replace(remembers(), why="w" * MIB, breach="b" * MIB))
    assert size < MOST_BYTES and held.why.startswith("www") and held.breach.startswith("bbb")


def test_what_there_was_no_room_for_is_no_edit_of_a_person() -> None:
    """What was written is what is known from there on: a decision is saved on top of it."""
    at = in_test()
    actor = at.actor()
    actor.take_over()
    state = actor.read_state()[0]
    state = replace(state, terms={"older": large(MIB), "old": large(1000)}, history=HISTORY)
    actor.save(replace(state, why="w" * MIB))
    held = actor.read_state()[0]
    assert not held.terms["older"].spec and held.terms["old"].spec
    actor.save(replace(state, verdict="pass"))
    actor.save(replace(state, verdict="fail"))
    assert actor.read_state()[0].verdict == "fail"
    data = at.objects["ConfigMap", "rollout-m"]["data"]
    assert sum(map(len, data.values())) <= MOST_BYTES


# -- what a person wrote ------------------------------------------------------------------------

NONSENSE: list[Any] = [
    "soon", "2026-01-01", "2026-01-01T00:00:00", "9999-12-31T23:59:59+00:00",
    "0001-01-01T00:00:00Z",
    "2026-13-01T00:00:00+00:00", 5, 1e308, True, ["x"], {"a": 1}, "\ud800", "x" * 5000,
]  # fmt: skip


def edited(change: dict[str, Any], state: State | None = None) -> State:
    state = state or State("m", phase="held", stable=OLD, candidate=NEW, rollout="r")
    body = to_configmap(state, NS)
    raw = json.loads(body["data"]["state"])
    body["data"]["state"] = json.dumps({**raw, **change})
    return from_configmap("m", body)


@pytest.mark.parametrize("value", NONSENSE, ids=repr)
@pytest.mark.parametrize("key", ["until", "since"])
def test_a_time_that_is_none_is_told_and_read_as_absent(
    key: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    remembered.tell_once.cache_clear()
    with caplog.at_level(logging.ERROR):
        held = edited({key: value})
    assert getattr(held, key) == ""
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"ConfigMap models/rollout-m: {key} is ") and "is expected" in said
    assert not expired(held, clock.now()) and held_text(held)
    edited({key: value})
    assert len(caplog.records) == 1  # once, however often it is read


def test_a_time_that_is_one_is_kept() -> None:
    for text in ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+08:00"):
        assert edited({"until": text}).until == text
        assert expired(edited({"until": text}), clock.now())


@pytest.mark.parametrize(
    ("value", "drain_s"),
    [(5, 5.0), ("7", 7.0), (1e308, 604800.0), (10**400, 600.0), ("x", 600.0), (-1, 600.0),
     (None, 600.0), ([], 600.0), (float("nan"), 600.0), (float("inf"), 604800.0)],
)  # fmt: skip
def test_a_drain_is_a_time_that_can_pass(value: Any, drain_s: float) -> None:
    assert edited({"drain_s": value}).drain_s == drain_s


@pytest.mark.parametrize(
    ("hours", "days"),
    [(48, 2.0), (1e9, 366.0), ("x", 3.0), (None, 3.0), (-1, 3.0), (float("nan"), 3.0), ({}, 3.0)],
)
def test_how_long_a_release_waits_unproven_has_an_end(hours: Any, days: float) -> None:
    since = clock.now().replace(microsecond=0)
    spec = {"promotion": {"unproven_hours": hours}}
    state = State("m", phase="unproven", stable=OLD, verdict="inconclusive")
    state = with_terms(state, "old", spec=spec, since=since.isoformat())
    until = clock.moment(unproven_until(state))
    assert until is not None and (until - since).total_seconds() == days * 86400
    assert not expired(state, clock.now()) and "after" in unproven_text(state)
    assert UNPROVEN_HOURS == 72.0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = sorted(json.loads(to_configmap(State("m"), NS)["data"]["state"]))


@given(key=st.sampled_from(FIELDS), value=json_values)
def test_whatever_is_written_there_it_is_read_or_told_to_be_unreadable(
    key: str, value: Any
) -> None:
    """A hand in the state ends in no error that nobody expects."""
    state = with_terms(State("m", phase="unproven", stable=OLD), "old", since="soon", spec={})
    try:
        held = edited({key: value}, state)
    except StepFailed as error:
        assert "rollout-m" in str(error)
        return
    expired(held, clock.now())
    to_configmap(held, NS)
