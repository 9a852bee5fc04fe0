"""How a rollout's end looks in Prefect."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import get_args

import pytest

from tasks.base.errors import OutsideError, Refused
from tasks.outside.prefect import artifacts, told
from tasks.outside.prefect.ending import NotPromoted, as_state, no_record, tell, wished
from tasks.record.outcome import Kind, Outcome
from tasks.record.parts import StepTaken
from tasks.record.record import Record, read
from tests.support import reportdata

NAMES = {
    "promoted": "Promoted",
    "unchanged": "Unchanged",
    "not now": "NotNow",
    "not again": "NotAgain",
    "failed": "RolledBack",
    "inconclusive": "Inconclusive",
    "held": "Held",
    "refused": "Refused",
    "error": "Error",
    "earned": "Earned",
    "missed": "Missed",
}


def test_every_ending_has_its_name() -> None:
    assert set(NAMES) == set(get_args(Kind))


@pytest.mark.parametrize("kind", NAMES)
def test_the_state_tells_how_it_ended(kind: Kind) -> None:
    record, outcome = Record(name="m"), Outcome(kind, "as it is")
    state = as_state(outcome, record)
    assert (state.name, state.message) == (NAMES[kind], "as it is")
    # a person is asked about what is held: nothing went wrong
    good = kind in ("promoted", "unchanged", "not now", "not again", "held", "earned")
    assert state.is_completed() is good and state.is_failed() is not good
    if good:
        assert state.data is record
        return
    error = state.data
    assert isinstance(error, NotPromoted) and error.record is record
    assert (error.outcome, error.exit_code, str(error)) == (outcome, outcome.exit_code, "as it is")


def test_what_a_failed_state_holds_survives_a_process() -> None:
    error = NotPromoted(Outcome("failed", "too slow"), Record(name="m"))
    again = pickle.loads(pickle.dumps(error))
    assert (again.outcome, again.record.name, again.exit_code) == (error.outcome, "m", 3)


def test_an_error_without_a_record_is_a_state_too() -> None:
    error = OutsideError("no cluster")
    state = no_record(error)
    assert (state.name, state.message, state.data) == ("Error", "no cluster", error)
    assert state.is_failed()
    refused = no_record(Refused("another candidate waits by now"))
    assert (refused.name, refused.is_failed()) == ("Refused", True)


def test_what_was_done_by_name_is_the_states_name(written: dict[str, tuple[str, ...]]) -> None:
    state = wished("rollout-m-models", "approve m", "Approved", "promoting m-1")
    assert (state.name, state.message, state.is_completed()) == ("Approved", "promoting m-1", True)
    assert written["rollout-m-models"] == ("# approve m\n\npromoting m\\-1", "approve m")
    assert written[""] == ("promoting m-1",)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, ...]]:
    """Artifacts by key, and what the log says under ''."""
    found: dict[str, tuple[str, ...]] = {}

    def note(key: str, *said: str) -> None:
        found[key] = said

    monkeypatch.setattr(artifacts, "markdown", note)
    monkeypatch.setattr(told, "say", lambda sentence: note("", sentence))
    return found


def test_the_outcome_is_an_artifact_with_targets_and_steps(
    written: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    record = read(reportdata.record(reportdata.rounds(3, 16)))
    record.report = str(tmp_path / "report.html")
    tell(Outcome("failed", "too slow"), record)
    assert written[""] == ("failed: too slow",)
    key = f"rollout-{record.name}-{record.namespace}"
    text, description = written[key]
    assert description == f"failed: rollout {record.rollout}"
    assert text.startswith("# Rolled back: ") and "\n\ntoo slow\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(record.targets) + 1 + len(record.steps)
    assert "| smoke | done | 2.3 | smoke went well |" in rows


def test_what_ended_early_has_no_table_of_targets(
    written: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    record = Record(name="m", report=str(tmp_path / "report.html"))
    record.steps.append(StepTaken(step="plan", state="failed", seconds=0.5, sentence="no room"))
    tell(Outcome("refused", "no room"), record)
    text, _ = written["rollout-m"]
    assert "target" not in text and text.endswith("| plan | failed | 0.5 | no room |")


def test_what_waits_for_a_person_leads_to_its_buttons(written: dict[str, tuple[str, ...]]) -> None:
    asked = {"approve": "/runs/flow-run/1", "reject": "/runs/flow-run/2"}
    record = Record(name="m", namespace="models", rollout="r-1")
    tell(Outcome("held", "it passed"), record, asked=asked, report="/artifacts/artifact/3")
    text, _ = written["rollout-m-models"]
    assert "[Approve it](/runs/flow-run/1) · [Reject it](/runs/flow-run/2)" in text
    assert "[The report](/artifacts/artifact/3)" in text
