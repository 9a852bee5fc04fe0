"""Going back, by a verdict, after a soak, and after an error; and what is said when even that
fails."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import LockLost, OutsideError, Refused, RolloutError, StepFailed
from tasks.outside.kubernetes.actor import Actor, SoakFailed
from tasks.record.parts import Judge, ResolveModel, TargetJudged
from tasks.release import moves
from tasks.release.soaking import Look, Rules
from tasks.release.state import judged_before
from tasks.release.wish import decide_wish
from tasks.run.carry_out import carry_out
from tasks.run.locked import Locked
from tasks.run.run import Run
from tasks.steps.roll_back import clean_up, roll_back
from tasks.verdict.decide import asked_of
from tests.support.cluster.actor_world import NEW, World, world
from tests.support.cluster.runs import locked, run_of

pytestmark = pytest.mark.usefixtures("quick")
FULL = StepFailed("the disk is full")
LEFT = "`rollout recover m -n models` settles it"


def in_test(*, switched: bool = False) -> tuple[World, Run, Locked]:
    """`old` serves, or did until its Service was moved to the candidate `new`."""
    at = world(phase="testing", candidate=True)
    run = run_of(at)
    cluster = locked(run)
    if switched:
        course = moves.decide_promotion(cluster.actor.observe(), keep_previous=True)
        for move in course.moves[:3]:
            cluster.actor.move(move)
    return at, run, cluster


def broken(monkeypatch: pytest.MonkeyPatch, error: BaseException, method: str = "observe") -> None:
    """The cluster answers nobody any more."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Actor, method, fail)


# -- the step ---------------------------------------------------------------------------------


def test_a_candidate_that_is_not_promoted_goes() -> None:
    at, run, cluster = in_test()
    ended = roll_back.function(run, cluster, "inconclusive", "nothing was shown")
    assert ended.kind == "inconclusive"
    assert ended.sentence == "nothing was shown; removed candidate m-new"
    assert at.get("Deployment", "m-new") is None and at.leads_to() == "old" and at.harm == []


def test_after_a_failed_soak_what_served_serves_again() -> None:
    at, run, cluster = in_test(switched=True)
    ended = roll_back.function(run, cluster, "failed", SoakFailed("m-new failed: 500"))
    assert (ended.kind, ended.sentence) == ("failed", "m-new failed: 500; went back to m-old")
    assert at.leads_to() == "old" and at.get("Deployment", "m-new") is None and at.harm == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [(OutsideError("no answer"), SoakFailed), (StepFailed("m-old is gone"), StepFailed)],
)
def test_bad_news_of_a_soak_stays_bad_news_where_going_back_fails(
    error: RolloutError, kind: type[RolloutError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its type, too: who settles it later must not take it for a success."""
    _, run, cluster = in_test(switched=True)
    broken(monkeypatch, error)
    with pytest.raises(RolloutError) as caught:
        roll_back.function(run, cluster, "failed", SoakFailed("m-new failed: 500"))
    assert type(caught.value) is kind
    assert str(caught.value) == f"m-new failed: 500; going back failed: {error}"


# -- after an error ---------------------------------------------------------------------------


def steps_of(run: Run) -> list[tuple[str, str, str]]:
    return [(step.step, step.state, step.sentence) for step in run.record.steps]


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()])
def test_what_ends_by_force_is_cleaned_up_as_a_step(error: BaseException) -> None:
    at, run, cluster = in_test()
    assert clean_up(run, cluster, error) is error
    assert at.get("Deployment", "m-new") is None and at.leads_to() == "old"
    assert cluster.actor.observe().state.phase == "idle"
    assert steps_of(run) == [("roll_back", "done", "removed candidate m-new")]
    assert run.record.leftover == "" and run.settled == "removed candidate m-new"


def test_where_nothing_was_left_the_end_does_not_speak_of_it() -> None:
    at, run, cluster = in_test()
    clean_up(run, cluster, FULL)
    assert clean_up(run, cluster, FULL) is FULL and run.settled == ""
    assert at.harm == []


def test_a_lost_lock_is_anothers_to_clean_up() -> None:
    at, run, cluster = in_test()
    lost = LockLost("the lease is another's")
    assert clean_up(run, cluster, lost) is lost
    assert at.writes == [] and run.record.steps == []


def test_a_failed_soak_that_nobody_handled_goes_back() -> None:
    """And what is alive is not taken for a promotion to be finished."""
    at, run, cluster = in_test(switched=True)
    error = SoakFailed("m-new failed: 500")
    assert clean_up(run, cluster, error) is error
    assert at.leads_to() == "old" and at.harm == []
    at, run, cluster = in_test(switched=True)
    assert clean_up(run, cluster, FULL) is FULL
    assert at.leads_to() == "new" and at.harm == []


def test_what_cleaning_up_leaves_behind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _, run, cluster = in_test()
    run.note_release(NEW, _manifest())
    broken(monkeypatch, OutsideError("the API server does not answer"))
    ended = clean_up(run, cluster, FULL)
    left = f"m-new may still exist in models (the API server does not answer); {LEFT}"
    assert isinstance(ended, StepFailed) and str(ended) == f"the disk is full; {left}"
    assert run.record.leftover == left
    assert steps_of(run) == [("roll_back", "failed", "the API server does not answer")]


def _manifest() -> Any:
    return type("Manifest", (), {"files": (), "total_bytes": 0})()


def test_a_fault_of_ours_while_cleaning_up_hides_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, run, cluster = in_test()
    broken(monkeypatch, KeyError("spec"))
    ended = clean_up(run, cluster, FULL)
    assert str(ended) == (
        f"the disk is full; the candidate may still exist in models (KeyError('spec')); {LEFT}"
    )


def test_an_interrupt_stays_one_whatever_cleaning_up_meets(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, run, cluster = in_test()
    broken(monkeypatch, OutsideError("no answer"))
    error = KeyboardInterrupt()
    with caplog.at_level(logging.ERROR):
        assert clean_up(run, cluster, error) is error
    assert run.record.leftover.endswith(LEFT) and run.record.leftover in caplog.messages


def test_a_lock_that_is_lost_while_cleaning_up_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _, run, cluster = in_test()
    broken(monkeypatch, LockLost("the lease is another's"), "save")
    ended = clean_up(run, cluster, FULL)
    assert "the lease is another's" in str(ended) and str(ended).startswith("the disk is full; ")


# -- an unfinished soak is no proof -----------------------------------------------------------

SICK = Look(answer="bad", why="HTTP 500"), []
FINE = Look(), [NEW.served_name]


def soaking(answer: Any = FINE) -> tuple[World, Run, Locked]:
    """`new` has the traffic and is watched; asked, it answers so."""
    at, run, cluster = in_test(switched=True)
    cluster.actor.rules = Rules(duration_s=10)
    run.ask = lambda service, release: answer  # type: ignore[method-assign]
    run.promoting = NEW
    return at, run, cluster


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_who_interrupts_a_soak_leaves_it_to_whoever_comes_next(error: BaseException) -> None:
    at, run, cluster = soaking(SICK)
    assert clean_up(run, cluster, error) is error
    state = at.actor().observe().state
    assert state.phase == "soaking" and at.available("old") == at.available("new") == 2
    assert "m-new serves and its soak is not finished" in run.record.steps[-1].sentence


@pytest.mark.parametrize(
    ("answer", "serves", "said"),
    [
        (FINE, "new", "finished the promotion of m-new"),
        (
            SICK,
            "old",
            "m-new failed while soaking: HTTP 500 (3 of the last 4 looks); went back to m-old",
        ),
    ],
)
def test_an_error_while_it_soaks_is_no_verdict(answer: Any, serves: str, said: str) -> None:
    """It is watched again, from the start."""
    answers = iter([FINE])
    at, run, cluster = soaking()
    run.ask = lambda service, release: next(answers, answer)  # type: ignore[method-assign]
    ended = clean_up(run, cluster, OutsideError("the API server did not answer"))
    assert str(ended) == "the API server did not answer"
    assert run.record.steps[-1].sentence == said == run.settled
    assert at.leads_to() == serves and at.harm == []
    assert at.actor().observe().state.phase == "idle"


def test_what_nobody_can_watch_waits_for_a_person() -> None:
    at, _, cluster = in_test(switched=True)
    said = carry_out(cluster.actor, moves.decide_recovery(cluster.actor.observe()))
    assert said.startswith("m-new was not watched: its spec is not known; m-new serves and is not")
    assert at.actor().observe().state.phase == "unproven" and at.available("old") == 2


def test_a_verdict_is_remembered_before_it_is_acted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    at, run, cluster = in_test()
    run.record.resolve_model = ResolveModel(release="new")
    module = sys.modules["tasks.steps.roll_back"]
    monkeypatch.setattr(module, "settled", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        roll_back.function(run, cluster, "failed", "ttft_p95_ms: missed")
    found = judged_before(at.actor().observe().state, "new", asked_of(run.spec))
    assert found is not None and (found.verdict, found.rollout) == ("failed", "run-1")


@pytest.mark.parametrize(("measured", "verdict"), [(412.0, "inconclusive"), (None, None)])
def test_what_was_measured_and_stays_open_is_counted(
    measured: float | None, verdict: str | None
) -> None:
    """A way that let no request through says nothing of the release."""
    at, run, cluster = in_test()
    run.record.resolve_model = ResolveModel(release="new")
    found = TargetJudged(metric="ttft_p95_ms", measured=measured)
    run.record.judge = Judge(verdict="inconclusive", targets=[found])
    roll_back.function(run, cluster, "inconclusive", "nothing was shown")
    kept = judged_before(at.actor().observe().state, "new", asked_of(run.spec))
    assert (kept and kept.verdict) == verdict


# -- what waits for a person ------------------------------------------------------------------


def held() -> World:
    at, _, cluster = in_test()
    actor = cluster.actor
    actor.save(replace(actor.read_state()[0], phase="held", verdict="pass"))
    at.epoch = actor.epoch
    return at


def test_a_held_candidate_is_nobody_elses_to_remove() -> None:
    """A bystander's cancellation, the guard and `recover` leave it."""
    at = held()
    actor = at.actor()
    said = carry_out(actor, decide_wish("recover", actor.observe()))
    assert said.startswith("m-new waits for a person") and at.available("new") == 2
    assert actor.observe().state.phase == "held"


def test_a_held_candidate_can_be_rejected() -> None:
    at = held()
    actor = at.actor()
    carry_out(actor, decide_wish("reject", actor.observe()))
    assert at.get("Deployment", "m-new") is None and at.leads_to() == "old" and at.harm == []
    with pytest.raises(Refused, match="is idle, only a held candidate can be rejected"):
        decide_wish("reject", actor.observe())


def test_an_approved_candidate_is_watched_like_any_other() -> None:
    at = held()
    actor = at.actor(lambda _: Look())
    carry_out(actor, decide_wish("promote", actor.observe()))
    assert at.leads_to() == "new" and actor.observe().state.phase == "idle"
    at = held()
    looks = iter([Look()])
    actor = at.actor(lambda _: next(looks, Look(answer="bad", why="HTTP 500")))
    said = carry_out(actor, decide_wish("promote", actor.observe()))
    assert (
        said == "m-new failed while soaking: HTTP 500 (3 of the last 4 looks); went back to m-old"
    )
    assert at.leads_to() == "old" and at.harm == []
