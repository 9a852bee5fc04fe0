"""The Great Expectations suite agrees with the judge, or nothing is promoted."""

from __future__ import annotations

import html
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.measure.round import Round
from tasks.outside.great_expectations.gate import GateResult, validate, witness
from tasks.verdict.decide import agreed
from tests.support.rounds import BENCH, decide, failed, some, target

TARGETS = [target("ttft_p95_ms", 1000), target("output_throughput_tok_s", 5)]


def test_a_pass_is_stated_as_a_suite_with_data_docs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a folder that nobody else writes to
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    rounds = some(3)
    decision = decide(rounds, TARGETS, BENCH)
    folder = tmp_path / "here"
    result = validate(decision, rounds, TARGETS, folder)
    assert result.success and agreed(decision, witness(result)) == decision
    assert result.data_docs.name == "index.html" and result.data_docs.is_relative_to(folder)
    pages = "".join(p.read_text() for p in folder.rglob("data_docs/**/*.html"))
    page = html.unescape(pages)
    assert "ttft_p95_ms at c2 <= 1000: the upper bound lies within the limit" in page
    assert "output_throughput_tok_s at c2 >= 5: the lower bound lies" in page
    used = {item["type"] for item in result.suite["targets"]["expectations"]}
    assert {"expect_upper_bound_within_limit", "expect_lower_bound_within_limit"} <= used
    assert json.dumps(result.suite) and json.dumps(result.result)
    assert list(elsewhere.iterdir()) == []

    # again, in the same process and folder, from another thread: a candidate that misses
    strict = [target("ttft_p95_ms", 1)]
    missed = decide(rounds, strict, BENCH)
    found: list[GateResult] = []
    thread = threading.Thread(target=lambda: found.append(validate(missed, rounds, strict, folder)))
    thread.start()
    thread.join()
    assert not found[0].success and agreed(missed, witness(found[0])).verdict == "fail"


@pytest.mark.parametrize(
    "rounds",
    [
        [],
        [
            Round(i, "c2", "candidate", 0, tuple(failed(j) for j in range(8)), (0, 8))
            for i in range(4)
        ],
        [replace(item, problems=("evalscope was killed",)) for item in some(3)],
    ],
    ids=["nothing", "all failed", "killed"],
)
def test_the_suite_never_holds_on_nothing(rounds: list[Round], tmp_path: Path) -> None:
    decision = decide(rounds, TARGETS, BENCH)
    result = validate(decision, rounds, TARGETS, tmp_path)
    assert not result.success and agreed(decision, witness(result)).verdict != "pass"
    # even if the judge were wrong
    wrong = replace(decide(some(3), TARGETS, BENCH), verdict="pass")
    said = agreed(wrong, witness(result))
    assert said.verdict == "inconclusive" and "must agree" in said.reason


def test_a_fail_that_the_suite_does_not_see_is_inconclusive() -> None:
    decision = replace(decide(some(3), TARGETS, BENCH), verdict="fail")
    holds = GateResult(True, {}, {}, Path("index.html"))
    assert agreed(decision, witness(holds)).verdict == "inconclusive"
