"""Logs taken apart: whose line it is, where it stands, what it points at."""

from __future__ import annotations

import pytest

from tasks.diagnose.lines import SEARCHED_CHARS
from tasks.diagnose.logs import exceptions, excerpt, find
from tests.bench.diagnosis import log, searched

# -- whose line, and where

PREFIXES = [
    "(EngineCore_DP0 pid=9) ERROR 09-19 21:54:09 [core.py:1] ",
    "(VllmWorker rank=1 pid=123) ERROR 09-19 21:54:09 [multiproc_executor.py:597] ",
    "(RayWorkerWrapper pid=7, ip=10.0.0.7) ERROR 09-19 21:54:09 [worker.py:1] ",
    "(APIServer pid=1) ",
    "[rank0]: ",
    "ERROR 2026-09-19 21:54:09,123 [core.py:1] ",
    "2026-09-19 21:54:09,123 - vllm.core - ERROR - ",
    "2026-09-19T21:54:09.123456789Z ",
    "[2026-09-19 21:54:09] ERROR: ",
    "ERROR:vllm.core:",
    "\x1b[1;36m(EngineCore pid=7)\x1b[0;0m ERROR 11-25 04:40:25 [core.py:1510] ",
    "[E1125 04:41:34.124135885 utils.cpp:68] ",
]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("python-import", "ModuleNotFoundError: No module named 'vllm'"),
        ("driver-library", "ImportError: libascend_hal.so: cannot open shared object file: No"),
        ("model-len", "max_model_len (99) is greater than the derived max_model_len (1)"),
    ],
)
def test_what_stands_before_a_line_does_not_hide_it(prefix: str, code: str, line: str) -> None:
    found = find(prefix + line)
    assert found is not None and (found.code, found.line) == (code, line)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_unknown_exception_is_told_without_what_stands_before_it(prefix: str) -> None:
    assert exceptions(f"{prefix}ValueError: block_n = 128") == ("ValueError: block_n = 128",)


INFO = "(EngineCore pid=7) INFO 11-25 04:40:25 [core.py:1] Loading weights\n"
DENIED = "PermissionError: [Errno 13] Permission denied: '/.config'"
MATPLOTLIB = f"mkdir -p failed for path /.config/matplotlib: {DENIED[17:]}"
MEMORY = "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2 GiB"


@pytest.mark.parametrize(
    "before",
    [
        f"{MATPLOTLIB}\n",
        f"WARNING 11-25 04:40:25 [x.py:1] {DENIED}\n",
        f"(EngineCore pid=7) ERROR 11-25 04:40:25 [x.py:1] {DENIED}\n{INFO}",
        f"Traceback (most recent call last):\n  File 'x', line 1, in y\n    z()\n{DENIED}\n",
    ],
)
@pytest.mark.parametrize("prefix", ["", "(EngineCore pid=7) ERROR 11-25 04:40:25 [core.py:1] "])
def test_the_later_error_is_the_reason(before: str, prefix: str) -> None:
    found = find(f"{before}{INFO}{prefix}{MEMORY}\n")
    assert found is not None and found.code == "device-memory"


@pytest.mark.parametrize("before", [MATPLOTLIB, f"WARNING 11-25 04:40:25 [x.py:1] {DENIED}"])
def test_what_was_survived_is_not_the_reason_of_an_end_nobody_knows(before: str) -> None:
    logs = f"{before}\n{INFO}(EngineCore pid=7) ERROR 11-25 04:40:25 [c.py:1] ValueError: odd\n"
    assert find(logs) is None
    assert exceptions(logs) == ("ValueError: odd",)


def test_an_error_that_its_process_survived_is_no_reason() -> None:
    denied = "PermissionError: [Errno 13] Permission denied: '/models/x'"
    assert find(f"(EngineCore pid=7) ERROR 11-25 04:40:25 [x.py:1] {denied}\n{INFO}") is None
    # without a tag it is not known who wrote on
    found = find(f"ERROR 11-25 04:40:25 [x.py:1] {denied}\n{INFO.split(') ')[1]}")
    assert found is not None and not found.hopeless


def test_what_others_say_of_a_death_does_not_hide_its_reason() -> None:
    logs = (
        f"(Worker_TP0 pid=5) ERROR 11-25 04:40:25 [w.py:1] {MEMORY}\n"
        "(Worker_TP1 pid=6) ERROR 11-25 04:40:26 [w.py:1] RuntimeError: store->get('0') got "
        "error: Connection reset by peer\n"
        "(EngineCore pid=4) Exception: WorkerProc initialization failed due to an exception in a "
        "background process. See stack trace for root cause.\n"
        "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. "
        "Failed core proc(s): {}\n"
    )
    found = find(logs)
    assert found is not None and found.code == "device-memory"
    odd = logs.replace(MEMORY, "ValueError: The odd 192 is not like block_n = 128.")
    assert find(odd) is None
    assert exceptions(odd) == ("ValueError: The odd 192 is not like block_n = 128.",)


def test_the_last_distinct_exceptions_with_what_goes_on_in_their_message() -> None:
    frames = "Traceback (most recent call last):\n  File 'x', line 1, in y\n    raise a.B(c)\n"
    errors = [f"{frames}KeyError: {number}\n" for number in (1, 2, 2, 3, 4)]
    pydantic = f"{frames}pydantic.ValidationError: 1 error for Config\n  Value error, too long\n"
    logs = "\n".join([*errors, pydantic, "    For further information visit nowhere\n"])
    assert exceptions(logs) == (
        "KeyError: 3",
        "KeyError: 4",
        "pydantic.ValidationError: 1 error for Config Value error, too long",
    )


def test_frames_of_interleaved_workers_are_no_evidence() -> None:
    logs = (
        "(Worker_TP0 pid=5) Traceback (most recent call last):\n"
        "(Worker_TP1 pid=6) Traceback (most recent call last):\n"
        "(Worker_TP0 pid=5)   File 'x', line 1, in y\n"
        "(Worker_TP1 pid=6)     raise E('No available memory for the cache blocks')\n"
        "(Worker_TP0 pid=5) vllm.odd.Strange: sixteen\n"
        "(Worker_TP1 pid=6) vllm.odd.Strange: seventeen\n"
    )
    assert find(logs) is None
    assert exceptions(logs) == ("vllm.odd.Strange: sixteen", "vllm.odd.Strange: seventeen")


def test_an_echo_is_better_than_nothing() -> None:
    assert exceptions("EOFError: EOF when reading a line") == ("EOFError: EOF when reading a line",)


def test_a_log_without_an_exception_shows_its_end() -> None:
    assert exceptions("INFO a\nlast words\n") == ()
    assert excerpt("INFO a\nlast words\n") == ("INFO a", "last words")


def test_a_cause_far_from_the_end_is_found() -> None:
    after = "(Worker_TP1 pid=6) DEBUG 11-25 04:40:26 [w.py:1] waiting for the others\n" * 5000
    found = find(f"(Worker_TP0 pid=5) ERROR 11-25 04:40:25 [w.py:1] {MEMORY}\n{after}")
    assert found is not None and found.code == "device-memory"


@pytest.mark.parametrize("like", [True, False])
def test_what_is_searched_does_not_grow_with_the_log(like: bool) -> None:
    """The signatures' time is by what they search; the last lines are among it."""
    sizes = [searched(log(lines, like=like)) for lines in (1000, 8000)]
    assert sizes[1] <= (sizes[0] if like else SEARCHED_CHARS * 1.05)
    found = find(log(1000, like=like) + "\nRuntimeError: CUDA error: out of memory")
    assert found is not None and found.code == "device-memory"
