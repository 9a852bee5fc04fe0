"""Tell people what becomes of a rollout, by an event of the Prefect server that there is."""

from __future__ import annotations

from dataclasses import replace

from tasks.base.errors import RolloutError
from tasks.outside.prefect import report
from tasks.outside.prefect.notices import emit
from tasks.record.outcome import ENDINGS, Outcome, target_rows
from tasks.record.record import Record, read
from tasks.release.state import State
from tasks.service.moments import Moment
from tasks.service.notices import Notice
from tasks.spec.rollout import Rollout


def tell_start(record: Record) -> None:
    """That a candidate is going to be tested."""
    plan = record.plan
    how = f": {plan.strategy}" if plan else ""
    emit(_notice(record, "started", f"{record.deployment} is going to be tested{how}"))


def tell_end(
    record: Record,
    outcome: Outcome,
    *,
    moved: bool,
    serves: bool | None = False,
    report: str = "",
) -> None:
    """How a rollout ended. moved: its Service may have been led to the candidate by then; serves:
    whether it leads there now, None where that is not known. report: its address for a browser, ''
    where it has none."""
    moment = ENDINGS[outcome.kind].moment
    if moment == "rejected" and moved:
        moment = "rolled-back"
    if moment == "broken" and outcome.stopped and not record.leftover and serves is not None:
        # what serves on is settled by somebody else, who tells what became of it
        moment = "settled" if serves else "rolled-back" if moved else "rejected"
    emit(_notice(record, moment, outcome.sentence, report))


def tell_unread(spec: Rollout | None, spec_file: str | None, error: RolloutError) -> None:
    """That a rollout which nobody watches has come to nothing before it had a record."""
    key = (spec.namespace, spec.name) if spec else ("", spec_file or "")
    emit(Notice(key, "broken", str(error)))


def tell_settled(key: tuple[str, str], moment: Moment, said: str, run: str, before: State) -> None:
    """What became of a rollout that was settled by name, or by the guard. run: who did it. before:
    its state then."""
    about = before.candidate or before.stable
    mine = (read(item) for item in before.history if item.get("rollout") == before.rollout)
    record = next(mine, Record(rollout=before.rollout or run))
    notice = _notice(record, moment, said, report.address(*key))
    if about:
        notice = replace(
            notice,
            deployment=about.deployment,
            release=about.id,
            model=about.model,
            revision=about.revision,
            commit=about.commit,
        )
    emit(replace(notice, key=key))


def tell_verified(record: Record, moment: Moment, report: str = "") -> None:
    """That what serves misses targets, or meets them again. report: as in `tell_end`."""
    emit(_notice(record, moment, record.sentence, report))


def _notice(record: Record, moment: Moment, sentence: str, report: str = "") -> Notice:
    # where nobody's browser reaches it, its path says at least where it lies
    what, judged = record.resolve_model, target_rows(record)
    rows = [
        (f"{name} {limit}, measured {measured}", verdict)
        for name, limit, measured, _, verdict in judged
    ]
    return Notice(
        (record.namespace, record.name),
        moment,
        sentence,
        rollout=record.rollout,
        deployment=record.deployment,
        release=what.release if what else "",
        model=what.model if what else "",
        revision=what.revision if what else "",
        commit=what.commit if what else "",
        met=tuple(text for text, verdict in rows if verdict == "pass"),
        missed=tuple(f"{text} ({verdict})" for text, verdict in rows if verdict != "pass"),
        who=record.who,
        why=record.why,
        plan=record.plan.digest if record.plan else "",
        report=report or record.report,
    )
