"""evalscope's real evaluation against the exact engine: answers scored right, errors named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import SpecError
from tasks.base.progress import Progress
from tasks.measure.questions import ExamRow
from tasks.outside.evalscope import exam
from tasks.outside.evalscope.process import EngineTarget
from tasks.outside.great_expectations import gate
from tasks.spec.measure import Quality
from tasks.verdict.decide import agreed
from tasks.verdict.exam import judge_exam, merge
from tests.exact_engine import Behaviour, Law, in_thread
from tests.support.rounds import BENCH, decide, some, target

BASIC = Quality(minimum_percent=50)
QUESTIONS = exam.load_questions(BASIC)
FAST = Behaviour(ttft=Law(mean=0.005), itl=Law(mean=0.001))
KNOWS = replace(FAST, answers={q.text: f"It is {q.accepted[0]}, I think." for q in QUESTIONS})


def take(behaviour: Behaviour, folder: Path, count: int = 60, **more: Any) -> tuple[ExamRow, ...]:
    quality = BASIC.model_copy(update=more.pop("quality", {}))
    with in_thread(behaviour, max_model_len=more.pop("room", None)) as (_, url):
        where = EngineTarget(url, "exact", more.pop("key_env", None))
        more.setdefault("on_progress", lambda _: None)
        return exam.take(where, QUESTIONS[:count], quality, out_dir=folder, **more)


def word(rows: tuple[ExamRow, ...]) -> str:
    return judge_exam(rows, BASIC, 0.95, 1).verdict


def test_an_engine_that_knows_passes_and_its_key_is_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAM_KEY", "sesame-7731")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    told: list[Progress] = []
    wrong = QUESTIONS[7].text
    # 60 answers by 4 at a time in about 3 s: told of more than once
    knows = replace(
        KNOWS, ttft=Law(mean=0.2), api_key="sesame-7731", answers={**KNOWS.answers, wrong: "Large."}
    )
    rows = take(knows, tmp_path, key_env="EXAM_KEY", on_progress=told.append)
    assert [row.question for row in rows] == [q.text for q in QUESTIONS]
    assert [row.question for row in rows if not row.right] == [wrong]
    assert rows[0].answer == "It is Paris, I think." and rows[7].answer == "Large."
    assert not any(row.error for row in rows) and word(rows) == "pass"
    assert (told[-1].step, told[-1].done, told[-1].total) == ("exam", 60, 60)
    assert any(0 < (event.done or 0) < 60 for event in told)  # told while it goes on
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"sesame-7731" not in file.read_bytes(), file
    # evalscope's own report has the same figure
    report = json.loads((tmp_path / "reports/candidate/rollout_exam.json").read_text())
    assert report["metrics"][0]["score"] == pytest.approx(59 / 60, abs=1e-3)


def test_a_fast_engine_with_broken_weights_fails(tmp_path: Path) -> None:
    rows = take(FAST, tmp_path)
    assert sum(row.right for row in rows) == 1  # it is Paris, whatever is asked
    assert word(rows) == "fail"


def test_failing_requests_are_errors_not_wrong_answers(tmp_path: Path) -> None:
    rows = take(replace(KNOWS, error_share=0.4, seed=2), tmp_path)
    failed = [row for row in rows if row.error]
    assert 10 < len(failed) < 40 and all("on purpose" in row.error for row in failed)
    assert all(row.right for row in rows if not row.error)
    assert word(rows) == "inconclusive"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_that_the_limit_cut_off_is_not_judged(tmp_path: Path, name: str) -> None:
    thinks = replace(FAST, answer="Paris Rome Tokyo Berlin Madrid Cairo", reasoning_tokens=6)
    thinks = replace(thinks, reasoning_name=name)
    rows = take(thinks, tmp_path, 20, quality={"max_tokens": 6})
    assert all("raise quality.max_tokens" in row.error for row in rows)
    assert word(rows) == "inconclusive"


def test_a_prompt_that_evalscope_takes_the_refusal_of_is_not_judged(tmp_path: Path) -> None:
    rows = take(KNOWS, tmp_path, 24, room=64 + 16)
    refused = [row for row in rows if row.error]
    assert refused and all("maximum context length" in row.error for row in refused)
    assert not any("maximum context" in row.answer for row in rows)


def test_a_wedged_engine_ends_and_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those it was asked time out; the others are not asked any more."""
    monkeypatch.setattr(exam, "request_timeout", lambda _: 10)
    rows = take(replace(KNOWS, wedge_after=9), tmp_path)
    errors = [row.error for row in rows if row.error]
    assert len(errors) == 52 and word(rows) == "inconclusive"
    assert {error.split(":")[0] for error in errors} == {"APITimeoutError", "RuntimeError"}
    unasked = [error for error in errors if error.startswith("RuntimeError")]
    assert all("let question after question time out" in error for error in unasked)


def test_a_killed_evalscope_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    killed: list[int] = []

    def kill(_: Progress) -> None:
        found = subprocess.run(
            ["pgrep", "-f", f"evalscope.exam_child {tmp_path}"], capture_output=True, text=True
        )
        for pid in map(int, found.stdout.split()):
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    rows = take(KNOWS, tmp_path, 20, on_progress=kill)
    assert killed and all("status -9" in row.error for row in rows)
    assert word(rows) == "inconclusive"


def test_too_little_time_decides_nothing(tmp_path: Path) -> None:
    (tmp_path / "reviews" / "candidate").mkdir(parents=True)
    stale = {"index": 0, "sample_score": {"score": {"prediction": "x", "value": {"acc": 1.0}}}}
    file = tmp_path / "reviews" / "candidate" / "rollout_exam_default.jsonl"
    file.write_text(json.dumps(stale) + "\n")
    rows = take(KNOWS, tmp_path, 20, timeout_s=0.2)
    assert all("did not end in 0.2 s" in row.error for row in rows)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b'{"question": "o\xf9?", "answer": "l\xe0"}\n')
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    for file, said in (
        (tmp_path / "none.jsonl", "No such file"),
        (tmp_path, "directory"),
        (latin, "not UTF-8 text"),
        (empty, "holds 0 questions"),
    ):
        with pytest.raises(SpecError, match=said) as caught:
            exam.load_questions(Quality(questions=str(file), minimum_percent=50))
        assert str(file) in str(caught.value)


def test_the_suite_says_what_the_exam_says(tmp_path: Path) -> None:
    targets = [target("ttft_mean_ms", 500), target("success_rate_percent", 90)]
    wrong = tuple(ExamRow(q.text, q.accepted, "?", False) for q in QUESTIONS)
    right = tuple(replace(row, right=True) for row in wrong)
    for rows, rounds, word in ((wrong, [], "fail"), (right, some(3), "pass")):
        decision = merge(decide(rounds, targets, BENCH), judge_exam(rows, BASIC, 0.95, 1))
        checked = gate.validate(decision, rounds, targets, tmp_path / word)
        assert checked.success is (word == "pass")
        assert agreed(decision, gate.witness(checked)).verdict == decision.verdict == word
        assert "exam_correct_percent at exam" in json.dumps(checked.suite)
