"""Ends that had no row or a wrong one, a kind with the words that public reports have for it.

Each row: the words as their source has them (a path is the file that raises them), the right code,
whether waiting may help. All of them plain, as the engine's end and as a worker's.
"""

from __future__ import annotations

import pytest

from tasks.diagnose.logs import exceptions, find

CORE = "(EngineCore_DP0 pid=9) ERROR 09-19 21:54:10 [core.py:843] "
WORKER = "(Worker_TP1 pid=891) ERROR 11-02 10:01:02 [multiproc_executor.py:783] "
GONE = (
    "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. "
    "Failed core proc(s): {}\n"
)


def ended(cause: str) -> str:
    told = "".join(f"{CORE}{line}\n" for line in cause.split("\n"))
    return (
        f"{CORE}EngineCore failed to start.\n{CORE}Traceback (most recent call last):\n"
        f'{CORE}  File "/x.py", line 1, in f\n{told}{GONE}'
    )


def worker_ended(cause: str) -> str:
    told = "".join(f"{WORKER}{line}\n" for line in cause.split("\n"))
    return (
        f"{WORKER}WorkerProc failed to start.\n{WORKER}Traceback (most recent call last):\n"
        f'{WORKER}  File "/x.py", line 1, in f\n{told}{CORE}EngineCore failed to start.\n'
        f"{CORE}Exception: WorkerProc initialization failed due to an exception in a background "
        f"process. See stack trace for root cause.\n{GONE}"
    )


MAPPED = "RuntimeError: unable to mmap {} bytes from file <{}>: {}"

KINDS = [
    # a parameter's name by its last part, whatever the first is
    # MetaX-MACA/vLLM-metax#222
    ("KeyError: 'layers.0.block_sparse_moe.experts.w13_weight'", "weights-unknown", True),
    *(
        (f"KeyError: '{name}'", "weights-unknown", True)
        for name in (
            "thinker.model.layers.0.mlp.gate_proj.weight_scale",
            "vision_tower.encoder.layers.0.self_attn.qkv_proj.weight",
            "blocks.0.attn.qkv.weight",
            "model.layers.3.mlp.experts.w2_weight_scale_inv",
            "backbone.layers.0.mixer.A_log",
        )
    ),
    # torch's mapping of a file, pytorch/pytorch aten/src/ATen/MapAllocator.cpp
    # vllm-project/vllm#759
    (
        MAPPED.format(
            16933256392, "/models/Qwen3-30B/model.safetensors", "Cannot allocate memory (12)"
        ),
        "host-memory",
        False,
    ),
    # vllm-project/vllm#9753: a relative path
    (
        MAPPED.format(
            4965799096, "L/model-00001-of-00002.safetensors", "Cannot allocate memory (12)"
        ),
        "host-memory",
        False,
    ),
    (MAPPED.format(10737418240, "/m/a.safetensors", "No such device (19)"), "storage", False),
    (MAPPED.format(10737418240, "/m/a.safetensors", "Input/output error (5)"), "storage", False),
    (
        MAPPED.format(4194304, "/torch_12_3_0", "No space left on device (28)"),
        "shared-memory",
        True,
    ),
    (MAPPED.format(4194304, "/torch_12_3_0", "Cannot allocate memory (12)"), "shared-memory", True),
    (
        "RuntimeError: unable to open file </m/a.bin> in read-only mode: No such file or directory "
        "(2)",
        "weights-missing",
        True,
    ),
    # MiniMax-AI/MiniMax-M1#21
    (
        "ValueError: Cannot find model module. 'MiniMaxM1ForCausalLM' is not a registered model in "
        "the Transformers library (only relevant if the model is meant to be in Transformers) and "
        "'AutoModel' is not present in the model config's 'auto_map' (relevant if the model is "
        "custom).",
        "architecture",
        True,
    ),
    # vllm-project/vllm#1765, ray-project/ray
    (
        "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.",
        "host-memory",
        False,
    ),
    (
        "ray.exceptions.OutOfMemoryError: 1 worker(s) were killed due to the node running low on "
        "memory.",
        "host-memory",
        False,
    ),
    # flashinfer-ai/flashinfer#4410, vllm-project/vllm#36077
    (
        "subprocess.CalledProcessError: Command '['ninja', '-v', '-C', '/c/cached_ops/x']' "
        "returned non-zero exit status 127.\nThe above exception was the direct cause of the "
        "following exception:\nRuntimeError: Ninja build failed",
        "compiler",
        True,
    ),
    # ninja-build/ninja src/graph.cc
    (
        "RuntimeError: Ninja build failed. Ninja output:\nninja: error: '/c/sampling.cu', needed "
        "by 'sampling.cuda.o', missing and no known rule to make it",
        "compiler",
        True,
    ),
    # vllm-project/vllm#23970, vllm-project/vllm-ascend#1368
    (
        "torch.fx.experimental.symbolic_shapes.ConstraintViolationError: Constraints violated "
        "(L['input_ids'].size()[0])! For more information, run with TORCH_LOGS=\"+dynamic\".",
        "graph-compile",
        True,
    ),
    (
        "torch._dynamo.exc.UserError: Constraints violated (L['query_start_loc'].size()[0])!",
        "graph-compile",
        True,
    ),
    # sgl-project/sglang#6017, deepseek-ai/DeepEP#150
    (
        "/w/transport.cpp:nvshmemi_transport_init:275: init failed for transport: IBGDA",
        "collective",
        True,
    ),
    (
        "/w/init/init.cu:327: non-zero status: 7 bootstrap_init failed\n"
        "aborting due to error in nvshmemi_init_thread",
        "collective",
        True,
    ),
    # baidu/vLLM-Kunlun#382
    (
        "[XCCL][init.cpp:1227] host 10.0.0.1 addr_window check failed\nValueError: [INVALID "
        "PARAMETER]: error code= 1(at /w/torch_xmlir/csrc/new_xccl/XCCLUtils.hpp:53)",
        "collective",
        True,
    ),
    # vllm-project/vllm#34891
    (
        "RuntimeError: [SymmDeviceMemory] Device does not support multicasting.",
        "collective-peer",
        True,
    ),
    # pytorch/pytorch pull 136577
    (
        "RuntimeError: CUDASymmetricMemoryAllocator::alloc: cuMulticastCreate operation not "
        "supported",
        "collective-peer",
        True,
    ),
    # vllm-project/vllm#22290
    ("AssertionError: Sinks are only supported in FlashAttention 3", "attention-backend", True),
    # Dao-AILab/flash-attention csrc/flash_attn/flash_api.cpp
    (
        "RuntimeError: FlashAttention forward only supports head dimension at most 256",
        "attention-backend",
        True,
    ),
    # vllm-project/vllm#16515
    (
        "RuntimeError: Currently, block scaled fp8 gemm is not implemented for Blackwell",
        "kernel-unsupported",
        True,
    ),
    # vllm-project/vllm#29943, vllm-project/vllm#41849
    (
        "RuntimeError: DeepGEMM backend is not available or outdated. Please install or update the "
        "`deep_gemm` to a newer version to enable FP8 kernels.",
        "kernel-unsupported",
        True,
    ),
    # vllm-project/vllm#13961, flashinfer-ai/flashinfer#2232
    ("Error: Failed to initialize the TMA descriptor 700", "kernel-fault", False),
    # vllm-project/vllm#14601, vllm-project/vllm#11763, vllm-project/vllm#22713: of CUTLASS
    ("RuntimeError: Error Internal", "kernel-fault", False),
    # NVIDIA/nvidia-container-toolkit#714
    (
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions "
        "before calling NumCudaDevices() that might have already set an error? Error 805: MPS "
        "client failed to connect to the MPS control daemon or the MPS server",
        "driver-init",
        False,
    ),
    # flashinfer-ai/flashinfer#1657: the card's, and what follows from it
    (
        "RuntimeError: Ninja build failed. Ninja output:\n"
        "nvcc fatal   : Unsupported gpu architecture 'compute_90a'\n"
        "ninja: build stopped: subcommand failed.",
        "card-unsupported",
        True,
    ),
    # vllm-project/vllm-ascend#5005
    (
        "AttributeError: 'GDNAttentionMetadataBuilder' object has no attribute 'aclgraph_support'",
        "image-parts",
        True,
    ),
    # vllm-project/vllm model_executor/layers/mamba/ops/ssu_dispatch.py
    (
        "ValueError: Unknown Mamba SSU backend: 'CUDA'. Valid options are: TRITON, FLASHINFER",
        "arguments",
        True,
    ),
    # vllm-project/vllm#42687, vllm-project/recipes pull 572
    (
        "ValueError: Chunked MM input disabled but max_tokens_per_mm_item (2496) is larger than "
        "max_num_batched_tokens (2048). Please increase max_num_batched_tokens.",
        "arguments",
        True,
    ),
    # gpustack/gpustack#3658, vllm-project/vllm pull 1288
    ("OSError: [Errno 99] Cannot assign requested address", "network-interface", True),
    (
        "[Errno 99] error while attempting to bind on address ('172.19.0.19', 40000): cannot "
        "assign requested address",
        "network-interface",
        True,
    ),
    # vllm-project/vllm#18986
    (
        "zmq.error.ZMQError: Invalid argument (addr='tcp://fdbd:dc61:2:151::195:42139')",
        "network-interface",
        True,
    ),
    # vllm-project/vllm#3656
    ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "name-resolution", False),
    # uxlfoundation/oneCCL#121
    (
        "RuntimeError: oneCCL: ze_fd_manager.cpp:143 init_device_fds: EXCEPTION: opendir failed: "
        "could not open device directory",
        "device-file",
        True,
    ),
    # vllm-project/vllm#15461
    ("/bin/sh: 1: vllm: Permission denied", "command", True),
    # kserve/kserve#5056, vllm-project/vllm#16412
    ("double free or corruption (!prev)\nAborted (core dumped)", "native-crash", False),
    ("corrupted double-linked list (not small)\nAborted", "native-crash", False),
    # baidu/vLLM-Kunlun#475
    (
        "XX: (pid 5738,tid 140)cuda/src/api/apilaunch.cc:1064:cuapi_xpu_wait cuapi_xpu_wait() "
        "failed in cuiInitCheckEx, status= 700\nWorker proc VllmWorker-0 died unexpectedly, "
        "shutting down executor.",
        "kernel-fault",
        False,
    ),
]


@pytest.mark.parametrize(("cause", "code", "hopeless"), KINDS, ids=[k[0][-60:] for k in KINDS])
def test_words_of_a_kind(cause: str, code: str, hopeless: bool) -> None:
    for logs in (f"{cause}\n", ended(cause), worker_ended(cause)):
        found = find(logs)
        assert found is not None, exceptions(logs)
        assert (found.code, found.hopeless) == (code, hopeless), logs
        assert found.cause and "{" not in found.cause + found.action.replace("{'", "")


def test_a_name_of_a_module_is_no_tensor() -> None:
    """vllm-project/vllm-ascend#8440: a layer that this rank did not register."""
    for name in ("model.layers.0.self_attn.attn", "model.layers.7.mixer", "UCX.weightless"):
        found = find(ended(f"KeyError: '{name}'"))
        assert found is None or found.code != "weights-unknown"


def test_a_model_type_is_told_by_the_file_that_misses_it() -> None:
    """MetaX-MACA/vLLM-metax#335; the same name from another file is nobody's."""
    log = (
        "(APIServer pid=9) Traceback (most recent call last):\n"
        '(APIServer pid=9)   File "/lib/transformers/models/mistral3/configuration_mistral3.py", '
        "line 114, in __init__\n"
        '(APIServer pid=9)     text_config = CONFIG_MAPPING[text_config["model_type"]]\n'
        '(APIServer pid=9)   File "/lib/transformers/models/auto/configuration_auto.py", '
        "line 1048, in __getitem__\n"
        "(APIServer pid=9)     raise KeyError(key)\n(APIServer pid=9) KeyError: 'ministral3'\n"
    )
    found = find(log)
    assert found is not None and (found.code, found.hopeless) == ("architecture", True)
    assert "ministral3" in found.cause
    assert find(log.replace("configuration_auto.py", "other.py")) is None


# transformers modeling_rope_utils.py warns of it at every start of gpt-oss
ROPE = (
    "(APIServer pid=1) Unrecognized keys in `rope_parameters` for 'rope_type'='yarn': "
    "{'truncate'}\n"
)
READY = "(APIServer pid=1) INFO:     Application startup complete.\n"
UNKNOWN = "AttributeError: 'X' object has no attribute 'y'"


def test_a_warning_without_its_level_is_no_end() -> None:
    for logs in (ROPE, ROPE + READY, ROPE + ended(UNKNOWN)):
        assert find(logs) is None
    assert exceptions(ROPE + ended(UNKNOWN)) == (UNKNOWN,)


def test_the_missing_key_beside_it_is_an_end() -> None:
    """transformers modeling_rope_utils.py raises this one."""
    found = find(
        ended("KeyError: \"Missing required keys in `rope_parameters` for 'rope_type'='yarn': x\"")
    )
    assert found is not None and (found.code, found.hopeless) == ("model-config", True)


def test_a_level_between_dashes_is_a_level() -> None:
    """flashinfer-ai/flashinfer autotuner.py: what fails is tried with another tactic; the stamp and
    the words are of a public log of 2026-05, the failure's own are constructed."""
    line = (
        "(EngineCore pid=1) 2026-05-30 07:46:50,053 - {} - autotuner.py:800 - flashinfer.jit: "
        "[Autotuner]: Failed when profiling runner=x tactic=3: CUDA error: invalid argument\n"
    )
    assert find(line.format("WARNING")) is None
    found = find(line.format("ERROR"))
    assert found is not None and found.code == "device-error"
