"""Ends for want of memory: of the card, of the host, of what processes share.

Wordings are vLLM 0.32's (v1/core/kv_cache_utils.py, v1/worker/utils.py, v1/worker/cpu_worker.py,
distributed/device_communicators/shm_broadcast.py) and those of the reports named.
"""

from __future__ import annotations

import math

from tasks.diagnose.signatures.table import Groups, row

# What vLLM's worker holds on a CPU besides weights and KV cache, at most (measured, 0.32).
CPU_WORKER_GIB = 1.35


def _share(part: float, whole: float) -> str:
    """A share to set: rounded down, so that it is kept."""
    return f"{math.floor(part / whole * 100) / 100:.2f}"


def _cpu_start(g: Groups) -> str:
    free, total, asked = float(g["free"]), float(g["total"]), float(g["asked"])
    if free <= CPU_WORKER_GIB:
        return (
            f"raise serving.resources.memory (or free memory on the node): {free:g} GiB are less "
            "than vLLM holds without any KV cache, a smaller share cannot help"
        )
    return (
        f"lower serving.gpu_memory_utilization to {_share(free, total)} or less, or raise "
        f"serving.resources.memory: {asked:g} GiB are asked for"
    )


def _cpu_nothing(g: Groups) -> str:
    total, asked = float(g["total"]), float(g["asked"])
    held = asked - float(g["left"])
    return (
        f"its share of memory is {asked:g} of {total:g} GiB and the engine's worker alone holds "
        f"{held:.3g} GiB: nothing is left for the KV cache"
    )


def _cpu_raise(g: Groups) -> str:
    total, held = float(g["total"]), float(g["asked"]) - float(g["left"])
    if held >= 0.9 * total:
        return f"raise serving.resources.memory: {total:g} GiB hardly hold vLLM's process"
    return (
        f"raise serving.gpu_memory_utilization well above {held / total:.2f}, or "
        "serving.resources.memory"
    )


def _cpu_lower(g: Groups) -> str:
    free, total = float(g["free"]), float(g["total"])
    held = float(g["asked"]) - float(g["want"])
    if free <= 0.1:
        return "raise serving.resources.memory, or free memory on the node"
    return (
        f"lower serving.gpu_memory_utilization to {_share(held + free, total)} or less, or raise "
        "serving.resources.memory"
    )


def _card_busy(g: Groups) -> str:
    free, total = float(g["free"]), float(g["total"])
    holder = "find what else holds the card (a pod still stopping, a process outside Kubernetes)"
    if free < 0.3 * total:
        return f"{holder}: what is free would not do for any smaller share"
    return f"{holder}, or lower serving.gpu_memory_utilization to {_share(free, total)} or less"


def _gib(told: str) -> float:
    """GiB of a figure in GiB, or in bytes as older releases write it."""
    value = float(told)
    return value / 2**30 if value > 10_000 else value


def _given_back(g: Groups) -> str:
    return (
        "another process gave memory of the card back while the engine measured it: "
        f"{_gib(g['before']):.4g} GiB were free before, {_gib(g['after']):.4g} GiB after"
    )


def _measured_anew(g: Groups) -> str:
    if g["before"] == g["after"]:
        return "use a newer image: early releases for XPU refuse where nothing has changed"
    return (
        "let it start again when what else is on the card (a pod still stopping, another engine "
        "still starting) has come to rest; start engines that share a card one after the other"
    )


def _fewer_tokens(g: Groups) -> str:
    fits = g["fits"]
    if not fits:
        return "lower serving.max_model_len, raise gpu_memory_utilization, or use more devices"
    more = "raise gpu_memory_utilization (on a CPU: VLLM_CPU_KVCACHE_SPACE), or use more devices"
    if int(fits) * 16 < int(g["len"]):
        return f"{more}: the weights leave room for {fits} tokens only"
    return f"lower serving.max_model_len to {fits} or less, {more}"


_CPU_KV = (
    r"Available memory on node \S+ \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on kv cache "
    r"allocation.*?less than requested memory for kv \((?P<want>[\d.]+)"
)


def _much_is_free(g: Groups) -> bool:
    """Much more than was asked for is free: the card's memory is not what was short."""
    scale = {"B": 0.0, "K": 2**-20, "M": 2**-10, "G": 1.0}
    need = float(g["need"]) * scale[g["need_unit"]]
    return float(g["free"]) * scale[g["free_unit"]] >= 4 * need


def _beyond(g: Groups) -> bool:
    """More than the whole memory is asked for: no waiting gives it."""
    return float(g["want"]) > float(g["total"])


ROWS = (
    row(
        # torch names the card's runtime, its frame whose memory it is
        "host-memory",
        r"(?:out of memory|Cannot allocate memory|invalid argument)[^\n]* in "
        r"(?P<what>pin_memory|\w+Host(?:Alloc|Malloc|Register))$",
        "memory of the host could not be locked for the card ({what}): the host's is short or may "
        "not be locked, the card's is not the question",
        "raise serving.resources.memory, or lower what is pinned (--cpu-offload-gb, swap space, "
        "the KV connector's buffer); on the node see ulimit -l (LimitMEMLOCK of the container "
        "runtime) and vm.max_map_count",
        "vllm-project/vllm-omni#2748",
        hopeless=False,
    ),
    row(
        # on the CPU backend the share is taken of the pod's memory limit
        "device-busy",
        r"Available memory on node \S+ \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup.*?"
        r"less than desired .*?\([\d.]+, (?P<asked>[\d.]+) GiB\)",
        "the engine wants {asked} GiB of memory for itself, {free} of {total} GiB are free when it "
        "starts",
        _cpu_start,
        hopeless=False,
    ),
    row(
        "memory-share",
        r"Available memory on node \S+ \([\d.]+/(?P<total>[\d.]+) GiB\) on kv cache allocation.*?"
        r"less than requested memory for kv \((?P<left>-[\d.]+|0\.0+)/(?P<asked>[\d.]+) GiB\)",
        _cpu_nothing,
        _cpu_raise,
    ),
    row(
        "memory-share",
        rf"{_CPU_KV}(?:/(?P<asked>[\d.]+))? GiB\)",
        "the KV cache is to take {want} GiB, the container has {total} GiB in all",
        "lower --kv-cache-memory-bytes in serving.extra_args (or VLLM_CPU_KVCACHE_SPACE, "
        "serving.gpu_memory_utilization), or raise serving.resources.memory",
        where=_beyond,
    ),
    row(
        "device-busy",
        rf"{_CPU_KV}/(?P<asked>[\d.]+) GiB\)",
        "the KV cache is to take {want} GiB, {free} of {total} GiB are free",
        _cpu_lower,
        hopeless=False,
    ),
    row(
        "device-busy",
        rf"{_CPU_KV} GiB\)",
        "the KV cache is set to {want} GiB, {free} of {total} GiB are free",
        "lower --kv-cache-memory-bytes in serving.extra_args (or VLLM_CPU_KVCACHE_SPACE), or raise "
        "serving.resources.memory",
        hopeless=False,
    ),
    row(
        "device-busy",
        r"(?:Free|Available) memory on (?:device|node) (?:\S+ )?"
        r"\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\).*?"
        r"less than (?:the |desired |requested )",
        "only {free} of {total} GiB are free on the device when the engine starts",
        _card_busy,
        hopeless=False,
    ),
    row(
        "device-busy",
        r"Error in memory profiling\.\s+Initial free memory (?P<before>\d[\d.]*)(?: GiB)?,\s+"
        r"current free memory (?P<after>\d(?:[\d.]*\d)?)",
        _given_back,
        _measured_anew,
        "vllm-project/vllm#56830, vllm-project/vllm pull 33358",
        hopeless=False,
    ),
    row(
        # hybrid models: a state takes a block of its own a sequence
        "kv-cache-too-small",
        r"max_num_seqs \((?P<seqs>\d+)\) exceeds available Mamba cache blocks \((?P<fits>\d+)\)",
        "{seqs} sequences at once need a state block each, the memory that is left holds {fits}",
        "set serving.max_num_seqs to {fits} or less, or raise serving.gpu_memory_utilization",
        "vllm-project/vllm pull 38270, vllm-project/vllm#49064, NVIDIA-NeMo/RL#2620",
    ),
    row(
        # the first form up to vLLM 0.10
        "kv-cache-too-small",
        r"max seq len \((?P<len>\d+)\) is larger than the maximum number of tokens that can be "
        r"stored in KV cache \((?P<fits>\d+)\)",
        "a sequence of {len} tokens does not fit the KV cache, {fits} tokens do",
        "lower serving.max_model_len to {fits} or less, raise gpu_memory_utilization, or use more "
        "devices",
    ),
    row(
        # newer words tell what would fit; "model's" since 0.20, "models's" before
        "kv-cache-too-small",
        r"max seq len \((?P<len>\d+)\), \(?(?P<need>[\d.]+) GiB (?:of )?KV cache is needed, which "
        r"is larger than the available KV cache memory \((?P<have>[\d.]+) GiB\)"
        r"(?:.{0,40}?estimated maximum model length is (?P<fits>\d+))?",
        "a sequence of {len} tokens needs {need} GiB of KV cache, {have} GiB are left",
        _fewer_tokens,
        "vllm-project/vllm#27508",
    ),
    row(
        # cut off in a narrow terminal or a short excerpt
        "kv-cache-too-small",
        r"max seq len \((?P<len>\d+)\), \(?(?P<need>[\d.]+) GiB (?:of )?KV cach",
        "a sequence of {len} tokens needs {need} GiB of KV cache, more than is left",
        "lower serving.max_model_len, raise gpu_memory_utilization, or use more devices",
        "SergiioB/intel-arc-pro-b70-inference-cookbook#4",
    ),
    row(
        "no-kv-cache-memory",
        r"No available memory for the cache blocks",
        "the weights leave no memory for the KV cache",
        "raise serving.gpu_memory_utilization, or use more devices",
    ),
    row(
        "device-memory",
        r"Tried to allocate (?P<need>[\d.]+) (?P<need_unit>[KMG])iB\. GPU \d+ has a total "
        r"capaci?ty of [\d.]+ [KMG]iB of which (?P<free>[\d.]+) (?P<free_unit>[KMG])iB is free",
        "the accelerator refused {need} {need_unit}iB while {free} {free_unit}iB were free: a "
        "limit below the card's memory, or another process gave it back meanwhile",
        "see a share of the card (HAMi, MIG, a memory fraction) and what else runs on it; with "
        "sleep mode (cumem_allocator) the driver's refusal stands above it: leave "
        "--enable-sleep-mode out, or use a newer image",
        "modelscope/ms-swift#9613",
        hopeless=False,
        where=_much_is_free,
    ),
    row(
        "device-memory",
        r"\b(?:CUDA|HIP|NPU|MUSA|XPU|MLU|GCU|MACA|DCU|HPU|IXU?|PPU|SDAA)(?: driver)?(?: error:)? "
        r"out of memory|"
        r"torch\.(?:cuda\.)?OutOfMemoryError|hipErrorOutOfMemory|cudaErrorMemoryAllocation|"
        r"CUBLAS_STATUS_ALLOC_FAILED|UR_RESULT_ERROR_OUT_OF_(?:DEVICE_MEMORY|RESOURCES)|"
        r"EL0004: .*|error code is 207018",
        "the accelerator ran out of memory",
        "lower serving.gpu_memory_utilization, max_num_seqs or max_model_len, or use more devices; "
        "see that the devices asked for are the ranks the engine makes",
        "vllm-project/vllm#31273, noonghunna/club-3090#60",
    ),
    row(
        "device-memory",
        r"HSA_STATUS_ERROR_OUT_OF_RESOURCES[^\n]*Available Free mem : (?P<free>\d{1,3}) MB",
        "the accelerator ran out of memory: {free} MB were free",
        "lower serving.gpu_memory_utilization, max_num_seqs or max_model_len, or use more devices",
        "sgl-project/sglang#25797",
        decides=True,
    ),
    row(
        "runtime-resources",
        r"HSA_STATUS_ERROR_OUT_OF_RESOURCES",
        "the card's runtime (ROCm) got no memory, threads or events it needs: a limit of the "
        "container or node, no fault of a kernel",
        "check the container's memory, its limits (ulimit -l, podPidsLimit), and /dev/kfd with "
        "its group (rollout check-nodes)",
        "ROCm/legacy-rocm-build#4382",
        hopeless=False,
        decides=True,
    ),
    row(
        # a container has 64 MiB of /dev/shm unless a volume gives more
        "shared-memory",
        r"Insufficient space in (?P<place>\S*shm\S*) for .*?: (?P<need>\d+) MiB required, "
        r"(?P<free>\d+) MiB free",
        "the engine needs {need} MiB of shared memory ({place}), {free} MiB are free",
        lambda g: (
            f"set serving.resources.shm_gib to {max(1, math.ceil(int(g['need']) / 512))} or more"
        ),
    ),
    row(
        "shared-memory",
        r"No space left on device.*(?:/dev/shm|shm)|/dev/shm.*No space left|\bBus error\b|"
        r"insufficient shared memory|unable to write to file </torch_|"
        r"unable to mmap \d+ bytes from file <(?:/torch_|/dev/shm/)|"
        r"Error while creating shared memory segment|"
        r"unable to open shared memory object[^\n]{0,120}No space left",
        "the workers' shared memory is too small",
        "raise serving.resources.shm_gib",
        "vllm-project/vllm#14537, MiniMax-AI/MiniMax-01#42, vllm-project/vllm#859",
        decides=True,
    ),
)
