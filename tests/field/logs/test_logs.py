"""How engines really ended: each public log gives its cause, or no wrong one.

inputs: short excerpts of public reports (vLLM on CUDA, ROCm, DTK, CANN, CPU and others), personal
details replaced. index.psv names for each its platform, the right code, whether waiting may help,
and the source. Where a report tells its cause in the title only, that line was completed by hand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tasks.diagnose.logs import exceptions, excerpt, find
from tasks.diagnose.signatures import SIGNATURES

HERE = Path(__file__).parent
CASES = HERE / "inputs" / "cases"


class Row(NamedTuple):
    file: str
    platform: str
    code: str
    passes: str
    source: str


ROWS = [
    Row(*line.split(" | "))
    for line in (HERE / "index.psv").read_text().splitlines()
    if not line.startswith("#")
]


def log(file: str) -> str:
    return (HERE / "inputs" / f"{file}.log").read_text()


@pytest.mark.parametrize("row", ROWS, ids=[row.file for row in ROWS])
def test_a_real_end(row: Row) -> None:
    found = find(log(row.file))
    if row.code == "-":
        assert found is None  # nobody knows it: its own words are shown
        assert excerpt(log(row.file))
        return
    assert found is not None, exceptions(log(row.file))
    assert (found.code, "no" if found.hopeless else "yes") == (row.code, row.passes)
    assert found.cause and found.action
    assert not re.search(r"\{\w+\}", found.cause + found.action)  # a group that nothing filled


def test_the_logs_are_of_every_platform() -> None:
    assert len([row for row in ROWS if row.code != "-"]) >= 170
    assert {"CUDA", "ROCm", "DTK", "CANN", "CPU"} <= {row.platform for row in ROWS}
    form = re.compile(r"[\w.-]+/[\w.-]+(?:#\d+| pull \d+| [\w./-]+\.(?:md|log|py))")
    assert [row.source for row in ROWS if not form.fullmatch(row.source)] == []


def test_every_row_of_the_table_names_its_source_or_is_vllms() -> None:
    own = {row.code for row in SIGNATURES if not row.source}
    assert own <= {
        *("tp-heads", "device-busy", "memory-share", "kv-cache-too-small", "no-kv-cache-memory"),
        *("model-len", "architecture", "weights-broken", "weights-missing", "permission"),
        *("shared-memory", "python-import", "engine-killed"),
    }


# -- the cases


def test_c08_block_fp8_is_a_question_of_the_cut() -> None:
    found = find((CASES / "c08_block_fp8_crash.log").read_text())
    assert found is not None and found.code == "quantization-blocks" and found.hopeless
    assert "192" in found.cause and "128" in found.cause
    assert "--enable-expert-parallel" in found.action
    assert found.who == ("Worker_TP0",) and found.said.startswith("Worker_TP0: ValueError")


@pytest.mark.parametrize("prefix", ["", "(EngineCore_DP0 pid=9) ", "[rank0]: "])
@pytest.mark.parametrize("file", ["c12_driver_library", "c12_driver_library_cuda"])
def test_c12_the_hosts_driver_is_not_mounted(file: str, prefix: str) -> None:
    lines = (CASES / f"{file}.log").read_text().splitlines()
    found = find("\n".join(prefix + line for line in lines))
    assert found is not None and found.code == "driver-library" and found.hopeless
    assert "driver is not mounted" in found.cause
    assert "resource" in found.action and "runtime class" in found.action
    assert "image" not in found.action


def test_c19_triton_wants_a_home() -> None:
    found = find((CASES / "c19_triton_home.log").read_text())
    assert found is not None and found.code == "cache-folder"
    assert "/.triton" in found.cause and "HOME" in found.action and "serving.env" in found.action
    assert "store's owner" not in found.action


C20 = (CASES / "c20_no_signature.log").read_text().split("---\n")


@pytest.mark.parametrize(
    ("text", "code", "does"),
    list(
        zip(
            C20,
            [
                "dtype-unsupported",
                "card-unsupported",
                "card-unsupported",
                "driver-too-old",
                "visible-devices",
                "device-file",
            ],
            ["--dtype half", "image", "image", "renew the driver", "serving.env", "group"],
            strict=True,
        )
    ),
)
@pytest.mark.parametrize("prefix", ["", "(Worker_TP1 pid=7) ERROR 09-19 21:54:09 [w.py:1] "])
def test_c20_a_cause_at_once(text: str, code: str, does: str, prefix: str) -> None:
    found = find(prefix + text)
    assert found is not None and found.code == code and found.hopeless
    assert does in found.action


@pytest.mark.parametrize(
    "benign",
    [
        "mkdir -p failed for path /.config/matplotlib: [Errno 13] Permission denied: '/.config'",
        "[Errno 13] Permission denied: '/.config/matplotlib' is not a writable directory",
        "(EngineCore pid=84) PermissionError: [Errno 13] Permission denied: '/.config'",
        "Traceback (most recent call last):\n  File 'u.py', line 1, in r\n    os.makedirs(p)\n"
        "PermissionError: [Errno 13] Permission denied: '/.config/vllm'",
    ],
)
@pytest.mark.parametrize(
    ("real", "code"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "device-memory"),
        ("PermissionError: [Errno 13] Permission denied: '/.triton'", "cache-folder"),
        ("ValueError: nobody knows this", None),
    ],
)
def test_c21_the_later_error_is_the_reason(benign: str, real: str, code: str | None) -> None:
    found = find(f"{benign}\n(EngineCore pid=84) ERROR 11-25 04:40:25 [core.py:1] {real}\n")
    assert (found.code if found else None) == code
    assert exceptions(f"{benign}\n{real}")[-1] == real


# Lines of engines that served (sources in tasks/diagnose/benign.py and beside each).
BENIGN = [
    # vllm-project/vllm-ascend#703
    "ERROR 04-28 16:10:09 camem.py:69] Failed to import vllm_ascend_C:No module named "
    "'vllm_ascend.vllm_ascend_C'",
    # vllm-project/vllm-ascend#1305
    "WARNING 06-16 15:10:59 [_custom_ops.py:21] Failed to import from vllm._C with ImportError("
    "'libcudart.so.12: cannot open shared object file: No such file or directory')",
    # ROCm/aiter#1395
    "(APIServer pid=93425) ERROR 11-12 15:30:30 [config.py:306] Error retrieving safetensors: Repo "
    "id must be in the form 'repo_name' or 'namespace/repo_name': '/models/openai_gpt-oss-20b'.",
    # vllm-project/vllm#15598
    "INFO 03-27 10:29:03 [model_runner.py:1442] If out-of-memory error occurs during cudagraph "
    "capture, consider decreasing `gpu_memory_utilization`",
    # intel/ipex-llm#12184
    'WARNING 10-11 06:19:27 ray_utils.py:46] Failed to import Ray with ModuleNotFoundError("No '
    "module named 'ray'\").",
    # ROCm/legacy-rocm-build#5788
    "failed jit build [module_aiter_enum]",
    # vllm-project/vllm#24016
    "get_mempolicy: Operation not permitted",
    # Project-HAMi/HAMi#1776
    "Could not open /var/log/hylog/.",
    # vllm-project/vllm#15800
    "DEBUG 03-31 16:14:34 [__init__.py:76] Exception happens when checking CUDA platform: NVML "
    "Shared Library Not Found",
    # vllm-project/vllm#28460
    "[Gloo] Rank 0 is connected to 0 peer ranks. Expected number of connected peer ranks is : 0",
    # vllm-project/vllm#6090
    "Special tokens have been added in the vocabulary, make sure the associated word embeddings "
    "are fine-tuned or trained.",
]


@pytest.mark.parametrize("line", BENIGN)
def test_a_benign_line_is_no_cause_and_hides_none(line: str) -> None:
    assert find(line) is None
    found = find(f"{line}\nRuntimeError: CUDA error: out of memory\n{line}\n")
    assert found is not None and found.code == "device-memory"


@pytest.mark.parametrize(
    "line",
    [
        # as vLLM's CUDACHECK and NCCLCHECK write it: no traceback, and the process is gone
        "Failed: Cuda error /workspace/csrc/custom_quickreduce.cu:88 'operation not permitted'",
        "Failed: /workspace/csrc/custom_quickreduce.cu:41 'odd'",
        "Failed, NCCL error /workspace/csrc/x.cpp:41 'odd'",
    ],
)
def test_a_failed_check_is_an_exception_and_no_kill(line: str) -> None:
    pointer = "RuntimeError: Engine core initialization failed. See root cause above. Failed core "
    logs = f"{line}\n(APIServer pid=1) {pointer}proc(s): {{}}\n"
    assert find(logs) is None
    assert exceptions(logs) == (line,)


@pytest.mark.parametrize(
    ("line", "code", "cause", "action"),
    [
        (
            "AssertionError: Error in memory profiling. Initial free memory 84825604096, current "
            "free memory 84895072256. This happens when the GPU memory was not properly cleaned up",
            *("device-busy", "79 GiB were free before, 79.06 GiB after", "come to rest"),
        ),
        (
            "AssertionError: Error in memory profiling. Initial free memory 30.3 GiB, current free "
            "memory 30.3 GiB. This happens when other processes sharing the same container",
            *("device-busy", "30.3 GiB after", "newer image"),
        ),
        (
            "AssertionError: DP adjusted local rank 3 is out of bounds for 2 devices.",
            *("too-few-devices", "2 device(s)", "as many devices as ranks"),
        ),
        (
            "AssertionError: local_world_size (8) exceeds assigned_physical_gpu_ids count (4)",
            *("too-few-devices", "8 ranks", "as many devices as ranks"),
        ),
        (
            "ValueError: Cannot provide a placement group requiring 16 GPUs (placement_group_specs="
            "[{'GPU': 1.0}]) within 1800 seconds.",
            *("ray-placement", "", "mp"),
        ),
        (
            "vllm.exceptions.VLLMValidationError: The supplied chat template (a.jinja) looks like "
            "a file path, but it failed to be opened. Tried: a.jinja and /x/a.jinja.",
            *("arguments", "chat template a.jinja", "--chat-template"),
        ),
        (
            "Failed: Cuda error /workspace/csrc/custom_all_reduce.cuh:455 'invalid argument'",
            *("collective-peer", "invalid argument", "expandable_segments"),
        ),
        (
            "Failed: Cuda error csrc/custom_all_reduce.cuh:455 'an illegal memory access was "
            "encountered'",
            *("kernel-fault", "", "--enforce-eager"),
        ),
    ],
)
def test_words_of_vllm_032(line: str, code: str, cause: str, action: str) -> None:
    # vllm 0.32: v1/worker/gpu_worker.py, v1/executor/ray_utils.py, renderers/chat_utils.py,
    # csrc/custom_all_reduce.cuh; the bytes are those of releases before 0.10
    found = find(line)
    assert found is not None and found.code == code
    assert cause in found.cause and action in found.action


# -- shapes of lines (sources beside each)

SHAPES = [
    "INFO 2025-11-19T20:16:36.096Z [resource.labels.containerName: vllm] ",  # vllm#29049
    "2026-06-09 14:01:52.982 [Error] (Process) ",  # lemonade-sdk/vllm-rocm#5
    "Aug 17 18:42:18 vllm vllm[8052]: ",  # community-scripts/ProxmoxVED#2047
    "2024-02-08T08:40:56.161618385Z stderr F ",  # CRI's format
    "3597\t",  # vllm-project/vllm#35679
    "  | ",  # vllm-project/vllm#6042
    "gemma-vllm-server  | ",
    "2024-11-18T16:43:45,496 [INFO ] W-9000-model_1.0-stdout MODEL_LOG - ",
    "[VLLM LOG] ",
    "Loading safetensors checkpoint shards:   0% 0/1 [00:00<?, ?it/s]",  # unslothai/unsloth#3366
    "\x1b[1;36m",
    "",
]
TAGS = [
    "(Worker_TP0 pid=77) ERROR 09-19 21:54:09 [multiproc_executor.py:597] ",
    "ERROR:    (Worker_TP0 pid=77) ERROR 09-19 21:54:09 [v1/executor/x.py:597] ",
    "(APIServer pid=1) (Worker_TP0 pid=77) ERROR 09-19 21:54:09 [core.py:936] ",
    "(vllm-test, pid=2150) (Worker_TP0 pid=77) ERROR 09-19 21:54:09 [core.py:936] ",
    "(Worker_TP0 pid=77) ERROR [multiproc_executor.py:511] ",
    "(Worker_TP0 pid=77) ERROR 07-24 08:26:01 multiproc_worker_utils.py:226] ",
    "(Worker_TP0 pid=77) ERROR 07-24 08:26:01 [serving_chat.py:1136[] ",
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tag", TAGS)
def test_what_stands_before_is_taken_off_and_the_process_named(shape: str, tag: str) -> None:
    logs = f"{shape}{tag}ValueError: block_n = 128\n"
    assert exceptions(logs) == ("ValueError: block_n = 128",)
    found = find(f"{shape}{tag}RuntimeError: CUDA error: out of memory\n")
    assert found is not None and found.who == ("Worker_TP0",)


@pytest.mark.parametrize("colour", ["ESC[1;36m{}ESC[0;0m", "^[[1;36m{}^[[0;0m", "36m{}0m"])
def test_a_colour_that_a_paste_damaged(colour: str) -> None:
    # vllm-project/vllm#22793, ByteDance-Seed/seed-oss#10, gpustack/gpustack#4194
    tag = colour.format("(EngineCore_DP0 pid=820)")
    line = f"{tag} ERROR 01-08 09:17:07 [core.py:708] RuntimeError: CUDA error: out of memory"
    found = find(line)
    assert found is not None and found.who == ("EngineCore_DP0",)


def test_a_collectors_json_is_unwrapped() -> None:
    line = '{"log": "(EngineCore pid=7) ValueError: odd\\n", "stream": "stderr"}'
    assert exceptions(line) == ("ValueError: odd",)


def test_ranks_that_say_the_same_with_other_figures_are_one() -> None:
    logs = "\n".join(
        f"(Worker_TP{rank} pid={70 + rank}) ValueError: card {rank} has {rank}.5 GiB"
        for rank in range(4)
    )
    assert exceptions(logs) == ("ValueError: card 3 has 3.5 GiB",)


def test_a_pointer_never_wins_over_what_it_points_at() -> None:
    logs = (
        "ERROR 07-01 13:54:43 multiproc_worker_utils.py:120] Worker VllmWorkerProcess pid 1159 "
        "died, exit code: -6\n"
        "(Worker_TP1 pid=6) ERROR 11-25 04:40:25 [w.py:1] ValueError: nobody knows this\n"
        "[rank0]:[E ProcessGroupNCCL.cpp:563] [Rank 0] Watchdog caught collective operation "
        "timeout: WorkNCCL(SeqNum=2, OpType=ALLREDUCE) ran for 600059 milliseconds\n"
        "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. "
        "Failed core proc(s): {}\n"
    )
    assert find(logs) is None
    assert exceptions(logs) == ("ValueError: nobody knows this",)


def test_an_assertion_without_words_is_told_with_what_it_asserts() -> None:
    frames = 'Traceback (most recent call last):\n  File "x", line 1\n    assert a == b\n'
    logs = f"{frames}AssertionError\n"
    assert exceptions(logs) == ("AssertionError: assert a == b",)


@pytest.mark.parametrize(
    "line",
    [
        # vllm-project/vllm#8978, NVIDIA/nccl's words where no plugin is there
        "node0001:2949601:2949642 [0] NCCL INFO comm 0x55fb rank 0 nranks 4 - Init COMPLETE",
        "node0001:41:90 [0] NCCL INFO NET/Plugin : dlerror=libnccl-net.so: cannot open shared "
        "object file: No such file or directory No plugin found (libnccl-net.so), using internal",
    ],
)
def test_a_librarys_chatter_is_no_life_and_no_cause(line: str) -> None:
    assert find(line) is None
    found = find(f"ImportError: libcuda.so.1: cannot open shared object file: No\n{line}\n")
    assert found is not None and found.code == "driver-library" and found.hopeless


# Ends of logs of engines that served, or that were still starting.
SERVED = [
    # gpustack/gpustack#4300
    'INFO:     10.0.0.201:50028 - "POST /v1/chat/completions HTTP/1.1" 200 OK\n'
    "INFO 01-19 13:55:01 [launcher.py:80] Shutting down FastAPI HTTP server.\n"
    "[rank0]:[W119 13:55:02.151101192 ProcessGroupNCCL.cpp:1479] Warning: WARNING: "
    "destroy_process_group() was not called before program exit, which can leak resources.\n"
    "INFO:     Application shutdown complete.\n",
    # vllm-project/vllm#19577
    "DEBUG 06-12 19:58:31 [__init__.py:45] TPU platform is not available because: No module named "
    "'libtpu'\nDEBUG 06-12 19:58:31 [__init__.py:93] CUDA platform is not available because: NVML "
    "Shared Library Not Found\n",
    # vllm-project/vllm-ascend#3177
    "INFO 09-25 02:22:50 __init__.py:198] Platform plugin ascend is activated\n"
    "WARNING:root:Warning: Failed to register custom ops, all custom ops will be disabled\n",
    # vllm-project/vllm#13978: a request's error, which the server survives
    'ERROR:    Exception in ASGI application\nTraceback (most recent call last):\n  File "/x.py", '
    "line 409, in run_asgi\n    result = await app(\njinja2.exceptions.TemplateError: no\n"
    "INFO 01-19 13:50:57 [loggers.py:122] Engine 000: Avg prompt throughput: 30.7 tokens/s\n",
]


@pytest.mark.parametrize("logs", SERVED)
def test_an_engine_that_served_has_no_cause(logs: str) -> None:
    assert find(logs) is None
