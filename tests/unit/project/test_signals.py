"""The tests run the same under nohup, in a shell's background, and in the foreground."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.places import ROOT

CHILD = (
    "import signal; n = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP); "
    "print(*(signal.getsignal(i) is signal.SIG_IGN for i in n), "
    "len(signal.pthread_sigmask(signal.SIG_BLOCK, ())))"
)
PARENT = (
    "import subprocess, sys; from tests.conftest import hear_signals; hear_signals(); "
    f"subprocess.run([sys.executable, '-c', {CHILD!r}])"
)


def deaf() -> None:
    """As a runner leaves it: ignored, and blocked."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))


@pytest.mark.parametrize("before", [None, deaf])
def test_what_tests_start_hears_signals(before: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        preexec_fn=before,  # type: ignore[arg-type]
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "False", "False", "0"]
