"""`rollout up`: which specs, where, and what it says before it starts anything."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flows.cli import up as service
from flows.cli.demo import SERVICE as demo_service
from flows.cli.screen import Screen
from flows.cli.service.place import same
from flows.cli.up import found, up
from tasks.base import clock
from tasks.base.clock import FakeClock
from tasks.base.errors import OutsideError, Refused, SpecError
from tasks.outside.disk import records
from tasks.outside.disk.files import locked
from tasks.outside.prefect import keeping, living
from tasks.outside.prefect.service import facts
from tasks.service.database import DATABASE
from tasks.service.kept import POOL, Running
from tests.support.places import ROOT

DB = "postgresql+asyncpg://db/p"
SPEC = ROOT / "deployments" / "models" / "smollm2-135m-cpu.yaml"


def test_specs_below_us_are_named_from_here(here: Path) -> None:
    folder, models = found(["specs"])
    assert (folder, [model.file for model in models]) == (str(here), ["specs/a.yaml"])
    assert found(["specs", "specs/a.yaml"])[1] == models  # once


def test_a_folder_elsewhere_is_the_workers(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here.parent / "away").mkdir()
    monkeypatch.chdir(here.parent / "away")
    folder, models = found([str(here / "specs")])
    assert (folder, [model.file for model in models]) == (str(here / "specs"), ["a.yaml"])


def test_a_volume_of_links_is_read(here: Path) -> None:
    """As a ConfigMap is mounted."""
    mount = here / "mount"
    (mount / "..data").mkdir(parents=True)
    shutil.copy(SPEC, mount / "..data" / "a.yaml")
    (mount / "a.yaml").symlink_to("..data/a.yaml")
    assert [model.file for model in found(["mount"])[1]] == ["mount/a.yaml"]


def test_every_problem_of_every_spec_is_told_and_none_is_left_out(here: Path) -> None:
    for name in ("b", "c"):
        (here / "specs" / f"{name}.yaml").write_text("name: 5")
    (here / "empty").mkdir()
    with pytest.raises(SpecError) as caught:
        found(["specs", "empty", "nowhere.yaml"])
    said = str(caught.value)
    assert all(part in said for part in ("b.yaml", "c.yaml", "--specs empty", "nowhere.yaml"))


def test_no_spec_is_no_service(here: Path) -> None:
    with pytest.raises(SpecError, match="name the folder of your specs"):
        up([], Screen())


def test_apply_wants_a_server(here: Path) -> None:
    with pytest.raises(SpecError, match="PREFECT_API_URL is not set"):
        up(["specs"], Screen(), apply_only=True)


def test_print_starts_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DATABASE, "of no concern")
    assert up(["specs"], Screen(), printing=True) == 0
    assert "spec_file: specs/a.yaml" in capsys.readouterr().out
    assert not (here.parent / "home").exists()


def test_a_port_that_is_taken_is_told(here: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OutsideError, match=f"port {port} .* taken .* another one with --port"):
            up(["specs"], Screen(), port=port)


def test_a_file_without_a_database_is_told(here: Path) -> None:
    with pytest.raises(SpecError, match="--database-file no: cannot be read"):
        up(["specs"], Screen(), database_file="no")
    (here / "url").write_text("mysql://u:secret@h/d")
    with pytest.raises(SpecError, match="expected postgresql://"):
        up(["specs"], Screen(), database_file="url")


def test_what_runs_is_not_started_otherwise(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "known", lambda _: Running(4200, "model-rollout", "v"))
    monkeypatch.setattr(living, "pid_of", lambda *_: 1)
    monkeypatch.setattr(keeping, "answers", lambda _: False)
    for changed, said in (
        ({"port": 4300}, "on port 4200"),
        ({"pool": "x"}, f"with work pool {POOL}"),
    ):
        with pytest.raises(Refused, match=f"run already, {said}; `rollout down`"):
            up(["specs"], Screen(), **changed)  # type: ignore[arg-type]
    monkeypatch.setattr(keeping, "START_S", 1.0)
    with clock.use(FakeClock()), pytest.raises(OutsideError, match=r"keeper .pid 1. starts it"):
        up(["specs"], Screen())


def test_who_comes_second_waits_and_brings_its_specs(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = here / "state"
    brought = []

    class First(FakeClock):
        """The other command, which is done after a while."""

        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.monotonic() > 3:
                other.close()
                monkeypatch.setattr(facts, "known", lambda _: Running(4201, POOL, "v"))
                monkeypatch.setattr(living, "pid_of", lambda *_: 1)
                monkeypatch.setattr(keeping, "answers", lambda _: True)

    monkeypatch.setattr(service, "_bring", lambda _, api, *__, **___: brought.append(api))
    with ExitStack() as other, clock.use(First()):
        other.enter_context(locked(place / ".turn"))
        assert up(["specs"], Screen(), state=str(place)) == 0
    said = capsys.readouterr().out
    assert said.index(f"at work with {place}; waiting") < said.index("run already (v)")
    assert brought == ["http://127.0.0.1:4201/api"]


def test_a_keeper_of_which_nothing_is_known_is_told(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "known", lambda _: None)
    monkeypatch.setattr(living, "pid_of", lambda *_: 7)
    with pytest.raises(OutsideError, match="pid 7, and nothing says on which port; `rollout down`"):
        up(["specs"], Screen())


@pytest.mark.parametrize("demo", [False, True])
def test_what_names_this_service_again_is_whole(here: Path, *, demo: bool) -> None:
    """Without its folder, the next command starts or ends another one."""
    default = demo_service if demo else records.home() / "service"
    words = " --demo" * demo
    assert same(default, demo=demo) == words
    assert same(here / "a b", demo=demo) == f"{words} --state '{here}/a b'"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": 99999}, "--port 99999: expected"),
        ({"port": 0}, "--port 0: expected"),
        ({"limit": -1}, "--limit -1: expected"),
        ({"limit": 0}, "--limit 0: expected"),
        ({"pool": "a/b"}, "--pool 'a/b': expected"),
        ({"apply_only": True, "foreground": True}, "starts nothing, so that --foreground has no"),
        ({"apply_only": True, "database_file": "url", "port": 1}, "--port, --database-file has no"),
    ],
)
def test_every_argument_is_looked_at_before_anything_is_done(
    here: Path, given: dict[str, Any], said: str
) -> None:
    (here / "url").write_text("postgresql://u:p@h/d")
    with pytest.raises(SpecError, match=said):
        up(["no such folder"], Screen(), **given)
    assert not (here.parent / "home").exists()


@pytest.fixture
def runs(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a service that runs with PostgreSQL, as its file of last time says."""
    place = here / "state"
    facts.write(place, Running(4201, POOL, "v", None, DB, str(here / "url"), password=False))
    (here / "url").write_text("postgresql://u:p@db/p")
    monkeypatch.setattr(living, "pid_of", lambda *_: 7)
    monkeypatch.setattr(keeping, "answers", lambda _: True)
    monkeypatch.setattr(service, "_bring", lambda *_, **__: None)
    return place


def test_beside_what_runs_nobody_stays(here: Path, runs: Path) -> None:
    with pytest.raises(Refused, match=r"kept by pid 7, .* --foreground to keep; `rollout down --s"):
        up(["specs"], Screen(), state=str(runs), foreground=True)


def test_a_database_that_is_named_is_compared_with_the_one_that_runs(
    here: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert up(["specs"], Screen(), state=str(runs), database_file="url") == 0
    (here / "other").write_text("postgresql://u:p@other/p")
    with pytest.raises(Refused, match=f"run already, with database {re.escape(DB)}; `rollout down"):
        up(["specs"], Screen(), state=str(runs), database_file="other")
    with pytest.raises(SpecError, match="--database-file none: cannot be read"):
        up(["specs"], Screen(), state=str(runs), database_file="none")
    monkeypatch.setenv(DATABASE, "postgresql://u:p@other/p")
    with pytest.raises(Refused, match=f"with database {re.escape(DB)}; `rollout down"):
        up(["specs"], Screen(), state=str(runs))


def test_a_limit_that_is_given_to_what_runs_is_that_of_its_next_start(runs: Path) -> None:
    assert up(["specs"], Screen(), state=str(runs), limit=9) == 0
    kept = facts.read(runs)
    assert kept is not None and kept.limit == 9


class Started(keeping.Keeper):
    """What a start was given."""

    def __init__(self) -> None:
        self.environment: Mapping[str, str] = {}
        self.kept: Running | None = None

    def begin(
        self, place: Path, kept: Running, environment: Mapping[str, str], *, attached: bool
    ) -> keeping.Keeper:
        facts.write(place, kept)
        self.kept, self.environment = kept, environment
        return self


@pytest.fixture
def stopped(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    """It does not run any more, and what is started now is only noted."""
    found = Started()
    monkeypatch.setattr(living, "pid_of", lambda *_: None)
    monkeypatch.setattr(keeping, "free", lambda _: True)
    monkeypatch.setattr(keeping, "start", found.begin)
    return found


def test_up_again_goes_on_with_the_database_the_port_and_the_pool_of_last_time(
    here: Path, runs: Path, stopped: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    assert up(["specs"], Screen(), state=str(runs)) == 0
    kept = stopped.kept
    assert kept is not None
    assert (kept.port, kept.pool, kept.database_file) == (4201, POOL, str(here / "url"))
    assert stopped.environment[DATABASE] == "postgresql+asyncpg://u:p@db/p"
    assert f"on port 4201 with its database ({DB})" in capsys.readouterr().out
    assert "u:p" not in (runs / "service.json").read_text()


def test_up_again_does_not_begin_with_an_empty_database(
    here: Path, runs: Path, stopped: Started
) -> None:
    (here / "url").unlink()
    with pytest.raises(SpecError, match=r"url, which --database-file named last: cannot be read"):
        up(["specs"], Screen(), state=str(runs))
    (runs / "service.json").write_text("{")
    with pytest.raises(Refused, match="did not write down, and its folder has none"):
        up(["specs"], Screen(), state=str(runs))
    assert stopped.kept is None


def test_another_database_by_name_is_said(
    here: Path, runs: Path, stopped: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "other").write_text("sqlite+aiosqlite:////srv/p.db")
    assert up(["specs"], Screen(), state=str(runs), database_file="other") == 0
    assert f"was last started with database {DB}, and is with" in capsys.readouterr().out
    assert stopped.environment[DATABASE] == "sqlite+aiosqlite:////srv/p.db"


def test_what_its_server_does_not_do_has_a_next_step(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OutsideError("Server error '500'")

    monkeypatch.setattr(service, "_bring", fails)
    with pytest.raises(OutsideError, match=r"500.*see .*server.log. `rollout down --state .* ends"):
        up(["specs"], Screen(), state=str(runs))
