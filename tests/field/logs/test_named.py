"""Ends whose words name a thing that a weaker row took for another, or that had none.

Words of the sources named at each; 'constructed' where no public report of them was found.
"""

from __future__ import annotations

import pytest

from tasks.diagnose.logs import find

CORE = "(EngineCore_DP0 pid=9) ERROR 09-19 21:54:10 [core.py:843] "
GONE = "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. "

# (line, code, hopeless, words of the cause, words of the action)
NAMED = [
    # constructed; the figures and the word EZ1008 as in vllm-project/vllm-ascend#16835
    (
        "EZ9999: HCCL_BUFFSIZE is too SMALL, maxBs = 256, h = 7168, epWorldSize = 16, k = 8, "
        "NEEDED_HCCL_BUFFSIZE(((maxBs * tokenNeedSizeDispatch) * 2))=609MB, HCCL_BUFFSIZE=200MB.",
        *("collective", True, "609 MB are needed, it has 200", "HCCL_BUFFSIZE=609"),
    ),
    # constructed, CANN's code
    (
        "EJ0003: [PID: 77] Failed to bind the IP port. Reason: The IP address and port have been "
        "bound already.",
        *("address-in-use", False, "a port of HCCL", "HCCL_IF_BASE_PORT"),
    ),
    # constructed, CANN's codes
    (
        "E40024: [PID: 9] Failed call Python Func/Meathod [get_binfile_sha256_hash_from_c], "
        "Reason[ModuleNotFoundError: No module named 'attr']",
        *("python-import", True, "No module named 'attr'", "CANN's requirements"),
    ),
    (
        "E40021: [PID: 9] Failed to compile Op [MatMulV2]. (oppath: [Pre-compile /opt/tbe/mat_mul."
        'py failed with errormsg/stack: File "x.py", line 3, in <module>\\n ModuleNotFoundError: '
        "No module named 'decorator'",
        *("python-import", True, "No module named 'decorator'", "CANN's requirements"),
    ),
    # vllm-project/vllm config/model.py, of releases before 0.2x
    (
        "AssertionError: tensor parallel size 4 must be greater than total num kv heads 8 when "
        "enable decode context parallel for GQA/MQA",
        *("tp-split", True, "8 KV heads", "--decode-context-parallel-size"),
    ),
    # vllm-project/vllm config/model.py
    (
        "ValueError: `--decode-context-parallel-size` (4) exceeds the maximum supported value (2) "
        "for `--tensor-parallel-size` (8) and 4 model KV heads.",
        *("tp-split", True, "by 4", "a divisor of 2"),
    ),
    (
        "ValueError: The model's number of query heads per KV head (6) must be divisible by "
        "`--decode-context-parallel-size` (4) for GQA/MQA.",
        *("tp-split", True, "(6)", "a divisor of 6"),
    ),
    # vllm-project/vllm model_executor/layers/fused_moe/layer.py
    (
        "ValueError: EPLB currently only supports even distribution of experts across ranks. Got "
        "256 experts and 3 EP ranks.",
        *("tp-experts", True, "256 experts", "--num-redundant-experts"),
    ),
    # vllm-project/vllm envs.py
    (
        "ValueError: VLLM_PORT 'tcp://10.96.12.3:8000' appears to be a URI. This may be caused by "
        "a Kubernetes service discovery issue,check the warning in: https://docs.vllm.ai",
        *("arguments", True, "tcp://10.96.12.3:8000", "another name than vllm"),
    ),
    # constructed, the HSA runtime's own word
    (
        ":0:rocdevice.cpp            :2984: 1234567890 us: [pid:271   tid:0x7f] Callback: Queue "
        "0x7f0e00000000 aborting with error : HSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime "
        "failed to allocate the necessary resources. Code: 0x1008 Available Free mem : 0 MB",
        *("device-memory", True, "0 MB were free", "gpu_memory_utilization"),
    ),
    (
        ":0:rocdevice.cpp            :2984: 1234567890 us: [pid:271   tid:0x7f] Callback: Queue "
        "0x7f0e00000000 aborting with error : HSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime "
        "failed to allocate the necessary resources. Code: 0x1008 Available Free mem : 60000 MB",
        *("runtime-resources", False, "no fault of a kernel", "/dev/kfd"),
    ),
    # modelscope/ms-swift#9613; the other figures constructed
    (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 7 has a "
        "total capacity of 79.11 GiB of which 66.43 GiB is free.",
        *("device-memory", False, "while 66.43 GiB were free", "HAMi"),
    ),
    (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.50 GiB. GPU 0 has a total "
        "capacty of 23.69 GiB of which 3.09 GiB is free.",
        *("device-memory", True, "ran out of memory", "gpu_memory_utilization"),
    ),
    # flashinfer's words, as in vllm-project/vllm#50705
    (
        "RuntimeError: SM 12.x requires CUDA >= 12.9.",
        *("card-unsupported", True, "SM 12.x requires CUDA >= 12.9", "CUDA toolkit is new enough"),
    ),
    # vllm-project/vllm v1/executor/multiproc_executor.py
    (
        "Worker proc VllmWorker-1 died unexpectedly (exit code: -9), shutting down executor.",
        *("worker-died", False, "SIGKILL", "serving.resources.memory"),
    ),
    # boto/botocore botocore/exceptions.py
    (
        "botocore.exceptions.NoCredentialsError: Unable to locate credentials",
        *("hub-access", True, "object store", "credentials"),
    ),
]


@pytest.mark.parametrize(("line", "code", "hopeless", "cause", "action"), NAMED)
def test_what_names_a_thing_is_told(
    line: str, code: str, hopeless: bool, cause: str, action: str
) -> None:
    ended = f"{CORE}EngineCore failed to start.\n{CORE}{line}\n{GONE}Failed core proc(s): {{}}\n"
    for logs in (f"{CORE}{line}\n", ended):
        found = find(logs)
        assert found is not None
        assert (found.code, found.hopeless) == (code, hopeless)
        assert cause in found.cause and action in found.action


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (
            'cpu_tensor = torch.zeros(shape, dtype=t.dtype, device="cpu", pin_memory=True)',
            "host-memory",
        ),
        ("data = data.pin_memory()", "host-memory"),
        ("torch.cuda.cudart().cudaHostRegister(ptr, size, 0)", "host-memory"),
        ("check(hip.hipHostMalloc(size, 0))", "host-memory"),
        ('cpu_tensor = torch.zeros(shape, device="cuda")', "device-memory"),
    ],
)
def test_the_last_frame_tells_whose_memory_was_short(source: str, code: str) -> None:
    for error in ("torch.AcceleratorError: CUDA error", "torch.AcceleratorError: HIP error"):
        found = find(
            f"{CORE}EngineCore failed to start.\n{CORE}Traceback (most recent call last):\n"
            f'{CORE}  File "/x.py", line 8, in g\n{CORE}    x.pin_memory()\n'
            f'{CORE}  File "/x.py", line 1, in f\n{CORE}    {source}\n'
            f"{CORE}{error}: out of memory\n"
        )
        assert found is not None and found.code == code
        assert ("ulimit -l" in found.action) == (code == "host-memory")


def test_a_tensor_that_does_not_fit_is_told_by_the_frame_that_loads_it() -> None:
    """QwenLM/Qwen3-Omni#165; in a frame of the model's own the words say nothing of a file."""
    logs = (
        f'{CORE}  File "/x.py", line 902, in _load_w13\n{CORE}    {{}}\n{CORE}RuntimeError: The '
        "size of tensor a (256) must match the size of tensor b (512) at non-singleton dimension "
        "0\n"
    )
    found = find(logs.format("expert_data.copy_(loaded_weight)"))
    assert found is not None and found.code == "weights-unknown"
    assert find(logs.format("q = q + pos")) is None
