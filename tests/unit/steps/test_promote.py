"""The promotion says what serves, and what its soak saw."""

from __future__ import annotations

import pytest

from tasks.base.errors import Aborted, LockLost, OutsideError, StepFailed
from tasks.outside.kubernetes.actor import Actor, NotProven, SoakFailed
from tasks.record.outcome import Outcome
from tasks.release.memory.terms import terms_of
from tasks.release.soaking import Look
from tasks.run.run import Run
from tasks.steps.promote import promote
from tasks.steps.roll_back import clean_up
from tests.support.cluster.actor_world import NEW, World, world
from tests.support.cluster.runs import locked, run_of


@pytest.mark.usefixtures("quick")
def test_a_promotion_says_what_serves_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    at = world(phase="testing", candidate=True)
    run = run_of(at, promotion={"soak": {"duration_s": 4}})
    monkeypatch.setattr(run, "ask", lambda *_: (Look(ttft_s=0.25), ["m"]))
    run.measured = {"ttft_s": 0.4}
    with run.step("promote"):
        ended = promote.function(run, locked(run), NEW, "every target is met")
    assert (ended.kind, ended.sentence) == ("promoted", "m-new promoted: every target is met")
    assert at.leads_to() == "new" and at.harm == []
    assert run.record.steps[0].sentence == "m-new serves models/m"
    kept = run.record.promote
    assert kept is not None and (kept.looks, kept.bad, kept.worst_ttft_ms) == (3, 0, 250)
    assert kept.pods == ["m-new-0", "m-new-1"]
    # pods in memory listen nowhere
    (note,) = kept.notes
    assert note.startswith("the engines' own counters were not read: m-new-0: m-new-0 has no addr")
    assert terms_of(at.actor().read_state()[0], "new").measured == {"ttft_s": 0.4}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("answer", "error", "bad", "blind"),
    [
        (Look(answer="bad", why="HTTP 500"), SoakFailed, 0, 32),
        (Look(answer="none", why="no route"), NotProven, 0, 32),
    ],
)
def test_a_soak_that_is_not_passed_is_raised(
    answer: Look,
    error: type[Exception],
    bad: int,
    blind: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = world(phase="testing", candidate=True)
    run = run_of(at)
    monkeypatch.setattr(run, "ask", lambda *_: (answer, []))
    with pytest.raises(error, match=answer.why):
        promote.function(run, locked(run), NEW, "why")
    assert at.leads_to() == "new" and at.available("old") == 2
    kept = run.record.promote
    assert kept is not None and (kept.bad, kept.blind) == (bad, blind)


@pytest.mark.usefixtures("quick")
def test_a_breach_is_raised_with_what_was_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    at = world(phase="testing", candidate=True)
    soak = {"failures": 2, "window": 4, "interval_s": 1, "duration_s": 60, "ttft_ms": 500}
    run = run_of(at, promotion={"soak": soak})
    looks = iter([Look(ttft_s=0.2), Look(ttft_s=0.9), Look(ttft_s=0.4), Look(ttft_s=0.8)])
    monkeypatch.setattr(run, "ask", lambda *_: (next(looks), ["m"]))
    with pytest.raises(SoakFailed) as caught:
        promote.function(run, locked(run), NEW, "why")
    assert str(caught.value) == (
        "m-new failed while soaking: a probe's first token came after 800 ms, at most 500 ms is "
        "allowed (2 of the last 4 looks)"
    )
    kept = run.record.promote
    assert kept is not None and (kept.looks, kept.bad, kept.worst_ttft_ms) == (4, 2, 900)


# -- what comes after the soak ----------------------------------------------------------------


def soaked(monkeypatch: pytest.MonkeyPatch, *errors: BaseException) -> tuple[World, Run]:
    """A promotion whose soak is passed; each drain then ends in the next of these errors."""
    at = world(phase="testing", candidate=True)
    run = run_of(at, promotion={"soak": {"duration_s": 4}})
    monkeypatch.setattr(run, "ask", lambda *_: (Look(ttft_s=0.25), ["m"]))
    left, drain = list(errors), Actor._drain

    def ends(self: Actor, release: str, seconds: float) -> None:
        if left:
            raise left.pop(0)
        drain(self, release, seconds)

    monkeypatch.setattr(Actor, "_drain", ends)
    return at, run


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("error", [OutsideError("no answer"), StepFailed("m-old does not end")])
def test_what_is_not_put_away_takes_no_promotion_back(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, run = soaked(monkeypatch, error)
    ended = promote.function(run, locked(run), NEW, "every target is met")
    assert (ended.kind, run.record.leftover) == ("promoted", str(error))
    assert at.actor().observe().state.phase == "proven" and at.leads_to() == "new"


@pytest.mark.usefixtures("quick")
def test_an_error_before_the_soak_is_passed_is_no_promotion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, run = soaked(monkeypatch)
    monkeypatch.setattr(run, "ask", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        promote.function(run, locked(run), NEW, "why")
    assert not run.serves_proven(NEW)


@pytest.mark.usefixtures("quick", "home", "lease")
@pytest.mark.parametrize(
    ("error", "phase", "said"),
    [
        (Aborted("aborted by bob"), "idle", "aborted by bob; finished the promotion of m-new"),
        (LockLost("the lease is another's"), "proven", "the lease is another's"),
        (
            KeyboardInterrupt(),
            "proven",
            "interrupted; what served before ends its requests and is put "
            "away; the guard, or `rollout recover m -n models`, goes on",
        ),
    ],
)
def test_a_promotion_that_happened_ends_as_one(
    error: BaseException, phase: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what the cluster shows, whatever came after its soak."""
    at, run = soaked(monkeypatch, error)

    def pipeline() -> Outcome:
        with run.locked(clean_up) as cluster:
            return run.finish(promote.function(run, cluster, NEW, "every target is met"))

    ended = run.conduct(pipeline)
    assert (ended.kind, int(ended.exit_code)) == ("promoted", 0)
    assert ended.sentence == f"m-new promoted; after its soak: {said}"
    assert at.actor().observe().state.phase == phase and at.leads_to() == "new" and at.harm == []


@pytest.mark.usefixtures("quick", "home", "lease")
def test_an_error_in_a_soak_that_is_passed_by_cleaning_up_ends_promoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at, run = soaked(monkeypatch)
    looks = iter([OutsideError("the API server did not answer")])

    def ask(*_: object) -> tuple[Look, list[str]]:
        if error := next(looks, None):
            raise error
        return Look(ttft_s=0.25), ["m"]

    monkeypatch.setattr(run, "ask", ask)

    def pipeline() -> Outcome:
        with run.locked(clean_up) as cluster:
            return run.finish(promote.function(run, cluster, NEW, "why"))

    ended = run.conduct(pipeline)
    assert (ended.kind, ended.sentence) == (
        "promoted",
        "m-new promoted; after its soak: the API server did not answer; "
        "finished the promotion of m-new",
    )
    assert at.actor().observe().state.phase == "idle" and at.leads_to() == "new"
