"""JUnit XML: CI goes green for a promotion alone."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import pytest

from tasks.record.record import read
from tasks.report import junit
from tests.support import reportdata
from tests.support.reportdata import EVIL


def drawn(data: dict[str, Any]) -> str:
    return junit.render(read(data))


def case(document: ElementTree.Element, group: str, name: str) -> ElementTree.Element:
    return next(
        c
        for c in document.iter("testcase")
        if c.get("name") == name and str(c.get("classname")).endswith(group)
    )


def test_targets_are_cases_with_their_verdicts() -> None:
    measured = reportdata.rounds(6, 64)
    record = reportdata.record(measured)
    record["judge"]["targets"][0] |= {"verdict": "inconclusive", "measured": None, "low": math.inf}
    found = ElementTree.fromstring(drawn(record))
    missed = case(found, "targets", "ttft_p95_ms at c32").find("failure")
    assert missed is not None
    assert "limit ≤ 600 ms" in str(missed.get("message"))
    assert len(case(found, "targets", "ttft_mean_ms at c8")) == 1  # its figures, no verdict
    assert case(found, "targets", "ttft_mean_ms at c1").find("error") is not None
    advisory = case(found, "targets", "goodput_percent at c32").find("skipped")
    assert advisory is not None
    assert "fail" in str(advisory.get("message"))
    assert case(found, "steps", "deploy").get("time") == "154.800"


@pytest.mark.parametrize(
    ("outcome", "tag"),
    [
        ("promoted", None),
        ("unchanged", None),
        ("failed", "failure"),
        ("inconclusive", "error"),
        ("held", "error"),
        ("refused", "error"),
        ("error", "error"),
        (None, "error"),
    ],
)
def test_only_a_promotion_is_green(outcome: str | None, tag: str | None) -> None:
    record = {"name": "q", "rollout": "1", "outcome": outcome, "sentence": "first\nsecond"}
    found = ElementTree.fromstring(drawn(record))
    only = case(found, "outcome", "1")
    assert [child.tag for child in only] == ([tag] if tag else [])
    wrong = int(str(found.get("failures"))) + int(str(found.get("errors")))
    # None does not fit, which is an error of its own
    assert wrong == (1 if tag else 0) + (outcome is None)


@pytest.mark.parametrize("schema", [3, "1", None])
def test_a_record_nobody_can_read_whole_is_not_green(schema: object) -> None:
    record = {**reportdata.record(reportdata.rounds(6, 64)), "schema": schema}
    found = ElementTree.fromstring(drawn(record))
    assert [c.tag for c in case(found, "record", f"schema {schema}")] == ["error"]


def test_the_counts_are_those_of_the_cases() -> None:
    record = reportdata.record(reportdata.rounds(6, 64))
    record["steps"][4] |= {"state": "failed", "sentence": "StepFailed", "seconds": math.nan}
    record["smoke"]["checks"][1]["ok"] = False
    found = ElementTree.fromstring(drawn(record))
    for level in (found, *found.iter("testsuite")):
        cases = list(level.iter("testcase"))
        assert level.get("tests") == str(len(cases))
        for plural, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert level.get(plural) == str(sum(c.find(tag) is not None for c in cases))
    # outcome, smoke and one target failed; one step broke
    assert (found.get("failures"), found.get("errors")) == ("3", "1")


def test_anything_in_a_record_is_valid_xml() -> None:
    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoil(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [spoil(item) for item in value]
        return EVIL if isinstance(value, str) else value

    text = drawn(spoil(reportdata.record(reportdata.rounds(2, 8))))
    found = ElementTree.fromstring(text.encode("utf-8"))
    assert not list(found.iter("script"))
    ElementTree.fromstring(drawn({}))
