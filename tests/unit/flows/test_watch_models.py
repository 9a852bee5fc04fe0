"""The watcher: each spec apart, what it found in one table, and an event where it is to be told."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import watch_models as module
from flows.watch_models import EVENT, TROUBLE, WIDTH, watch_models
from tasks.base.errors import Refused, SpecError, StepFailed
from tasks.run.versions.look import Sighting
from tests.support.specs import minimal


class Told:
    """What was emitted, and the table; `looks` by name: what a look comes to, or raises."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self.rows: list[Any] = []
        self.looks: dict[str, Any] = {}
        monkeypatch.chdir(folder)
        monkeypatch.setattr(module, "emit_event", lambda **event: self.events.append(event))
        monkeypatch.setattr(
            module.artifacts, "table", lambda key, rows, what: self.rows.append((key, rows, what))
        )
        monkeypatch.setattr(module.Cluster, "connect", lambda *_: nullcontext(None))
        monkeypatch.setattr(module, "VersionWatch", lambda cluster: self)

    def look(self, spec: Any) -> Sighting:
        found = self.looks[spec.name]
        if isinstance(found, Exception):
            raise found
        return found() if callable(found) else found

    def spec(self, name: str, look: Any) -> None:
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(minimal({"name": name})))
        self.looks[name] = look

    def run(self) -> list[str]:
        return watch_models.fn(["."])


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(tmp_path, monkeypatch)


def seen(name: str, sign: str = "serves", **more: Any) -> Sighting:
    return Sighting(name, "models", "o/n", "master", sign, f"{sign} it is", **more)


NEW = {"commit": "c" * 40, "digest": "sha256:1", "bytes": 5_000}


def test_an_event_names_what_it_is_about(told: Told) -> None:
    told.spec("a", seen("a", "new", event=NEW, wish="w", times=1, found="c" * 40, size=5_000))
    told.spec("b", seen("b"))
    assert sorted(told.run()) == ["a: new it is", "b: serves it is"]
    (event,) = told.events
    assert event["event"] == EVENT
    assert event["resource"]["prefect.resource.id"] == "model-rollout.rollout.models.a"
    assert event["payload"] == {"spec_file": "a.yaml", **NEW}
    ((key, rows, what),) = told.rows
    assert (key, what) == ("watch-models", "2 looked at, 1 new")
    assert rows[0] == {
        "rollout": "models/a",
        "model": "o/n",
        "follows": "master",
        "serves": "",
        "found": "c" * 12,
        "bytes": "5,000",
        "what": "new",
        "said": "new it is",
    }
    assert [row["what"] for row in rows] == ["new", "serves"]


def test_what_fails_hides_no_other_and_fails_the_run(told: Told) -> None:
    told.spec("a", Refused("no such hub"))
    told.spec("b", KeyError("a fault"))
    told.spec("c", seen("c", "new", event=NEW, wish="w", times=1))
    (told.folder / "d.yaml").write_text("name: d")
    with pytest.raises(StepFailed, match="3 of 4 could not be looked at") as raised:
        told.run()
    for said in (
        "a.yaml: no such hub",
        "b.yaml: KeyError('a fault')",
        "d.yaml: d.yaml: line 1: model: is",
    ):
        assert said in str(raised.value)
    assert [event["event"] for event in told.events] == [EVENT]
    assert {row["what"] for row in told.rows[0][1]} == {"failed", "new"}


def test_an_error_of_the_outside_fails_the_run_once_it_is_a_persons(told: Told) -> None:
    told.spec("a", seen("a", "failed"))
    assert told.run() == ["a: failed it is"] and not told.events
    told.spec("a", seen("a", "failed", wrong=True, trouble=True))
    with pytest.raises(StepFailed, match="1 of 1"):
        told.run()
    (event,) = told.events
    assert event["event"] == TROUBLE
    assert event["payload"] == {"spec_file": "a.yaml", "what": "failed", "said": "failed it is"}


def test_hundreds_of_models_and_no_more_than_its_width_at_once(told: Told) -> None:
    most, now, lock = 0, 0, threading.Lock()

    def look() -> Sighting:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1
        return seen("x")

    for number in range(300):
        told.spec(f"m{number}", look)
    assert len(told.run()) == 300 and 1 <= most <= WIDTH


@pytest.mark.parametrize("files", [[], ["nowhere"]])
def test_what_names_no_spec_is_told(told: Told, files: list[str]) -> None:
    (told.folder / "nowhere").mkdir()
    with pytest.raises(SpecError if not files else StepFailed, match=r"it is empty|without any"):
        watch_models.fn(files)
