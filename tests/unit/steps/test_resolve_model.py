"""What is not started again by itself."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import Refused
from tasks.release.state import Judged, with_verdict
from tasks.steps.resolve_model import resolve_model
from tasks.verdict.decide import asked_of
from tests.support.cluster.actor_world import world
from tests.support.cluster.runs import run_of
from tests.support.surveys import survey

pytestmark = pytest.mark.usefixtures("quick")


def asked(monkeypatch: pytest.MonkeyPatch, *, again: bool, demands: str = "", **spec: Any) -> str:
    """What becomes of a release that failed under these demands; default: the same."""
    run = run_of(world(), **spec)
    run.again = again
    found = survey(run.spec)
    verdict = Judged(found.release.id, demands or asked_of(run.spec), "failed", "run-0", "today")
    seen = replace(found.seen, state=with_verdict(found.seen.state, verdict))
    module = sys.modules["tasks.steps.resolve_model"]
    monkeypatch.setattr(module, "look_around", lambda *_: replace(found, seen=seen))
    resolve_model.function(run)
    return run.subject


def test_what_failed_is_not_started_again_by_a_schedule_or_an_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(Refused, match=r"failed at today \(rollout run-0\).*rollout run"):
        asked(monkeypatch, again=False)


def test_a_person_may_try_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, again=True)


def test_other_targets_are_another_question(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, again=False, demands="others")
