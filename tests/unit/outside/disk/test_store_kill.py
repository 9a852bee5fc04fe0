"""kill -9 at every step of a fetch that touches the store: run again, it ends published."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tasks.outside.disk.files import Journal
from tasks.outside.disk.store import WeightStore
from tests.support.hubs import files, same
from tests.support.places import ROOT
from tests.support.stores import HEAD, Copy, manifest_of

DATA = files(9_000)
_TOUCH = {"open", "os.rename", "os.chmod", "os.mkdir", "os.truncate", "os.remove", "os.rmdir"}


def _die_at(root: str, step: int) -> None:
    """Kill this process at the step-th event below `root` that Python's audit reports."""
    left = step

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        if event in _TOUCH and str(args[0]).startswith(root):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _drive(top: Path) -> None:
    """For each step: a fresh store, a child killed there, then the checks."""
    manifest, steps, resumed = manifest_of(DATA), 0, 0
    while True:
        steps += 1
        root = top / str(steps)
        child = os.fork()
        if child == 0:
            _die_at(str(root), steps)
            WeightStore(root).fetch(manifest, Copy(DATA), parallel=1)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        final = root / "demo" / "tiny" / HEAD
        assert not final.exists() or same(final, DATA), f"half published at step {steps}"
        journal = next(root.glob(".staging/*/verified.jsonl"), None)
        kept = 0
        if journal and not final.exists():
            staged, vouched = journal.parent / "files", Journal(journal)
            kept = sum(e.size for e in manifest.files if vouched.verified(staged, e))
        again = Copy(DATA)
        done = WeightStore(root).fetch(manifest, again)
        assert same(final, DATA) and done.path == final
        assert again.received <= manifest.total_bytes - kept, f"fetched twice at step {steps}"
        assert not list((root / ".staging").iterdir()), f"staging left at step {steps}"
        assert WeightStore(root).prove(manifest) == final
        resumed += kept > 0
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
    print(json.dumps({"steps": steps, "resumed": resumed}))


def test_killed_at_every_step(tmp_path: Path) -> None:
    # A process of its own: forking is for programs without the threads of a test run.
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.outside.disk.test_store_kill", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,  # it waits for the disk at each of its steps
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["steps"] > 30 and result["resumed"] > 10


if __name__ == "__main__":
    _drive(Path(sys.argv[1]))
