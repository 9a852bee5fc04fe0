"""The page holds what the record holds, and nothing that a record could smuggle in."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.record.record import read
from tasks.report import page as report
from tasks.report.html import number
from tasks.report.words.speech import LANGUAGES
from tasks.spec.rollout import Target
from tests.support import reportdata
from tests.support.reportdata import EVIL, Page
from tests.support.rounds import decide

ENDINGS = {
    "refused": ("schema", "rollout", "name", "spec", "steps", "validate_nodes", "plan"),
    "error": ("schema", "rollout", "name", "spec", "steps"),
    "failed": ("rollout", "name", "spec", "steps", "validate_nodes", "plan", "smoke", "deploy"),
    "unchanged": ("rollout", "name", "steps", "resolve_model"),
    "held": ("rollout", "name", "spec", "judge"),
}


@pytest.fixture(scope="module")
def measured() -> tuple[Any, ...]:
    return reportdata.rounds(6, 64)


def test_the_page_says_what_was_found(measured: tuple[Any, ...]) -> None:
    record = reportdata.record(measured)
    page = Page(reportdata.page(record, measured))
    assert record["outcome"] == "failed"
    headings = [page.text.index(word) for word in ("was not promoted", "Targets", "Steps")]
    assert headings == sorted(headings)
    for word in (
        "TTFT p95 at c32",
        "≤ 600 ms",
        record["resolve_model"]["commit"],
        record["deploy"]["image_digests"][0],
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
    page = Page(reportdata.page(record, measured))
    drawn = [a for a in page.all("svg") if a.get("class") == "interval"]
    # the implied rule on failing requests has no interval to stand against
    named = [t for t in record["judge"]["targets"] if t["metric"] != "success_rate_percent"]
    assert len(drawn) == len(named) == 13
    for target in record["judge"]["targets"]:
        assert number(target["measured"]) in page.text
    assert sum("fail" in str(a["aria-label"]) for a in drawn) == 2


def test_each_load_point_has_its_plots(measured: tuple[Any, ...]) -> None:
    page = Page(reportdata.page(reportdata.record(measured), measured))
    labels = [str(a["aria-label"]) for a in page.all("svg") if a.get("role") == "img"]
    for load in ("c1", "c8", "c32"):
        assert any(label.startswith(f"TTFT at {load}") for label in labels)
        assert any(label.startswith(f"Output throughput at {load} over") for label in labels)
        assert any(label.startswith(f"TPOT at {load}") for label in labels)
    # three by load point, and two against the throughput
    assert sum("against load" in label for label in labels) == 5
    assert "steady" in page.text
    assert all(labels)


def test_what_does_not_count_is_said_where_the_figures_stand(measured: tuple[Any, ...]) -> None:
    page = Page(reportdata.page(reportdata.record(measured), measured))
    # 18 rounds of 64 requests, of which one was thrown out
    assert "1,088 of 1,152, 64 do not count: round 4 at c8" in " ".join(
        page.text.replace("requests that count, in 6 rounds", "").split()
    )
    assert "320 requests; 1 round does not count" in page.text
    more = tuple(replace(r, problems=("late",)) if r.index == 5 else r for r in measured)
    assert (
        "of 1,152, 256 do not count: 4 rounds thrown out"
        in Page(reportdata.page(reportdata.record(more), more)).text
    )
    none = tuple(replace(r, problems=("late",)) for r in measured)
    text = Page(reportdata.page(reportdata.record(none), none)).text
    assert "384 requests; no round counts" in text and "of 1,152, 1,152 do not count" in text


def test_rounds_are_numbered_from_1(measured: tuple[Any, ...]) -> None:
    for language in LANGUAGES:
        page = Page(reportdata.page(reportdata.record(measured), measured, language))
        named = [
            word for word in page.words if re.search(r"(?i)\bround \d|\u7b2c \d+ \u8f6e", word)
        ]
        found = {int(n) for word in named for n in re.findall(r"(?:round|\u7b2c) (\d+)", word)}
        assert found == {1, 2, 3, 4, 5, 6}


def test_open_bounds_are_words(measured: tuple[Any, ...]) -> None:
    record = reportdata.record(measured)
    first = record["judge"]["targets"][0]
    first |= {"measured": 812.0, "low": 790.0, "high": math.inf, "verdict": "inconclusive"}
    record["judge"]["targets"][1] |= {"measured": 9.0, "low": None, "high": None}
    page = Page(reportdata.page(record, measured))
    assert "at least 790 ms, no upper bound yet" in page.text and "no bounds yet" in page.text
    assert "inf" not in re.split(r"\W+", page.text)


def test_a_limit_far_outside_leaves_the_curves_as_they_are(measured: tuple[Any, ...]) -> None:
    """As wide as without a limit, with the limit at the edge."""

    def curves(*limits: Target) -> list[str | None]:
        record = reportdata.record(measured)
        bench = reportdata.Benchmark(loads=reportdata.LOADS, min_rounds=2)
        judged = decide(measured, limits, bench).targets
        record["judge"]["targets"] = [vars(item) | {"low": None, "high": None} for item in judged]
        text = reportdata.page(record, measured)
        assert text.count("→") + text.count("↑") > 3 or not limits
        return [a.get("d") for a in Page(text).all("path") if "line" in str(a.get("class"))]

    far = (
        Target(metric="ttft_mean_ms", limit=250_000),
        Target(metric="tpot_p95_ms", limit=10_000),
        Target(metric="output_throughput_tok_s", limit=180_000, load="c32"),
    )
    assert curves(*far) == curves()


def test_a_single_load_point_takes_the_width(measured: tuple[Any, ...]) -> None:
    one = tuple(item for item in measured if item.load == "c8")
    text = reportdata.page(reportdata.record(one), one)
    assert "max-width:760px" not in text.replace("@media(max-width:760px)", "")
    # its two figures of rounds stand side by side
    assert text.count('<div class="grid"><div><h3>') == 1


def test_one_load_point_has_no_curve_against_load(measured: tuple[Any, ...]) -> None:
    one = tuple(item for item in measured if item.load == "c8")
    page = Page(reportdata.page(reportdata.record(one), one))
    assert "Latency against load" not in page.text
    assert "Time to first token" in page.text


def test_the_stable_release_is_drawn_where_it_was_measured() -> None:
    both = reportdata.rounds(2, 16, ab=True)
    text = reportdata.page(reportdata.record(both), both)
    # TTFT and TPOT at each of three load points
    assert text.count('class="line stable"') == 6
    assert "Candidate against stable" in text
    alone = tuple(item for item in both if item.release == "candidate")
    text = reportdata.page(reportdata.record(alone), alone)
    assert 'class="line stable"' not in text and "Candidate against stable" not in text


def test_what_was_seen_after_the_switch(measured: tuple[Any, ...]) -> None:
    record = reportdata.record(measured[:3])
    assert "After the switch" not in Page(reportdata.page(record, ())).text
    record["promote"] = {
        "looks": 31, "bad": 2, "worst_ttft_ms": 812.5, "requests": 1204, "errors": 3,
        "notes": ["the cards were not watched", EVIL],
    }  # fmt: skip
    page = Page(reportdata.page(record, ()))
    for word in ("After the switch", "31", "812", "1,204", "the cards were not watched"):
        assert word in page.text
    assert "Looks that saw nothing" not in page.text and page.all("script") == []


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
    page = Page(reportdata.page(bad, measured[:3]))
    assert page.all("script") == page.all("img") == []
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert "<script>alert" in page.text
    reportdata.page(bad, measured[:3]).encode("utf-8")


def links(text: str) -> list[str | None]:
    """Where a page leads besides itself in other words."""
    return [a["href"] for a in Page(text).all("a") if "hreflang" not in a]


def test_only_the_suites_own_page_is_linked(measured: tuple[Any, ...]) -> None:
    record = reportdata.record(measured[:3])
    assert links(reportdata.page(record, ())) == ["./data-docs/index.html"]
    for elsewhere in (
        "javascript:alert(1).html",
        "/records/qwen/2/data-docs/index.html",
        "/records/qwen/1/../../x.html",
    ):
        record["judge"]["data_docs"] = elsewhere
        assert links(reportdata.page(record, ())) == []


def test_the_whole_logs_are_named_and_lie_beside_the_page() -> None:
    record = reportdata.record()
    record["logs"] = ["/site/rollouts/qwen/1/logs/pod-engine.log", 'x/"><script>alert(1)']
    page = Page(reportdata.page(record, ()))
    assert {"href": "./logs/pod-engine.log"} in page.all("a")
    assert page.all("script") == []
    assert all(str(link["href"]).startswith("./") for link in page.all("a"))


def test_the_page_needs_nothing_else(measured: tuple[Any, ...]) -> None:
    text = reportdata.page(reportdata.record(measured), measured)
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
    page = Page(reportdata.page(reportdata.record(measured), measured))
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
    page = Page(reportdata.page(record, ()))
    assert "it ended early" in page.text
    assert "boom" in page.text
    assert "Time to first token" not in page.text


def test_a_record_without_anything_has_a_page() -> None:
    assert "no outcome yet" in Page(reportdata.page({}, ())).text


def test_empty_failed_and_impossible_rows_have_a_page() -> None:
    failing = reportdata.closed_loop(0, "c8", at=0, requests=9, tokens=4, seed=1, failing=1.0)
    empty = replace(failing, index=1, rows=(), window=(math.nan, math.inf))
    broken = replace(
        failing.rows[0], ok=True, start=math.inf, end=math.nan, ttft=math.nan, completion_tokens=3
    )
    odd = replace(failing, index=2, rows=(broken,), window=(-math.inf, math.inf))
    mine = (failing, empty, odd)
    page = Page(reportdata.page(reportdata.record(mine), mine))
    assert "nan" not in page.text.lower().split()
    assert "0 of 9" in page.text
    assert "no request was measured" in page.text
    assert "impossible times" in page.text
    assert "9 times: HTTP 500" in page.text


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(sorted(reportdata.record())), reportdata.JUNK, max_size=6))
def test_whatever_the_record_holds_there_is_a_page(changes: dict[str, Any]) -> None:
    record = {**reportdata.record(), **changes}
    Page(reportdata.page(record, ()))


def test_a_large_rollout_stays_below_a_megabyte() -> None:
    many = reportdata.rounds(30, 222, tokens=12)
    assert sum(len(item.rows) for item in many) >= 19_980
    targets = [Target(metric="ttft_mean_ms", limit=900)]
    bench = reportdata.Benchmark(loads=reportdata.LOADS)
    record = reportdata.record()
    record["judge"]["targets"] = [vars(t) for t in decide(many, targets, bench).targets]
    for language in LANGUAGES:
        assert len(reportdata.page(record, many, language).encode()) < 1_000_000


def test_without_rows_the_record_tells_the_problems() -> None:
    record = reportdata.record(reportdata.rounds(4, 8))
    record["benchmark"]["rounds"][0]["client"] |= {"saturated": True, "reasons": ["lag 80 ms"]}
    page = Page(reportdata.page(record, ()))
    assert "round 1 at c1, candidate: lag 80 ms" in page.text
    assert "round 4 at c8, candidate: 1 container restart(s)" in page.text


def test_the_headline_names_what_decided() -> None:
    target = {
        "metric": "ttft_p95_ms", "load": "c8", "limit": 800, "unit": "ms", "measured": 912.3,
        "direction": "at_most", "verdict": "fail",
    }  # fmt: skip
    what = {"deployment": "q-1"}

    def said(outcome: str, *targets: dict[str, Any]) -> str:
        data = {"outcome": outcome, "sentence": "raw", "schema": 2, "resolve_model": what}
        return report.headline(read({**data, "judge": {"targets": targets}}))

    assert said("failed", target, target) == (
        "q-1 was not promoted: TTFT p95 at c8, 912 ms, misses its limit of ≤ 800 ms, "
        "and 1 other target likewise."
    )
    met = {**target, "verdict": "pass"}
    assert said("promoted", met) == "q-1 met the one target and was promoted."
    # promoted by a person although a target was open: the record's own words
    assert said("promoted", target, target) == "raw"
    # all targets met, yet it did not stay: soaking failed
    assert said("failed", met) == "raw"
