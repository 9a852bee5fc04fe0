"""The order of the steps, and which of them follows from what: every step is a noted stub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from flows import rollout as flow
from tasks.base.errors import NotNow, Refused, StepFailed
from tasks.outside.kubernetes.actor import NotProven, SoakFailed
from tasks.outside.vllm.engine import SmokeCheck
from tasks.record.outcome import Outcome
from tasks.spec.rollout import Promotion
from tasks.steps import STEPS
from tasks.verdict.targets import Decision, TargetVerdict

RELEASE = SimpleNamespace(deployment="m-new")
CANDIDATE, ROUNDS = "the candidate", ("a round",)
ENDS = {name: Outcome("promoted", name) for name in ("promote", "hold", "roll_back")}

FIRST = ["check", "resolve_model", "validate_nodes", "plan", "must_hold"]
UP = [*FIRST, "lock", "fetch_weights", "deploy", "smoke"]
MEASURED = [*UP, "benchmark", "judge"]
END = ["finish", "unlock"]


def decision(word: Any) -> Decision:
    return Decision(word, True, f"it is {word}", ())


def examined(word: Any, *, advisory: bool = False) -> TargetVerdict:
    return TargetVerdict(
        "exam", "exam", 70, "percent", "at_least", 1, 0, 2, 60, 1, word, word, advisory
    )


class Road:
    """In place of tasks.steps, the Run and what is locked: what was called, in its order, and with
    what. found: what a step finds, or the error it raises."""

    def __init__(
        self, *, begin: str = "fresh", serves: bool = False, quality: bool = False,
        not_now: str = "", not_again: str = "", closed: str = "", passed: bool = False,
        strategy: str = "parallel",
        promotion: dict[str, Any] | None = None, **found: Any,
    ) -> None:  # fmt: skip
        self.taken: list[str] = []
        self.told: list[str] = []  # that it starts, after which steps
        self.record = "the record"
        self.given: dict[str, tuple[Any, ...]] = {}
        self.begin, self.cleaned = begin, False
        self.spec = SimpleNamespace(
            quality=object() if quality else None, promotion=Promotion(**promotion or {})
        )
        survey = SimpleNamespace(
            serves_already=serves, release=RELEASE, amiss="", not_now=not_now, not_again=not_again
        )
        self.found: dict[str, Any] = {
            "resolve_model": survey,
            "validate_nodes": survey,
            "plan": SimpleNamespace(release=RELEASE, plan=SimpleNamespace(strategy=strategy)),
            "deploy": CANDIDATE,
            "smoke": [SmokeCheck("model", True, "m", "m")],
            "benchmark": ROUNDS,
            "judge": decision("pass"),
            **ENDS,
            **found,
        }
        self.cluster = SimpleNamespace(begin=lambda release, *, keep_previous: self.begin)
        self.window_closed = lambda: closed
        self.passed_before = lambda release: passed
        self.steps = SimpleNamespace(**{step.name: self.step(step.name) for step in STEPS})

    def step(self, name: str) -> Any:
        def take(run: Road, *given: Any) -> Any:
            assert run is self
            self.taken.append(name)
            self.given[name] = given
            found = self.found.get(name)
            if isinstance(found, BaseException):
                raise found
            return found

        return take

    # -- as the Run does ----------------------------------------------------------------------

    def check(self) -> None:
        self.taken.append("check")

    def finish(self, outcome: Outcome) -> Outcome:
        self.taken.append("finish")
        return outcome

    @contextmanager
    def locked(self, clean_up: Any) -> Iterator[Any]:
        self.taken.append("lock")
        self.cleaned = clean_up is flow.clean_up
        yield self.cluster
        self.taken.append("unlock")

    def go(self, monkeypatch: pytest.MonkeyPatch, digest: str | None = None) -> Outcome:
        """The flow's own pipeline over these steps."""
        monkeypatch.setattr(flow, "steps", self.steps)
        monkeypatch.setattr(flow, "must_hold", self.step("must_hold"))
        monkeypatch.setattr(flow, "tell_start", lambda record: self.told.append(self.taken[-1]))
        return flow.pipeline(self, digest)  # type: ignore[arg-type]


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "what serves already ends at once": (
        {"serves": True},
        ["check", "resolve_model", "finish"],
    ),
    "outside of its window it does not start": (
        {"not_now": "at 22:00"},
        ["check", "resolve_model", "finish"],
    ),
    "what was judged before is not tried again": (
        {"not_again": "failed", "not_now": "at 22:00"},
        ["check", "resolve_model", "finish"],
    ),
    "pass": ({}, [*MEASURED, "promote", *END]),
    "fail": ({"judge": decision("fail")}, [*MEASURED, "roll_back", *END]),
    "inconclusive": ({"judge": decision("inconclusive")}, [*MEASURED, "roll_back", *END]),
    "inconclusive, to be held": (
        {"judge": decision("inconclusive"), "promotion": {"on_inconclusive": "hold"}},
        [*MEASURED, "hold", *END],
    ),
    "a person approves": (
        {"promotion": {"approval": "before-promote"}},
        [*MEASURED, "hold", *END],
    ),
    "a person approves what passes only": (
        {"judge": decision("fail"), "promotion": {"approval": "before-promote"}},
        [*MEASURED, "roll_back", *END],
    ),
    "a wrong answer": (
        {"smoke": [SmokeCheck("answer", False, "Rome", "Paris")]},
        [*UP, "roll_back", *END],
    ),
    "an exam": (
        {"quality": True, "exam": examined("pass")},
        [*UP, "exam", "benchmark", "judge", "promote", *END],
    ),
    "an exam that decides nothing": (
        {"quality": True, "exam": examined("inconclusive"), "judge": decision("inconclusive")},
        [*UP, "exam", "benchmark", "judge", "roll_back", *END],
    ),
    "an exam that fails": (
        {"quality": True, "exam": examined("fail"), "judge": decision("fail")},
        [*UP, "exam", "judge", "roll_back", *END],
    ),
    "an exam that only advises": (
        {"quality": True, "exam": examined("fail", advisory=True)},
        [*UP, "exam", "benchmark", "judge", "promote", *END],
    ),
    "another run was faster": ({"begin": "done"}, [*FIRST, "lock", *END]),
    "a promotion was cut short": ({"begin": "promote"}, [*FIRST, "lock", "promote", *END]),
    "its window is over by the verdict": ({"closed": "at 22:00"}, [*MEASURED, "hold", *END]),
    "its window is over, and nothing serves": (
        {"closed": "at 22:00", "strategy": "replace"},
        [*MEASURED, "promote", *END],
    ),
    "its window is over, and it has seats of what serves": (
        {"closed": "at 22:00", "strategy": "lend"},
        [*MEASURED, "roll_back", *END],
    ),
    "its window is over before it takes anything": (
        {"deploy": NotNow("m-new is not started now: at 22:00")},
        [*FIRST, "lock", "fetch_weights", "deploy", "roll_back", *END],
    ),
    "its window is over, and a person has to approve": (
        {"closed": "at 22:00", "promotion": {"approval": "before-promote"}},
        [*MEASURED, "hold", *END],
    ),
    "it passed, and waited for its window": (
        {"begin": "retest", "passed": True},
        [*FIRST, "lock", "promote", *END],
    ),
    "it is tested again": ({"begin": "retest"}, [*MEASURED, "promote", *END]),
    "the soak fails": (
        {"promote": SoakFailed("m-new failed while soaking")},
        [*MEASURED, "promote", "roll_back", *END],
    ),
    "nobody could watch the soak": (
        {"promote": NotProven("m-new could not be watched")},
        [*MEASURED, "promote", "hold", *END],
    ),
    "a promotion that was cut short fails its soak": (
        {"begin": "promote", "promote": SoakFailed("m-new failed while soaking")},
        [*FIRST, "lock", "promote", "roll_back", *END],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_order_of_the_steps(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, order = CASES[case]
    road = Road(**changes)
    ended = road.go(monkeypatch)
    assert road.taken == order
    if (last := order[-3]) in ENDS:
        assert ended is ENDS[last]
    assert road.cleaned == ("lock" in order)
    assert road.told == ["lock"] * ("fetch_weights" in order)


def test_steps_are_given_what_the_ones_before_found(monkeypatch: pytest.MonkeyPatch) -> None:
    exam = examined("pass")
    road = Road(quality=True, exam=exam)
    road.go(monkeypatch, "a digest")
    given, found = road.given, road.found
    assert given["validate_nodes"] == (found["resolve_model"],)
    assert given["plan"] == (found["validate_nodes"],)
    assert given["must_hold"] == (found["plan"], "a digest")
    assert given["fetch_weights"] == given["deploy"] == (road.cluster, found["plan"])
    assert given["smoke"] == given["exam"] == given["benchmark"] == (CANDIDATE,)
    assert given["judge"] == (ROUNDS, exam)
    assert given["promote"] == (road.cluster, RELEASE, "it is pass")


def test_an_exam_that_ends_early_is_judged_without_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    exam = examined("fail")
    road = Road(quality=True, exam=exam, judge=decision("fail"))
    road.go(monkeypatch)
    assert road.given["judge"] == ((), exam)


@pytest.mark.parametrize(
    ("changes", "step", "given"),
    [
        ({"judge": decision("fail")}, "roll_back", ("failed", "it is fail")),
        (
            {"judge": decision("inconclusive")},
            "roll_back",
            ("inconclusive", "it is inconclusive"),
        ),
        (
            {"smoke": [SmokeCheck("answer", False, "Rome", "Paris")]},
            "roll_back",
            ("failed", "smoke: answer: found Rome, expected Paris"),
        ),
        ({"promotion": {"approval": "before-promote"}}, "hold", (decision("pass"),)),
        ({"closed": "at 22:00"}, "hold", (decision("pass"), "at 22:00")),
        (
            {"closed": "at 22:00", "strategy": "lend"},
            "roll_back",
            ("not now", "it is pass, and at 22:00"),
        ),
        (
            {"deploy": NotNow("m-new is not started now: at 22:00")},
            "roll_back",
            ("not now", "m-new is not started now: at 22:00"),
        ),
        (
            {"closed": "at 22:00", "promotion": {"approval": "before-promote"}},
            "hold",
            (decision("pass"),),
        ),
        (
            {"begin": "retest", "passed": True},
            "promote",
            (RELEASE, "it passed before, and waited for its window"),
        ),
        ({"begin": "promote"}, "promote", (RELEASE, "a promotion that was cut short is finished")),
    ],
)
def test_an_end_is_told_why(
    changes: dict[str, Any], step: str, given: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    road = Road(**changes)
    road.go(monkeypatch)
    assert road.given[step] == (road.cluster, *given)


def test_a_soak_is_failed_and_what_nobody_saw_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    failed, unseen = SoakFailed("it restarts"), NotProven("no route")
    road = Road(promote=failed)
    road.go(monkeypatch)
    assert road.given["roll_back"] == (road.cluster, "failed", failed)
    road = Road(promote=unseen)
    road.go(monkeypatch)
    assert road.given["hold"] == (road.cluster, unseen)


def test_what_serves_already_is_said_and_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for road in (Road(serves=True), Road(begin="done")):
        assert road.go(monkeypatch) == Outcome(
            "unchanged", "m-new serves already; nothing was changed"
        )


def test_what_does_not_start_now_says_when_and_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Road(not_now="its next window opens at 22:00").go(monkeypatch)
    said = "m-new is not started now: its next window opens at 22:00"
    assert ended == Outcome("not now", said) and ended.exit_code == 0


def test_what_is_not_tried_again_says_why_and_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Road(not_again="m-new was judged before").go(monkeypatch)
    assert ended == Outcome("not again", "m-new was judged before") and ended.exit_code == 0


def test_a_plan_that_does_not_hold_ends_before_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    road = Road(must_hold=Refused("the world has changed since"))
    with pytest.raises(Refused):
        road.go(monkeypatch)
    assert road.taken == FIRST


def test_a_step_that_fails_is_not_the_flows_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends the block by force is cleaned up by who holds the lock."""
    road = Road(promote=StepFailed("its replicas are not ready"))
    with pytest.raises(StepFailed, match="its replicas"):
        road.go(monkeypatch)
    assert road.taken == [*MEASURED, "promote"]
