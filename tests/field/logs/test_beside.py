"""What stands beside an end: labels of viewers, warnings, complaints of programs, requests.

Constructed, but for the logs of engines that went on: inputs/benign, each with its source in
benign.psv.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.diagnose.logs import exceptions, find

HERE = Path(__file__).parent
CORE = "(EngineCore_DP0 pid=99) ERROR 11-25 03:11:12 [core.py:842] "
GONE = "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. "
UNKNOWN = "ValueError: nobody knows this"
KILLED = f"{GONE}Failed core proc(s): {{'EngineCore_DP0': -9}}\n"
DIED = (
    "(APIServer pid=1) ERROR 10-14 13:42:23 [core_client.py:564] Engine core proc EngineCore_DP0 "
    "died unexpectedly, shutting down client.\n"
)
ODD = f"{CORE}EngineCore failed to start.\n{CORE}{UNKNOWN}\n{GONE}Failed core proc(s): {{}}\n"
BLOCKS = (
    "ValueError: The output_size of gate's and up's weight = 192 is not divisible by weight "
    "quantization block_n = 128."
)
LABELS = [
    "[pod/m-7c9f/engine] ",  # kubectl logs --prefix
    "[pod/m-7c9f/engine] 2026-11-25T04:41:34.124135885Z ",  # and --timestamps
    "m-7c9f engine ",  # stern
    "ns m-7c9f engine ",
    "0: ",  # srun --label
    "  3: ",
    "[1,0]<stderr>:",  # mpirun --tag-output, as in horovod/horovod#3929
    "2026-11-25T04:41:34+0000 node1 vllm[1]: ",  # journald's ISO clock
    "[0] [0] ",  # meta-pytorch/torchforge pull 109
    "[Stage-0] ",  # vllm-project/vllm-omni#1063
    "  | [Stage-0] ",
    "00:12 ",
    "",
]


@pytest.mark.parametrize("label", LABELS)
def test_a_label_before_every_line_hides_nothing(label: str) -> None:
    worker = "(Worker_TP1 pid=77) ERROR 09-19 21:54:09 [multiproc_executor.py:870] "
    survived = (
        "(EngineCore_DP0 pid=9) WARNING 09-19 21:54:01 [x.py:1] torch.OutOfMemoryError: CUDA out "
        "of memory. Tried to allocate 2 GiB; retrying with a smaller batch"
    )
    for end, code in ((BLOCKS, "quantization-blocks"), (UNKNOWN, None)):
        lines = [
            survived,
            "(EngineCore_DP0 pid=9) INFO 09-19 21:54:02 [core.py:1] Loading weights took 3 s",
            f"{worker}Traceback (most recent call last):",
            f'{worker}  File "/x.py", line 1, in f',
            f"{worker}{end}",
        ]
        logs = "\n".join(label + line for line in lines)
        found = find(logs)
        assert (found.code if found else None) == code
        assert exceptions(logs) == (end,)
        assert found is None or found.who == ("Worker_TP1",)


def test_a_label_is_taken_off_lines_that_begin_as_none_of_the_engines() -> None:
    logs = (
        "m-7c9f engine (APIServer pid=1) INFO 09-19 21:54:02 [core.py:1] starting\n"
        "m-7c9f engine Traceback (most recent call last):\n"
        f'm-7c9f engine   File "/x.py", line 1, in f\nm-7c9f engine     f()\n'
        f"m-7c9f engine {UNKNOWN}"
    )
    assert exceptions(logs) == (UNKNOWN,)


def test_a_sentence_before_an_engines_line_is_no_label_of_others() -> None:
    logs = f'RuntimeError: it said "{CORE}no"\n{UNKNOWN}\n'
    assert exceptions(logs)[-1] == UNKNOWN


BENIGN = [
    tuple(line.split(" | "))
    for line in (HERE / "benign.psv").read_text().splitlines()
    if not line.startswith("#")
]


def test_every_benign_log_has_its_source() -> None:
    files = {path.stem for path in (HERE / "inputs" / "benign").glob("*.log")}
    assert files == {file for file, _ in BENIGN} and len(files) >= 15


@pytest.mark.parametrize(("file", "source"), BENIGN)
def test_an_engine_went_on_after_it(file: str, source: str) -> None:
    logs = (HERE / "inputs" / "benign" / f"{file}.log").read_text()
    assert source and find(logs) is None
    assert find(logs + ODD) is None and exceptions(logs + ODD)[-1] == UNKNOWN
    for end in (KILLED, DIED):
        found = find(logs + end)
        assert found is not None and found.code == "engine-killed"


COMPLAINTS = [
    "/bin/sh: 1: nvcc: not found",
    "bash: /root/.bashrc: Permission denied",
    "/entrypoint.sh: line 3: /etc/profile.d/x.sh: Permission denied",
    "cp: cannot create regular file '/etc/profile.d/x.sh': Permission denied",
    "mkdir: cannot create directory '/root/.cache': Permission denied",
    "renice: failed to set priority for 1 (process ID): Permission denied",
    "/opt/nvidia/entrypoint.d/50-gpu-driver-check.sh: line 5: nvidia-smi: command not found",
    "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: "
    "'/usr/local/lib/python3.12/dist-packages/modelscope'",
    "cpuinfo: Error: cannot open /sys/devices/system/cpu/possible: Permission denied",
    "MIOpen(HIP): Error [SQLiteBase] /root/.config/miopen is not writable: Permission denied",
    "[rank0]:[E1125 03:11:02 CUDASymmetricMemory.cu:300] Device does not support multicasting",
    "[AutoTuner]: OOM detected when tuning trtllm::fused_moe, falling back to default tactic: CUDA "
    "out of memory. Tried to allocate 3.50 GiB.",
    "/x/torch/cuda/__init__.py:829: UserWarning: Can't initialize NVML\n"
    '  warnings.warn("Can\'t initialize NVML")',
    "MIOpen(HIP): Warning [IsEnoughWorkspace] Permission denied: '/root/.config/miopen/a'",
    "libfoo: Warning: libfoo-plugin.so: cannot open shared object file: No such file or directory",
]


@pytest.mark.parametrize("line", COMPLAINTS)
def test_a_complaint_beside_the_engine_yields_to_any_end(line: str) -> None:
    alone = find(line)
    assert alone is None or not alone.hopeless
    assert find(f"{line}\n{ODD}") is None
    for end, code in (
        (KILLED, "engine-killed"),
        (DIED, "engine-killed"),
        (f"{CORE}{BLOCKS}\n", "quantization-blocks"),
    ):
        found = find(f"{line}\n{end}")
        assert found is not None and found.code == code


def test_a_command_that_the_shell_does_not_have_is_the_end() -> None:
    found = find("/bin/sh: 1: vllm: Permission denied")
    assert found is not None and found.code == "command" and found.hopeless


SERVER = "(APIServer pid=1) "
REQUESTS = [
    "ERROR 11-25 03:11:02 [serving_chat.py:257] socket.gaierror: [Errno -2] Name or service not "
    "known",
    "ERROR 11-25 03:11:02 [serving_chat.py:257] requests.exceptions.HTTPError: 403 Client Error: "
    "Forbidden for url: https://huggingface.co/x/img.png",
    "ERROR 11-25 03:11:02 [serving_chat.py:257] requests.exceptions.HTTPError: 404 Client Error: "
    "Not Found for url: https://huggingface.co/datasets/x/y.png",
    "ERROR 11-25 03:11:02 [serving_chat.py:257] PermissionError: [Errno 13] Permission denied: "
    "'/data/img.png'",
    "ERROR 11-25 03:11:02 [serving_chat.py:257] ValueError: This model's maximum context length is "
    "4096 tokens. However, your request has 5000 input tokens.",
    "ERROR:    Exception in ASGI application\n{0}Traceback (most recent call last):\n"
    '{0}  File "/x.py", line 403, in run_asgi\n{0}    result = await app(\n'
    "{0}RuntimeError: Response content longer than Content-Length",
]


@pytest.mark.parametrize("error", REQUESTS)
@pytest.mark.parametrize("tag", [SERVER, ""])
@pytest.mark.parametrize("more", ["INFO 11-25 03:12:02 [loggers.py:123] Engine 000: Avg\n", ""])
def test_a_requests_error_explains_no_death(error: str, tag: str, more: str) -> None:
    answer = 'INFO:     10.0.0.3:4411 - "POST /v1/chat/completions HTTP/1.1" 400 Bad Request\n'
    logs = f"{tag}{error.format(tag)}\n{tag}{answer}{tag + more if more else ''}"
    assert find(logs) is None
    pointed = f"{SERVER}vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue."
    for end in (DIED, f"{DIED}{pointed}\n", KILLED):
        found = find(logs + end)
        assert found is not None and found.code == "engine-killed"
    memory = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"
    found = find(f"{logs}{CORE}EngineCore encountered a fatal error.\n{CORE}{memory}\n{DIED}")
    assert found is not None and found.code == "device-memory"


def test_who_tells_of_anothers_death_goes_on_to_say_so() -> None:
    logs = (
        f"{DIED}{SERVER}ERROR 10-14 13:42:23 [async_llm.py:480] AsyncLLM output_handler failed.\n"
        f'{SERVER}INFO:     10.0.0.3:4411 - "POST /v1/chat/completions HTTP/1.1" 500 Internal '
        f"Server Error\n{SERVER}INFO:     Shutting down\n"
    )
    found = find(logs)
    assert found is not None and found.code == "engine-killed"
