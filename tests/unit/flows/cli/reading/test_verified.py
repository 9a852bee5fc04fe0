"""What the last verification came to stands in the status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flows.cli.main import main
from tasks.record.parts import Judge, ResolveModel, TargetJudged
from tasks.record.record import Record
from tasks.run.measuring.remember import remember_verified
from tests.support.cluster.actor_world import NAME, NS, World, world

AT = "2026-11-27T10:00:00+00:00"


def target(metric: str, verdict: Any = "fail", **more: Any) -> TargetJudged:
    found = TargetJudged(
        metric=metric, load="c8", limit=800, direction="at_most", measured=1200, verdict=verdict
    )
    return found.model_copy(update=more)


def verification(outcome: str, *targets: TargetJudged, release: str = "old") -> Record:
    return Record(
        kind="verify",
        rollout="v1",
        name=NAME,
        namespace=NS,
        outcome=outcome,
        sentence="so it is",
        finished=AT,
        resolve_model=ResolveModel(release=release),
        judge=Judge(verdict="fail", targets=list(targets)),
    )


@pytest.fixture
def serves(reached: list[World], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("tasks.outside.kubernetes.lease.holder_of", lambda *_: "")
    reached.append(world())
    return reached[0]


def row(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["status", NAME, "-n", NS]) == 0
    lines = capsys.readouterr().out.splitlines()
    return [line.partition(":")[2].strip() for line in lines if line.startswith("verified:")]


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["status", NAME, "-n", NS, "-o", "json"]) == 0
    return json.loads(capsys.readouterr().out)["verified"]


def test_one_that_never_was_is_said_to_be_none(
    serves: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert row(capsys) == [] and document(capsys) is None


def test_when_its_verdict_and_the_binding_targets_that_it_missed(
    serves: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    remember_verified(serves, verification("earned", target("ttft_mean_ms", "pass")))
    met, advised = target("ttft_mean_ms", "pass"), target("tpot_mean_ms", advisory=True)
    remember_verified(serves, verification("missed", target("ttft_p95_ms"), met, advised))
    assert row(capsys) == [f"{AT} missed: ttft_p95_ms @ c8 1,200 (≤ 800)"]
    found = document(capsys)
    assert [item["metric"] for item in found.pop("missed")] == ["ttft_p95_ms"]
    assert found == {
        "finished": AT,
        "outcome": "missed",
        "sentence": "so it is",
        "release": "old",
        "rollout": "v1",
    }


def test_one_of_a_release_that_serves_no_more_says_so(
    serves: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    remember_verified(serves, verification("earned", release="older"))
    assert row(capsys) == [f"{AT} earned: so it is (of release older, which does not serve)"]


def test_a_history_says_of_what_each_entry_is(
    serves: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    remember_verified(serves, verification("inconclusive"))
    assert main(["history", NAME, "-n", NS, "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["history"]
    assert [(item["kind"], item["outcome"]) for item in found] == [("verify", "inconclusive")]
