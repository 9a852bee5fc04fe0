"""evalscope's real evaluation against the exact engine: answers scored right, errors named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks import exam
from tasks.bench_process import EngineTarget
from tasks.exam_questions import ExamRow
from tasks.exam_verdict import judge_exam
from tasks.progress import Progress
from tasks.spec_measure import Quality
from tests.exact_engine import Behaviour, Law, in_thread

BASIC = Quality(minimum_percent=50)
QUESTIONS = exam.load_questions(BASIC)
FAST = Behaviour(ttft=Law(mean=0.005), itl=Law(mean=0.001))
KNOWS = replace(FAST, answers={q.text: f"It is {q.accepted[0]}, I think." for q in QUESTIONS})


def take(behaviour: Behaviour, folder: Path, count: int = 60, **more: Any) -> tuple[ExamRow, ...]:
    quality = BASIC.model_copy(update=more.pop("quality", {}))
    with in_thread(behaviour) as (_, url):
        target = EngineTarget(url, "exact", more.pop("key_env", None))
        more.setdefault("on_progress", lambda _: None)
        return exam.take(target, QUESTIONS[:count], quality, out_dir=folder, **more)


def word(rows: tuple[ExamRow, ...]) -> str:
    return judge_exam(rows, BASIC, 0.95).verdict


def test_an_engine_that_knows_passes_and_its_key_is_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAM_KEY", "sesame-7731")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    told: list[Progress] = []
    wrong = QUESTIONS[7].text
    knows = replace(KNOWS, api_key="sesame-7731", answers={**KNOWS.answers, wrong: "Large."})
    rows = take(knows, tmp_path, key_env="EXAM_KEY", on_progress=told.append)
    assert [row.question for row in rows] == [q.text for q in QUESTIONS]
    assert [row.question for row in rows if not row.right] == [wrong]
    assert rows[0].answer == "It is Paris, I think." and rows[7].answer == "Large."
    assert not any(row.error for row in rows) and word(rows) == "pass"
    assert (told[-1].step, told[-1].done, told[-1].total) == ("exam", 60, 60)
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
