"""`rollout up`: which specs, where, and what it says before it starts anything."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from flows.cli import up as service
from flows.cli.demo import SERVICE as demo_service
from flows.cli.screen import Screen
from flows.cli.up import POOL, down, found, same, up
from tasks.base import clock
from tasks.base.clock import FakeClock
from tasks.base.errors import OutsideError, Refused, SpecError
from tasks.outside.disk import records
from tasks.outside.disk.files import locked
from tasks.outside.prefect import keeping, living, server
from tests.support.places import ROOT

SPEC = ROOT / "deployments" / "models" / "smollm2-135m-cpu.yaml"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a folder of one spec."""
    place = tmp_path / "work"
    (place / "specs").mkdir(parents=True)
    shutil.copy(SPEC, place / "specs" / "a.yaml")
    monkeypatch.chdir(place)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv(keeping.DATABASE, raising=False)
    monkeypatch.setenv("MODEL_ROLLOUT_HOME", str(tmp_path / "home"))
    return place


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


def test_print_starts_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    monkeypatch.setattr(keeping, "read", lambda _: keeping.Running(4200, "model-rollout", "v"))
    monkeypatch.setattr(living, "pid_of", lambda *_: 1)
    monkeypatch.setattr(keeping, "answers", lambda _: False)
    for changed in ({"port": 4300}, {"pool": "other"}):
        with pytest.raises(Refused, match="run already, on port 4200 with work pool model-rollout"):
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
                monkeypatch.setattr(keeping, "known", lambda _: keeping.Running(4201, POOL, "v"))
                monkeypatch.setattr(living, "pid_of", lambda *_: 1)
                monkeypatch.setattr(keeping, "answers", lambda _: True)

    monkeypatch.setattr(service, "_bring", lambda _, api, *__: brought.append(api))
    with ExitStack() as other, clock.use(First()):
        other.enter_context(locked(place / ".turn"))
        assert up(["specs"], Screen(), state=str(place)) == 0
    said = capsys.readouterr().out
    assert said.index(f"at work with {place}; waiting") < said.index("run already (v)")
    assert brought == ["http://127.0.0.1:4201/api"]


def test_a_keeper_of_which_nothing_is_known_is_told(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "known", lambda _: None)
    monkeypatch.setattr(living, "pid_of", lambda *_: 7)
    with pytest.raises(OutsideError, match="pid 7, and nothing says on which port; `rollout down`"):
        up(["specs"], Screen())


def test_down_where_nothing_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert down(Screen()) == 0
    assert "nothing was running" in capsys.readouterr().out
    assert not (here.parent / "home").exists()


def test_what_else_answers_there_is_named_and_left(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keeping.write(here, keeping.Running(4201, POOL, "v"))
    monkeypatch.setattr(keeping, "answers", lambda _: True)
    assert down(Screen(), state=str(here)) == 0
    said = capsys.readouterr().out
    assert "nothing was running" in said
    assert f"answers at http://127.0.0.1:4201, and is none of {here}" in said


def test_a_folder_that_was_moved_is_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(living, "moved", lambda _: (here, here / "a b"))
    for ask in (lambda: down(Screen()), lambda: up(["specs"], Screen())):
        with pytest.raises(Refused, match=f"moved to {here}/a b .*down --state '{here}/a b'"):
            ask()


@pytest.mark.parametrize("demo", [False, True])
def test_what_names_this_service_again_is_whole(here: Path, *, demo: bool) -> None:
    """Without its folder, the next command starts or ends another one."""
    default = demo_service if demo else records.home() / "service"
    words = " --demo" * demo
    assert same(default, demo=demo) == words
    assert same(here / "a b", demo=demo) == f"{words} --state '{here}/a b'"


@pytest.fixture
def orphaned(here: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A worker that runs a flow, with a server that is away and no keeper; gives what was ended."""
    ended: list[str] = []

    def end(_: Path, names: Sequence[str] = living.NAMES) -> list[str]:
        ended.extend(names)
        return list(names)

    keeping.write(here, keeping.Running(4201, POOL, "v"))
    monkeypatch.setattr(living, "pid_of", lambda _, name: 7 if name == "worker" else None)
    monkeypatch.setattr(living, "children", lambda *_: [8])
    monkeypatch.setattr(living, "end", end)
    monkeypatch.setattr(keeping, "answers", lambda _: False)
    return ended


def test_a_flow_is_not_cut_off_by_up_where_the_keeper_was_killed(
    here: Path, orphaned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match=r"1 flow run.s. are under way there: pid 8; wait for"):
        up(["specs"], Screen(), state=str(here))
    monkeypatch.setattr(keeping, "answers", lambda _: True)
    monkeypatch.setattr(server, "under_way", lambda _: ["rollout m"])
    with pytest.raises(Refused, match="under way there: rollout m; wait for"):
        up(["specs"], Screen(), state=str(here))
    assert orphaned == []


def test_a_flow_that_no_server_can_cancel_is_cut_off_only_where_a_person_says_so(
    here: Path, orphaned: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SpecError, match=r"(?s)1 of the worker's .* pid 8; .*they are cut off"):
        down(Screen(), state=str(here))
    assert orphaned == []
    assert down(Screen(), state=str(here), yes=True) == 0
    assert orphaned and "or the guard settles what they leave" in capsys.readouterr().out


def test_down_waits_for_a_server_that_its_keeper_has_back(
    here: Path, orphaned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def back(*_: object) -> bool:
        monkeypatch.setattr(keeping, "answers", lambda _: True)
        return True

    cancelled: list[str] = []
    monkeypatch.setattr(living, "pid_of", lambda *_: 7)
    monkeypatch.setattr(keeping, "ready", back)
    monkeypatch.setattr(server, "under_way", lambda _: ["rollout m"])
    monkeypatch.setattr(server, "cancel", lambda api, pool: cancelled.append(api) or [])
    assert down(Screen(), state=str(here), yes=True) == 0
    assert cancelled == ["http://127.0.0.1:4201/api"]
