"""Further words of the same ends; each plain and behind a process's prefix, alone and in a chain.

Wordings of the sources named at each; constructed where none is.
"""

from __future__ import annotations

import pytest

from tasks.diagnose.logs import find

CORE = "(EngineCore_DP0 pid=9) ERROR 09-19 21:54:10 [core.py:843] "
GONE = "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. "
TERMINATED = "(ApiServer_1 pid=12) KeyboardInterrupt: terminated\n"
ABSENT = ": cannot open shared object file: No such file or directory"


def ended(cause: str, told: str = "{}") -> str:
    return (
        f"{CORE}EngineCore failed to start.\n{CORE}Traceback (most recent call last):\n"
        f'{CORE}  File "/x.py", line 1, in f\n{CORE}{cause}\n{GONE}Failed core proc(s): {told}\n'
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        # the torch_musa FAQ, gpustack/gpustack#1116
        (f"ImportError: libsrv_um_MUSA.so{ABSENT}", "driver-library"),
        ("ImportError: libsrv_um_MUSA.so: file too short", "driver-library"),
        # Deep-Spark/ix-container-toolkit mounts it from the host
        (f"OSError: libixthunk.so{ABSENT}", "driver-library"),
        *(
            (f"ImportError: {name}.so{ABSENT}", "toolkit-library")
            for name in ("libcnrt", "libcnnl", "libmcblas", "libmudnn", "libbkcl", "libcorex")
        ),
        # of nobody's list
        *(
            (text, "toolkit-library")
            for text in (
                f"ImportError: libnewvendor_hal.so.3{ABSENT}",
                "ImportError: /usr/local/new/lib/libnewvendor.so: file too short",
                f"OSError: libnewvendor.so{ABSENT}",
                f"python3: error while loading shared libraries: libnewvendor.so.1{ABSENT}",
                f"RuntimeError: dlopen failed: libnewvendor.so{ABSENT}",
                f"  what():  libnewvendor.so{ABSENT}",
            )
        ),
        # a distribution's
        (f"ImportError: libGL.so.1{ABSENT}", "python-import"),
        (f"ImportError: libtorch_cuda.so{ABSENT}", "python-import"),
        # triton-lang/triton third_party/nvidia/backend/driver.py, python/triton/runtime/driver.py
        ("AssertionError: libcuda.so cannot found!", "driver-library"),
        ("RuntimeError: 0 active drivers ([]). There should only be one.", "driver-library"),
        ("RuntimeError: CUDA driver is a stub library", "driver-library"),
        # vllm-project/vllm model_executor/layers/quantization/utils/fp8_utils.py
        (
            "ValueError: Weight output_partition_size = 576 is not divisible by weight "
            "quantization block_n = 128.",
            "quantization-blocks",
        ),
        (
            "ValueError: Weight input_size = 576 is not divisible by weight quantization block_k "
            "= 128.",
            "quantization-blocks",
        ),
        (
            "ValueError: Weight input_size = 576 is not divisible by group_size = 128",
            "quantization-blocks",
        ),
        # vllm-project/vllm v1/worker/gpu_worker.py, v1/engine/utils.py, v1/engine/coordinator.py
        ("AssertionError: DP adjusted local rank 1 is out of bounds.", "too-few-devices"),
        (
            "AssertionError: DP adjusted local rank 1 is out of bounds. Device count: 0",
            "too-few-devices",
        ),
        (
            "Exception: Error setting CUDA_VISIBLE_DEVICES: local range: [4, 8) base value: "
            '"0,1,2,3"',
            "too-few-devices",
        ),
        (
            "RuntimeError: DP Coordinator process failed to report ZMQ addresses within "
            "timeout=120 seconds during startup.",
            "engine-start-timeout",
        ),
        # vllm-project/vllm v1/core/kv_cache_utils.py, as people copy it
        (
            "ValueError: To serve at least one request with the model's max seq len (131072), "
            "9.5 GiB KV cache is needed, which is larger than the available KV cache memory "
            "(3.2 GiB).",
            "kv-cache-too-small",
        ),
        # vllm-project/vllm reasoning/abs_reasoning_parsers.py
        (
            "KeyError: \"Reasoning parser 'qwen3_coder' not found. Available parsers: qwen3\"",
            "arguments",
        ),
        *(
            (
                "RuntimeError: The Inner error is reported as above. The process exits for this "
                f"inner error, and the current working operator name is {name}.",
                code,
            )
            for name, code in (("HcclAllreduce", "collective"), ("MatMulV2", "kernel-fault"))
        ),
        (
            "torch._inductor.exc.InductorError: FileNotFoundError: [Errno 2] No such file or "
            "directory: '/.triton/cache/x'",
            "cache-folder",
        ),
        # python/cpython Lib/getpass.py
        ("OSError: No username set in the environment", "no-such-user"),
        # known to end nothing, and here the only word of an end
        ("PermissionError: [Errno 13] Permission denied: '/.config/vllm'", "cache-folder"),
    ],
)
def test_words_of_an_end(line: str, code: str) -> None:
    benign = "/.config/" in line
    for logs in (ended(line), *(() if benign else (f"{line}\n", f"{CORE}{line}\n"))):
        found = find(logs)
        assert found is not None and found.code == code, logs
        if "newvendor" in line:
            assert not found.hopeless and "not known whether" in found.cause


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        ("ValueError: No available memory for the cache blocks.", "no-kv-cache-memory"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "device-memory"),
        ("AttributeError: 'X' object has no attribute 'y'", None),  # shown as it stands
    ],
)
def test_a_signal_after_the_end_is_not_its_cause(cause: str, code: str | None) -> None:
    found = find(ended(cause) + TERMINATED)
    assert (found.code if found else None) == code
    alone = find(TERMINATED)
    assert alone is not None and alone.code == "terminated"


def test_a_signal_that_ends_the_engine_is_the_cause() -> None:
    found = find(ended("KeyboardInterrupt: terminated"))
    assert found is not None and found.code == "terminated"
