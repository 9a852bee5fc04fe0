"""How a rollout's end looks in Prefect: the state of its flow run, its artifacts.

A state's type is what Prefect's own alerts and colours go by: Failed for what was not promoted and
for what went wrong, Completed for what ended as it should, which is so, too, of what waits for a
person. The state's name says which of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.base.errors import Exit, Refused, RolloutError
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
    if outcome.kind == "held" or outcome.exit_code == Exit.DONE:
        return Completed(name=name, message=mask(outcome.sentence), data=record)
    error = NotPromoted(outcome, record)
    told.is_told(error)  # by the state's name and message
    return Failed(name=name, message=mask(outcome.sentence), data=error)


def no_record(error: RolloutError) -> State[Any]:
    """The state where there is no record: a wrong parameter, no cluster, or a wish that was not
    carried out."""
    told.is_told(error)
    name = ENDINGS["refused" if isinstance(error, Refused) else "error"].state
    return Failed(name=name, message=mask(str(error)), data=error)


def wished(key: str, what: str, name: str, said: str) -> State[Any]:
    """The state of what was done by name, which the history of its model's artifact has, too.
    what: the wish. name: of the state, which says what came of it."""
    told.say(said)
    artifacts.markdown(key, f"# {escape(what)}\n\n{escape(said)}", what)
    return Completed(name=name, message=mask(said), data=said)


def tell(
    outcome: Outcome, record: Record, *, asked: Mapping[str, str] = {}, report: str | None = None
) -> None:
    """The outcome in the log and as an artifact. asked: where a person decides, by what is decided
    there. report: the report's address."""
    told.say(f"{outcome.kind}: {outcome.sentence}")
    for what, path in asked.items():
        told.say(f"to {what} it, resume {artifacts.ui()}{path}")
    lines = [f"# {ENDINGS[outcome.kind].heading}: {escape(record.deployment or record.name)}", ""]
    links = [f"[{what.capitalize()} it]({path})" for what, path in asked.items()]
    if links:
        lines += [f"**{' · '.join(links)}** (opens a paused run; its Resume button does it)", ""]
    lines += [escape(outcome.sentence), ""]
    if report:
        lines += [f"[The report]({report})", ""]
    if rows := target_rows(record):
        lines += ["| target | limit | measured | bounds | verdict |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(map(escape, row))} |" for row in rows]
    lines += ["", "| step | state | seconds | |", "|---|---|---|---|"]
    lines += [
        f"| {s.step} | {s.state} | {s.seconds} | {escape(s.sentence)} |" for s in record.steps
    ]
    key = artifacts.key_of("rollout", record.namespace, record.name)
    artifacts.markdown(key, "\n".join(lines), f"{outcome.kind}: rollout {record.rollout}")
