"""The verdict on a quality exam, and how it joins the verdict on the targets.

An exam is a share of right answers, bounded exactly (binomial). A question that got no answer, for
whatever reason, never helps: for passing it counts as wrong, for failing as right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.base.errors import SpecError
from tasks.measure.questions import LEAST_QUESTIONS, ExamRow
from tasks.spec.measure import EXAM_METRIC, Quality
from tasks.verdict import bounds
from tasks.verdict.targets import Decision, TargetVerdict, place, say

LOAD = "exam"
# Above this share of questions without an answer, nothing is concluded from the others.
ERROR_SHARE = 0.1
NOT_MEASURED = "not measured: the exam failed first"


def check_reachable(quality: Quality, questions: int, confidence: float) -> None:
    """Raises SpecError where even a perfect exam of so many questions could not pass."""
    low, _ = bounds.share([questions], [questions], 1 - confidence)
    if 100 * low < quality.minimum_percent:
        raise SpecError(
            [
                f"quality.minimum_percent: {quality.minimum_percent:g} can't be shown with "
                f"{questions} questions: all right proves {100 * low:.1f} percent at confidence "
                f"{confidence:g}; ask for at most that, or give more questions"
            ]
        )


def judge_exam(
    rows: Sequence[ExamRow], quality: Quality, confidence: float, binding: int
) -> TargetVerdict:
    """The exam as one more target: pass, fail or inconclusive.

    It passes at `confidence`. binding: how many binding demands share what failing may err by,
    since one false failure is enough to refuse a good model; an advisory exam refuses nothing.

    measured: right answers in percent of the questions that were answered. low, high: one-sided
    bounds of the share in percent of all, with unanswered questions against it and for it.
    """
    asked, right = len(rows), sum(row.right and not row.error for row in rows)
    failed = sum(bool(row.error) for row in rows)
    found = TargetVerdict(
        metric=EXAM_METRIC,
        load=LOAD,
        limit=quality.minimum_percent,
        unit="percent",
        direction="at_least",
        measured=100 * right / (asked - failed) if asked > failed else None,
        low=None,
        high=None,
        n_requests=asked,
        n_rounds=1 if asked else 0,
        verdict="inconclusive",
        reason="no data",
        advisory=quality.advisory,
    )
    if not asked:
        return found
    if failed > ERROR_SHARE * asked:
        why = next(row.error for row in rows if row.error)
        return replace(found, reason=f"{failed} of {asked} questions got no answer: {why}")
    if asked < LEAST_QUESTIONS:
        few = f"{asked} questions were asked, at least {LEAST_QUESTIONS} are needed"
        return replace(found, reason=few)
    alpha, limit = 1 - confidence, quality.minimum_percent
    low = 100 * bounds.share([right], [asked], alpha)[0]
    shared = 1 if quality.advisory else binding
    high = 100 * bounds.share([right + failed], [asked], alpha / shared)[1]
    found = replace(found, low=low, high=high)
    said = f"{right} of {asked} answers are right"
    if failed:
        said += f", {failed} got none"
    word = place("at_least", limit, low, high, low, high)
    reason = f"{said}: {say(word, 'at_least', limit, 'percent')}"
    return replace(found, verdict=word, reason=reason)


def ends_early(exam: TargetVerdict | None) -> bool:
    """Whether the exam alone decides, so that the benchmark need not run."""
    return exam is not None and not exam.advisory and exam.verdict == "fail"


def merge(decision: Decision, exam: TargetVerdict | None) -> Decision:
    """One verdict over exam and targets: fail if either fails, pass only if both pass.

    The exam stands first among the targets; an advisory one is shown and changes nothing.
    """
    if exam is None:
        return decision
    targets = decision.targets
    if ends_early(exam):
        targets = tuple(
            replace(item, reason=NOT_MEASURED) if not item.n_requests else item for item in targets
        )
    merged = replace(decision, targets=(exam, *targets))
    if exam.advisory:
        return merged
    said = f"{exam.metric}: {exam.reason}"
    if exam.verdict == "pass":
        if decision.verdict == "pass":
            return replace(merged, reason=f"{decision.reason}, and the exam is passed")
        return merged
    if exam.verdict == "fail":
        also = f"; {decision.reason}" if decision.verdict == "fail" else ""
        return replace(merged, verdict="fail", stop=True, reason=said + also, requests_more=None)
    if decision.verdict == "fail":
        return merged
    also = f"; {decision.reason}" if decision.verdict == "inconclusive" else ""
    # more requests decide nothing while the exam is open
    return replace(
        merged, verdict="inconclusive", stop=True, reason=said + also, requests_more=None
    )
