"""The quality exam: questions to a candidate, as rows of right and wrong answers.

evalscope asks (exam_child, in its own process); tasks.measure.questions says what is right and
tasks.verdict.exam what follows from it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from tasks.base import clock, progress
from tasks.base.errors import SpecError
from tasks.base.progress import Progress
from tasks.measure.questions import ExamRow, Question, parse_questions
from tasks.outside.evalscope.exam_child import ERRORS, NAME
from tasks.outside.evalscope.orders import FILE, ExamOrder, unanswered_of
from tasks.outside.evalscope.process import EngineTarget, end, environment, request_timeout
from tasks.spec.measure import Quality
from tasks.spec.rollout import Rollout
from tasks.verdict.exam import check_reachable

TIMEOUT_S = 3600.0
LOG = "exam.log"
TICK_S = 1.0
_CHILD = "tasks.outside.evalscope.exam_child"


def load_questions(quality: Quality) -> tuple[Question, ...]:
    """The exam's questions, shipped or from the user's file. Raises SpecError for a wrong file."""
    name = quality.questions
    if name == "basic":
        text = files("tasks").joinpath("data", "exam_basic.jsonl").read_text(encoding="utf-8")
        return parse_questions(text, "basic")
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SpecError(
            [
                f"quality.questions: {name} cannot be read ({why}); give a UTF-8 file of JSON "
                "lines, or 'basic' for the shipped exam"
            ]
        ) from error
    return parse_questions(text, name)


def questions_of(spec: Rollout) -> tuple[Question, ...]:
    """The questions of the spec's exam; none where it has none.

    Raises SpecError for a wrong file, and for a minimum that no exam of its length could show.
    """
    if spec.quality is None:
        return ()
    questions = load_questions(spec.quality)
    check_reachable(spec.quality, len(questions), spec.benchmark.confidence)
    return questions


def take(
    target: EngineTarget,
    questions: Sequence[Question],
    quality: Quality,
    *,
    out_dir: Path,
    timeout_s: float = TIMEOUT_S,
    on_progress: Callable[[Progress], None] = progress.emit,
) -> tuple[ExamRow, ...]:
    """Ask every question once, at temperature 0; gives a row for each, in order.

    timeout_s: for the whole exam; what is unanswered by then stays so. Whatever goes wrong with
    engine or evalscope is in the rows' errors, never an exception. out_dir: gets evalscope's
    predictions, reviews, report and log.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    for stale in (_file(out_dir, "predictions"), _file(out_dir, "reviews"), out_dir / ERRORS):
        stale.unlink(missing_ok=True)
    file = out_dir / "questions.jsonl"
    lines = [{"question": item.text, "answer": list(item.accepted)} for item in questions]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    ExamOrder(
        url=f"{target.url.rstrip('/')}/v1",
        model=target.model,
        api_key_env=target.api_key_env,
        questions=str(file.resolve()),
        max_tokens=quality.max_tokens,
        concurrency=quality.concurrency,
        request_timeout_s=request_timeout(timeout_s),
        out_dir=str(out_dir.resolve()),
    ).write()

    def tell() -> None:
        done = len(_lines(_file(out_dir, "predictions"))) + len(_errors(out_dir))
        told = Progress("exam", "running", "questions", "", done, len(questions), "questions")
        on_progress(told)

    problem = _run(out_dir, timeout_s, tell)
    return _rows(out_dir, questions, problem)


def _run(folder: Path, timeout_s: float, tell: Callable[[], None]) -> str:
    """Run evalscope to its end; '' or why it did not end well."""
    with (folder / LOG).open("a", encoding="utf-8") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", _CHILD, str(folder / FILE)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment(),
            start_new_session=True,  # a Ctrl-C reaches only us, and nothing of it stays behind
        )
    deadline = clock.monotonic() + timeout_s
    try:
        while True:
            left = deadline - clock.monotonic()
            try:
                code = child.wait(timeout=max(0.0, min(TICK_S, left)))
                tell()
                break
            except subprocess.TimeoutExpired:
                tell()
                if left <= 0:
                    return f"evalscope did not end in {timeout_s:g} s and was stopped"
    finally:
        end(child)
    return f"evalscope ended with status {code}; its log is {folder / LOG}" if code else ""


def _rows(folder: Path, questions: Sequence[Question], problem: str) -> tuple[ExamRow, ...]:
    reviews, errors = _reviews(folder), _errors(folder)
    out = []
    for index, asked in enumerate(questions):
        answer, right = reviews.get(index, ("", False))
        error = ""
        if index not in reviews:
            error = errors.get(index) or problem or "evalscope left no answer"
        out.append(ExamRow(asked.text, asked.accepted, answer, right, error))
    return tuple(out)


def _file(folder: Path, kind: str) -> Path:
    """evalscope's predictions, which grow as answers come, or reviews, there once it has ended."""
    return folder / kind / "candidate" / f"{NAME}_default.jsonl"


def _reviews(folder: Path) -> dict[int, tuple[str, bool]]:
    """(answer, right) by question, as evalscope scored them."""
    out = {}
    for item in _lines(_file(folder, "reviews")):
        score = item["sample_score"]["score"]
        out[int(item["index"])] = (str(score["prediction"]), score["value"].get("acc") == 1.0)
    return out


def _errors(folder: Path) -> dict[int, str]:
    found = filter(None, map(unanswered_of, _whole_lines(folder / ERRORS)))
    return {item.index: item.error for item in found}


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _whole_lines(file)]


def _whole_lines(file: Path) -> list[str]:
    """The whole lines of a file that may still be growing, or not be there yet."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # what follows the last line break is cut off
    return [line for line in text.split("\n")[:-1] if line.strip()]
