"""What a rollout tells on its lease: bounded, of one hold alone, and no more than news."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.clock import FakeClock
from tasks.base.heard import ROUNDS, Heard
from tasks.base.progress import Progress, TargetSoFar
from tasks.record.news import ANNOTATION, LIMIT, News, news_in, with_news, written

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def target(verdict: str = "inconclusive", **given: Any) -> TargetSoFar:
    return TargetSoFar("ttft_p95_ms", "c2", "at_most", 800.0, "ms", verdict=verdict, **given)


def told(*events: Progress) -> Heard:
    heard = Heard()
    for event in events:
        heard.hear(event)
    return heard


def lease(text: str = "", holder: str = "bob@host/r1", epoch: int = 3) -> dict[str, Any]:
    return {
        "metadata": {"name": "rollout-m", "annotations": {ANNOTATION: text, "theirs": "kept"}},
        "spec": {"holderIdentity": holder, "leaseTransitions": epoch},
    }


def read(heard: Heard) -> News:
    found = news_in(lease(written(heard, "bob@host/r1", 3, NOW)))
    assert found is not None
    return found


BENCHMARK = Progress("benchmark", "started")


def test_what_is_told_is_read_again(time: FakeClock) -> None:
    heard = told(Progress("deploy", "started"))
    time.sleep(12.34)
    heard.hear(Progress("deploy", "done", message="m-new is ready"))
    heard.hear(BENCHMARK)
    heard.hear(Progress("benchmark", "running", "c2", "measuring", 3, 32, "requests", {"rate": 2}))
    closed = target("pass", measured=500.0, high=600.123456789)
    heard.hear(Progress("benchmark", "running", "", "", 2, 10, ROUNDS, targets=(closed,)))
    found = read(heard)
    deploy, benchmark = found.steps
    assert (deploy.step, deploy.state, deploy.seconds) == ("deploy", "done", 12.3)
    assert (deploy.sentence, deploy.subjects) == ("m-new is ready", [])
    assert (benchmark.state, benchmark.seconds) == ("running", None)
    (load,) = benchmark.subjects
    assert (load.subject, load.sentence, load.done, load.total) == ("c2", "measuring", 3, 32)
    assert load.figures == {"rate": 2}
    assert found.rounds and (found.rounds.done, found.rounds.most) == (2, 10)
    (one,) = found.targets
    assert (one.verdict, one.high, one.low, one.limit) == ("pass", 600.123, None, 800)


def test_its_times_are_by_the_api_servers_clock(time: FakeClock) -> None:
    heard = told(Progress("deploy", "started"))
    time.sleep(30)
    now = time.now() + timedelta(hours=1)  # this machine's clock is slow
    found = news_in(lease(written(heard, "bob@host/r1", 3, now)))
    assert found is not None and found.at == now
    assert found.steps[0].since == now - timedelta(seconds=30)


def test_where_nothing_was_heard_nothing_is_told(time: FakeClock) -> None:
    assert written(Heard(), "bob@host/r1", 3, NOW) == ""


words = st.text(st.characters(), max_size=3000) | st.sampled_from(
    ["发布" * 900, "\ud800", '"\\' * 900]
)
figures = st.floats() | st.none()
events = st.builds(
    Progress,
    words,
    st.sampled_from(["started", "running", "done", "failed"]),
    words,
    words,
    figures,
    figures,
    st.sampled_from(["bytes", ROUNDS, ""]).filter(lambda unit: unit != ROUNDS),
    st.dictionaries(st.text(max_size=20), st.floats(), max_size=5),
    st.lists(st.builds(target, high=figures, measured=figures), max_size=60).map(tuple),
)


@given(st.lists(events, max_size=30))
def test_it_is_bounded_and_valid_whatever_is_told(several: list[Progress]) -> None:
    text = written(told(*several), "bob@host/r1", 3, NOW)
    assert len(text.encode()) <= LIMIT
    if text:
        json.loads(text, parse_constant=pytest.fail)
        found = news_in(lease(text))
        assert found is not None
        assert all(math.isfinite(part.done or 0) for s in found.steps for part in s.subjects)


def test_what_is_too_long_is_shortened_where_it_is_missed_least(time: FakeClock) -> None:
    ended = [
        Progress(f"step-{n}", state, message="已完成 " * 60)
        for n in range(8)
        for state in ("started", "done")
    ]
    heard = told(*ended, BENCHMARK, Progress("benchmark", "running", "c2", "measuring"))
    heard.hear(Progress("benchmark", "running", targets=(target("pass"),) * 6))
    found = read(heard)
    assert len(found.steps) == 9 and len(found.targets) == 6
    assert all(len(step.sentence) < 160 for step in found.steps)
    assert found.steps[-1].subjects[0].sentence == "measuring"


def test_a_holder_too_long_to_be_named_tells_nothing(time: FakeClock) -> None:
    assert written(told(BENCHMARK), "x" * LIMIT, 3, NOW) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "3",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        '{"v": 1}',
        '{"v": 2, "holder": "bob@host/r1", "epoch": 3, "at": "2026-01-01T00:00:00Z"}',
        '{"v": 1, "holder": "bob@host/r1", "epoch": 3, "at": "2026-01-01T00:00:00"}',
        '{"v": 1, "holder": "bob@host/r1", "epoch": 3, "at": "yesterday"}',
        '{"v": 1, "holder": "bob@host/r1", "epoch": 2, "at": "2026-01-01T00:00:00Z"}',
        '{"v": 1, "holder": "alice@host/r0", "epoch": 3, "at": "2026-01-01T00:00:00Z"}',
    ],
)
def test_what_is_malformed_or_anothers_is_no_news(text: str) -> None:
    assert news_in(lease(text)) is None


def test_what_does_not_fit_is_left_out_and_the_rest_is_read() -> None:
    body = {
        "v": 1, "holder": "bob@host/r1", "epoch": 3, "at": "2026-01-01T00:00:00Z", "more": [1],
        "steps": [{"step": "deploy", "state": "resting", "since": "2026-01-01T00:00:00",
                   "seconds": 1e999, "sentence": "said", "subjects": 7}] * 500,
        "rounds": "three",
        "targets": [{"metric": "ttft_p95_ms", "verdict": "good", "limit": 1}],
    }  # fmt: skip
    found = news_in(lease(json.dumps(body)))
    assert found is not None and found.rounds is None and len(found.steps) < 500
    step = found.steps[0]
    assert (step.step, step.state, step.sentence) == ("deploy", "running", "said")
    assert step.since is step.seconds is None and step.subjects == []
    assert (found.targets[0].metric, found.targets[0].verdict) == ("ttft_p95_ms", "inconclusive")


@pytest.mark.parametrize("there", [None, {}, {"spec": None}, {"metadata": {}, "spec": {}}])
def test_where_no_lease_tells_anything_there_is_no_news(there: Any) -> None:
    assert news_in(there) is None


def test_a_released_lease_tells_nothing() -> None:
    text = written(told(BENCHMARK), "bob@host/r1", 3, NOW)
    assert news_in(lease(text)) is not None
    assert news_in(lease(text, holder="")) is None
    after = with_news(lease(text, holder=""), lambda *_: "never asked")
    assert after["metadata"]["annotations"] == {"theirs": "kept"}


def test_who_takes_it_tells_its_own_or_nothing() -> None:
    asked: list[tuple[str, int]] = []

    def tell(holder: str, epoch: int) -> str:
        asked.append((holder, epoch))
        return "mine"

    now = with_news(lease("before", "carol@host/r2", 4), tell)
    assert now["metadata"]["annotations"] == {ANNOTATION: "mine", "theirs": "kept"}
    assert asked == [("carol@host/r2", 4)]
    silent = with_news(lease("before", "carol@host/r2", 4), None)
    assert silent["metadata"]["annotations"] == {"theirs": "kept"}


def test_what_cannot_be_told_stops_no_renewal() -> None:
    def tell(*_: object) -> str:
        raise RuntimeError("broken")

    assert with_news(lease("before"), tell)["metadata"]["annotations"] == {"theirs": "kept"}
