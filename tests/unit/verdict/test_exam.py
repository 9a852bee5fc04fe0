"""The exam's questions, what counts as right, and the verdict that follows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.base.errors import SpecError
from tasks.measure.questions import (
    LEAST_QUESTIONS,
    ExamRow,
    holds,
    is_right,
    parse_questions,
    unfinished,
)
from tasks.outside.evalscope.exam import load_questions
from tasks.spec.measure import Quality, Target
from tasks.verdict.exam import NOT_MEASURED, check_reachable, ends_early, judge_exam, merge
from tasks.verdict.targets import Decision, TargetVerdict
from tests.support.rounds import BENCH, decide, some, target

QUALITY = Quality(minimum_percent=50)
GOOD = [target("ttft_mean_ms", 500), target("success_rate_percent", 90)]
BAD = [target("ttft_mean_ms", 50), target("success_rate_percent", 90)]
OPEN = [target("ttft_mean_ms", 200), target("success_rate_percent", 90)]


def rows(right: int, wrong: int = 0, failed: int = 0) -> list[ExamRow]:
    return [
        *(ExamRow(f"r{i}", ("a",), "a", True) for i in range(right)),
        *(ExamRow(f"w{i}", ("a",), "b", False) for i in range(wrong)),
        *(ExamRow(f"f{i}", ("a",), "", False, "HTTP 500") for i in range(failed)),
    ]


def judged(right: int, wrong: int = 0, failed: int = 0, **more: object) -> TargetVerdict:
    return judge_exam(rows(right, wrong, failed), QUALITY.model_copy(update=more), 0.95, 1)


# -- right or wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "word", "found"),
    [
        ("The capital of France is Paris.", "paris", True),
        ("PARIS", "Paris", True),
        ("Parisian food", "Paris", False),
        ("2 + 2 = **4**.", "4", True),
        ("44", "4", False),
        ("3.4", "4", False),
        ("4.5", "4", False),
        ("1,400", "400", False),
        ("-4", "4", False),
        ("It is twenty\n  four", "twenty four", True),
        ("twentyfour", "twenty four", False),
        ("首都是巴黎。", "巴黎", True),
        ("答案是４。", "4", True),
        ("It is H₂O.", "H2O", True),
        ("C++ it is", "C++", True),
        ("anything", " ", False),
        ("", "a", False),
    ],
)
def test_an_answer_is_looked_for_as_whole_words(text: str, word: str, found: bool) -> None:
    assert holds(text, word) is found


def test_reasoning_is_no_answer() -> None:
    assert not is_right("Paris? No, the other one.</think>It is Lyon.", ["Paris"])
    assert is_right("<think>Lyon?</think>\n\nParis", ["London", "Paris"])
    assert unfinished("<think>Paris, or", cut=True, reasoned=False)
    assert unfinished(" ", cut=True, reasoned=True)
    # noise up to the limit is an answer, and a wrong one
    assert not unfinished(" ", cut=True, reasoned=False)
    assert not unfinished("x <think>", cut=False, reasoned=True)
    assert not unfinished("<think>a</think> b", cut=True, reasoned=False)


# -- files ------------------------------------------------------------------------------------


def test_the_shipped_exam_is_sound() -> None:
    found = load_questions(QUALITY)
    assert len(found) == 60
    for question in found:
        # an engine that repeats the question knows nothing
        assert not is_right(question.text, question.accepted), question
        assert all(is_right(f"It is {a}.", question.accepted) for a in question.accepted)
    # no one answer carries the exam: whatever is said to all of them is nearly always wrong
    for said in {answer for question in found for answer in question.accepted}:
        assert sum(is_right(said, question.accepted) for question in found) <= 3, said
    check_reachable(Quality(minimum_percent=95), len(found), 0.95)


def _lines(count: int, *more: str) -> str:
    made = [json.dumps({"question": f"q{i}?", "answer": f"a{i}"}) for i in range(count)]
    return "\n".join([*made, *more]) + "\n"


def test_a_users_file_is_read_whole(tmp_path: object) -> None:
    extra = '{"question": "Where?", "answer": ["here", "there"], "level": 3}'
    found = parse_questions("\ufeff" + _lines(20, "", extra), "mine.jsonl")
    assert len(found) == 21
    assert (found[0].text, found[0].accepted) == ("q0?", ("a0",))
    assert found[-1].accepted == ("here", "there")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json", "is not JSON"),
        ('["a"]', "found list"),
        ('{"answer": "a"}', "'question' is missing"),
        ('{"question": " ", "answer": "a"}', "'question' is missing"),
        ('{"question": "q?"}', "'answer' is missing"),
        ('{"question": "q?", "answer": []}', "'answer' is missing"),
        ('{"question": "q?", "answer": 4}', "'answer' is missing"),
        ('{"question": "q?", "answer": ["a", 4]}', "write numbers in quotes"),
        ('{"question": "q?", "answer": ["a", ""]}', "something else than text"),
        ('{"question": "Q0?", "answer": "a"}', "the question of line 1 again"),
    ],
)
def test_a_wrong_line_is_named(line: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_questions(_lines(20, line), "mine.jsonl")
    (problem,) = caught.value.problems
    assert problem.startswith("quality.questions: mine.jsonl: line 21: ") and said in problem


def test_all_wrong_lines_are_named_at_once_and_few_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        parse_questions(_lines(1, "x", "y"), "f")
    assert len(caught.value.problems) == 2
    for count in (0, LEAST_QUESTIONS - 1):
        with pytest.raises(SpecError, match=f"holds {count} questions"):
            parse_questions(_lines(count), "f")


def test_a_minimum_that_cannot_be_shown_is_refused() -> None:
    with pytest.raises(SpecError, match=r"all right proves 95\.1 percent"):
        check_reachable(Quality(minimum_percent=96), 60, 0.95)


def test_bad_values_are_refused_in_the_spec() -> None:
    for wrong in (0, -1, 101, float("nan")):
        with pytest.raises(ValidationError):
            Quality(minimum_percent=wrong)
    with pytest.raises(ValidationError, match=r"quality\.minimum_percent"):
        Target(metric="exam_correct_percent", limit=50)


# -- verdict ----------------------------------------------------------------------------------


def test_three_verdicts() -> None:
    assert judged(60).verdict == "pass"
    assert judged(40, 20).verdict == "pass"
    found = judged(33, 27)
    assert found.verdict == "inconclusive" and "leave open" in found.reason
    assert found.measured == pytest.approx(55)
    found = judged(2, 58)
    assert found.verdict == "fail" and "2 of 60 answers are right" in found.reason
    assert (found.metric, found.load, found.unit) == ("exam_correct_percent", "exam", "percent")


def test_bounds_are_exact() -> None:
    """The definition: at the bound, what was seen or more has probability alpha."""
    found = judged(40, 20)
    assert found.low is not None and found.high is not None

    def at_least(k: int, p: float) -> float:
        return sum(comb(60, i) * p**i * (1 - p) ** (60 - i) for i in range(k, 61))

    assert at_least(40, found.low / 100) == pytest.approx(0.05, rel=1e-6)
    assert 1 - at_least(41, found.high / 100) == pytest.approx(0.05, rel=1e-6)


def test_no_data_and_errors_never_decide() -> None:
    assert judge_exam([], QUALITY, 0.95, 1).verdict == "inconclusive"
    assert judged(0, 0, 60).verdict == "inconclusive" and judged(0, 0, 60).measured is None
    found = judged(53, 0, 7)
    assert found.verdict == "inconclusive" and "HTTP 500" in found.reason
    assert judged(0, 53, 7).verdict == "inconclusive"
    assert judged(LEAST_QUESTIONS - 1).verdict == "inconclusive"


def test_an_unanswered_question_helps_neither_side() -> None:
    edge = next(n for n in range(61) if judged(n, 60 - n).verdict == "pass")
    assert edge == 37  # as docs/verdict.md has it
    assert judged(edge - 1, 60 - edge, 1).verdict == "inconclusive"
    edge = max(n for n in range(61) if judged(n, 60 - n).verdict == "fail")
    assert judged(edge, 59 - edge, 1).verdict == "inconclusive"


@given(st.integers(0, 80), st.integers(0, 80), st.integers(0, 80), st.floats(1, 100))
def test_a_pass_is_always_earned(right: int, wrong: int, failed: int, least: float) -> None:
    found = judged(right, wrong, failed, minimum_percent=least)
    asked = right + wrong + failed
    if found.verdict == "pass":
        assert 100 * right >= least * asked and 10 * failed <= asked >= LEAST_QUESTIONS
    if found.verdict == "fail":
        assert 100 * (right + failed) < least * asked and 10 * failed <= asked


# -- together with the targets ----------------------------------------------------------------


def _decision(targets: Sequence[Target]) -> Decision:
    return decide(some(3), targets, BENCH)


PASS, OPENED, FAIL = judged(60), judged(33, 27), judged(0, 60)


@pytest.mark.parametrize(
    ("exam", "targets", "word"),
    [
        (PASS, GOOD, "pass"),
        (PASS, OPEN, "inconclusive"),
        (PASS, BAD, "fail"),
        (OPENED, GOOD, "inconclusive"),
        (OPENED, OPEN, "inconclusive"),
        (OPENED, BAD, "fail"),
        (FAIL, GOOD, "fail"),
        (FAIL, OPEN, "fail"),
        (FAIL, BAD, "fail"),
    ],
)
def test_both_must_pass(exam: TargetVerdict, targets: Sequence[Target], word: str) -> None:
    alone = _decision(targets)
    found = merge(alone, exam)
    assert found.verdict == word
    assert found.targets == (exam, *alone.targets)
    assert ("exam" in found.reason) is (exam.verdict == word)
    assert merge(alone, None) == alone
    advisory = merge(alone, replace(exam, advisory=True))
    assert (advisory.verdict, advisory.reason) == (alone.verdict, alone.reason)
    assert len(advisory.targets) == len(alone.targets) + 1


def test_a_failed_exam_ends_it_before_anything_is_measured() -> None:
    assert ends_early(FAIL) and not ends_early(replace(FAIL, advisory=True))
    assert not any(map(ends_early, (PASS, OPENED, None)))
    found = merge(decide([], GOOD, BENCH), FAIL)
    assert found.verdict == "fail" and found.stop and found.reason.startswith("exam_correct")
    assert {item.reason for item in found.targets[1:]} == {NOT_MEASURED}
    # without rounds nothing else is decided, however good the exam
    assert merge(decide([], GOOD, BENCH), PASS).verdict == "inconclusive"


def test_a_false_failure_is_shared_with_the_targets() -> None:
    # 60 questions, minimum 70 %: 35 right are surely too few alone, not as one demand of eight
    found, quality = rows(35, 25), Quality(minimum_percent=70)
    assert judge_exam(found, quality, 0.95, 1).verdict == "fail"
    shared = judge_exam(found, quality, 0.95, binding=8)
    assert shared.verdict == "inconclusive"
    advisory = quality.model_copy(update={"advisory": True})
    assert judge_exam(found, advisory, 0.95, binding=8).verdict == "fail"
