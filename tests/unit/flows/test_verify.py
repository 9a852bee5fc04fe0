"""A verification from its spec to what is told: it changes nothing that serves, and goes back only
where it was asked to."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flows import verify as module
from flows.cli.main import main
from flows.verify import VerifyEnded, verify_by
from tasks.base.errors import OutsideError, Refused
from tasks.record.parts import Judge, TargetJudged
from tasks.record.record import Record
from tasks.release.memory.verified import verified_name
from tasks.run.measuring.neighbours import GaveWay
from tasks.run.measuring.remember import recall_verified
from tasks.run.telling import people
from tasks.service.notices import Notice
from tasks.verdict.earned import Verification
from tests.support.cluster.actor_world import NAME, NS, Killed, World, world
from tests.support.nodedata import make_spec

MISSED = Verification("missed", "ttft_mean_ms is too high", ("ttft_mean_ms at c8",))
TWICE = Verification("missed", "missed both times", ("ttft_mean_ms at c8",), confirmed=True)


class Place:
    """A world, what measuring comes to there, and what was emitted."""

    def __init__(self, reached: list[World], monkeypatch: pytest.MonkeyPatch) -> None:
        self.events, self._reached = list[tuple[str, Record]](), reached
        self.put(world())
        self.came: Any = Verification("earned", "all 2 targets are met")
        self.during: Callable[[], None] = lambda: None
        monkeypatch.setattr(module, "verify_serving", self._measure)

    def put(self, at: World) -> None:
        """This is what there is."""
        self.world = at
        vars(at).update(address="https://api:6443")
        self._reached[:] = [at]

    def _measure(self, sitting: Any, cluster: Any, release: Any) -> Verification:
        self.during()
        if isinstance(self.came, BaseException):
            raise self.came
        word = {"earned": "pass", "missed": "fail"}.get(self.came.word, "inconclusive")
        targets = [TargetJudged(metric="ttft_mean_ms", load="c8", verdict=word)]
        sitting.record.judge = Judge(verdict=word, targets=targets)
        found: Verification = self.came
        return found

    def verify(self, **verify: Any) -> VerifyEnded:
        return verify_by(
            make_spec({"name": NAME, "namespace": NS, "verify": verify}),
            kubeconfig=None,
            context=None,
            why="test",
            emit=lambda record, news, report: self.events.append((news, record)),
        )

    @property
    def kept(self) -> list[Any]:
        return recall_verified(self.world, NS, NAME)[0]  # type: ignore[arg-type]

    def touched(self) -> set[tuple[str, str]]:
        """Kinds of what was written, and the names of ConfigMaps."""
        return {(kind, name if kind == "ConfigMap" else "") for _, kind, name in self.world.writes}


@pytest.fixture
def place(reached: list[World], monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(reached, monkeypatch)


MEMORY = ("ConfigMap", verified_name(NAME))


def test_what_is_still_earned_leaves_one_entry(place: Place) -> None:
    ended = place.verify()
    assert ended.outcome.kind == "earned" and ended.outcome.exit_code == 0
    assert ended.outcome.sentence.startswith("m-old still meets its targets: all 2 targets")
    assert place.touched() == {MEMORY} and place.events == []
    assert [item["outcome"] for item in place.kept] == ["earned"]
    record = json.loads(Path(ended.record.record).read_text())
    assert record["outcome"] == "earned" and record["resolve_model"]["release"] == "old"


def test_a_miss_is_announced_and_nothing_that_serves_is_touched(place: Place) -> None:
    place.came = MISSED
    first, second = place.verify(), place.verify()
    assert (first.outcome.kind, int(first.outcome.exit_code)) == ("missed", 3)
    assert "does not meet its targets any more: ttft_mean_ms is too high" in first.outcome.sentence
    assert second.outcome.kind == "missed"
    assert place.touched() == {MEMORY, ("Event", "")}
    ((news, record),) = place.events  # told once, as long as it is the same
    assert news == "missed" and record.outcome == "missed"
    told = [body for (kind, _), body in place.world.objects.items() if kind == "Event"]
    assert {(body["reason"], body["type"]) for body in told} == {("Missed", "Warning")}
    assert {body["involvedObject"]["kind"] for body in told} == {"Service", "Deployment"}
    place.came = Verification("earned", "all are met")
    place.verify()
    assert [news for news, _ in place.events] == ["missed", "earned"]


@pytest.mark.parametrize("came", [MISSED, TWICE, Verification("inconclusive", "open")])
def test_without_the_specs_word_nobody_goes_back(place: Place, came: Verification) -> None:
    place.came = came
    place.verify()
    assert place.world.leads_to() == "old"


@pytest.mark.parametrize("came", [MISSED, Verification("inconclusive", "open")])
def test_what_is_not_confirmed_goes_back_nowhere(place: Place, came: Verification) -> None:
    place.came = came
    place.verify(on_miss="roll-back")
    assert place.world.leads_to() == "old" and place.touched() <= {MEMORY, ("Event", "")}


def test_a_confirmed_miss_goes_back_where_the_spec_says_so(place: Place) -> None:
    place.came = TWICE
    ended = place.verify(on_miss="roll-back")
    assert place.world.leads_to() == "older" and place.world.harm == []
    assert ended.outcome.kind == "missed" and "went back to m-older" in ended.outcome.sentence
    assert place.events[0][0] == "missed" and ended.record.sentence == ended.outcome.sentence


def test_the_way_back_keeps_its_checks(place: Place) -> None:
    place.came = TWICE
    place.put(world(seats=1, replicas=1))  # what serves has the one seat
    ended = place.verify(on_miss="roll-back")
    assert place.world.leads_to() == "old" and place.world.available("old") == 1
    assert "m-old stays, there is no way back now: " in ended.outcome.sentence


def test_it_goes_back_from_the_release_that_was_measured_alone(place: Place) -> None:
    place.came = TWICE

    def announced(*_: Any, **__: Any) -> None:  # between the measurement and the way back
        service = place.world.objects["Service", NAME]
        service["metadata"]["labels"]["model-rollout/release"] = "older"
        service["spec"]["selector"]["model-rollout/release"] = "older"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "announce", announced)
        ended = place.verify(on_miss="roll-back")
    assert "release old was meant, and older serves by now" in ended.outcome.sentence


def test_others_come_first(place: Place) -> None:
    place.came = GaveWay("3 request(s) wait")
    ended = place.verify()
    assert (ended.outcome.kind, int(ended.outcome.exit_code)) == ("not now", 0)
    assert ended.outcome.sentence == "m is not verified now: 3 request(s) wait"
    assert place.touched() == set() and place.events == []


def test_a_rollout_comes_first(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.run.measuring.serving.holder_of", lambda *_: "ann@host/run-7")
    place.during = lambda: pytest.fail("measured beside a rollout")
    ended = place.verify()
    assert "ann@host/run-7 is at it" in ended.record.sentence == ended.outcome.sentence
    assert place.touched() == set() and not ended.record.record


def test_a_name_that_nobody_rolled_out(place: Place) -> None:
    place.world.objects.clear()
    with pytest.raises(Refused, match="no rollout m in namespace models"):
        place.verify()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OutsideError("no load generator")])
def test_an_interrupt_leaves_nothing_in_the_cluster(place: Place, error: BaseException) -> None:
    place.came = error
    with pytest.raises(type(error)):
        place.verify(on_miss="roll-back")
    assert place.touched() == set() and place.events == []


@pytest.mark.parametrize("writes", range(6))
def test_a_kill_anywhere_before_the_way_back_leaves_an_entry_at_most(
    place: Place, writes: int
) -> None:
    place.came, place.world.left = MISSED, writes
    with suppress(Killed):
        place.verify()
    place.world.left = None
    assert place.touched() <= {MEMORY, ("Event", "")}
    assert len(place.kept) <= 1 and place.world.leads_to() == "old"


def test_what_a_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Notice] = []
    monkeypatch.setattr(people, "emit", told.append)
    missed = TargetJudged(metric="ttft_mean_ms", load="c8", verdict="fail")
    judge = Judge(targets=[missed, TargetJudged(metric="tpot_p50_ms", load="c8", verdict="pass")])
    record = Record(
        name="m", namespace="models", outcome="missed", sentence="so it is", judge=judge
    )
    people.tell_verified(record, "missed")
    (notice,) = told
    assert notice.event == "model-rollout.rollout.missed"
    assert notice.resource["prefect.resource.id"] == "model-rollout.rollout.models.m"
    assert notice.title == "rollout models/m: missing its targets"
    assert notice.missed and "ttft_mean_ms" in notice.missed[0] and notice.sentence == "so it is"


def test_history_has_it_among_the_rollouts(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.came = MISSED
    place.verify()
    assert main(["history", NAME, "-n", NS, "-o", "json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["history"]
    assert (entry["outcome"], entry["deployment"]) == ("missed", "m-old")
