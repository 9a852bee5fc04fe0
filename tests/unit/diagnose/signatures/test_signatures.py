"""Log signatures: real wordings are recognised, ordinary start-up chatter is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.diagnose.logs import SIGNATURES, exceptions, find, tail
from tests.support.places import DATA, ROOT

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
        "requested memory for kv (2.25 GiB). Decrease --kv-cache-memory-bytes",
        "set to 2.25 GiB",
    ),
    (
        "memory-share",
        "ValueError: Available memory on node 0 (1.43/3.0 GiB) on kv cache allocation is less than "
        "requested memory for kv (37.25 GiB). Decrease --kv-cache-memory-bytes",
        "take 37.25 GiB, the container has 3.0 GiB in all",
    ),
    (
        "memory-share",
        "ValueError: Available memory on node 0 (1.43/3.0 GiB) on kv cache allocation is less than "
        "requested memory for kv (3.7/4.6 GiB). Reduce CPU memory used by other processes.",
        "take 3.7 GiB, the container has 3.0 GiB in all",
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
    # limits of the container and the host: errno's, torch's, glibc's, gloo's and zmq's own words
    ("image-platform", "exec /usr/bin/python3: exec format error", "processor"),
    ("host-memory", "OSError: [Errno 12] Cannot allocate memory", "host's memory"),
    ("process-limit", "RuntimeError: can't start new thread", "threads"),
    ("file-limit", "OSError: [Errno 24] Too many open files: '/store/a'", "files"),
    ("storage", "OSError: [Errno 116] Stale file handle: '/store/a'", "Stale file handle"),
    (
        "socket-path",
        'zmq.error.ZMQError: ipc path "/very/long" is longer than 107 characters '
        "(sizeof(sockaddr_un.sun_path)).",
        "socket",
    ),
    (
        "network-interface",
        "RuntimeError: [enforce fail at device.cc:83] ifa != nullptr. Unable to find interface "
        "for: bond0",
        "bond0",
    ),
    (
        "name-resolution",
        "socket.gaierror: [Errno -3] Temporary failure in name resolution",
        "Temporary failure",
    ),
    ("native-crash", "Fatal Python error: Segmentation fault", "Segmentation fault"),
    ("tp-split", "AssertionError: 151936 is not divisible by 3", "151936"),
    # forms of rows whose other forms are in tests/field/logs
    (
        "hub-access",
        "OSError: 401 Client Error: Unauthorized for url: https://huggingface.co",
        "hub",
    ),
    ("driver-library", "RuntimeError: Found no NVIDIA driver on your system.", "NVIDIA"),
    (
        "architecture",
        "ValueError: The checkpoint you are trying to load has model type `qwen4` but Transformers "
        "does not recognize this architecture.",
        "qwen4",
    ),
    ("arguments", 'KeyError: "invalid tool call parser: hermez (chose from {})"', "hermez"),
    ("arguments", "ValueError: LoRA rank 64 is greater than max_lora_rank 16.", "64"),
    ("model-config", "AttributeError: 'Qwen4Config' object has no attribute 'rope'", "Qwen4Config"),
    (
        "kernel-unsupported",
        "triton.runtime.errors.OutOfResources: out of resource: shared memory, Required: 147456, "
        "Hardware limit: 101376.",
        "147456",
    ),
    (
        "quantization-unsupported",
        "ValueError: type fp8e4nv not supported in this architecture. The supported fp8 dtypes are",
        "fp8e4nv",
    ),
]


@pytest.mark.parametrize(("code", "line", "says"), LINES)
def test_signature(code: str, line: str, says: str) -> None:
    noise = "INFO 11-23 08:01:02 [api_server.py:120] starting\n"
    found = find(f"{noise}\x1b[1;36m(EngineCore pid=7)\x1b[0;0m ERROR\n{line}\n{noise}")
    assert found is not None and found.code == code
    assert says in found.cause and "{" not in found.cause + found.action
    assert found.line and line.endswith(found.line)


def test_every_row_has_an_example() -> None:
    index = (ROOT / "tests" / "field" / "logs" / "index.psv").read_text().splitlines()
    field = {line.split(" | ")[2] for line in index if not line.startswith("#")}
    assert {row.code for row in SIGNATURES} == {code for code, _, _ in LINES} | field - {"-"}


def test_what_may_pass_is_not_hopeless() -> None:
    passing = {code for code, line, _ in LINES if not find(line).hopeless}  # type: ignore[union-attr]
    assert passing == {
        *("device-busy", "address-in-use", "engine-start-timeout", "engine-killed"),
        *("host-memory", "process-limit", "storage", "native-crash", "name-resolution"),
    }


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


def test_the_page_lists_every_code() -> None:
    page = (ROOT / "docs" / "diagnosis.md").read_text()
    listed = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert listed == list(dict.fromkeys(row.code for row in SIGNATURES))
