"""The front door of the verdict: what is shared, who must agree, what follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.release.state import Judged, State, judged_before, with_verdict
from tasks.spec.rollout import Promotion, Rollout
from tasks.verdict import decide
from tasks.verdict.targets import Decision, TargetVerdict
from tasks.verdict.witness import Witness
from tests.support.nodedata import make_spec
from tests.support.rounds import some


def spec(*, exam: dict[str, Any] | None = None, advisory: bool = False) -> Rollout:
    return make_spec(
        {
            "benchmark": {"loads": [{"name": "low", "concurrency": 2}]},
            "targets": [
                {"metric": "ttft_mean_ms", "limit": 300, "advisory": advisory},
                {"metric": "tpot_mean_ms", "limit": 80},
            ],
            **({"quality": exam} if exam else {}),
        }
    )


def found(word: Any, reason: str = "why") -> Decision:
    return Decision(word, True, reason, ())


@pytest.mark.parametrize(
    ("exam", "advisory", "count"),
    [
        (None, False, 3),  # two targets, and that no request fails
        ({"minimum_percent": 70}, False, 4),
        ({"minimum_percent": 70, "advisory": True}, False, 3),
        ({"minimum_percent": 70}, True, 3),
        (None, True, 2),
    ],
)
def test_every_binding_demand_shares_what_failing_may_err_by(
    exam: dict[str, Any] | None, advisory: bool, count: int
) -> None:
    assert decide.demands(spec(exam=exam, advisory=advisory)) == count


def test_an_exam_is_one_demand_more_for_the_targets_and_they_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One count for both: no half of the verdict errs more often than the other expects."""
    seen: list[int] = []

    def targets(rounds: Any, wanted: Any, bench: Any, binding: int) -> Decision:
        seen.append(binding)
        return found("pass")

    def exam(rows: Any, quality: Any, confidence: float, binding: int) -> None:
        seen.append(binding)

    monkeypatch.setattr("tasks.verdict.targets.decide", targets)
    monkeypatch.setattr("tasks.verdict.exam.judge_exam", exam)
    with_exam = spec(exam={"minimum_percent": 70})
    decide.look(some(3), with_exam)
    decide.examined([], with_exam)
    assert seen == [4, 4]


@pytest.mark.parametrize("word", ["pass", "fail", "inconclusive"])
@pytest.mark.parametrize("holds", [True, False])
def test_judge_and_suite_agree_or_nothing_is_known(word: Any, holds: bool) -> None:
    said = decide.agreed(found(word), Witness(holds, () if holds else ("ttft above 5",)))
    if word == "inconclusive" or holds == (word == "pass"):
        assert said == found(word)
    else:
        assert said.verdict == "inconclusive" and "they must agree" in said.reason
        assert ("ttft above 5" in said.reason) != holds


@pytest.mark.parametrize(
    ("word", "promotion", "move"),
    [
        ("pass", {}, "promote"),
        ("pass", {"approval": "before-promote"}, "hold"),
        ("fail", {}, "roll_back"),
        ("fail", {"approval": "before-promote"}, "roll_back"),
        ("fail", {"on_inconclusive": "hold"}, "roll_back"),
        ("inconclusive", {}, "roll_back"),
        ("inconclusive", {"on_inconclusive": "hold"}, "hold"),
        ("inconclusive", {"approval": "before-promote"}, "roll_back"),
    ],
)
def test_what_follows(word: Any, promotion: dict[str, Any], move: str) -> None:
    assert decide.next_move(found(word), Promotion(**promotion)) == move
    # while nothing serves nobody is waited for; a plan that must wait was refused
    instead = decide.next_move(found(word), Promotion(**promotion), "replace")
    assert instead == (move if word == "pass" else "roll_back")
    # outside of its window nothing is switched, and nothing of what serves is kept away from it
    for strategy, waits in (("parallel", "wait"), ("lend", "give_back"), ("replace", "promote")):
        late = decide.next_move(found(word), Promotion(**promotion), strategy, "at 22:00")
        assert late == (waits if move == "promote" else instead if strategy == "replace" else move)
    if move == "roll_back":
        assert decide.ended_with(found(word)) == {"fail": "failed"}.get(word, word)


def test_an_exam_that_fails_ends_it_before_the_load() -> None:
    base: dict[str, Any] = dict.fromkeys(("limit", "measured", "low", "high"), 1.0)
    exam = TargetVerdict(
        metric="exam_correct_percent", load="exam", unit="percent", direction="at_least",
        n_requests=20, n_rounds=1, verdict="fail", reason="few", **base,
    )  # fmt: skip
    assert decide.ends_early(exam) and not decide.ends_early(None)
    assert decide.verdict((), exam, spec(exam={"minimum_percent": 70})).verdict == "fail"


# what its id is made of, and what its outcome does not hang on
IN_THE_ID = {"model", "serving"}
ELSEWHERE = {
    *("name", "namespace", "records", "schedule", "watch"),
    *("maintenance_windows", "quiet_hours", "verify"),
}


def test_each_part_of_a_spec_is_known_to_bear_on_a_release_or_not() -> None:
    bears = {*decide.DEMANDS, *decide.BEARS}
    assert set(Rollout.model_fields) == bears | IN_THE_ID | ELSEWHERE
    assert not bears & ELSEWHERE


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"nodes": {"accelerator": "cpu", "selector": {"pool": "b"}}}, True),
        ({"access": {"mode": "pod-ip"}}, True),
        ({"store": {"path": "/data"}}, True),
        ({"runner": {"image": "other:1"}}, True),
        ({"promotion": {"strategy": "replace"}}, True),
        ({"promotion": {"soak": {"duration_s": 5}}}, True),
        ({"promotion": {"history": 5, "tries": 7}}, False),
        ({"quiet_hours": [{"cron": "0 0 * * *", "hours": 1}]}, False),
        ({"watch": {"tags": "v*"}}, False),
    ],
)
def test_a_mended_spec_is_another_question(change: dict[str, Any], other: bool) -> None:
    asked = decide.asked_of(make_spec({}))
    assert (decide.asked_of(make_spec(change)) != asked) is other


def test_a_verdict_that_an_older_version_noted_stands() -> None:
    asked = decide.asked_of(make_spec({}))
    old = Judged("new", asked.partition("-")[0], "failed", "run-1")
    state = State("m", judged=(old,))
    assert judged_before(state, "new", asked) is old
    found = replace(old, demands=asked)
    state = with_verdict(state, found)
    assert state.judged == (found,)
    mended = decide.asked_of(make_spec({"store": {"path": "/data"}}))
    assert judged_before(state, "new", mended) is None
