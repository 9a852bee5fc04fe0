"""Nothing from outside is Markdown in Prefect's pages, nor markup in ours."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.outside.prefect import artifacts, ending
from tasks.outside.prefect.artifacts import escape
from tasks.record.outcome import Outcome
from tasks.record.parts import StepTaken
from tasks.record.record import Record
from tasks.report import junit
from tasks.report.page import render

HOSTILE = st.one_of(
    st.text("`|*_[]()<>#-+.!&;:/\\ \n\twx1http", min_size=1, max_size=60),
    st.sampled_from(
        [
            "[x](javascript:alert(1))",
            "![x](http://evil.example/pixel)",
            "<img src=x onerror=alert(1)>",
            "a | b\n\n# c\n```\nd",
            "&lt;script&gt; &#60;",
            "https://evil.example www.evil.example me@evil.example",
            "1. x\n- y\n> z\n---",
            '"><script>alert(1)</script>]]>',
        ]
    ),
)
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def read(text: str) -> str:
    """The words of a document; fails where it is more than words in cells."""
    words = []
    for token in MARKDOWN.parse(text):
        assert not token.type.startswith(("html", "fence", "code", "heading", "hr", "bullet"))
        for child in token.children or ():
            assert child.type in ("text", "text_special"), (child.type, text)
            words.append(child.content)
    return "".join(words)


@given(HOSTILE)
def test_text_is_read_as_it_is(text: str) -> None:
    shown = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text).split())
    assert " ".join(read(f"a{escape(text)}b").split()) in (
        f"a{shown}b", f"a{escape_ends(text, shown)}b",
    )  # fmt: skip


def escape_ends(text: str, shown: str) -> str:
    """Space at its ends goes."""
    return shown if text.strip() else ""


@given(HOSTILE, HOSTILE)
def test_a_cell_stays_a_cell(first: str, second: str) -> None:
    table = f"| a | b |\n|---|---|\n| {escape(first)} | {escape(second)} |"
    read(table)
    cells = [token.type for token in MARKDOWN.parse(table) if token.type == "td_open"]
    assert len(cells) == 2


@given(HOSTILE)
def test_the_outcome_page_the_report_and_junit(text: str) -> None:
    written: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "markdown", lambda key, said, about="": written.append(said))
        record = Record(rollout="r", name="n", outcome="error", sentence=text, report="/r")
        record.steps.append(StepTaken(step="plan", state="failed", seconds=1, sentence=text))
        ending.tell(Outcome("error", text), record)
    read(written[0].partition("\n")[2])
    page = render(record, ())
    for tag in re.findall(r"<(script|img)\b[^>]*>", page):
        assert "alert" not in tag and "onerror" not in tag
    assert "<script>alert" not in page and "<img src=x" not in page
    root = ElementTree.fromstring(junit.render(record))
    assert root.tag == "testsuites" and html.escape(text)
