"""Server and worker are kept alive, and nobody else's process is ever signalled."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from tasks.base import clock
from tasks.base.clock import FakeClock
from tasks.base.errors import OutsideError
from tasks.outside.prefect import keeping
from tasks.outside.prefect.keeping import PATIENT, PAUSES_S, SOUND_S, Running, _Child

LIVES = [sys.executable, "-c", "import time; time.sleep(600)"]
ENDS = [sys.executable, "-c", "raise SystemExit(7)"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path


def child(name: str, command: list[str]) -> _Child:
    return _Child(name, command, dict(os.environ))


def test_what_lives_is_known_and_can_be_ended(folder: Path) -> None:
    worker, server = child("worker", LIVES), child("server", LIVES)
    for each in (worker, server):
        each.tend(folder)
        assert each.process is not None
        assert keeping.pid_of(folder, each.name) == each.process.pid
    with pytest.raises(OutsideError, match="a worker runs already"):
        child("worker", LIVES).tend(folder)
    assert keeping.end(folder) == ["worker", "server"]
    assert keeping.pid_of(folder, "worker") is None
    assert keeping.end(folder) == []
    for each in (worker, server):
        each.stop()  # ended already: collected


def test_a_pid_that_a_stranger_has_by_now_is_nobodys(folder: Path) -> None:
    (folder / "worker.lock").write_text(str(os.getpid()))
    assert keeping.pid_of(folder, "worker") is None
    assert keeping.end(folder) == []


def test_what_ends_is_started_again_after_a_pause_that_grows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = child("server", ENDS)
    with clock.use(FakeClock()):
        for pause in (*PAUSES_S, PAUSES_S[-1]):
            server.tend(folder)
            assert server.process is not None
            server.process.wait()
            server.tend(folder)
            said = capsys.readouterr().out
            assert f"the server ended by itself (7), started again in {pause:g} s" in said
            assert str(keeping.log_of(folder, "server")) in said
            server.tend(folder)
            assert server.process is None  # not yet
            clock.sleep(pause)
        server.tend(folder)
        assert server.process is not None
        server.process.wait()
        clock.sleep(SOUND_S + 1)  # it lived long: no trouble of starting
        server.tend(folder)
        assert f"started again in {PAUSES_S[0]:g} s" in capsys.readouterr().out


def test_only_the_server_is_told_the_database_and_its_password(tmp_path: Path) -> None:
    here = {
        keeping.DATABASE: "postgresql+asyncpg://u:p@db/prefect",
        "PREFECT_SERVER_API_AUTH_STRING": "u:p",
        "PREFECT_API_URL": "http://elsewhere/api",
        "KUBECONFIG": "/k",
    }
    kept = Running(4200, "pool", "v")
    found = keeping.environments(tmp_path, kept, here)
    assert found["server"][keeping.DATABASE] == here[keeping.DATABASE]
    assert keeping.DATABASE not in found["worker"]
    assert "PREFECT_SERVER_API_AUTH_STRING" not in found["worker"]
    for each in found.values():
        assert each["PREFECT_API_URL"] == kept.api == "http://127.0.0.1:4200/api"
        assert each["PREFECT_API_AUTH_STRING"] == "u:p"
        assert PATIENT.items() <= each.items()
        assert (each["KUBECONFIG"], each["PREFECT_HOME"]) == ("/k", str(tmp_path / "prefect"))


@pytest.mark.parametrize("text", ["", "{}", '{"port": 1, "pool": "p", "version": "v", "more": 1}'])
def test_what_another_version_wrote_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "service.json").write_text(text)
    assert keeping.read(tmp_path) is None
    with pytest.raises(OutsideError, match="run `rollout up`"):
        keeping.keep(tmp_path)


def test_a_port_is_taken_or_free() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert not keeping.free(port)
        assert not keeping.answers("http://127.0.0.1:1/api")
    assert keeping.free(port)


def test_a_long_log_is_begun_anew_under_who_writes_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOG_BYTES", 10)
    path = keeping.log_of(folder, "server")
    keeping.shorten(path)  # none yet
    with path.open("ab", buffering=0) as out:
        out.write(b"short")
        keeping.shorten(path)
        out.write(b" and long")
        keeping.shorten(path)
        out.write(b"anew")
    assert path.read_text() == "anew"
    assert path.with_name("server.log.1").read_text() == "short and long"
