"""What asks a command to end, what it leaves in order, and an output that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from flows.cli.main import acts
from tasks.outside.terminal import process
from tests.support.places import ROOT

# `rollout recover NAME` that begins something, waits, and cleans up when it is interrupted
ACTS = """
import pathlib, sys, time
from flows.cli.commands.app import GROUPS, KEEPS
from flows.cli.main import main

mark = pathlib.Path(sys.argv.pop(1))

def recover(name: str, /) -> int:
    try:
        (mark / "begun").touch()
        while True:
            time.sleep(0.05)
    finally:
        print("cleaning up", flush=True)
        (mark / "cleaning").touch()
        while name == "slow" and not (mark / "go").exists():
            time.sleep(0.05)
        print("cleaned", file=sys.stderr, flush=True)
        (mark / "cleaned").touch()

GROUPS[KEEPS]["recover"] = recover
sys.exit(main())
"""


def started(mark: Path, name: str, **how: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", ACTS, str(mark), "recover", name]
    child: subprocess.Popen[bytes] = subprocess.Popen(command, cwd=ROOT, **how)  # type: ignore[call-overload]
    until(mark / "begun", child)
    return child


def until(path: Path, child: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert child.poll() is None, "it has ended"
        time.sleep(0.02)


@pytest.fixture
def alone() -> Iterator[None]:
    """This process hears as it heard before."""
    before = {number: signal.getsignal(number) for number in process.ASKS}
    kept, process._asked = process._asked, process._Asked()
    outputs = sys.stdout, sys.stderr
    yield
    sys.stdout, sys.stderr = outputs
    process._asked = kept
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", process.ASKS)
def test_whatever_asks_for_an_end_is_an_interruption(
    tmp_path: Path, number: signal.Signals
) -> None:
    pipe = subprocess.PIPE
    with started(tmp_path, "m", stdout=pipe, stderr=pipe) as child:
        child.send_signal(number)
        out, err = child.communicate()
    assert (child.returncode, out) == (128 + number, b"cleaning up\n")
    assert err.startswith(b"cleaned\nrollout: interrupted; what serves serves on")


def test_a_terminal_that_is_closed_ends_it_in_order(tmp_path: Path) -> None:
    master, slave = os.openpty()

    def its_terminal() -> None:
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    child = started(
        tmp_path,
        "m",
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=its_terminal,
    )
    os.close(slave)
    os.close(master)
    assert child.wait() == 129
    assert (tmp_path / "cleaned").exists()


def test_a_second_one_is_answered_and_stops_no_cleaning_up(tmp_path: Path) -> None:
    with started(tmp_path, "slow", stderr=subprocess.PIPE) as child:
        child.send_signal(signal.SIGINT)
        until(tmp_path / "cleaning", child)
        child.send_signal(signal.SIGTERM)  # nobody insists by these
        child.send_signal(signal.SIGHUP)
        child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        assert child.stderr.readline() == process.GOES_ON.encode()
        (tmp_path / "go").touch()
        assert child.wait() == 130
    assert (tmp_path / "cleaned").exists()


def test_a_third_one_stops_it(tmp_path: Path) -> None:
    with started(tmp_path, "slow", stderr=subprocess.PIPE) as child:
        child.send_signal(signal.SIGINT)
        until(tmp_path / "cleaning", child)
        child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        assert child.stderr.readline() == process.GOES_ON.encode()
        child.send_signal(signal.SIGINT)
        assert child.wait() == 130
    assert not (tmp_path / "cleaned").exists()


def test_what_is_ignored_stays_ignored(alone: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    process.begin(acts=True)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is process._hear


def test_a_flow_does_not_keep_what_it_takes(alone: None) -> None:
    process.begin(acts=True)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    process.hold()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert process.interrupted() == 143


def test_a_reader_that_has_gone_stops_no_command_that_acts(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    child = started(tmp_path, "m", stdout=writer, stderr=writer)
    os.close(writer)
    child.send_signal(signal.SIGINT)
    assert child.wait() == 130
    assert (tmp_path / "cleaned").exists()


def told(line: Sequence[str], out: int, **variables: str) -> tuple[int, str]:
    """Exit status, and stderr, of a command that reads."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *line],
        cwd=ROOT,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("line", [["--help"], ["explain", "name"]])
def test_a_reader_that_has_gone_ends_what_reads_as_other_programs(line: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert told(line, writer) == (141, "")
    os.close(writer)


@pytest.mark.parametrize("line", [["--help"], ["--version"]])
def test_a_disk_that_is_full_is_told_in_a_line(line: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        status, said = told(line, full.fileno())
    assert status == 1
    assert said == (
        "rollout: what was to be printed was not taken (No space left on device); "
        "print it elsewhere\n"
    )


def test_a_letter_that_an_output_has_not_is_written_otherwise(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        chinese = {"LC_ALL": "zh_CN.UTF-8", "PYTHONIOENCODING": "ascii"}
        assert told(["--help"], out.fileno(), **chinese) == (0, "")
    assert "\\u" in (tmp_path / "out").read_text("ascii")


@pytest.mark.parametrize(
    ("line", "does"),
    [
        ("", False),
        ("--help", False),
        ("status m", False),
        ("-v run a.yaml", True),
        ("bench a.yaml", True),
        ("store gc a.yaml", True),
    ],
)
def test_what_acts(line: str, does: bool) -> None:
    assert acts(line.split()) is does
