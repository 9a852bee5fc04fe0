"""Which of several words tells the end, and words that every vendor has in its own spelling.

Constructed unless a source stands beside it; each plain and behind a process's prefix.
"""

from __future__ import annotations

import pytest

from tasks.diagnose.logs import exceptions, find

PREFIXES = ["", "(Worker_TP1 pid=7) ERROR 09-19 21:54:09 [w.py:1] "]
CORE = "(EngineCore_DP0 pid=9) ERROR 09-19 21:54:10 [core.py:843] "
# pytorch/pytorch#175932
UNKNOWN = "AttributeError: 'RMSNormGated' object has no attribute 'activation'"
KV = (
    "ValueError: No available memory for the cache blocks. Try increasing "
    "`gpu_memory_utilization` when initializing the engine."
)


def ended(cause: str, code: int = 1) -> str:
    """The engine's own chain: it says that it ends, why, and what the server makes of it."""
    return (
        f"{CORE}EngineCore failed to start.\n{CORE}Traceback (most recent call last):\n"
        f'{CORE}  File "/x.py", line 1, in f\n{CORE}{cause}\n(APIServer pid=1) RuntimeError: '
        "Engine core initialization failed. See root cause above. Failed core proc(s): "
        f"{{'EngineCore_DP0': {code}}}\n"
    )


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("line", "code"),
    [
        (
            "RuntimeError: MCCL error in: /p/ProcessGroup.cpp:12, unhandled system error",
            "collective",
        ),
        ("RuntimeError: CNCL error in: /p/group_cncl.cpp:4, unhandled system error", "collective"),
        ("RuntimeError: ECCL error: unhandled system error", "collective"),
        ("RuntimeError: BKCL_INTERNAL_ERROR", "collective"),
        (
            "torch.distributed.DistStoreError: Timed out after 601 seconds waiting for clients. "
            "1/2 clients joined.",
            "collective-timeout",
        ),
        ("ConnectionResetError: [Errno 104] Connection reset by peer", None),
        ("EOFError: Ran out of input", None),
        ("hip runtime failed to load.", None),  # vllm-project/vllm#36167
        # vllm-project/vllm-ascend#6242
        (
            "RuntimeError: Worker failed with error 'Command '['/usr/bin/clang++', '-x', '/a.h']' "
            "returned non-zero exit status 1.', please check the stack trace above",
            "compiler",
        ),
    ],
)
def test_an_end_with_a_word_is_no_kill(line: str, code: str | None, prefix: str) -> None:
    found = find(f"{prefix}{line}\n{ended('RuntimeError: ' + line.split(': ', 1)[-1])}")
    assert (found.code if found else None) == code


def test_only_a_signal_or_silence_is_a_kill() -> None:
    # MetaX-MACA/vLLM-metax#178: the driver's own line, then the chain
    ring = (
        "[07:58:46.633][MXKW][E]queues.c :925 : [mxkwAllocRingBuff]ioctl alloc ringbuffer failed\n"
    )
    failed = "RuntimeError: Engine core initialization failed. See root cause above. Failed core "
    assert find(f"{ring}{failed}proc(s): {{'EngineCore_DP0': 1}}") is None
    for told in ("{'EngineCore_DP0': -9}", "{}"):
        found = find(f"{failed}proc(s): {told}")
        assert found is not None and found.code == "engine-killed"


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    "line",
    [
        "ModuleNotFoundError: No module named 'flash_attn'",
        "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory",
        "PermissionError: [Errno 13] Permission denied: '/root/.config/vllm'",
        "PermissionError: [Errno 13] Permission denied: '/home/app/.config/vllm'",
        "OSError: [Errno 98] Address already in use",
    ],
)
def test_what_a_process_calls_its_end_goes_before_what_came_earlier(line: str, prefix: str) -> None:
    logs = f"{prefix}{line}\n{ended(UNKNOWN)}"
    assert find(logs) is None
    assert UNKNOWN in exceptions(logs)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    "noise",
    [
        # run-llama/llama_index#13019, vllm-project/vllm#8208
        "ImportError: sys.meta_path is None, Python is likely shutting down",
        "TypeError: 'NoneType' object is not callable",
        "AttributeError: 'LLMEngine' object has no attribute 'model_executor'",
    ],
)
@pytest.mark.parametrize("cause", [KV, UNKNOWN])
def test_what_python_ignores_at_the_end_is_noise(cause: str, noise: str, prefix: str) -> None:
    lines = [
        "Exception ignored in: <function BaseEventLoop.__del__ at 0x7f>",
        "Traceback (most recent call last):",
        '  File "/usr/lib/python3.12/asyncio/base_events.py", line 729, in __del__',
        noise,
    ]
    logs = ended(cause) + "\n".join(prefix + line for line in lines)
    found = find(logs)
    assert (found.code if found else None) == ("no-kv-cache-memory" if cause == KV else None)
    assert exceptions(logs) == (cause,)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("line", "code"),
    [
        *(
            (f"PermissionError: [Errno 13] Permission denied: '{home}.{name}/a'", "cache-folder")
            for name in ("tilelang", "ray", "mooncake", "maca", "musa", "neuware", "dtk", "cann")
            for home in ("/", "/root/", "/home/vllm/")
        ),
        ("filesystem error: cannot create directory: Permission denied [/.maca]", "cache-folder"),
        ("PermissionError: [Errno 13] Permission denied: '/nonexistent/x'", "cache-folder"),
        ("PermissionError: [Errno 13] Permission denied: '/models/m/config.json'", "permission"),
        ("RuntimeError: Could not determine home directory.", "no-such-user"),
        *(
            (text, "device-file")
            for text in (
                "Failed to open /dev/mtgpu.0: Permission denied",
                "RuntimeError: open /dev/mxcd failed: Permission denied",
                "open /dev/cambricon_dev0 failed: Permission denied",
                "open device /dev/davinci0 failed, errno=13 Permission denied",
                "Failed to open device /dev/gcu0: No such file or directory",
                "open /dev/xpu0 failed: No such file or directory",
                "open /dev/iluvatar0: Permission denied",
                "PermissionError: [Errno 13] Permission denied: '/dev/dri/renderD128'",
            )
        ),
        *(
            (
                f"OSError: {name}.so.1: cannot open shared object file: No such file",
                "driver-library",
            )
            for name in ("libefml", "libhgml", "libxpuml", "libhydmi", "libmmpa")
        ),
        *(
            (f"OSError: {name}.so: cannot open shared object file: No such file", "toolkit-library")
            for name in ("libmcruntime", "libxpurt", "libtopsrt", "libze_loader")
        ),
        *(
            (
                f"RuntimeError: {name} driver version is insufficient for {name} runtime version",
                code,
            )
            for name, code in (("CUDA", "driver-too-old"), ("MUSA", "driver-too-old"))
        ),
        ("RuntimeError: MUSA error: no MUSA-capable device is detected", "no-device"),
        ("RuntimeError: No MACA GPUs are available", "no-device"),
        ("RuntimeError: MUSA error: invalid device ordinal", "visible-devices"),
        ("RuntimeError: GCU out of memory. Tried to allocate 512.00 MiB", "device-memory"),
        (
            "RuntimeError: unable to open shared memory object </torch_7> in read-write mode: No "
            "space left on device (28)",
            "shared-memory",
        ),
        (
            "rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: Illegal "
            "seek for GPU arch : gfx1150",
            "card-unsupported",
        ),
        (
            "requests.exceptions.HTTPError: 429 Client Error: Too Many Requests for url: "
            "https://huggingface.co/api/models/a/b",
            "hub-access",
        ),
        # vllm-project/vllm#22525
        ("openai_harmony.HarmonyError: error downloading or loading vocab file", "hub-access"),
    ],
)
def test_words_of_every_vendor(line: str, code: str, prefix: str) -> None:
    found = find(prefix + line)
    assert found is not None and found.code == code


def test_an_old_driver_is_renewed() -> None:
    found = find("RuntimeError: CUDA driver version is insufficient for CUDA runtime version")
    assert found is not None and "renew the driver" in found.action
