"""How a rollout ended, and the record that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasks.base.errors import Exit
from tasks.base.progress import TargetSoFar
from tasks.record.parts import Deploy, Judge, NodeFound, TargetJudged, ValidateNodes
from tasks.record.record import Record
from tasks.service.moments import Moment

Kind = Literal[
    "promoted",
    "unchanged",
    "not now",
    "not again",
    "failed",
    "inconclusive",
    "held",
    "refused",
    "error",
    # of what serves, measured again
    "earned",
    "missed",
]


@dataclass(frozen=True)
class Ending:
    """A kind of outcome. exit_code: of the command line. state: its name in Prefect. heading, look,
    sign: on the page. moment: what people are told."""

    exit_code: Exit
    state: str
    heading: str
    look: Literal["good", "bad", "open"]
    sign: str
    moment: Moment


ENDINGS: dict[Kind, Ending] = {
    "promoted": Ending(Exit.DONE, "Promoted", "Promoted", "good", "✓", "promoted"),
    "unchanged": Ending(Exit.DONE, "Unchanged", "Unchanged", "good", "✓", "settled"),
    "not now": Ending(Exit.DONE, "NotNow", "Not now", "open", "…", "settled"),
    "not again": Ending(Exit.DONE, "NotAgain", "Not again", "open", "…", "settled"),
    "failed": Ending(Exit.FAILED, "RolledBack", "Rolled back", "bad", "✕", "rejected"),
    "inconclusive": Ending(
        Exit.INCONCLUSIVE, "Inconclusive", "Inconclusive", "open", "?", "rejected"
    ),
    "held": Ending(Exit.INCONCLUSIVE, "Held", "Held for a person", "open", "?", "needs-approval"),
    "refused": Ending(Exit.REFUSED, "Refused", "Refused", "bad", "✕", "rejected"),
    "error": Ending(Exit.ERROR, "Error", "Error", "bad", "✕", "broken"),
    "earned": Ending(Exit.DONE, "Earned", "Still earned", "good", "✓", "earned"),
    "missed": Ending(Exit.FAILED, "Missed", "Targets missed", "bad", "✕", "missed"),
}


# of what serves, and of no rollout
OF_WHAT_SERVES: tuple[Kind, ...] = ("earned", "missed")


@dataclass(frozen=True)
class Outcome:
    """How a rollout ended: kind, one sentence for a person. stopped: a person ended it."""

    kind: Kind
    sentence: str
    stopped: bool = False

    @property
    def exit_code(self) -> Exit:
        """The command line's exit status."""
        return ENDINGS[self.kind].exit_code


def unchanged(deployment: str, amiss: str = "") -> Outcome:
    """What is wanted serves. amiss: what is wrong with it, though it answers."""
    but = f". Not all is well: {amiss}" if amiss else ""
    return Outcome("unchanged", f"{deployment} serves already; nothing was changed{but}")


def not_now(deployment: str, why: str) -> Outcome:
    """Nobody asked for it by hand, and its window is closed. why: with when that opens."""
    return Outcome("not now", f"{deployment} is not started now: {why}")


def not_again(why: str) -> Outcome:
    """Nobody asked for it by hand, and it was tried before. why: with what came of it."""
    return Outcome("not again", why)


def compact(record: Record) -> Record:
    """The part of a record that the cluster's history keeps; the rest is on disk and in the
    bucket."""
    nodes, judge, deploy = record.validate_nodes, record.judge, record.deploy
    return Record(
        kind=record.kind,
        rollout=record.rollout,
        outcome=record.outcome,
        sentence=record.sentence,
        exit_code=record.exit_code,
        started=record.started,
        finished=record.finished,
        who=record.who,
        why=record.why,
        record=record.record,
        report=record.report,
        steps=record.steps,
        resolve_model=record.resolve_model,
        validate_nodes=ValidateNodes(nodes=[_named(node) for node in nodes.nodes])
        if nodes
        else None,
        deploy=Deploy(image_digests=deploy.image_digests) if deploy else None,
        judge=Judge(verdict=judge.verdict, targets=judge.targets) if judge else None,
    )


def _named(node: NodeFound) -> NodeFound:
    return NodeFound(name=node.name, usable=node.usable, driver=node.driver, cards=node.cards)


def in_short(record: Record) -> str:
    """What was measured against its limit, each target in a few words; '' where nothing was."""
    rows = target_rows(record)
    return ", ".join(f"{name} {measured} ({limit})" for name, limit, measured, _, _ in rows)


# in a word, whether a target is met, by its verdict
CLOSED = {"pass": "met", "fail": "missed", "inconclusive": "open"}


def target_rows(record: Record) -> list[tuple[str, str, str, str, str]]:
    """(target, limit, measured, bounds, verdict) of each target, as text for a table."""
    return [(*target_row(target), target.verdict) for target in record.targets]


def target_row(target: TargetJudged | TargetSoFar) -> tuple[str, str, str, str]:
    """(target, limit, measured, bounds) of one, as text."""
    sign = "≤" if target.direction == "at_most" else "≥"
    name = target.metric + (f" @ {target.load}" if target.load else "")
    return (
        f"{name} (advisory)" if target.advisory else name,
        f"{sign} {target.limit:,.6g}" if target.limit is not None else "-",
        f"{target.measured:,.4g}" if target.measured is not None else "no data",
        _bounds(target.low, target.high),
    )


def _bounds(low: float | None, high: float | None) -> str:
    """An interval for a table; an open end is said in words."""
    if low is not None and high is not None:
        return f"{low:,.4g} … {high:,.4g}"
    if low is not None:
        return f"at least {low:,.4g}, no upper bound yet"
    return f"at most {high:,.4g}, no lower bound yet" if high is not None else "no bounds yet"
