"""`rollout bench` and `rollout verify` at the terminal: a table or a document, an exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.states import Completed

from flows.cli.main import main
from flows.cli.reading import earned
from tasks.base.errors import Exit
from tasks.outside.prefect.ending import as_state
from tasks.record.outcome import Outcome
from tasks.record.parts import Judge, TargetJudged
from tasks.record.record import Record
from tasks.run.measuring.neighbours import GaveWay
from tasks.verdict.targets import Decision
from tests.support.cluster.actor_world import NAME, NS, World, world
from tests.support.specs import minimal


class Place:
    """A spec file, and what measuring comes to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.verdict: Any = "pass"
        self.urls: list[str] = []
        self.file = folder / "m.yaml"
        self.file.write_text(yaml.safe_dump(minimal({"name": NAME, "namespace": NS})))
        monkeypatch.setattr(earned, "bench_serving", lambda sitting, *_: self._found(sitting))
        monkeypatch.setattr(earned, "bench_url", self._at)

    def _at(self, sitting: Any, url: str) -> Decision:
        self.urls.append(url)
        return self._found(sitting)

    def _found(self, sitting: Any) -> Decision:
        if isinstance(self.verdict, Exception):
            raise self.verdict
        target = TargetJudged(metric="ttft_p95_ms", load="c8", limit=9, verdict=self.verdict)
        sitting.record.judge = Judge(verdict=self.verdict, targets=[target])
        return Decision(self.verdict, True, "so it is", ())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Place:
    return Place(tmp_path, monkeypatch)


@pytest.fixture
def serves(reached: list[World]) -> World:
    at = world()
    vars(at).update(address="https://api:6443")
    reached.append(at)
    return at


@pytest.mark.parametrize(
    ("verdict", "outcome", "status"),
    [
        ("pass", "earned", Exit.DONE),
        ("fail", "missed", Exit.FAILED),
        ("inconclusive", "inconclusive", Exit.INCONCLUSIVE),
    ],
)
def test_what_serves_is_judged_and_nothing_is_changed(
    place: Place,
    serves: World,
    capsys: pytest.CaptureFixture[str],
    verdict: str,
    outcome: str,
    status: int,
) -> None:
    place.verdict = verdict
    assert main(["bench", str(place.file), "-o", "json"]) == status
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["kind"], found["outcome"]) == (1, "bench", outcome)
    assert (found["deployment"], found["exit_code"]) == ("m-old", status)
    assert [item["metric"] for item in found["targets"]] == ["ttft_p95_ms"]
    assert Path(found["record"]).is_file() and Path(found["report"]).is_file()
    assert serves.writes == []


def test_as_a_table(place: Place, serves: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(place.file)]) == 0
    said = capsys.readouterr().out
    assert "ttft_p95_ms @ c8" in said and "earned: so it is" in said
    assert "record: " in said and "report: " in said


def test_an_engine_by_its_address_needs_no_cluster(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(place.file), "--url", "http://engine:8000", "-o", "yaml"]) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    assert place.urls == [found["measured"]] == ["http://engine:8000"]


def test_others_that_wait_end_it_open(
    place: Place, serves: World, capsys: pytest.CaptureFixture[str]
) -> None:
    place.verdict = GaveWay("3 request(s) wait")
    assert main(["bench", str(place.file)]) == Exit.INCONCLUSIVE
    assert "it was ended: 3 request(s) wait" in capsys.readouterr().out


def test_where_nothing_may_be_measured_it_is_refused(
    place: Place, serves: World, capsys: pytest.CaptureFixture[str]
) -> None:
    del serves.objects["Service", NAME]
    assert main(["bench", str(place.file)]) == Exit.REFUSED
    assert "what serves is not measured now: the Service of m" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "status"), [("earned", 0), ("not now", 0), ("missed", 3)])
def test_a_verification_ends_as_its_flow_did(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: Any,
    status: int,
) -> None:
    outcome = Outcome(kind, "so it is")
    record = Record(name=NAME, outcome=kind, sentence="so it is", exit_code=status)
    asked: list[Any] = []

    def verify(**given: Any) -> Any:
        asked.append(given)
        return as_state(outcome, record)

    monkeypatch.setattr(earned, "verify", verify)
    assert main(["verify", str(place.file), "--set", "verify.from=engine"]) == status
    assert f"{kind}: so it is" in capsys.readouterr().out
    assert asked[0]["spec"].verify.source == "engine" and asked[0]["why"] == "rollout verify"


def test_an_error_of_the_flow_is_the_commands(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = GaveWay("no way")
    monkeypatch.setattr(earned, "verify", lambda **_: Completed(data=error))
    assert main(["verify", str(place.file)]) == Exit.ERROR
    assert "rollout: no way" in capsys.readouterr().err
