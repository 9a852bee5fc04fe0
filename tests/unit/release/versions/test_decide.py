"""What becomes of a version that does not serve: told, waited for, or left to a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tasks.release.state import Judged, Release, State
from tasks.release.versions.decide import (
    Now,
    WatchDecision,
    closed,
    decide_found,
    event_id,
    held_for_window,
    serves_it,
    waits_for_window,
    wish_of,
)
from tasks.release.versions.memory import WatchMemory, with_told
from tasks.release.versions.order import Order
from tests.support.cluster.bodies import NEW, OLD, OLDER
from tests.support.nodedata import make_spec

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)  # a Monday
NEWER = Order("newer", "it comes after what serves")
SERVING = State("m", stable=OLD)
NIGHT = {"maintenance_windows": [{"cron": "0 22 * * *", "hours": 4}]}
WISH = wish_of(NEW, "demands")


def decided(
    state: State = SERVING,
    memory: WatchMemory = WatchMemory(),  # noqa: B008 - frozen
    order: Order = NEWER,
    now: Now = Now(NOW),  # noqa: B008 - frozen
    *,
    otherwise: bool = False,
    **spec: Any,
) -> WatchDecision:
    asked = make_spec(spec)
    return decide_found(asked, state, NEW, order, memory, "demands", now, otherwise=otherwise)


def judged(verdict: str, tries: int = 1, demands: str = "demands") -> State:
    return replace(SERVING, judged=(Judged(NEW.id, demands, verdict, "run-1", "yesterday", tries),))


def test_a_new_version_is_told_with_its_wish() -> None:
    found = decided()
    assert (found.sign, found.wish) == ("new", WISH) and "c-old serves" in found.said
    assert decided(State("m")).sign == "new"


@pytest.mark.parametrize("phase", ["testing", "promoting", "soaking", "reverting", "restoring"])
def test_nothing_is_told_while_a_rollout_is_under_way(phase: Any) -> None:
    assert decided(replace(SERVING, phase=phase, candidate=NEW)).sign == "running"


def test_nor_while_somebody_has_the_lease() -> None:
    found = decided(now=Now(NOW, "me@here/run-2"))
    assert found.sign == "running" and "by me@here/run-2" in found.said


def test_one_that_is_held_is_a_persons_and_a_newer_one_is_told() -> None:
    assert decided(replace(SERVING, phase="held", candidate=NEW)).sign == "held"
    assert decided(replace(SERVING, phase="held", candidate=OLDER)).sign == "new"
    # under other demands it has not been tested
    assert decided(replace(SERVING, phase="held", candidate=NEW), otherwise=True).sign == "new"


@pytest.mark.parametrize(
    ("state", "sign"),
    [
        (judged("failed"), "judged"),
        (judged("held"), "judged"),
        (judged("inconclusive"), "new"),
        (judged("unfit", 2), "new"),
        (judged("unfit", 3), "judged"),
        (judged("failed", demands="other targets"), "new"),
    ],
)
def test_what_was_judged_comes_again_once_it_or_its_targets_change(state: State, sign: str) -> None:
    assert decided(state).sign == sign


def test_a_rejected_one_is_not_told_after_hours_and_a_restart() -> None:
    """Nothing but what the cluster holds is asked: no memory of the watcher's, hours later."""
    for hours in (0, 2, 48, 24 * 90):
        found = decided(judged("failed"), WatchMemory(), now=Now(NOW + timedelta(hours=hours)))
        assert (found.sign, found.wish) == ("judged", "")


@pytest.mark.parametrize(
    ("state", "memory"),
    [
        (replace(SERVING, previous=NEW), WatchMemory()),
        (SERVING, WatchMemory(served=(NEW.id,))),
        (
            replace(
                SERVING, history=({"outcome": "promoted", "resolve_model": {"release": NEW.id}},)
            ),
            WatchMemory(),
        ),
    ],
)
def test_what_somebody_went_back_from_is_not_started_again(
    state: State, memory: WatchMemory
) -> None:
    assert decided(state, memory).sign == "went back"


@pytest.mark.parametrize(
    ("newest_first", "said"),
    [((OLD, NEW), "has replaced it"), ((NEW, OLD), "was gone back from"), ((), "gone back from")],
)
def test_one_that_a_newer_one_replaced_was_not_gone_back_from(
    newest_first: tuple[Release, ...], said: str
) -> None:
    history = tuple(
        {"outcome": "promoted", "resolve_model": {"release": item.id}} for item in newest_first
    )
    found = decided(replace(SERVING, previous=NEW, history=history))
    assert found.sign == "went back" and said in found.said


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (Order("older", "by the log"), "is older than what serves: by the log"),
        (Order("unknown", "no log"), "is not known to be newer than what serves: no log"),
    ],
)
def test_only_what_is_known_to_be_newer_starts(order: Order, said: str) -> None:
    found = decided(order=order)
    assert found.sign == "older" and said in found.said and "By hand" in found.said


def test_another_image_of_the_same_commit_is_told() -> None:
    assert decided(order=Order("same", "it serves")).sign == "new"


def test_outside_of_its_window_it_waits_and_says_for_what() -> None:
    found = decided(**NIGHT)
    assert (found.sign, found.said) == (
        "not now",
        "its next window opens at 2026-01-05T22:00+00:00",
    )
    assert decided(now=Now(NOW + timedelta(hours=10)), **NIGHT).sign == "new"
    never = decided(quiet_hours=[{"cron": "0 * * * *", "hours": 1}])
    assert never.sign == "not now" and "no time within a year" in never.said


def test_it_is_told_again_ever_more_seldom_then_given_up() -> None:
    memory, now, told = WatchMemory(), NOW, []
    for _ in range(2000):
        found = decided(memory=memory, now=Now(now))
        if found.sign == "new":
            told.append(now)
            memory = with_told(memory, found.wish, now)
        elif found.sign == "given up":
            break
        now += timedelta(minutes=10)
    waits = [(b - a).total_seconds() / 3600 for a, b in pairwise(told)]
    assert waits == [0.5, 1, 2, 4]
    assert "told 5 time(s)" in found.said and found.wish == WISH
    # another commit, image or other targets are another wish
    assert decided(memory=replace(memory, told="other")).sign == "new"


def test_how_its_last_rollout_ended_is_said() -> None:
    entry = {"outcome": "error", "sentence": "no route", "resolve_model": {"release": NEW.id}}
    memory = with_told(WatchMemory(), WISH, NOW)
    found = decided(replace(SERVING, history=(entry,)), memory)
    assert found.sign == "told" and "its last rollout: no route" in found.said


def test_what_passed_and_waits_for_its_window_is_told_anew_once_that_opens() -> None:
    spec = make_spec(NIGHT)
    tested = replace(SERVING, phase="testing", candidate=NEW, rollout="run-1")
    held = held_for_window(tested, spec, NOW, "p")
    assert (held.phase, held.verdict, held.plan) == ("held", "pass", "p")
    assert held.until == "2026-01-08T22:00:00+00:00"  # 72 h from when it opens
    memory = with_told(WatchMemory(), WISH, NOW)
    assert decided(held, memory, **NIGHT).sign == "not now"
    opened = NOW + timedelta(hours=10)
    found = decided(held, memory, now=Now(opened), **NIGHT)
    assert found.sign == "new" and "passed in rollout run-1" in found.said and found.wish != WISH
    # once what was measured is too old it is a person's, as every candidate that waits
    late = datetime(2026, 1, 8, 22, tzinfo=UTC)
    assert not waits_for_window(held, NEW, late) and not waits_for_window(held, OLD, opened)
    assert decided(held, memory, now=Now(late), **NIGHT).sign == "held"


def test_by_hand_no_window_counts_and_none_is_always_open() -> None:
    assert closed(make_spec(), NOW) == ""
    assert closed(make_spec(NIGHT), NOW) == "its next window opens at 2026-01-05T22:00+00:00"


def test_what_serves() -> None:
    assert serves_it(SERVING, OLD.commit, OLD.digest, None)
    assert not serves_it(SERVING, "other", OLD.digest, None)
    assert serves_it(SERVING, OLD.commit, OLD.digest, "img")
    assert not serves_it(SERVING, OLD.commit, OLD.digest, "img@sha256:1")
    assert not serves_it(State("m"), OLD.commit, OLD.digest, None)


def test_an_event_of_one_wish_and_time_is_one_event() -> None:
    assert event_id("n", "m", WISH, 1) == event_id("n", "m", WISH, 1)
    assert len({event_id("n", "m", WISH, 1), event_id("n", "m", WISH, 2)}) == 2
    assert wish_of(NEW, "a") != wish_of(NEW, "b") != wish_of(replace(NEW, image="i"), "b")
