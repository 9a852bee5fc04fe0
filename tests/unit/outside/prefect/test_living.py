"""Who lives is known by locks, or by what the machine says; nobody else's process is signalled."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.base.errors import OutsideError
from tasks.outside.prefect import living
from tasks.outside.prefect.keeping import _Child
from tasks.outside.prefect.service.facts import known
from tasks.service.database import DATABASE
from tasks.service.kept import Running
from tests.support.waiting import until

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]
OPTIONS = {"keeper": [], "worker": ["--pool", "p"], "server": ["--port", "4871"]}
Begin = Callable[..., int]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts what looks like one of NAMES; gives its pid."""
    children = []

    def start(name: str, folder: Path = tmp_path) -> int:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        words = ["-m", living.KEEPER, str(folder)] if name == "keeper" else [name, "start"]
        child = _Child(name, [*SLEEPS, *words, *OPTIONS[name]], dict(os.environ))
        child.tend(folder)
        assert child.process is not None
        children.append(child)
        pid = child.process.pid
        # one that has just begun has no command line for an instant
        until(Path(f"/proc/{pid}/cmdline").read_bytes, every_s=0.01)
        return pid

    yield start
    for child in children:
        child.stop()


def test_what_lives_is_known_and_can_be_ended(tmp_path: Path, begin: Begin) -> None:
    pids = {name: begin(name) for name in ("worker", "server")}
    assert {name: living.pid_of(tmp_path, name) for name in pids} == pids
    with pytest.raises(OutsideError, match=f"a worker runs already .* pid {pids['worker']}"):
        begin("worker")
    assert living.end(tmp_path) == ["worker", "server"]
    assert living.pid_of(tmp_path, "worker") is None
    assert living.end(tmp_path) == []


def test_a_pid_that_a_stranger_has_by_now_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "worker.lock").write_text(str(os.getpid()))
    assert living.pid_of(tmp_path, "worker") is None
    assert living.end(tmp_path) == []


def test_two_who_look_take_each_other_for_nobody(tmp_path: Path, begin: Begin) -> None:
    path = tmp_path / "worker.lock"
    path.write_text(str(os.getpid()))
    with path.open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert living.pid_of(tmp_path, "worker") is None
    begin("worker")  # its lock is free again


@pytest.mark.parametrize("replaced", [False, True])
def test_who_lost_its_lock_file_is_known_and_can_be_ended(
    tmp_path: Path, begin: Begin, *, replaced: bool
) -> None:
    pids = {name: begin(name) for name in living.NAMES}
    for name in living.NAMES:
        path = tmp_path / f"{name}.lock"
        path.unlink()
        if replaced:
            path.write_text(str(os.getpid()))
    assert {name: living.pid_of(tmp_path, name) for name in pids} == pids
    with pytest.raises(OutsideError, match="a keeper runs already"):
        begin("keeper")
    assert living.end(tmp_path) == list(living.NAMES)


def test_what_only_looks_like_ours_is_left_alone(tmp_path: Path, begin: Begin) -> None:
    """Another service's, and one that only has the file open."""
    begin("server", tmp_path / "other")
    (tmp_path / "logs").mkdir()
    reader = _Child("worker", SLEEPS, dict(os.environ))
    reader.tend(tmp_path)
    (tmp_path / "worker.lock").unlink()
    try:
        assert living.end(tmp_path) == []
        assert reader.process is not None and reader.process.poll() is None
    finally:
        reader.stop()


def test_what_runs_is_known_without_its_facts(tmp_path: Path, begin: Begin) -> None:
    assert known(tmp_path) is None
    for name in ("server", "worker"):
        begin(name)
    assert known(tmp_path) == Running(4871, "p", "an unknown version", database="")


def test_the_database_of_what_runs_is_known_without_its_password(
    tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE, "postgresql+asyncpg://u:secret@db:5432/p?ssl=secret")
    for name in ("server", "worker"):
        begin(name)
    kept = known(tmp_path)
    assert kept is not None and kept.database == "postgresql+asyncpg://db:5432/p"


def test_a_folder_that_was_moved_is_told_at_both_places(tmp_path: Path, begin: Begin) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    pid = begin("keeper", old)
    assert living.moved(old) is None
    old.rename(new)
    assert living.moved(old) == living.moved(new) == (old, new)
    assert living.moved(tmp_path / "third") is None
    assert (living.pid_of(old, "keeper"), living.pid_of(new, "keeper")) == (None, pid)
    (new / "keeper.lock").unlink()
    assert (living.pid_of(old, "keeper"), living.pid_of(new, "keeper")) == (None, pid)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the machine says nothing of processes")
def test_what_one_that_lives_has_started_is_seen(tmp_path: Path) -> None:
    assert living.children(tmp_path, "worker") == []
    run = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid"
    program = f"import subprocess, sys, time; print({run}, flush=True); time.sleep(600)"
    child = _Child("worker", [sys.executable, "-c", program, "worker", "start", "x"], {})
    (tmp_path / "logs").mkdir()
    child.tend(tmp_path)
    log = tmp_path / "logs" / "worker.log"
    until = time.monotonic() + 60
    while not log.read_text().endswith("\n") and time.monotonic() < until:
        time.sleep(0.05)
    pid = int(log.read_text())
    try:
        assert living.children(tmp_path, "worker") == [pid]
    finally:
        child.stop()
        os.kill(pid, signal.SIGKILL)
