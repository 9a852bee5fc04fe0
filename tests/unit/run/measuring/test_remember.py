"""One entry in a memory of its own, written over exactly what was read."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.base.errors import OutsideError
from tasks.record.parts import Judge, ResolveModel, TargetJudged
from tasks.record.record import Record
from tasks.run.measuring import remember
from tasks.run.measuring.remember import TRIES, recall_verified, remember_verified
from tests.support.cluster.actor_world import NAME, NS, world


def record(outcome: str, rollout: str = "r1") -> Record:
    missed = TargetJudged(metric="ttft", load="c2", verdict="fail")
    return Record(
        rollout=rollout,
        name=NAME,
        namespace=NS,
        outcome=outcome,
        resolve_model=ResolveModel(release="old"),
        judge=Judge(verdict="fail", targets=[missed] if outcome == "missed" else []),
    )


def test_each_is_kept_and_news_is_told_once() -> None:
    at: Any = world()
    told = [remember_verified(at, record(word)) for word in ("earned", "missed", "missed")]
    told.append(remember_verified(at, record("inconclusive")))
    told.append(remember_verified(at, record("earned", "r5")))
    assert told == ["", "missed", "", "", "earned"]
    kept, _ = recall_verified(at, NS, NAME)
    assert [item["outcome"] for item in kept][:2] == ["earned", "inconclusive"]
    assert kept[0]["rollout"] == "r5" and len(kept) == 5
    assert {name for _, _, name in at.writes} == {f"rollout-{NAME}.verify"}


def test_of_two_at_once_both_are_kept() -> None:
    at: Any = world()
    remember_verified(at, record("earned", "r0"))

    def other(verb: str, kind: str) -> None:
        at.meddle = lambda verb, kind: None
        remember_verified(at, record("earned", "r1"))

    at.meddle = other
    remember_verified(at, record("earned", "r2"))
    assert [item["rollout"] for item in recall_verified(at, NS, NAME)[0]] == ["r2", "r1", "r0"]


def test_it_does_not_try_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []
    monkeypatch.setattr(remember, "written_over", lambda *given: bool(tried.append(given)))
    at: Any = world()
    with pytest.raises(OutsideError, match="changes faster than it can be written"):
        remember_verified(at, record("missed"))
    assert len(tried) == TRIES
