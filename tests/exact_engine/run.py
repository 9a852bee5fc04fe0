"""Ways to run the exact engine: in a thread, or as its own process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.exact_engine.laws import Behaviour, Truth
from tests.exact_engine.server import ExactEngine

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def in_thread(
    behaviour: Behaviour, *, model: str = "exact", max_model_len: int | None = None
) -> Iterator[tuple[ExactEngine, str]]:
    """Run an engine in a thread; yields it and its url without /v1.

    Dying (Behaviour.die_after) closes every connection and the port.
    """
    loop = asyncio.new_event_loop()
    started = threading.Event()

    def die() -> None:
        dying.append(loop.create_task(engine.close()))

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(engine.serve())
        started.set()
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()

    dying: list[asyncio.Task[None]] = []
    engine = ExactEngine(behaviour, model=model, max_model_len=max_model_len, die=die)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not started.wait(60):
        raise RuntimeError("the exact engine did not start in 60 s")
    try:
        yield engine, f"http://127.0.0.1:{engine.port}"
    finally:
        asyncio.run_coroutine_threadsafe(engine.close(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)


@dataclass(frozen=True)
class Spawned:
    """An engine in its own process."""

    url: str
    process: subprocess.Popen[bytes]
    truth_file: Path

    def truths(self) -> list[Truth]:
        """What really happened; complete once the process has ended."""
        lines = self.truth_file.read_text(encoding="utf-8").splitlines()
        return [Truth(**json.loads(line)) for line in lines]

    def stop(self) -> None:
        """End the process, so that `truths` is complete."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)


@contextmanager
def spawn(behaviour: Behaviour, *args: str) -> Iterator[Spawned]:
    """Run an engine as its own process with more command-line `args`."""
    with tempfile.TemporaryDirectory(prefix="exact-engine-") as folder:
        ready, truth = Path(folder) / "ready", Path(folder) / "truth.jsonl"
        truth.touch()
        command = [sys.executable, "-m", "tests.exact_engine", "--port", "0"]
        command += ["--ready", str(ready), "--truth", str(truth), *args]
        env = {**os.environ, "EXACT_ENGINE": behaviour.dumps()}
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 120
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the exact engine did not start (rc {process.poll()})")
                time.sleep(0.02)
            yield Spawned(ready.read_text(encoding="utf-8").strip(), process, truth)
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(60)
