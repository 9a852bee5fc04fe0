"""Every word of the page is there in every language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from string import Formatter
from typing import get_args

import pytest

from tasks.record.outcome import ENDINGS
from tasks.record.parts import TargetJudged
from tasks.release.plan import Strategy
from tasks.report import html
from tasks.report.words.chinese import CHINESE
from tasks.report.words.speech import (
    LANGUAGES,
    NAMES,
    TAGS,
    language,
    language_of,
    spoken,
    t,
    tn,
    ts,
)
from tasks.steps import STEPS
from tests.support.places import ROOT

# where the messages stand among the arguments of what says them
SAYERS = {"t": slice(0, 1), "tn": slice(1, 3), "ts": slice(0, None)}
# what the code says of a value that is one of a few
VALUES = {
    *(ending.heading for ending in ENDINGS.values()),
    *(step.name.replace("_", " ").capitalize() for step in STEPS),
    *(kind for kind in html._NAMES.values()),
    *html.MARKS,
    *(side for side in ("candidate", "stable")),
    *(state for state in ("done", "failed")),
    *(role for role in ("loaded", "other", "idle", "untold")),
    *(strategy for strategy in get_args(Strategy)),
    "none",
    "a person approves before promotion",
    "mean",
}


def said() -> Iterator[str]:
    """The messages that stand in the code of the report."""
    for path in (ROOT / "tasks" / "report").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                place = SAYERS.get(call.func.id)
                for argument in call.args[place] if place is not None else ():
                    yield from texts(argument)


def texts(argument: ast.expr) -> Iterator[str]:
    """A literal, or either side of a choice between some; what is worked out has none."""
    if isinstance(argument, ast.Constant):
        assert isinstance(argument.value, str)
        yield argument.value
    elif isinstance(argument, ast.IfExp):
        yield from texts(argument.body)
        yield from texts(argument.orelse)
    elif isinstance(argument, ast.BoolOp):
        yield from texts(argument.values[-1])


def places(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_nothing_is_missing_and_nothing_is_left_over() -> None:
    wanted = {*said(), *VALUES}
    assert wanted - CHINESE.keys() == set()
    assert CHINESE.keys() - wanted == set()


def test_a_translation_has_the_same_places() -> None:
    for english, chinese in CHINESE.items():
        if "%d" not in english:  # a date
            assert places(chinese) == places(english), english


def test_chinese_has_its_own_marks_between_words() -> None:
    for chinese in CHINESE.values():
        assert not re.search(r"[\u4e00-\u9fff] ?[,;:!?]|[,;:!?] ?[\u4e00-\u9fff]", chinese), chinese


def test_every_language_is_named() -> None:
    assert set(LANGUAGES) == set(TAGS) == set(NAMES)


def test_what_is_said_is_in_the_language_that_is_spoken() -> None:
    assert language() == "en"
    with spoken("zh"):
        assert t("Targets") == CHINESE["Targets"] != "Targets"
        assert t("round {n}", n=3) == CHINESE["round {n}"].format(n=3)
        assert tn(1, "{n} request", "{n} requests") == tn(1, "{n} requests", "{n} request")
        with spoken("en"):
            assert ts("Targets", "Load") == ["Targets", "Load"]
        assert language() == "zh"
        assert t("of a record {not ours}") == "of a record {not ours}"
    assert tn(1, "{n} request", "{n} requests") == "1 request"
    assert tn(1200, "{n} request", "{n} requests") == "1,200 requests"


def test_numbers_and_names_of_metrics_stay() -> None:
    target = TargetJudged(metric="ttft_p95_ms", load="c8", limit=800, unit="ms")
    with spoken("zh"):
        assert html.target_name(target) == "TTFT p95 (c8)"
        assert html.quantity(1234.5, "tok_s") == "1,234 tok/s"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_TW"}, "zh"),
        ({"LANG": "de_DE"}, "en"),
    ],
)
def test_the_locale_decides(environ: dict[str, str], found: str) -> None:
    assert language_of(environ) == found
