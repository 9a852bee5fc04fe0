"""The front door: from what was measured to the verdict, and from there to what follows.

    rounds + exam + second witness + spec  ->  verdict  ->  promote, hold or roll back

Bounds and rules are in targets and exam. One rule shares what the whole verdict may err by: passing
needs every binding demand at 1 - confidence, each on its own (to promote falsely, the one that is
truly missed has to pass falsely); failing needs one, at (1 - confidence) over the number of binding
demands, of targets and exam together (`demands`), since one false failure is enough to refuse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Literal

from tasks.base.progress import TargetSoFar
from tasks.measure.questions import ExamRow
from tasks.measure.round import Round
from tasks.spec.rollout import Promotion, Rollout
from tasks.verdict import exam as of_exam
from tasks.verdict import targets as of_targets
from tasks.verdict.targets import Decision, TargetVerdict
from tasks.verdict.witness import Witness

Next = Literal["promote", "hold", "wait", "give_back", "roll_back"]
# plans whose candidate has seats of what serves
TAKES = ("replace", "lend")


def demands(spec: Rollout) -> int:
    """How many demands bind: targets at their load points, the implied ones, and the exam."""
    exam = spec.quality is not None and not spec.quality.advisory
    return max(1, of_targets.binding_count(spec.targets, spec.benchmark) + exam)


def look(rounds: Sequence[Round], spec: Rollout) -> Decision:
    """What the rounds so far come to; its `stop` says whether more could change it."""
    return of_targets.decide(rounds, spec.targets, spec.benchmark, demands(spec))


def so_far(found: Decision) -> tuple[TargetSoFar, ...]:
    """Its targets, to be told while it is open."""
    names = [field.name for field in fields(TargetSoFar)]
    return tuple(
        TargetSoFar(**{name: getattr(item, name) for name in names}) for item in found.targets
    )


def examined(rows: Sequence[ExamRow], spec: Rollout) -> TargetVerdict:
    """What the exam comes to. Only for a spec that has one."""
    assert spec.quality is not None
    return of_exam.judge_exam(rows, spec.quality, spec.benchmark.confidence, demands(spec))


def ends_early(exam: TargetVerdict | None) -> bool:
    """Whether the exam alone decides: what fails it is not worth an hour of load."""
    return of_exam.ends_early(exam)


def verdict(rounds: Sequence[Round], exam: TargetVerdict | None, spec: Rollout) -> Decision:
    """The verdict over targets and exam, before the second witness is heard."""
    found = of_exam.merge(look(rounds, spec), exam)
    asked = spec.quality is not None and not spec.quality.advisory
    if asked and exam is None and found.verdict == "pass":
        return replace(found, verdict="inconclusive", reason="the exam was not taken")
    return found


def agreed(decision: Decision, witness: Witness) -> Decision:
    """Judge and second witness agree, or it is inconclusive."""
    if witness.success == (decision.verdict == "pass") or decision.verdict == "inconclusive":
        return decision
    said = f"does not hold: {'; '.join(witness.failed)}" if witness.failed else "holds"
    reason = (
        f"the judge says {decision.verdict} ({decision.reason}), but the Great Expectations suite "
        f"{said}; they must agree"
    )
    return replace(decision, verdict="inconclusive", reason=reason)


# the parts of a spec that say what is asked of a release
DEMANDS = ("targets", "quality", "smoke", "benchmark")


def same_demands(before: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether two specs, without their defaults, ask the same of a release."""
    return all(before.get(part) == asked.get(part) for part in DEMANDS)


# what a release may fail by beside these, and that its id does not tell
BEARS: dict[str, set[str] | None] = {
    "model": {"endpoint", "token_secret", "endpoint_token"},
    "nodes": None,
    "store": None,
    "runner": None,
    "access": None,
    "promotion": {"strategy", "allow_interruption", "leaves", "soak", "on_inconclusive"},
}


def asked_of(spec: Rollout) -> str:
    """A short name for all that is asked of a release and that its outcome hangs on: of the
    demands, then of what else bears on it (see `judged_before`)."""
    more = {part: True if fields is None else fields for part, fields in BEARS.items()}
    texts = (spec.model_dump_json(include=set(DEMANDS)), spec.model_dump_json(include=more))
    return "-".join(hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts)


def next_move(
    decision: Decision, promotion: Promotion, strategy: str = "parallel", window: str = ""
) -> Next:
    """What follows from a verdict. strategy: of the plan; with `replace` nothing serves meanwhile,
    and nobody is waited for. window: why what serves may not be changed now, '' where it may; then
    a candidate that passed waits, unless it has seats of what serves: those go back."""
    if decision.verdict == "inconclusive" and promotion.on_inconclusive == "hold":
        return "roll_back" if strategy == "replace" else "hold"
    if decision.verdict != "pass":
        return "roll_back"
    if promotion.approval == "before-promote":
        return "hold"
    if window and strategy != "replace":
        return "give_back" if strategy in TAKES else "wait"
    return "promote"


def ended_with(decision: Decision) -> Literal["failed", "inconclusive"]:
    """How a rollout ends that goes back for this verdict."""
    return "failed" if decision.verdict == "fail" else "inconclusive"
