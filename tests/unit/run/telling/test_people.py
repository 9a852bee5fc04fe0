"""What people are told of how a rollout ended: one moment for every ending, and once."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from flows.rollback import note
from tasks.base.errors import Aborted, OutsideError, Refused, SpecError, StepFailed
from tasks.record.outcome import ENDINGS, Kind, Outcome, compact
from tasks.record.record import read
from tasks.release.state import State, with_history
from tasks.run.locked import Locked
from tasks.run.run import Run
from tasks.run.telling import people
from tasks.service.notices import Notice
from tests.support import reportdata
from tests.support.cluster.actor_world import NAME, NEW, NS, world
from tests.support.cluster.runs import run_of
from tests.support.nodedata import make_spec

MOMENTS = {
    "promoted": "promoted",
    "unchanged": "settled",
    "not now": "settled",
    "not again": "settled",
    "failed": "rejected",
    "inconclusive": "rejected",
    "held": "needs-approval",
    "refused": "rejected",
    "error": "broken",
    "earned": "earned",
    "missed": "missed",
}


def test_every_ending_is_one_moment(told: list[Notice]) -> None:
    assert set(MOMENTS) == set(get_args(Kind)) == set(ENDINGS)
    record = read(reportdata.record())
    for kind, moment in MOMENTS.items():
        people.tell_end(record, Outcome(kind, "as it is"), moved=False)  # type: ignore[arg-type]
        assert (told[-1].moment, told[-1].sentence) == (moment, "as it is")
    assert len(told) == len(MOMENTS)


@pytest.mark.parametrize(
    ("outcome", "moved", "serves", "leftover", "moment"),
    [
        (Outcome("failed", "too slow"), True, False, "", "rolled-back"),  # in its soak
        (Outcome("error", "asked to stop", stopped=True), False, False, "", "rejected"),
        (Outcome("error", "asked to stop", stopped=True), True, False, "", "rolled-back"),
        (Outcome("error", "asked to stop", stopped=True), True, True, "", "settled"),
        (Outcome("error", "asked to stop", stopped=True), True, None, "", "broken"),
        (Outcome("error", "asked to stop", stopped=True), False, False, "m is there", "broken"),
        (Outcome("error", "no cluster"), True, False, "", "broken"),
    ],
)
def test_what_had_been_promoted_is_rolled_back_and_what_a_person_ends_is_not_broken(
    outcome: Outcome,
    moved: bool,
    serves: bool | None,
    leftover: str,
    moment: str,
    told: list[Notice],
) -> None:
    record = read(reportdata.record()).model_copy(update={"leftover": leftover})
    people.tell_end(record, outcome, moved=moved, serves=serves)
    assert [item.moment for item in told] == [moment]


def test_a_notice_has_the_targets_and_the_report(told: list[Notice]) -> None:
    record = read(reportdata.record()).model_copy(update={"report": "https://r.example/1"})
    people.tell_end(record, Outcome("failed", "too slow"), moved=False)
    (notice,) = told
    assert len(notice.met) + len(notice.missed) == len(record.targets) > 1
    assert all(target.verdict != "pass" for target in record.targets) == (not notice.met)
    assert notice.rollout == record.rollout and notice.report == "https://r.example/1"
    assert notice.text.endswith("report: https://r.example/1")
    people.tell_start(record)
    assert told[-1].moment == "started" and record.deployment in told[-1].sentence


def test_what_somebody_else_settled_has_the_targets_and_a_report_that_everybody_reaches(
    told: list[Notice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.outside.prefect.artifacts.ui", lambda: "https://prefect.example")
    record = read(reportdata.record())
    state = State("m", phase="held", candidate=NEW, rollout=record.rollout)
    before = with_history(state, compact(record).as_dict(), 5)
    people.tell_settled((NS, NAME), "promoted", "approved by ann", "approve-1", before)
    (notice,) = told
    assert notice.report == f"https://prefect.example/artifacts/key/report-{NAME}-{NS}"
    assert (notice.key, notice.deployment, notice.release) == ((NS, NAME), NEW.deployment, NEW.id)
    assert len(notice.met) + len(notice.missed) == len(record.targets)
    assert (notice.who, notice.why, notice.rollout) == (record.who, record.why, record.rollout)
    # of one that left no record its model is known
    people.tell_settled((NS, NAME), "rejected", "settled", "guard-1", replace(state, rollout="r9"))
    assert (told[1].rollout, told[1].commit, told[1].met) == ("r9", NEW.commit, ())


def test_what_has_no_record_is_told_by_its_model_or_its_file(told: list[Notice]) -> None:
    people.tell_unread(make_spec({"name": NAME, "namespace": NS}), None, OutsideError("no cluster"))
    people.tell_unread(None, "specs/m.yaml", SpecError(["specs/m.yaml: wrong"]))
    assert [(item.key, item.moment) for item in told] == [
        ((NS, NAME), "broken"),
        (("", "specs/m.yaml"), "broken"),
    ]


@pytest.mark.usefixtures("home", "lease")
@pytest.mark.parametrize(
    ("error", "moment"),
    [
        (StepFailed("the disk is full"), "broken"),
        (Refused("no node"), "rejected"),
        (Aborted("asked to stop by ops"), "rejected"),
        (KeyboardInterrupt(), "rejected"),
    ],
)
def test_a_run_tells_its_end_once(error: BaseException, moment: str, told: list[Notice]) -> None:
    run = run_of(world())

    def clean_up(mine: Run, cluster: Locked, why: BaseException) -> BaseException:
        return why

    def pipeline() -> Outcome:
        with run.locked(clean_up):
            raise error

    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            run.conduct(pipeline)
    else:
        run.conduct(pipeline)
    assert [item.moment for item in told] == [moment]
    assert told[0].report  # it was written before


def test_the_guard_says_the_same_trouble_once(told: list[Notice]) -> None:
    at = world()
    actor = at.actor()
    actor.take_over()
    for _ in range(3):
        note(actor, "run-1", "error", "guard: m-old does not answer", State(NAME))
    note(actor, "run-2", "error", "guard: m-old does not answer; and more", State(NAME))
    note(actor, "run-3", "adopted", "m-old is adopted")
    assert [(item.moment, item.sentence) for item in told] == [
        ("broken", "guard: m-old does not answer"),
        ("broken", "guard: m-old does not answer; and more"),
    ]
