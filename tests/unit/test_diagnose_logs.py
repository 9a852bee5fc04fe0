"""Log signatures: real wordings are recognised, ordinary start-up chatter is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.diagnose_logs import SIGNATURES, find, tail

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
    ("python-import", "ModuleNotFoundError: No module named 'vllm'", "No module named 'vllm'"),
]


@pytest.mark.parametrize(("code", "line", "says"), LINES)
def test_signature(code: str, line: str, says: str) -> None:
    noise = "INFO 11-23 08:01:02 [api_server.py:120] starting\n"
    found = find(f"{noise}\x1b[1;36m(EngineCore pid=7)\x1b[0;0m ERROR\n{line}\n{noise}")
    assert found is not None and found.code == code
    assert says in found.cause and "{" not in found.cause + found.action
    assert found.line == line


def test_every_row_has_an_example() -> None:
    assert {row.code for row in SIGNATURES} == {code for code, _, _ in LINES}


def test_what_may_pass_is_not_hopeless() -> None:
    passing = {code for code, line, _ in LINES if not find(line).hopeless}  # type: ignore[union-attr]
    assert passing == {"device-busy", "address-in-use", "engine-start-timeout"}


@pytest.mark.parametrize(
    "line",
    [
        # vLLM prints its configuration, and warnings it survives, on every good start.
        "INFO Initializing a V1 LLM engine (v0.18.1) with config: model='/m', "
        "trust_remote_code=True, tensor_parallel_size=4, max_seq_len=20000",
        "WARNING 11-23 [registry.py:10] optional import failed: ImportError: libamdhip64.so",
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
