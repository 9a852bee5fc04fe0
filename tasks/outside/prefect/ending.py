"""How a rollout's end looks in Prefect: the state of its flow run, its artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.base.errors import RolloutError
from tasks.base.scrub import mask
from tasks.outside.prefect import artifacts, told
from tasks.outside.prefect.artifacts import escape
from tasks.record.outcome import ENDINGS, Outcome, target_rows
from tasks.record.record import Record


class NotPromoted(RolloutError):
    """What a rollout that promoted nothing leaves in its flow run's state.

    outcome: how it ended. record: its record, as for one that promoted.
    """

    def __init__(self, outcome: Outcome, record: Record) -> None:
        super().__init__(outcome.sentence)
        self.outcome, self.record, self.exit_code = outcome, record, outcome.exit_code

    def __reduce__(self) -> tuple[type[NotPromoted], tuple[Outcome, Record]]:
        return (type(self), (self.outcome, self.record))


def as_state(outcome: Outcome, record: Record) -> State[Any]:
    """The Prefect state that tells how it ended.

    Its data is the record, or the NotPromoted that carries it: Prefect takes whatever else a
    failed state holds for a crash, and writes it into the run's log with a traceback.
    """
    name = ENDINGS[outcome.kind].state
    if outcome.exit_code == 0:
        return Completed(name=name, message=mask(outcome.sentence), data=record)
    error = NotPromoted(outcome, record)
    told.is_told(error)  # by the state's name and message
    return Failed(name=name, message=mask(outcome.sentence), data=error)


def no_record(error: RolloutError) -> State[Any]:
    """The state where there is no record yet: a wrong parameter, or no cluster."""
    return Failed(name=ENDINGS["error"].state, message=mask(str(error)), data=error)


def report_address(record: Record) -> str:
    """Where a person reads the report; '' before there is one."""
    return record.report


def tell(outcome: Outcome, record: Record) -> None:
    """The outcome in the log and as an artifact."""
    told.say(f"{outcome.kind}: {outcome.sentence}")
    rows = target_rows(record)
    lines = [f"# {outcome.kind}", "", escape(outcome.sentence), ""]
    if rows:
        lines += ["| target | limit | measured | bounds | verdict |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(map(escape, row))} |" for row in rows]
    lines += ["", "| step | state | seconds | |", "|---|---|---|---|"]
    lines += [
        f"| {s.step} | {s.state} | {s.seconds} | {escape(s.sentence)} |" for s in record.steps
    ]
    artifacts.markdown("rollout", "\n".join(lines), outcome.sentence)
    artifacts.link("report", Path(record.report).resolve().as_uri(), "the report")
