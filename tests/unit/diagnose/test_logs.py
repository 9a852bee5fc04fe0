"""Log signatures: real wordings are recognised, ordinary start-up chatter is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.diagnose.logs import SIGNATURES, exceptions, excerpt, find, tail
from tests.support.places import DATA

# What vLLM 0.32 wrote on a CPU when it was started so; paths replaced.
RECORDED = DATA / "logs"

# One line each as the engine writes it (vLLM 0.8 to 0.32, public reports named in the table).
LINES = [
    (
        "tp-heads",
        "Value error, Total number of attention heads (28) must be divisible by tensor parallel "
        "size (8). [type=value_error]",
        "28 attention heads cannot be split over 8",
    ),
    (
        "toolkit-path-leak",
        "RuntimeError: ROCm compiler /opt/dtk/.hyhal/llvm/bin/clang not found",
        "ROCM_PATH",
    ),
    ("no-device", "RuntimeError: HIP error: no ROCm-capable device is detected", "no accelerator"),
    ("no-device", "RuntimeError: Failed to infer device type", "no accelerator"),
    ("device-file", "OSError: [Errno 6] No such device: '/dev/dri/card1'", "/dev/dri/card1"),
    ("device-file", "hsa_init failed, /dev/kfd: Permission denied", "/dev/kfd"),
    (
        "device-busy",
        "ValueError: Free memory on device cuda:0 (3.1/63.98 GiB) on startup is less than desired "
        "GPU memory utilization (0.92, 58.86 GiB).",
        "3.1 of 63.98",
    ),
    (
        "device-busy",
        "ValueError: Free memory on device (2.10/15.6 GiB) on startup is less than desired GPU "
        "memory utilization (0.92, 14.35 GiB).",
        "2.10 of 15.6",
    ),
    (
        "kv-cache-too-small",
        "ValueError: The model's max seq len (32768) is larger than the maximum number of tokens "
        "that can be stored in KV cache (7344). Try increasing `gpu_memory_utilization`",
        "7344 tokens do",
    ),
    (
        "kv-cache-too-small",
        "ValueError: To serve at least one request with the model's max seq len (20000), (4.88 "
        "GiB KV cache is needed, which is larger than the available KV cache memory (1.21 GiB).",
        "needs 4.88 GiB of KV cache, 1.21 GiB are left",
    ),
    ("no-kv-cache-memory", "ValueError: No available memory for the cache blocks.", "weights"),
    (
        "model-len",
        "Value error, User-specified max_model_len (99999) is greater than the derived "
        "max_model_len (max_position_embeddings=8192.0 or model_max_length=None in config)",
        "99999",
    ),
    (
        "remote-code",
        "RuntimeError: Failed to load the model config. If the model is a custom model not yet "
        "available in the HuggingFace transformers library, consider setting "
        "`trust_remote_code=True` in LLM",
        "own Python code",
    ),
    (
        "remote-code",
        "ValueError: The repository for /m contains custom code which must be executed to "
        "correctly load the model.",
        "own Python code",
    ),
    (
        "architecture",
        "Value error, Model architectures ['Qwen4ForCausalLM'] are not supported for now. "
        "Supported architectures: dict_keys([])",
        "'Qwen4ForCausalLM'",
    ),
    (
        "architecture",
        "Model architecture Phi3SmallForCausalLM was supported in vLLM until v0.9.2, and is not",
        "Phi3SmallForCausalLM",
    ),
    (
        "arguments",
        "api_server.py: error: unrecognized arguments: --disable-cascade-atn",
        "--disable-cascade-atn",
    ),
    ("arguments", "api_server.py: error: argument --dtype: invalid choice: 'bf16'", "--dtype"),
    ("device-memory", "torch.OutOfMemoryError: HIP out of memory. Tried to allocate", "ran out"),
    ("device-memory", "torch.cuda.OutOfMemoryError: CUDA out of memory.", "ran out"),
    (
        "weights-broken",
        "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge",
        "damaged",
    ),
    (
        "weights-missing",
        "RuntimeError: Cannot find any model weights with `/models/deepseek`",
        "not where",
    ),
    ("shared-memory", "ERROR: Unexpected bus error encountered in worker. ... Bus error", "shared"),
    (
        "permission",
        "PermissionError: [Errno 13] Permission denied: '/models/deepseek/config.json'",
        "/models/deepseek/config.json",
    ),
    (
        "address-in-use",
        "OSError: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address "
        "already in use",
        "port",
    ),
    (
        "device-busy",
        "(VllmWorker-0 pid=21417) ERROR 11-24 00:02:33 [multiproc_executor.py:953] ValueError: "
        "Available memory on node 0 (7.32/9.34 GiB) on startup is less than desired CPU memory "
        "utilization (0.97, 9.06 GiB).",
        "7.32 of 9.34",
    ),
    (
        "weights-missing",
        "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or "
        "'namespace/repo_name': '/models/absent'.",
        "not where",
    ),
    (
        "engine-start-timeout",
        "TimeoutError: Timed out waiting for engine core processes to start. This is often caused "
        "by slow weight loading for large models. Waited 600s",
        "gave up",
    ),
    (
        "shared-memory",
        "RuntimeError: Insufficient space in /dev/shm for shared-memory allocation: 160 MiB "
        "required, 64 MiB free. Increase /dev/shm (e.g. --shm-size or --ipc=host).",
        "160 MiB of shared memory (/dev/shm), 64 MiB",
    ),
    (
        "memory-share",
        "ValueError: Available memory on node 0 (4.42/6.0 GiB) on kv cache allocation is less than "
        "requested memory for kv (-0.3/0.6 GiB). Reduce CPU memory used by other processes.",
        "0.6 of 6 GiB and the engine's worker alone holds 0.9 GiB",
    ),
    (
        "device-busy",
        "ValueError: Available memory on node 0 (1.0/6.0 GiB) on kv cache allocation is less than "
        "requested memory for kv (2.7/3.6 GiB). Reduce CPU memory used by other processes.",
        "2.7 GiB, 1.0 of 6.0 GiB are free",
    ),
    (
        "device-busy",
        "ValueError: Available memory on node 0 (1.43/3.0 GiB) on kv cache allocation is less than "
        "requested memory for kv (37.25 GiB). Decrease --kv-cache-memory-bytes",
        "set to 37.25 GiB",
    ),
    (
        "driver-library",
        "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
        "libcuda.so.1 is not in the container",
    ),
    (
        "engine-killed",
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core "
        "proc(s): {'EngineCore': -9}",
        "SIGKILL",
    ),
    (
        "engine-killed",
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core "
        "proc(s): {}",
        "without a word",
    ),
    ("python-import", "ModuleNotFoundError: No module named 'vllm'", "No module named 'vllm'"),
]


@pytest.mark.parametrize(("code", "line", "says"), LINES)
def test_signature(code: str, line: str, says: str) -> None:
    noise = "INFO 11-23 08:01:02 [api_server.py:120] starting\n"
    found = find(f"{noise}\x1b[1;36m(EngineCore pid=7)\x1b[0;0m ERROR\n{line}\n{noise}")
    assert found is not None and found.code == code
    assert says in found.cause and "{" not in found.cause + found.action
    assert found.line and line.endswith(found.line)


def test_every_row_has_an_example() -> None:
    assert {row.code for row in SIGNATURES} == {code for code, _, _ in LINES}


def test_what_may_pass_is_not_hopeless() -> None:
    passing = {code for code, line, _ in LINES if not find(line).hopeless}  # type: ignore[union-attr]
    assert passing == {"device-busy", "address-in-use", "engine-start-timeout", "engine-killed"}


@pytest.mark.parametrize(
    "line",
    [
        # vLLM prints its configuration, and warnings it survives, on every good start.
        "INFO Initializing a V1 LLM engine (v0.18.1) with config: model='/m', "
        "trust_remote_code=True, tensor_parallel_size=4, max_seq_len=20000",
        "WARNING 11-23 [registry.py:10] optional import failed: ImportError: libamdhip64.so",
        "(APIServer pid=7) WARNING 11-25 04:40:59 [system_utils.py:255] Found ulimit of 20000 and "
        "failed to increase it. This can cause errors like `OSError: [Errno 98] Address already "
        "in use`.",
        "/opt/engine/torch/cuda/__init__.py:129: UserWarning: No CUDA GPUs are available",
        "INFO Available KV cache memory: 20.1 GiB",
        "INFO Maximum concurrency for 20,000 tokens per request: 4.1x",
        "INFO:     Application startup complete.",
    ],
)
def test_ordinary_lines_are_no_finding(line: str) -> None:
    assert find(line) is None


@given(st.text(max_size=2000), st.integers(1, 30))
def test_any_text_is_survived(text: str, lines: int) -> None:
    find(text)
    last = tail(text, lines)
    assert len(last) <= lines and all(line.strip() for line in last)


@pytest.mark.parametrize(
    ("file", "code", "does", "not_does"),
    [
        ("shm-64MiB", "shared-memory", "shm_gib to 1 or more", "lower"),
        ("cpu-share-too-small", "memory-share", "raise serving.gpu_memory_utilization", "lower"),
        ("cpu-share-too-large", "device-busy", "lower serving.gpu_memory_utilization to 0.91", "?"),
        ("cpu-limit-too-small", "device-busy", "raise serving.resources.memory", "lower"),
        ("core-killed", "engine-killed", "raise serving.resources.memory", "lower"),
    ],
)
def test_the_whole_log_of_a_real_crash(file: str, code: str, does: str, not_does: str) -> None:
    logs = (RECORDED / f"vllm-0.32-{file}.log").read_text()
    found = find(logs)
    assert found is not None and found.code == code
    assert does in found.action and not_does not in found.action
    shown = "\n".join(exceptions(logs))
    assert "See root cause above" not in shown and "WorkerProc initialization failed" not in shown


@pytest.mark.parametrize(
    ("free", "asked", "does", "not_does"),
    [
        ("21.43", "23.07", "lower serving.gpu_memory_utilization to 0.91 or less", "cannot help"),
        ("0.69", "1.7", "raise serving.resources.memory", "lower"),
    ],
)
def test_on_a_cpu_the_figures_decide(free: str, asked: str, does: str, not_does: str) -> None:
    found = find(
        f"ValueError: Available memory on node 0 ({free}/23.54 GiB) on startup is less than "
        f"desired CPU memory utilization (0.98, {asked} GiB)."
    )
    assert found is not None and does in found.action and not_does not in found.action


@pytest.mark.parametrize(
    ("free", "does"), [("50.1", "to 0.78 or less"), ("3.1", "would not do for any smaller share")]
)
def test_on_a_card_the_figures_decide(free: str, does: str) -> None:
    found = find(
        f"ValueError: Free memory on device cuda:0 ({free}/63.98 GiB) on startup is less than "
        "desired GPU memory utilization (0.92, 58.86 GiB)."
    )
    assert found is not None and "what else holds the card" in found.action
    assert does in found.action


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


def test_an_error_that_its_process_survived_is_no_reason_to_give_up() -> None:
    found = find(f"(EngineCore pid=7) ERROR 11-25 04:40:25 [x.py:1] {DENIED}\n{INFO}")
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
    odd = logs.replace(MEMORY, "ValueError: The output_size 192 is not divisible by block_n = 128.")
    assert find(odd) is None
    assert exceptions(odd) == (
        "ValueError: The output_size 192 is not divisible by block_n = 128.",
    )


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
