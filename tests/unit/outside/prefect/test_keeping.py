"""Server and worker are kept alive; who starts a keeper ends that one alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tasks.base import clock
from tasks.base.clock import FakeClock
from tasks.base.errors import OutsideError
from tasks.outside.prefect import keeping, living
from tasks.outside.prefect.keeping import PATIENT, PAUSES_S, QUERIES, SOUND_S, _Child
from tasks.outside.prefect.service import facts
from tasks.service.database import DATABASE
from tasks.service.kept import PASSWORD, Running
from tests.support.places import ROOT
from tests.support.waiting import until

ENDS = [sys.executable, "-c", "raise SystemExit(7)"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path


def child(name: str, command: list[str]) -> _Child:
    return _Child(name, command, dict(os.environ))


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
        DATABASE: "postgresql+asyncpg://u:p@db/prefect",
        "PREFECT_SERVER_API_AUTH_STRING": "u:p",
        "PREFECT_API_URL": "http://elsewhere/api",
        "KUBECONFIG": "/k",
    }
    kept = Running(4200, "pool", "v")
    found = keeping.environments(tmp_path, kept, here)
    assert found["server"][DATABASE] == here[DATABASE]
    assert QUERIES.items() <= found["server"].items()
    assert DATABASE not in found["worker"]
    assert "PREFECT_SERVER_API_AUTH_STRING" not in found["worker"]
    for each in found.values():
        assert each["PREFECT_API_URL"] == kept.api == "http://127.0.0.1:4200/api"
        assert each["PREFECT_API_AUTH_STRING"] == "u:p"
        assert PATIENT.items() <= each.items()
        assert (each["KUBECONFIG"], each["PREFECT_HOME"]) == ("/k", str(tmp_path / "prefect"))


def test_no_way_to_name_a_database_reaches_the_worker(tmp_path: Path) -> None:
    """Nor does a password that is set to nothing reach the server, which would ask for that."""
    here = {
        "PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://u:p@db/prefect",
        "PREFECT_SERVER_DATABASE_PASSWORD": "p",
        "PREFECT_API_DATABASE_PASSWORD": "p",
        PASSWORD: "",
    }
    found = keeping.environments(tmp_path, Running(4200, "pool", "v"), here)
    assert not here.keys() & found["worker"].keys()
    assert here.keys() - found["server"].keys() == {PASSWORD}
    assert QUERIES.items() <= found["server"].items()


def test_server_and_worker_ask_each_other_through_no_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"http_proxy": "http://127.0.0.1:1"}
    for each in keeping.environments(tmp_path, Running(4200, "pool", "v"), here).values():
        assert "127.0.0.1" in each["no_proxy"] and "127.0.0.1" in each["NO_PROXY"]
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with HTTPServer(("127.0.0.1", 0), Well) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert keeping.answers(f"http://127.0.0.1:{server.server_port}")


class Well(BaseHTTPRequestHandler):
    """A server that is well."""

    def do_GET(self) -> None:
        """Says so."""
        self.send_response(200)
        self.end_headers()


def test_a_server_that_dies_again_and_again_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = iter(range(1, 100))
    monkeypatch.setattr(keeping, "pid_of", lambda *_: next(pids))
    monkeypatch.setattr(keeping, "answers", lambda _: False)
    fake(monkeypatch, "import time; time.sleep(600)")
    with (
        clock.use(FakeClock()) as time,
        pytest.raises(OutsideError, match=r"ended 3 times before .* newer Prefect, .* backup"),
    ):
        keeping.start(folder, Running(1, "pool", "v"), dict(os.environ), attached=False)
    assert time.monotonic() < 60


@pytest.mark.parametrize("url", ["", "sqlite+aiosqlite:////srv/prefect.db"])
def test_how_long_sqlite_waits_is_left_to_prefect(tmp_path: Path, url: str) -> None:
    found = keeping.environments(tmp_path, Running(4200, "pool", "v"), {DATABASE: url})
    assert not QUERIES.keys() & found["server"].keys()


@pytest.mark.parametrize("text", ["", "{}"])
def test_nothing_is_kept_where_nothing_says_what(tmp_path: Path, text: str) -> None:
    (tmp_path / "service.json").write_text(text)
    with pytest.raises(OutsideError, match="run `rollout up`"):
        keeping.keep(tmp_path)


def test_a_port_is_taken_or_free() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert not keeping.free(port)
        assert not keeping.answers("http://127.0.0.1:1/api")
    until(lambda: keeping.free(port), every_s=0.05)  # nobody keeps it for us


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


def fake(monkeypatch: pytest.MonkeyPatch, script: str) -> list[str]:
    """What is begun as a keeper runs this instead; gives its pid, once it has one."""
    real: Any = subprocess.Popen
    pids: list[str] = []

    def begin(command: list[str], **more: Any) -> Any:
        process = real([sys.executable, "-c", script, *command[3:]], **more)
        pids.append(str(process.pid))
        return process

    monkeypatch.setattr(subprocess, "Popen", begin)
    return pids


def test_who_cannot_start_one_ends_its_own_and_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = child("server", [sys.executable, "-c", "import time; time.sleep(600)", "server"])
    other.tend(folder)
    pids = fake(monkeypatch, "import time; print('begun', flush=True); time.sleep(600)")
    kept = Running(1, "pool", "v")
    monkeypatch.setattr(keeping, "START_S", 1.0)
    try:
        with clock.use(FakeClock()), pytest.raises(OutsideError, match="not ready in 1 s"):
            keeping.start(folder, kept, dict(os.environ), attached=False)
        assert facts.read(folder) == kept
        assert not Path("/proc", *pids).exists()
        assert other.process is not None and other.process.poll() is None
    finally:
        other.stop()


def test_a_keeper_that_ends_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "raise SystemExit('there is no room')")
    with pytest.raises(OutsideError, match=r"its keeper ended; .*keeper.log:\nthere is no room"):
        keeping.start(folder, Running(1, "pool", "v"), dict(os.environ), attached=True)


def test_a_second_keeper_says_whose_the_folder_is(folder: Path) -> None:
    facts.write(folder, Running(1, "pool", "v"))
    command = [sys.executable, "-m", living.KEEPER, str(folder)]
    with living.locked(folder, "keeper") as lock:
        living.note(lock, os.getpid())
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (OutsideError.exit_code, "")
    assert f"a keeper runs already with {folder}, pid {os.getpid()}" in done.stdout


def test_a_keeper_whose_logs_are_taken_away_keeps_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "logs").rmdir()
    (folder / "logs").write_text("in the way")
    worker = child("worker", [sys.executable, "-c", "print('said')"])
    keeping._tend(worker, folder)
    assert worker.process is not None and worker.process.wait() == 0
    assert "what is said goes nowhere" in capsys.readouterr().out


def test_what_cannot_be_started_is_tried_again_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker, moved = child("worker", ENDS), tmp_path / "moved"
    with clock.use(FakeClock()) as time:
        keeping._tend(worker, moved)
        assert worker.process is None and "the worker cannot be started" in capsys.readouterr().out
        keeping._tend(worker, moved)  # not at once again
        assert capsys.readouterr().out == ""
        (moved / "logs").mkdir(parents=True)
        time.sleep(PAUSES_S[-1])
        keeping._tend(worker, moved)
    assert worker.process is not None and worker.process.wait() == 7


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port has no such name")
def test_of_two_keepers_of_one_port_the_second_says_so_at_once(tmp_path: Path) -> None:
    port = 20_000 + os.getpid() % 10_000  # the name is the machine's: others may test there, too
    facts.write(tmp_path, Running(port, "pool", "v"))
    with (
        keeping._alone(port),
        pytest.raises(OutsideError, match=f"port {port} of this machine is another service's"),
    ):
        keeping.keep(tmp_path)
    with keeping._alone(port):  # free again
        pass
