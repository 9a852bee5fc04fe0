"""What Prometheus is told, from states alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.record.outcome import ENDINGS, OF_WHAT_SERVES
from tasks.record.parts import TargetJudged
from tasks.record.record import Record
from tasks.release.state import Release, State
from tasks.report.gauges import Family, Overseen, Tally, Unread, families, margin_of
from tests.support.reportdata import JUNK

OLD = Release(
    "r1", "m-r1", "owner/m", "master", "c1", "sha256:1", "i:1", "m", 2, "2026-01-01T00:00:00+00:00"
)
NEW = replace(OLD, id="r2", deployment="m-r2", commit="c2")
WHOSE = {"namespace": "models", "name": "m"}
DAY = 86400.0
FIRST = 1767225600.0  # 2026-01-01, UTC


def entry(rollout: str, outcome: str = "promoted", **more: Any) -> dict[str, Any]:
    return {
        "schema": 2,
        "rollout": rollout,
        "outcome": outcome,
        "finished": "2026-01-03T00:00:00+00:00",
        "steps": [{"step": "deploy", "state": "done", "seconds": 12.5}],
        "resolve_model": {"release": "r2", "bytes": 7},
        **more,
    }


def engine(asked: int, available: int) -> dict[str, Any]:
    status = {"availableReplicas": available}
    return {"metadata": {"name": "m-r2"}, "spec": {"replicas": asked}, "status": status}


def told(state: State, deployment: dict[str, Any] | None = None) -> dict[str, Family]:
    return {item.name: item for item in families([Overseen("models", state, deployment)])}


def test_what_serves_and_since_when() -> None:
    state = State("m", stable=NEW, history=(entry("two"), entry("one", "failed")))
    found = told(state, engine(asked=2, available=1))
    ((labels, one),) = found["serving_info"].samples
    assert one == 1 and labels == {
        **WHOSE,
        "release": "r2",
        "deployment": "m-r2",
        "model": "owner/m",
        "commit": "c2",
        "image": "i:1",
    }
    assert found["serving_start_timestamp_seconds"].samples == ((WHOSE, FIRST + 2 * DAY),)
    assert found["serving_replicas_wanted"].samples == ((WHOSE, 2.0),)
    assert found["serving_replicas_available"].samples == ((WHOSE, 1.0),)
    assert found["serving_doubted"].samples == ((WHOSE, 0.0),)
    assert found["last_weights_bytes"].samples == ((WHOSE, 7.0),)
    assert found["last_step_duration_seconds"].samples == (({**WHOSE, "step": "deploy"}, 12.5),)
    assert found["last_finished_timestamp_seconds"].samples == (
        ({**WHOSE, "outcome": "promoted"}, FIRST + 2 * DAY),
    )


def test_a_history_that_does_not_reach_so_far() -> None:
    found = told(State("m", stable=OLD, history=(entry("two", "failed"),)))
    assert found["serving_start_timestamp_seconds"].samples == ((WHOSE, FIRST),)


def test_a_deployment_that_is_gone_is_missed() -> None:
    found = told(State("m", stable=NEW))
    assert found["serving_replicas_wanted"].samples == ((WHOSE, 2.0),)
    assert found["serving_replicas_available"].samples == ((WHOSE, 0.0),)


def test_nothing_serves() -> None:
    found = told(State("m"))
    filled = {name for name, family in found.items() if family.samples}
    assert filled == {"readable", "phase"}


def test_of_what_cannot_be_read_nothing_else_is_told() -> None:
    bad, good = Unread("models", "bad"), Overseen("models", State("m", stable=NEW))
    found = {item.name: item for item in families([bad, good])}
    assert found.pop("readable").samples == (({**WHOSE, "name": "bad"}, 0.0), (WHOSE, 1.0))
    assert {labels["name"] for item in found.values() for labels, _ in item.samples} == {"m"}
    # and what ended meanwhile is counted once it can be read again
    ended = Overseen("models", State("bad", history=(entry("a"),)))
    tally = Tally().after([Overseen("models", State("bad"))]).after([bad]).after([ended])
    assert counted(tally) == {"promoted": 1}


def test_one_phase_at_a_time() -> None:
    state = State("m", phase="held", since="2026-01-02T00:00:00+00:00")
    found = told(replace(state, until="2026-01-05T00:00:00+00:00"))
    assert [labels["phase"] for labels, on in found["phase"].samples if on] == ["held"]
    assert len(found["phase"].samples) == 9
    assert found["phase_start_timestamp_seconds"].samples == (
        ({**WHOSE, "phase": "held"}, FIRST + DAY),
    )
    assert found["approval_deadline_timestamp_seconds"].samples == ((WHOSE, FIRST + 4 * DAY),)
    assert not told(replace(state, phase="idle"))["approval_deadline_timestamp_seconds"].samples


def test_doubt_is_told() -> None:
    state = State("m", stable=NEW, doubt="fail", doubted="r2")
    assert told(state)["serving_doubted"].samples == ((WHOSE, 1.0),)


@pytest.mark.parametrize(
    ("target", "margin"),
    [
        ({"limit": 800, "high": 600, "low": 500, "direction": "at_most"}, 0.25),
        ({"limit": 800, "high": 1000, "low": 500, "direction": "at_most"}, -0.25),
        ({"limit": 400, "low": 500, "high": 900, "direction": "at_least"}, 0.25),
        ({"limit": 400, "low": None, "direction": "at_least"}, None),
        ({"limit": 400, "high": float("inf"), "direction": "at_most"}, None),
        ({"limit": 0, "high": 1, "direction": "at_most"}, None),
    ],
)
def test_the_margin_is_of_the_bound_that_decides(
    target: dict[str, Any], margin: float | None
) -> None:
    assert margin_of(TargetJudged.model_validate(target)) == margin


def test_targets_are_of_the_last_that_judged_some() -> None:
    target = {"metric": "ttft_p95_ms", "load": "c8", "limit": 800, "high": 600}
    target |= {"direction": "at_most", "verdict": "pass"}
    judged = entry("one", judge={"verdict": "pass", "targets": [target]})
    found = told(State("m", stable=NEW, history=(entry("two", "refused"), judged)))
    labels = {**WHOSE, "metric": "ttft_p95_ms", "load": "c8", "verdict": "pass"}
    assert found["last_target_limit"].samples == ((labels, 800.0),)
    assert found["last_target_margin_ratio"].samples == ((labels, 0.25),)


def seen(*rollouts: dict[str, Any]) -> list[Overseen]:
    return [Overseen("models", State("m", history=rollouts))]


def counted(tally: Tally) -> dict[str, float]:
    return {labels["outcome"]: value for labels, value in tally.samples() if value}


def test_one_that_died_counts_as_what_it_was_brought_to() -> None:
    # as flows.rollback.note writes them
    settled = Record(kind="command", outcome="guard", finished="2026-01-03T00:00:00+00:00")
    ended = [
        settled.model_copy(update={"rollout": rollout, "exit_code": code}).as_dict()
        for rollout, code in (("a", 1), ("b", 0), ("c", None))
    ]
    tally = Tally().after(seen()).after(seen(*ended))
    assert counted(tally) == {"error": 1, "promoted": 1}


def test_only_what_ends_while_somebody_counts_is_counted() -> None:
    tally = Tally().after(seen(entry("a"), entry("b", "failed")))
    assert counted(tally) == {} and len(tally.samples()) == len(ENDINGS) - len(OF_WHAT_SERVES)
    tally = tally.after(seen(entry("c", "failed"), entry("a"), entry("b", "failed")))
    assert counted(tally) == {"failed": 1}
    # one that left the history takes nothing back, and is not counted again
    tally = tally.after(seen(entry("d"), entry("c", "failed")))
    assert counted(tally) == {"failed": 1, "promoted": 1}
    # what was done by name has no steps, and is no rollout
    tally = tally.after(seen(entry("e", "settled", steps=[]), entry("d"), entry("c", "failed")))
    assert counted(tally) == {"failed": 1, "promoted": 1}


def test_the_first_rollout_of_all_is_counted() -> None:
    assert counted(Tally().after([]).after(seen(entry("a")))) == {"promoted": 1}


@given(st.dictionaries(st.sampled_from(sorted(entry("a"))), JUNK, max_size=6))
def test_a_history_that_somebody_wrote_in_is_no_error(changed: dict[str, Any]) -> None:
    state = State("m", stable=NEW, history=(entry("a") | changed,))
    for family in families([Overseen("models", state)]):
        for labels, value in family.samples:
            assert isinstance(value, float) and all(isinstance(v, str) for v in labels.values())
