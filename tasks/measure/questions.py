"""The questions of a quality exam, and what counts as right.

A file is JSON lines as evalscope's general_qa takes them: `question`, and as `answer` a text or a
list of accepted texts. An answer is right when it holds one of them, as whole words and whatever
the case: models like to answer in sentences.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.base.errors import SpecError

# Fewer answers can't tell a good model from a lucky one.
LEAST_QUESTIONS = 20
# Letters and digits that need a space between words; Chinese, Japanese and Korean need none.
_WORD = "[^\\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"


@dataclass(frozen=True)
class Question:
    """One question with the answers that are accepted, at least one."""

    text: str
    accepted: tuple[str, ...]


@dataclass(frozen=True)
class ExamRow:
    """One question as it was answered. error: why there is no answer to judge, or ''."""

    question: str
    expected: tuple[str, ...]
    answer: str
    right: bool
    error: str = ""


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def holds(text: str, word: str) -> bool:
    """Whether `word` stands in `text` as whole words; '4' is not in '44', '3.4', '-4' or 'x4'."""
    wanted = _plain(word).split()
    if not wanted:
        return False
    body = r"\s+".join(map(re.escape, wanted))
    first, last = wanted[0][0], wanted[-1][-1]
    before = f"(?<!{_WORD})" if re.match(_WORD, first) else ""
    after = f"(?!{_WORD})" if re.match(_WORD, last) else ""
    if first.isdigit():
        before += r"(?<!\d[.,])(?<![-\u2212])"
    if last.isdigit():
        after += r"(?![.,]\d)"
    return re.search(before + body + after, _plain(text)) is not None


def final_part(answer: str) -> str:
    """The answer without the reasoning before it, where the model marks its end."""
    return answer.rpartition("</think>")[2]


def unfinished(text: str, *, cut: bool, reasoned: bool) -> bool:
    """Whether an answer ended in the middle of its reasoning: no answer yet, right or wrong.

    cut: the token limit ended it. reasoned: the engine sent reasoning apart from `text`.
    """
    inside = "<think>" in text and "</think>" not in text
    return cut and (inside or (reasoned and not text.strip()))


def is_right(answer: str, accepted: Sequence[str]) -> bool:
    """Whether an answer holds one of the accepted ones; its reasoning does not count."""
    return any(holds(final_part(answer), word) for word in accepted)


def parse_questions(text: str, name: str) -> tuple[Question, ...]:
    """Questions from JSON lines; empty lines are left out.

    name: the file, for messages. Raises SpecError with a line for each wrong line of the file, and
    for fewer than LEAST_QUESTIONS questions.
    """
    out: list[Question] = []
    problems: list[str] = []
    first: dict[str, int] = {}
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        found = _question(line)
        if isinstance(found, str):
            problems.append(f"quality.questions: {name}: line {number}: {found}")
            continue
        earlier = first.setdefault(_plain(found.text), number)
        if earlier != number:
            # one answer counted twice would look like two
            problems.append(
                f"quality.questions: {name}: line {number}: the question of line {earlier} again; "
                "remove one"
            )
        out.append(found)
    if not problems and len(out) < LEAST_QUESTIONS:
        problems.append(
            f"quality.questions: {name}: holds {len(out)} questions; an exam needs at least "
            f'{LEAST_QUESTIONS}, each a line like {{"question": "...", "answer": ["...", "..."]}}'
        )
    if problems:
        raise SpecError(problems)
    return tuple(out)


def _question(line: str) -> Question | str:
    """The question of one line, or what is wrong with it."""
    try:
        data = json.loads(line)
    except ValueError as error:
        return f"is not JSON ({error}); write one object a line"
    if not isinstance(data, dict):
        return f"expected an object with 'question' and 'answer', found {type(data).__name__}"
    text, answer = data.get("question"), data.get("answer")
    if not isinstance(text, str) or not text.strip():
        return "'question' is missing; give the question as text"
    accepted = [answer] if isinstance(answer, str) else answer
    if not isinstance(accepted, list) or not accepted:
        return "'answer' is missing; give a text or a list of accepted texts"
    if not all(isinstance(item, str) and item.strip() for item in accepted):
        return "'answer' holds something else than text; write numbers in quotes"
    return Question(text.strip(), tuple(item.strip() for item in accepted))
