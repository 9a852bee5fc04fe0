"""The `rollout` command, but a rollout measures nothing and tells Prefect nothing.

What it does to the cluster is the product's own to the last write. What is left out writes nothing
there, and takes most of the time and of the processor.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import flows.rollout
from flows.cli.main import main
from tasks import steps
from tasks.base import clock
from tasks.outside.prefect.road import Road
from tasks.run.run import Run
from tasks.run.step import optional_step, step
from tasks.verdict.targets import Decision

T = TypeVar("T")
TAKES_S = 2.0
FLOW = flows.rollout.rollout


@step
def benchmark(run: Run, *_: Any) -> tuple[()]:
    """Takes a while, in which it may be killed."""
    clock.sleep(TAKES_S)
    run.say("nothing was measured")
    return ()


@optional_step
def exam(run: Run, *_: Any) -> None:
    """As long as a few answers take."""
    clock.sleep(TAKES_S / 2)
    run.say("nothing was asked")


@step
def judge(run: Run, *_: Any) -> Decision:
    """What no engine reaches is missed."""
    missed = [
        item for item in run.spec.targets if item.metric == "ttft_mean_ms" and item.limit == 1
    ]
    verdict = Decision("fail" if missed else "pass", True, "as the targets are", ())
    run.say(verdict.reason)
    return verdict


def walk(_: Road, name: str, run_name: str, call: Callable[[], T]) -> T:
    """A step that is no task run."""
    return call()


def fan_out(
    _: Road, name: str, calls: Sequence[tuple[str, Callable[[], T]]], *, width: int | None = None
) -> list[T]:
    """Steps that are none, one after the other."""
    return [call() for _, call in calls]


def rollout(*, return_state: bool, **given: Any) -> Any:
    """The flow, as a function."""
    return FLOW.fn(**given)


def command(arguments: Sequence[str], env: dict[str, str], cwd: str, log: str) -> None:
    """One command, in a process that was forked for it."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for here, there in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(here, there)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, m) for n, m in ((0, "r"), (1, "w"), (2, "w")))
    os.environ.update(env)
    os.chdir(cwd)
    with ExitStack() as stand_ins:
        for where, name, what in (
            (steps, "benchmark", benchmark),
            (steps, "exam", exam),
            (steps, "judge", judge),
            (Road, "walk", walk),
            (Road, "fan_out", fan_out),
            (flows.rollout, "rollout", rollout),
        ):
            stand_ins.enter_context(mock.patch.object(where, name, what))
        sys.exit(main(arguments))


class Forked:
    """As a Popen. The product was imported before the fork, which takes longer than all else."""

    def __init__(self, arguments: Sequence[str], env: dict[str, str], cwd: Path, log: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "flows.cli.named", "flows.cli.view"])
        given = (list(arguments), env, str(cwd), str(log))
        with _forking:
            self._process = context.Process(target=command, args=given)
            self._process.start()

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("rollout", timeout or 0)
        return code


_forking = threading.Lock()
