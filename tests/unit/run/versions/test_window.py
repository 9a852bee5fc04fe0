"""A candidate that passed and waits for its window: who may promote it, and when."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.base.clock import FakeClock
from tasks.release.memory.terms import with_terms
from tasks.release.versions.decide import held_for_window
from tasks.run.run import Run
from tests.support.cluster.actor_world import World, world
from tests.support.cluster.bodies import NEW, OLD
from tests.support.cluster.runs import locked, run_of

pytestmark = pytest.mark.usefixtures("quick")
DAY = [{"cron": "0 9 * * *", "hours": 8}]


def waiting() -> World:
    """A cluster in which one waits, since midnight."""
    at = world(phase="testing", candidate=True)
    run = started(at)
    actor = locked(run).actor
    state = with_terms(actor.observe().state, NEW.id, spec=run.record.spec)
    actor.save(held_for_window(state, run.spec, at.now(), "a plan"))
    return at


def started(at: World, *, by_itself: bool = True, **spec: Any) -> Run:
    run = run_of(at, maintenance_windows=DAY, **spec)
    run.by_itself = by_itself
    return run


def test_in_its_window_it_is_promoted_as_it_passed(time: FakeClock) -> None:
    at = waiting()
    assert "opens at 2026-01-01T09:00" in started(at).window_closed()
    assert not started(at).passed_before(NEW)
    time.sleep(9 * 3600)
    assert started(at).window_closed() == "" and started(at).passed_before(NEW)
    assert not started(at).passed_before(OLD)
    # other targets were never met
    assert not started(at, targets={"ttft_p95_ms": 1}).passed_before(NEW)
    time.sleep(72 * 3600)  # what was measured is too old
    assert not started(at).passed_before(NEW)


def test_a_person_waits_for_no_window() -> None:
    at = waiting()
    assert started(at, by_itself=False).window_closed() == ""
    assert started(at, by_itself=False).passed_before(NEW)
