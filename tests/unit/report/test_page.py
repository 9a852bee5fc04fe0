"""The page holds what the record holds, and nothing that a record could smuggle in."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.report import page as report
from tasks.report.html import esc, number, plain, seconds, size
from tasks.report.style import CSS
from tasks.spec.rollout import Target
from tasks.verdict.targets import decide
from tests.support import reportdata
from tests.support.reportdata import EVIL

VOID = {"meta", "img", "br"}
ENDINGS = {
    "refused": ("schema", "rollout", "name", "spec", "steps", "nodes", "plan"),
    "error": ("schema", "rollout", "name", "spec", "steps"),
    "failed": ("rollout", "name", "spec", "steps", "nodes", "plan", "smoke", "pods", "image"),
    "unchanged": ("rollout", "name", "steps", "release", "model"),
    "held": ("rollout", "name", "spec", "targets", "verdict"),
}


class Page(HTMLParser):
    """Checks that elements nest, and collects what is asked about."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def measured() -> tuple[Any, ...]:
    return reportdata.rounds(6, 64)


def test_the_page_says_what_was_found(measured: tuple[Any, ...]) -> None:
    record = reportdata.record(measured)
    page = Page(report.render(record, measured))
    assert record["outcome"] == "failed"
    headings = [page.text.index(word) for word in ("was not promoted", "Targets", "Steps")]
    assert headings == sorted(headings)
    for word in (
        "TTFT p95 at c32",
        "≤ 600 ms",
        record["model"]["commit"],
        record["image"]["digests"][0],
        "8 × K100_AI",
        "6.2.26",
        "12 GiB free",
        "image: vllm-dcu:0.8.5",
        "1 container restart(s)",
        "12 min 11 s",
        "expect_column_values_to_be_between",
        "evalscope",
        "The capital of France is Paris.",
    ):
        assert word in page.text, word


def test_every_target_has_its_interval_and_its_figures(measured: tuple[Any, ...]) -> None:
    record = reportdata.record(measured)
    page = Page(report.render(record, measured))
    drawn = [a for a in page.all("svg") if a.get("class") == "interval"]
    # the implied rule on failing requests has no interval to stand against
    named = [t for t in record["targets"] if t["metric"] != "success_rate_percent"]
    assert len(drawn) == len(named) == 13
    for target in record["targets"]:
        assert number(target["measured"]) in page.text
    assert sum("fail" in str(a["aria-label"]) for a in drawn) == 2


def test_each_load_point_has_its_plots(measured: tuple[Any, ...]) -> None:
    page = Page(report.render(reportdata.record(measured), measured))
    labels = [str(a["aria-label"]) for a in page.all("svg") if a.get("role") == "img"]
    for load in ("c1", "c8", "c32"):
        assert any(label.startswith(f"TTFT at {load}") for label in labels)
        assert any(label.startswith(f"Output throughput at {load} over") for label in labels)
    assert sum("against load" in label for label in labels) == 3
    assert "steady" in page.text
    assert all(labels)


def test_one_load_point_has_no_curve_against_load(measured: tuple[Any, ...]) -> None:
    one = tuple(item for item in measured if item.load == "c8")
    page = Page(report.render(reportdata.record(one), one))
    assert "Latency against load" not in page.text
    assert "Time to first token" in page.text


def test_the_stable_release_is_drawn_where_it_was_measured() -> None:
    both = reportdata.rounds(2, 16, ab=True)
    text = report.render(reportdata.record(both), both)
    assert text.count('class="line stable"') == 3
    alone = tuple(item for item in both if item.release == "candidate")
    assert 'class="line stable"' not in report.render(reportdata.record(alone), alone)


def evil(value: Any) -> Any:
    """The record with every text replaced by one that tries to become HTML."""
    if isinstance(value, dict):
        return {key: evil(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [evil(item) for item in value]
    return EVIL if isinstance(value, str) else value


def test_nothing_from_a_record_becomes_html(measured: tuple[Any, ...]) -> None:
    record = reportdata.record(measured[:3])
    record["leftover"] = record["mirror_error"] = EVIL
    bad = evil(record)
    # keys too: versions and the spec are shown with theirs
    bad["versions"] = {EVIL: EVIL}
    bad["exam"] = {"questions": EVIL, "reason": EVIL, "verdict": EVIL, "rows": [{"question": EVIL}]}
    page = Page(report.render(bad, measured[:3]))
    assert page.all("script") == page.all("img") == []
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert "<script>alert" in page.text
    report.render(bad, measured[:3]).encode("utf-8")


def test_only_the_suites_own_page_is_linked(measured: tuple[Any, ...]) -> None:
    record = reportdata.record(measured[:3])
    assert Page(report.render(record, ())).all("a") == [{"href": "./data-docs/index.html"}]
    for elsewhere in (
        "javascript:alert(1).html",
        "/records/qwen/2/data-docs/index.html",
        "/records/qwen/1/../../x.html",
    ):
        record["data_docs"] = elsewhere
        assert Page(report.render(record, ())).all("a") == []


def test_the_page_needs_nothing_else(measured: tuple[Any, ...]) -> None:
    text = report.render(reportdata.record(measured), measured)
    page = Page(text)
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form"}
    assert "@import" not in text
    assert "url(" not in text
    # the one place an address may stand is as text, never where a browser would fetch it
    assert not re.search(r'(?:src|href|action)="(?!\./)', text)
    policy = next(a for a in page.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in str(policy["content"])


def test_tables_have_captions_and_headings_do_not_skip(measured: tuple[Any, ...]) -> None:
    page = Page(report.render(reportdata.record(measured), measured))
    assert len(page.all("caption")) == len(page.all("table")) > 4
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(a.get("data-label") for a in page.all("td"))


@pytest.mark.parametrize("outcome", ENDINGS)
def test_rollouts_that_ended_early_have_a_page(outcome: str) -> None:
    whole = reportdata.record()
    record = {key: whole[key] for key in ENDINGS[outcome]}
    record.update(outcome=outcome, sentence="it ended early\n  last log lines:\n    boom")
    page = Page(report.render(record, ()))
    assert "it ended early" in page.text
    assert "boom" in page.text
    assert "Time to first token" not in page.text


def test_a_record_without_anything_has_a_page() -> None:
    assert "no outcome yet" in Page(report.render({}, ())).text


def test_empty_failed_and_impossible_rows_have_a_page() -> None:
    failing = reportdata.make_round(0, "c8", at=0, requests=9, tokens=4, seed=1, failing=1.0)
    empty = replace(failing, index=1, rows=(), window=(math.nan, math.inf))
    broken = replace(
        failing.rows[0], ok=True, start=math.inf, end=math.nan, ttft=math.nan, completion_tokens=3
    )
    odd = replace(failing, index=2, rows=(broken,), window=(-math.inf, math.inf))
    mine = (failing, empty, odd)
    page = Page(report.render(reportdata.record(mine), mine))
    assert "nan" not in page.text.lower().split()
    assert "0 of 9" in page.text
    assert "no request was measured" in page.text
    assert "impossible times" in page.text
    assert "9 times: HTTP 500" in page.text


scalars = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(reportdata.record())), junk, max_size=6))
def test_whatever_the_record_holds_there_is_a_page(changes: dict[str, Any]) -> None:
    record = {**reportdata.record(), **changes}
    Page(report.render(record, ()))


def test_a_large_rollout_stays_below_a_megabyte() -> None:
    many = reportdata.rounds(30, 222, tokens=12)
    assert sum(len(item.rows) for item in many) >= 19_980
    targets = [Target(metric="ttft_mean_ms", limit=900)]
    bench = reportdata.Benchmark(loads=reportdata.LOADS)
    record = reportdata.record()
    record["targets"] = [vars(t) for t in decide(many, targets, bench).targets]
    assert len(report.render(record, many).encode()) < 1_000_000


def test_without_rows_the_record_tells_the_problems() -> None:
    record = reportdata.record(reportdata.rounds(4, 8))
    record["benchmark"]["rounds"][0]["client"] |= {"saturated": True, "reasons": ["lag 80 ms"]}
    page = Page(report.render(record, ()))
    assert "round 0 at c1, candidate: lag 80 ms" in page.text
    assert "round 3 at c8, candidate: 1 container restart(s)" in page.text


def test_the_headline_names_what_decided() -> None:
    target = {
        "metric": "ttft_p95_ms", "load": "c8", "limit": 800, "unit": "ms", "measured": 912.3,
        "direction": "at_most", "verdict": "fail",
    }  # fmt: skip
    record = {
        "outcome": "failed", "sentence": "raw", "targets": [target, target],
        "release": {"deployment": "q-1"},
    }  # fmt: skip
    assert report.headline(record) == (
        "q-1 was not promoted: TTFT p95 at c8, 912 ms, misses its limit of ≤ 800 ms, "
        "and 1 other target likewise."
    )
    met = [{**target, "verdict": "pass"}]
    assert report.headline({**record, "outcome": "promoted", "targets": met}) == (
        "q-1 met the one target and was promoted."
    )
    # promoted by a person although a target was open: the record's own words
    assert report.headline({**record, "outcome": "promoted"}) == "raw"
    # all targets met, yet it did not stay: soaking failed
    assert report.headline({**record, "targets": met}) == "raw"


def test_figures_are_written_for_people() -> None:
    assert [number(v) for v in (0, 1234.56, 99.96, 12.345, 0.5, 1e-5, -3.14159)] == [
        "0", "1,235", "100", "12.3", "0.5", "1e-05", "-3.14",
    ]  # fmt: skip
    assert [number(v) for v in (None, math.nan, math.inf, "7", True)] == ["–"] * 5
    assert number(np.float64(2.5)) == "2.5"
    assert [seconds(v) for v in (0.057, 59.999, 725, 7380)] == [
        "0.06 s", "60 s", "12 min 5 s", "2 h 3 min",
    ]  # fmt: skip
    assert [size(v) for v in (0, 1536, 15_242_695_000)] == ["0 bytes", "1.5 KiB", "14.2 GiB"]


def test_text_keeps_its_letters_and_loses_what_no_page_may_hold() -> None:
    assert plain("a\x00\x1b[1m\ud800\u202e中é👩\u200d💻\n\t") == "a[1m?中é👩\u200d💻\n\t"
    assert esc("<a href=\"'&") == "&lt;a href=&quot;&#x27;&amp;"


def luminance(colour: str) -> float:
    """Relative luminance of '#rgb' or '#rrggbb' (WCAG 2.2)."""
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_has_contrast_in_light_and_dark() -> None:
    schemes = re.findall(r":root\{(.*?)\}", CSS, re.S)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+):(#\w+)", scheme))
        for text, ground in (
            ("ink", "bg"), ("ink", "card"), ("ink", "code"), ("ink", "failbg"), ("soft", "bg"),
            ("soft", "card"), ("data", "card"), ("pass", "card"), ("fail", "card"),
            ("open", "card"), ("pass", "passbg"), ("fail", "failbg"), ("open", "openbg"),
        ):  # fmt: skip
            one, other = luminance(colours[text]), luminance(colours[ground])
            ratio = (max(one, other) + 0.05) / (min(one, other) + 0.05)
            assert ratio >= 4.5, (text, ground, ratio)


def test_the_exam_and_what_was_not_right_are_on_the_page(measured: tuple[Any, ...]) -> None:
    rows = [
        {"question": "2 + 2?", "expected": "4", "answer": "4", "right": True, "error": ""},
        {"question": "3 + 3?", "expected": "6", "answer": "seven", "right": False, "error": ""},
    ]
    exam = {
        "questions": "basic", "asked": 2, "right": 1, "errors": 0, "verdict": "fail",
        "reason": "its bound shows it is not at least 70 percent", "rows": rows,
    }  # fmt: skip
    page = report.render(reportdata.record(measured, exam=exam), measured)
    assert "1 of 2" in page and "3 + 3?" in page and "seven" in page and "2 + 2?" not in page
    assert 'id="exam"' in page and exam["reason"] in page
    assert 'id="exam"' not in report.render(reportdata.record(measured), measured)
