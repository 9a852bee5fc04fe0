"""A breach is written down before anything moves, and whoever finds it goes back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.base.errors import OutsideError
from tasks.outside.kubernetes.actor import Actor, SoakFailed
from tasks.release import moves
from tasks.release.guard import Around, decide_guard
from tasks.release.soaking import Look
from tasks.release.state import promoted
from tasks.release.wish import decide_wish
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import NEW, World, in_test

pytestmark = pytest.mark.usefixtures("quick")
WHY = "m-new failed while soaking: HTTP 500 (3 of the last 4 looks)"


def actor_of(at: World) -> Actor:
    """`new` answers once, and then with errors."""
    looks = iter([Look()])
    return at.actor(lambda _: next(looks, Look(answer="bad", why="HTTP 500")))


def soaked() -> World:
    """`new` has the traffic, has failed its soak, and the process is gone."""
    at = in_test()
    actor = actor_of(at)
    with pytest.raises(SoakFailed, match="HTTP 500"):
        actor.run(moves.decide_promotion(actor.observe(), keep_previous=True))
    return at


def test_bad_news_is_the_first_write() -> None:
    at = in_test()
    actor = actor_of(at)
    course = moves.decide_promotion(actor.observe(), keep_previous=True)
    before = next(n for n, move in enumerate(course.moves) if isinstance(move, moves.Soak))
    for move in course.moves[:before]:
        actor.move(move)
    at.writes.clear()
    with pytest.raises(SoakFailed):
        actor.move(course.moves[before])
    assert [write[:2] for write in at.writes] == [("replace", "ConfigMap")]
    state = actor.observe().state
    assert (state.phase, state.breach) == ("soaking", WHY)
    assert at.leads_to() == "new" and at.available("old") == 2


@pytest.mark.parametrize("what", ["recover", "abort", "guard", "another run", "the same run"])
def test_whoever_finds_it_goes_back_and_watches_nothing(what: str) -> None:
    at = soaked()
    actor = at.actor()  # has no means to look
    actor.take_over()
    seen = actor.observe()
    if what == "guard":
        course = decide_guard(seen, Around())
    elif what.endswith("run"):
        wanted = NEW if what == "the same run" else replace(NEW, id="next")
        assert moves.decide_resume(seen, wanted) == "clear"
        course = moves.decide_recovery(seen, superseded=True)
    else:
        course = decide_wish(what, seen)
    assert carry_out(actor, course) == "went back to m-old"
    state = actor.observe().state
    assert (state.phase, state.breach) == ("idle", "")
    assert at.leads_to() == "old" and at.available("old") == 2 and at.harm == []


def test_a_person_may_have_it_watched_again() -> None:
    at = soaked()
    actor = at.actor(lambda _: Look())
    actor.take_over()
    carry_out(actor, decide_wish("promote", actor.observe()))
    state = actor.observe().state
    assert (state.phase, state.breach) == ("idle", "") and at.leads_to() == "new"


def test_a_way_back_that_fails_keeps_the_news() -> None:
    at = soaked()
    at.broken.add("old")
    at.put(at.objects["Deployment", "m-old"])
    actor = at.actor()
    actor.take_over()
    course = moves.decide_recovery(actor.observe())
    with pytest.raises(Exception, match="m-new serves on"):
        carry_out(actor, course)
    state = actor.observe().state
    assert (state.phase, state.verdict) == ("unproven", "fail") and at.leads_to() == "new"


def test_where_it_cannot_be_written_down_the_way_back_does(monkeypatch: pytest.MonkeyPatch) -> None:
    at = in_test()
    actor = actor_of(at)
    seen = actor.observe()
    for move in moves.decide_promotion(seen, keep_previous=True).moves[:3]:
        actor.move(move)
    monkeypatch.setattr(actor, "save", lambda state: (_ for _ in ()).throw(OutsideError("full")))
    with pytest.raises(SoakFailed, match="HTTP 500"):
        actor.move(moves.Soak(NEW))


def test_a_breach_of_another_time_is_none() -> None:
    """It stands while its own soak is under way."""
    seen = in_test().actor().observe()
    state = replace(seen.state, breach="long ago")
    saved = moves.decide_promotion(replace(seen, state=state), keep_previous=True).moves
    assert all(move.state.breach == "" for move in saved if isinstance(move, moves.Save))
    begun = moves.decide_start(replace(seen, state=state), NEW, "r", "parallel").moves[0]
    assert isinstance(begun, moves.Save) and begun.state.breach == ""
    idle = replace(seen, state=replace(promoted(state, seen.deployments), phase="idle"))
    assert moves.decide_resume(replace(idle, serving="new"), NEW) == "done"
