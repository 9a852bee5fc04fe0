"""The promotion says what serves, and what its soak saw."""

from __future__ import annotations

import pytest

from tasks.outside.kubernetes.actor import NotProven, SoakFailed
from tasks.release.soaking import Look
from tasks.steps.promote import promote
from tests.support.cluster.actor_world import NEW, world
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
    assert at.actor().read_state()[0].measured == {"ttft_s": 0.4}


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
