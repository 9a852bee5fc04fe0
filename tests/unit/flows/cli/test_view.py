"""What a person sees of a rollout: each change once, and why it failed in one message."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from rich.console import Console

from flows.cli.main import log_to_terminal
from flows.cli.run import print_end
from flows.cli.view import showing
from tasks.base.clock import FakeClock
from tasks.base.progress import Progress, emit
from tasks.record.record import read

pytestmark = pytest.mark.usefixtures("time")


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def console(out: io.StringIO, *, terminal: bool = False) -> Console:
    return Console(file=out, width=200, force_terminal=terminal, color_system=None)


def count(done: float, message: str = "", step: str = "fetch_weights") -> Progress:
    return Progress(step, "running", "node-a", message, done, 10, "requests")


def test_every_change_of_a_pod_is_a_line_however_fast(out: io.StringIO) -> None:
    states = ["", "Pending", "ContainerCreating", "Running, not ready yet", "Error", "Error"]
    with showing(console(out), "rollout"):
        for text in states:
            emit(Progress("deploy", "running", "pod-x", text))
    assert (
        out.getvalue().splitlines()
        == [f"[deploy] pod-x running: {text}" for text in states[1:5]]
        + ["[deploy] pod-x running: Error"] * 0
    )


def test_two_pods_do_not_hide_each_other(out: io.StringIO) -> None:
    with showing(console(out), "rollout"):
        for text in ("Pending", "Ready"):
            for pod in ("a", "b"):
                emit(Progress("deploy", "running", pod, text))
    assert len(out.getvalue().splitlines()) == 4


def test_what_only_counts_is_a_line_now_and_then(out: io.StringIO, time: FakeClock) -> None:
    with showing(console(out), "rollout"):
        for done in range(10):
            emit(count(done))
            time.sleep(2)
    assert [line.split()[-5] for line in out.getvalue().splitlines()] == ["0", "3", "6", "9"]


def test_other_words_with_a_count_are_a_change(out: io.StringIO) -> None:
    with showing(console(out), "rollout"):
        emit(count(0, "warming up a, round 1"))
        emit(count(0, "measuring a, round 1"))
        emit(Progress("promote", "running", "m", "soaking, 12 s left", 0, 12, "s"))
        emit(Progress("promote", "running", "m", "soaking, 10 s left", 2, 12, "s"))
        emit(Progress("promote", "done"))
    assert out.getvalue().splitlines() == [
        "[fetch_weights] node-a running: warming up a, round 1, 0 requests of 10 requests",
        "[fetch_weights] node-a running: measuring a, round 1, 0 requests of 10 requests",
        "[promote] m running: soaking, 12 s left, 0 s of 12 s",
        "[promote] m running: soaking, 10 s left, 2 s of 12 s",
        "[promote] done",
    ]


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (Progress("fetch_weights", "done", message="all there"), "[fetch_weights] done: all there"),
        (Progress("fetch_weights", "failed", message="cut"), "[fetch_weights] failed after 0.0 s"),
        (
            Progress("fetch_weights", "failed", "node-a", "no room"),
            "[fetch_weights] node-a failed: no room",
        ),
    ],
)
def test_what_is_pending_at_the_end_is_caught_up(
    out: io.StringIO, end: Progress, last: str
) -> None:
    with showing(console(out), "rollout"):
        for done in (0, 3, 7):
            emit(count(done))
        emit(end)
    first, *rest = out.getvalue().splitlines()
    assert first.endswith("0 requests of 10 requests")
    assert rest == ["[fetch_weights] node-a running: 7 requests of 10 requests", last]


def test_an_end_that_counts_itself_needs_no_catching_up(out: io.StringIO) -> None:
    with showing(console(out), "rollout"):
        for done in (0, 7):
            emit(count(done))
        emit(Progress("fetch_weights", "done", "node-a", "verified", 10, 10, "requests"))
    assert len(out.getvalue().splitlines()) == 2


def test_a_view_that_is_left_early_shows_what_it_held_back(out: io.StringIO) -> None:
    with pytest.raises(KeyboardInterrupt), showing(console(out), "rollout"):
        emit(count(0))
        emit(count(7))
        raise KeyboardInterrupt
    assert out.getvalue().splitlines()[-1].endswith("7 requests of 10 requests")


RECORD: dict[str, Any] = {
    "outcome": "error",
    "sentence": "m will not become ready: no image\n  found: ErrImagePull\n  do: push it",
    "exit_code": 1,
    "logs": ["/r/logs/m-engine.log"],
    "record": "/r/record.json",
}


@pytest.mark.parametrize("terminal", [False, True])
def test_a_failed_step_is_one_message(out: io.StringIO, terminal: bool) -> None:
    here = console(out, terminal=terminal)
    with showing(here, "rollout"):
        emit(Progress("deploy", "started"))
        emit(Progress("deploy", "failed", message="m will not become ready: no image"))
    print_end(here, read(RECORD))
    said = out.getvalue().replace("\x1b[?25h", "")  # the cursor comes back
    assert said.count("no image") == 1
    assert said.splitlines()[-5:] == [
        "error: m will not become ready: no image",
        "  found: ErrImagePull",
        "  do: push it",
        "log: /r/logs/m-engine.log",
        "record: /r/record.json",
    ]


@pytest.mark.parametrize(
    ("benchmark", "bounds"),
    [
        ({"confidence": 0.99}, "99 % bounds"),
        ({"confidence": 0.975}, "97.5 % bounds"),
        ({"max_rounds": 4}, "95 % bounds"),  # a spec is kept without its defaults
    ],
)
def test_the_table_says_at_which_confidence_its_bounds_hold(
    out: io.StringIO, benchmark: dict[str, Any], bounds: str
) -> None:
    target = {
        "metric": "ttft_mean_ms", "load": "c4", "limit": 500.0, "unit": "ms",
        "direction": "at_most", "measured": 250.0, "low": 240.5, "high": 260.0, "verdict": "pass",
    }  # fmt: skip
    judged = {"verdict": "pass", "targets": [target]}
    spec = {"benchmark": benchmark}
    print_end(console(out), read({"schema": 2, **RECORD, "spec": spec, "judge": judged}))
    heading, row = (
        [cell.strip() for cell in line.strip("┃│ ").replace("┃", "│").split("│")]
        for line in out.getvalue().splitlines()
        if "bounds" in line or "ttft" in line
    )
    assert heading == ["target", "limit", "measured", bounds, "verdict"]
    assert row == ["ttft_mean_ms @ c4", "≤ 500", "250", "240.5 … 260", "pass"]


def test_prefects_own_log_is_not_for_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    log_to_terminal()
    logging.getLogger("prefect.some_part").error("with a traceback")
    logging.getLogger("tasks.run.run").error("of ours")
    assert capsys.readouterr().err == "ERROR:tasks.run.run:of ours\n"
    monkeypatch.setattr(root, "handlers", [])
    log_to_terminal(verbose=True)
    logging.getLogger("prefect.some_part").error("with a traceback")
    assert "with a traceback" in capsys.readouterr().err
