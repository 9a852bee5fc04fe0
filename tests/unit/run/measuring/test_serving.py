"""What serves, measured where it serves."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.base import clock
from tasks.base.clock import FakeClock
from tasks.base.errors import OutsideError, Refused
from tasks.measure.harm import LEAST_LOOKS
from tasks.measure.histograms import Histogram
from tasks.measure.traffic import Counters
from tasks.outside.kubernetes.access import Endpoint
from tasks.outside.vllm.metrics import EngineSaid
from tasks.run.measuring import judged, neighbours, serving
from tasks.run.measuring.neighbours import Engines, GaveWay
from tasks.run.measuring.serving import (
    bench_serving,
    bench_url,
    counted,
    note_serving,
    verify_serving,
)
from tasks.run.measuring.sitting import Sitting
from tasks.verdict.earned import Verification, asked_again, asked_by_hand
from tasks.verdict.targets import Decision
from tasks.verdict.witness import Witness
from tests.support.cluster.actor_world import NAME, NS, OLD, world
from tests.support.nodedata import make_spec
from tests.support.rounds import some

TTFT = "vllm:time_to_first_token_seconds"


def engine(fast: float, slow: float, at: float = 0.0, **more: float) -> EngineSaid:
    seen = Histogram({0.5: fast, math.inf: fast + slow}, fast * 0.2 + slow * 2)
    counters = Counters(at, fast + slow, seen.total, 9 * (fast + slow), **more)
    return EngineSaid(counters, {TTFT: seen})


class Bench:
    """In place of the load: what each measurement finds, and how it was asked."""

    def __init__(self, *ttfts: float) -> None:
        self.ttfts, self.asked = list(ttfts), list[Any]()
        self.during: Any = lambda: None
        self.looks = LEAST_LOOKS

    def __call__(self, target: Any, stable: Any, bench: Any, **how: Any) -> Any:
        self.asked.append((target.url, target.model, [load.name for load in bench.loads]))
        for _ in range(self.looks):
            how["generator"]._heed()
            clock.sleep(2)
        self.during()
        return some(6, ttft=self.ttfts.pop(0))


class Place:
    """A world whose engines say `said`, and a Bench."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.bench = world(), Bench(0.2)
        self.said: EngineSaid | OutsideError = engine(1, 0)
        vars(self.world).update(address="https://api:6443")
        monkeypatch.setattr(Engines, "__call__", lambda _: {"p": self.look()})
        monkeypatch.setattr(
            serving, "reach", lambda *_: nullcontext(Endpoint("http://svc", "cluster"))
        )
        monkeypatch.setattr(serving.bench, "measure", self._measure)
        self.witness = lambda alone: Witness(alone.verdict == "pass")
        monkeypatch.setattr(judged.gate, "validate", self._validate)
        monkeypatch.setattr(judged.gate, "witness", lambda checked: checked.witness)

    def _measure(self, *asked: Any, **how: Any) -> Any:
        return self.bench(*asked, **how)

    def look(self) -> EngineSaid:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    def _validate(self, alone: Decision, *_: Any) -> Any:
        docs = Path("/r/docs.html")
        return SimpleNamespace(
            success=True, suite={}, result={}, data_docs=docs, witness=self.witness(alone)
        )

    def sitting(self, limit: float = 1000, *, by_hand: bool = False, **verify: Any) -> Sitting:
        spec = make_spec(
            {
                "name": NAME,
                "namespace": NS,
                "benchmark": {"loads": [{"name": "c2", "concurrency": 2}]},
                "targets": {"ttft_mean_ms": limit},
                "verify": verify,
            }
        )
        asked = asked_by_hand(spec) if by_hand else asked_again(spec)
        return Sitting(asked, "https://api:6443", kind="verify", rollout=None, why="test")

    def verify(self, sitting: Sitting) -> Verification:
        return verify_serving(sitting, self.world, OLD)  # type: ignore[arg-type]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, time: FakeClock, home: Path) -> Place:
    return Place(monkeypatch)


def test_what_still_meets_its_targets(place: Place) -> None:
    sitting = place.sitting()
    note_serving(sitting, OLD)
    found = place.verify(sitting)
    assert (found.word, found.confirmed) == ("earned", False)
    assert place.bench.asked == [("http://svc", "m", ["c2"])]
    record = sitting.record
    assert record.deployment == "m-old" and record.judge is not None
    assert record.judge.verdict == "pass" and record.benchmark is not None
    assert [step.step for step in record.steps] == ["benchmark", "judge"]
    assert place.world.writes == []


def test_a_miss_is_measured_once_where_nothing_follows(place: Place) -> None:
    found = place.verify(place.sitting(10))
    assert (found.word, found.confirmed, len(place.bench.asked)) == ("missed", False, 1)


@pytest.mark.parametrize(
    ("second", "word", "confirmed"), [(0.2, "missed", True), (0.001, "inconclusive", False)]
)
def test_a_miss_is_measured_again_before_anything_follows(
    place: Place, time: FakeClock, second: float, word: str, confirmed: bool
) -> None:
    place.bench = Bench(0.2, second)
    before = time.monotonic()
    found = place.verify(place.sitting(10, on_miss="roll-back", confirm_after_s=60))
    assert (found.word, found.confirmed) == (word, confirmed)
    assert time.monotonic() - before == 60 + 2 * 2 * LEAST_LOOKS and len(place.bench.asked) == 2


def test_a_miss_beside_others_is_announced_and_not_measured_again(place: Place) -> None:
    """Whoever asked: users at their busiest hour, another verification, `rollout bench`."""
    place.said = engine(1, 0, running=40)
    found = place.verify(sitting := place.sitting(10, on_miss="roll-back"))
    assert (found.word, found.confirmed, len(place.bench.asked)) == ("missed", False, 1)
    beside = "beside it others had requests at 21 of 21 looks, 38.1 on average and 40 at most"
    assert found.sentence.endswith(f"; it is announced, and not gone back from: {beside}")
    assert sitting.record.benchmark is not None and sitting.record.benchmark.note == beside
    assert beside in sitting.record.steps[0].sentence


def test_others_beside_the_second_measurement_alone_explain_it_too(place: Place) -> None:
    place.bench = Bench(0.2, 0.2)
    place.bench.during = lambda: setattr(place, "said", engine(1, 0, running=2 + 6))
    found = place.verify(place.sitting(10, on_miss="roll-back"))
    assert (found.word, found.confirmed, len(place.bench.asked)) == ("missed", False, 2)
    assert "missed both times" in found.sentence and "at 21 of 21 looks" in found.sentence


def test_too_few_looks_confirm_nothing(place: Place) -> None:
    place.bench.looks = 3
    found = place.verify(place.sitting(10, on_miss="roll-back"))
    assert not found.confirmed and "4 look(s) do not exclude that others" in found.sentence


def test_what_others_were_served_leads_nobody_back(
    place: Place, time: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [engine(0, 0, 0), engine(0, 100, 600)]
    monkeypatch.setattr(Engines, "__call__", lambda _: {"p": pages.pop(0)})
    sitting = place.sitting(300, **{"from": "engine", "window_s": 600, "on_miss": "roll-back"})
    found = place.verify(sitting)
    assert (found.word, found.confirmed) == ("missed", False) and time.monotonic() == 600
    assert "what was measured are the requests of others" in found.sentence


def test_a_second_measurement_that_gives_way_confirms_nothing(place: Place) -> None:
    place.bench.during = lambda: setattr(place, "said", engine(1, 0, waiting=3))
    found = place.verify(place.sitting(10, on_miss="roll-back"))
    assert (found.word, found.confirmed) == ("missed", False)
    assert "not measured a second time: 3 request(s) wait" in found.sentence


def test_it_gives_way_before_it_begins_and_while_it_runs(place: Place) -> None:
    place.said = engine(1, 0, waiting=1)
    with pytest.raises(GaveWay, match="wait in the engines already"):
        place.verify(place.sitting())
    place.said = engine(1, 0, running=2)
    full = place.sitting()
    serving_ = full.spec.serving.model_copy(update={"max_num_seqs": 1})
    full.spec = full.spec.model_copy(update={"serving": serving_})
    with pytest.raises(GaveWay, match="over the 2 that they run at once"):
        place.verify(full)
    assert place.bench.asked == []


def test_what_is_switched_meanwhile_was_not_measured(place: Place) -> None:
    def switched() -> None:
        place.world.objects["Service", NAME]["metadata"]["labels"]["model-rollout/release"] = "new"
        place.world.objects["Service", NAME]["spec"]["selector"]["model-rollout/release"] = "new"

    place.bench.during = switched
    with pytest.raises(GaveWay, match="what was measured is not what serves any more"):
        place.verify(place.sitting())


def test_a_way_that_bends_figures_is_not_taken(place: Place) -> None:
    sitting = place.sitting()
    access = sitting.spec.access.model_copy(update={"mode": "port-forward"})
    sitting.spec = sitting.spec.model_copy(update={"access": access})
    with pytest.raises(Refused, match="port-forward"):
        place.verify(sitting)
    with pytest.raises(Refused, match="port-forward"):
        bench_serving(sitting, place.world, OLD)  # type: ignore[arg-type]


def test_from_the_engines_own_histograms(
    place: Place, time: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [engine(0, 0, 0), engine(100, 0, 600)]
    monkeypatch.setattr(Engines, "__call__", lambda _: {"p": pages.pop(0)})
    sitting = place.sitting(300, **{"from": "engine", "window_s": 600})
    found = place.verify(sitting)
    assert found.word == "earned" and time.monotonic() == 600
    assert place.bench.asked == [] and sitting.record.judge is not None
    assert sitting.record.targets[0].load == "traffic"


def test_looks_end_where_a_rollout_begins(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "holder_of", lambda *_: "ann@host/run-7")
    with pytest.raises(GaveWay, match="ann@host/run-7 began"):
        place.verify(place.sitting(**{"from": "engine"}))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"p": engine(1, 0)}, "began anew: p"),  # it counted more before
        ({"q": engine(200, 0)}, "came, went or began anew: p, q"),
    ],
)
def test_engines_that_change_say_nothing(now: dict[str, EngineSaid], said: str) -> None:
    spec = make_spec({"targets": {"ttft_mean_ms": 1000}})
    found = counted(spec, {"p": engine(100, 0)}, now)
    assert found.verdict == "inconclusive" and said in found.reason


def test_by_hand_the_engine_at_an_address(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def said_at(url: str) -> EngineSaid:
        asked.append(url)
        raise OutsideError("no metrics here")

    monkeypatch.setattr(serving, "said_at", said_at)
    found = bench_url(place.sitting(by_hand=True), "http://engine:8000/v1/")
    assert found.verdict == "pass" and asked == ["http://engine:8000"]
    assert "how much they asked beside it, is not known: no metrics here" in found.reason
    (url, model, loads) = place.bench.asked[0]
    assert (url, loads) == ("http://engine:8000", ["c2"])
    assert model == place.sitting().spec.served_name


def test_by_hand_others_that_wait_are_not_made_to_wait_longer(place: Place) -> None:
    place.said = engine(1, 0, waiting=2)
    with pytest.raises(GaveWay, match="wait in the engines already"):
        bench_serving(place.sitting(by_hand=True), place.world, OLD)  # type: ignore[arg-type]


def test_by_hand_what_nobody_can_see_is_said_and_a_rollout_comes_first_all_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.said = OutsideError("no metrics here")
    sitting = place.sitting(by_hand=True)
    found = bench_serving(sitting, place.world, OLD)  # type: ignore[arg-type]
    assert "whether others waited for it" in found.reason
    assert sitting.record.benchmark is not None and sitting.record.benchmark.note in found.reason
    monkeypatch.setattr(neighbours, "holder_of", lambda *_: "ann@host/run-7")
    with pytest.raises(GaveWay, match="ann@host/run-7 began"):
        bench_serving(place.sitting(by_hand=True), place.world, OLD)  # type: ignore[arg-type]


def test_by_hand_who_else_asked_is_said(place: Place) -> None:
    place.said = engine(1, 0, running=5)
    found = bench_serving(place.sitting(by_hand=True), place.world, OLD)  # type: ignore[arg-type]
    assert "beside it others had requests at 21 of 21 looks" in found.reason
