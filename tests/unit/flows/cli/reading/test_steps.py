"""The steps of a rollout that somebody runs, as a document, as lines and drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from flows.cli.reading.live import JobSight, Sight, lines_of, tree_of
from flows.cli.reading.states import status_of
from flows.cli.reading.steps import news_of, pending, progress_of
from tasks.record.news import News
from tasks.record.record import Record
from tests.support.cluster.actor_world import NS, in_test

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = {
    "metric": "ttft_p95_ms",
    "load": "c2",
    "limit": 800.0,
    "unit": "ms",
    "direction": "at_most",
}
MET = {**TARGET, "metric": "ttft_mean_ms", "verdict": "pass", "measured": 250.0, "high": 260.5}


def news(*steps: dict[str, Any], **change: Any) -> News:
    body = {"v": 1, "holder": "bob@host/r2", "epoch": 3, "at": AT, "steps": steps, **change}
    return News.model_validate(body)


def done(name: str, **change: Any) -> dict[str, Any]:
    return {"step": name, "state": "done", "seconds": 2.0, "sentence": f"{name} is well", **change}


LOAD = {
    "subject": "c2",
    "sentence": "measuring candidate, round 3",
    "done": 12,
    "total": 32,
    "unit": "requests",
    "figures": {"ttft_mean_ms": 104.2},
}
MEASURES = news(
    done("resolve_model"),
    done("smoke"),
    {"step": "benchmark", "since": AT - timedelta(seconds=30), "subjects": [LOAD]},
    rounds={"done": 2, "most": 10},
    targets=[MET, TARGET],
)


def sight(told: News | None, age_s: float = 5, **change: Any) -> Sight:
    found = status_of(
        NS, in_test().actor().observe(), "", "bob@host/r2", progress=progress_of(told)
    )
    return Sight(found, news=told, at=AT + timedelta(seconds=age_s), **change)


def drawn(seen: Sight) -> list[str]:
    console = Console(width=140, color_system=None)
    with console.capture() as captured:
        console.print(tree_of(seen))
    return [line.strip("│├└─ ") for line in captured.get().splitlines()]


def test_a_rollout_is_drawn_with_what_is_done_what_runs_and_what_is_to_come() -> None:
    seen = drawn(sight(MEASURES))
    first = seen.index("steps, as told 5 s ago")
    assert seen[first + 1 : first + 3] == [
        "✓ resolve_model 2.0 s  resolve_model is well",
        "✓ smoke 2.0 s  smoke is well",
    ]
    assert seen[first + 3].endswith("benchmark 35.0 s  2 of at most 10 rounds")
    said = "12 requests of 32 requests measuring candidate, round 3, TTFT mean 104 ms"
    assert seen[first + 4].startswith("c2") and seen[first + 4].endswith(said)
    assert seen[first + 5 : first + 8] == ["· judge", "· promote", "targets"]
    assert [" ".join(line.split()) for line in seen[first + 8 : first + 10]] == [
        "✓ ttft_mean_ms @ c2 ≤ 800 met measured 250, at most 260.5, no lower bound yet",
        "· ttft_p95_ms @ c2 ≤ 800 open",
    ]


def test_a_failed_step_is_drawn_with_its_reason_and_nothing_is_to_come_after_it() -> None:
    failed = {"step": "smoke", "state": "failed", "seconds": 3.0, "sentence": "no token came"}
    seen = drawn(sight(news(done("resolve_model"), failed, {"step": "roll_back"})))
    assert "✗ smoke 3.0 s  no token came" in seen
    assert not any(line.startswith("· ") for line in seen)
    assert any(line.endswith("roll_back") for line in seen)


def test_news_that_nobody_renews_is_said_to_be_old() -> None:
    said = "steps, as told 300 s ago; its holder has not renewed since"
    assert said in drawn(sight(MEASURES, age_s=300))


def test_what_settles_a_rollout_has_no_steps_to_come() -> None:
    assert pending(news({"step": "promote"})) == []


def test_a_holder_that_says_nothing_is_drawn_without_steps() -> None:
    assert not any(line.startswith("steps") for line in drawn(sight(None)))


def test_bytes_are_drawn_once_by_the_jobs_own_log() -> None:
    node = {"subject": "node-a", "done": 1e9, "total": 1e10, "unit": "bytes"}
    told = news(done("resolve_model"), {"step": "fetch_weights", "subjects": [node]})
    job = JobSight("m-fetch-1", "fetch", "node-a", 5e9, 1e10, 1e9)
    seen = drawn(sight(told, jobs=(job, JobSight("j", "verify", "node-b"))))
    at = next(n for n, line in enumerate(seen) if "fetch_weights" in line)
    assert seen[at + 1].startswith("fetch on node-a")
    assert "5.0 GB of 10.0 GB 5.0 GB" not in seen[at + 1] and "5 s left" in seen[at + 1]
    assert not any("1.0 GB" in line for line in seen[at + 2 :])
    assert seen[seen.index("jobs") + 1].startswith("verify on node-b")


def test_lines_name_each_thing_that_may_change_and_closed_targets_with_their_bounds() -> None:
    said = [line for _, line in lines_of(sight(MEASURES))]
    assert said[said.index("step resolve_model: done after 2.0 s: resolve_model is well") :] == [
        "step resolve_model: done after 2.0 s: resolve_model is well",
        "step smoke: done after 2.0 s: smoke is well",
        "step benchmark: running",
        "benchmark c2: measuring candidate, round 3",
        "2 of at most 10 rounds",
        "target ttft_mean_ms @ c2 ≤ 800: met, measured 250, at most 260.5, no lower bound yet",
        "target ttft_p95_ms @ c2 ≤ 800: open",
    ]


def test_once_it_has_ended_its_record_tells_how_its_steps_went() -> None:
    kept = {
        "rollout": "r2",
        "outcome": "failed",
        "sentence": "too slow",
        "finished": "then",
        "steps": [done("resolve_model"), {"step": "smoke", "state": "odd"}],
        "judge": {"verdict": "fail", "targets": [{**MET, "verdict": "fail", "low": 900.0}]},
    }
    last = Record.model_validate(kept)
    seen = drawn(sight(None, last=last))
    assert "last: failed then: too slow" in seen
    assert "✓ resolve_model 2.0 s  resolve_model is well" in seen
    assert any("✗ ttft_mean_ms @ c2" in line and "missed" in line for line in seen)
    assert pending(news_of(last)) == []
    # a step that the news has told as done is not told again by the record
    before = {about for about, _ in lines_of(sight(MEASURES))}
    after = {about for about, _ in lines_of(sight(None, last=last))}
    assert "step r2 resolve_model done" in before & after


def test_the_document_has_every_step_with_its_state() -> None:
    found = progress_of(MEASURES)
    assert found is not None and progress_of(None) is None
    assert (found["at"], found["rounds"]) == ("2026-03-01T12:00:00+00:00", {"done": 2, "most": 10})
    assert [(item["step"], item["state"]) for item in found["steps"]] == [
        ("resolve_model", "done"),
        ("smoke", "done"),
        ("benchmark", "running"),
        ("judge", "pending"),
        ("promote", "pending"),
    ]
    assert found["steps"][2]["since"] == "2026-03-01T11:59:30+00:00"
    assert found["steps"][2]["subjects"] == [LOAD]
    assert [item["state"] for item in found["targets"]] == ["met", "open"]
    assert found["targets"][0]["high"] == pytest.approx(260.5)
