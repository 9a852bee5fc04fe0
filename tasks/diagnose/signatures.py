"""What engines write about why they could not start: the table of signatures.

Wordings are vLLM 0.32's own (config/model.py, v1/core/kv_cache_utils.py, v1/worker/utils.py,
v1/worker/cpu_worker.py, v1/engine/utils.py, distributed/device_communicators/shm_broadcast.py,
model_executor/models/registry.py, transformers_utils/config.py) and older forms seen in public
reports, named beside their row. tasks.diagnose.logs finds them in a log.
"""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass

Groups = dict[str, str]
Words = str | Callable[[Groups], str]

# What vLLM's worker holds on a CPU besides weights and KV cache, at most (measured, 0.32).
CPU_WORKER_GIB = 1.35


@dataclass(frozen=True)
class Signature:
    """A text in a log, the cause it stands for, and what to do.

    cause and action may name the pattern's groups, as {heads}, or be made of them where the
    figures decide. hopeless: the same container would fail the same way again, so one crash is
    enough to give up.
    """

    code: str
    pattern: re.Pattern[str]
    cause: Words
    action: Words
    hopeless: bool = True

    def told(self, match: re.Match[str]) -> tuple[str, str]:
        """(cause, action) of a match. A row with alternatives names a second form's group
        <name>2."""
        groups: Groups = {}
        for name, value in match.groupdict().items():
            groups.setdefault(name.rstrip("2"), "")
            if value:
                groups[name.rstrip("2")] = value.strip()
        said = [
            w(groups) if callable(w) else w.format_map(groups) for w in (self.cause, self.action)
        ]
        cause, action = (" ".join(text.split()) for text in said)
        return cause, action


def _row(code: str, pattern: str, cause: Words, action: Words, hopeless: bool = True) -> Signature:
    return Signature(
        code, re.compile(pattern, re.IGNORECASE | re.MULTILINE), cause, action, hopeless
    )


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


def signal_name(number: int) -> str:
    """'SIGKILL' for 9; 'signal 99' for what has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _killed(g: Groups) -> str:
    return {
        "9": "raise serving.resources.memory: the kernel kills what goes beyond it",
        "7": "raise serving.resources.shm_gib: a worker ran out of shared memory",
        "4": "use a node whose CPU has the instruction sets the image was built for",
    }.get(g["signal"], "read its whole log: a library of the engine crashed")


# Of several rows that fit one place of a log the first counts, so the most specific stand first;
# of several places the log decides (tasks.diagnose.logs).
SIGNATURES: tuple[Signature, ...] = (
    _row(
        "tp-heads",
        r"Total number of attention heads \((?P<heads>\d+)\)\s*must be divisible by "
        r"tensor parallel size \((?P<tp>\d+)\)",
        "the model's {heads} attention heads cannot be split over {tp} devices",
        "set serving.tensor_parallel_size to a divisor of {heads}",
    ),
    _row(
        # gpustack#5334
        "toolkit-path-leak",
        r"ROCm compiler (?P<path>\S*clang\S*) not found|(?P<path2>/\S*llvm/bin/clang\S*) not found",
        "the toolkit looks for its compiler where this image has none: ROCM_PATH of the host "
        "leaked into the container",
        "remove ROCM_PATH from serving.env and from the image's mounts of /opt/dtk or /opt/hyhal",
    ),
    _row(
        # HAMi#1776
        "no-device",
        r"no ROCm-capable device is detected|No CUDA GPUs are available|"
        r"no CUDA-capable device is detected|Failed to infer device type|"
        r"No HIP GPUs are available|can't find any available npu",
        "the engine sees no accelerator in its container",
        "check the driver on the node (rollout check-nodes), that the pod asks for the device "
        "plugin's resource, and that a vDCU plugin does not hide the card",
    ),
    _row(
        # gpustack#5337
        "device-file",
        r"No such device(?: or address)?: '?(?P<file>/dev/\S+?)'?(?:$|\s)|"
        r"(?P<file2>/dev/(?:kfd|mkfd|dri/\S+?))'?: (?:No such file|Permission denied)",
        "the device file {file} is missing or closed in the container",
        "check it on the node, the device plugin's health there, and the pod's group 44 (video)",
    ),
    _row(
        # on the CPU backend the share is taken of the pod's memory limit
        "device-busy",
        r"Available memory on node \S+ \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup.*?"
        r"less than desired .*?\([\d.]+, (?P<asked>[\d.]+) GiB\)",
        "the engine wants {asked} GiB of memory for itself, {free} of {total} GiB are free when it "
        "starts",
        _cpu_start,
        hopeless=False,
    ),
    _row(
        "memory-share",
        r"Available memory on node \S+ \([\d.]+/(?P<total>[\d.]+) GiB\) on kv cache allocation.*?"
        r"less than requested memory for kv \((?P<left>-[\d.]+|0\.0+)/(?P<asked>[\d.]+) GiB\)",
        _cpu_nothing,
        _cpu_raise,
    ),
    _row(
        "device-busy",
        r"Available memory on node \S+ \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on kv cache "
        r"allocation.*?less than requested memory for kv "
        r"\((?P<want>[\d.]+)/(?P<asked>[\d.]+) GiB\)",
        "the KV cache is to take {want} GiB, {free} of {total} GiB are free",
        _cpu_lower,
        hopeless=False,
    ),
    _row(
        "device-busy",
        r"Available memory on node \S+ \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on kv cache "
        r"allocation.*?less than requested memory for kv \((?P<want>[\d.]+) GiB\)",
        "the KV cache is set to {want} GiB, {free} of {total} GiB are free",
        "lower --kv-cache-memory-bytes in serving.extra_args (or VLLM_CPU_KVCACHE_SPACE), or raise "
        "serving.resources.memory",
        hopeless=False,
    ),
    _row(
        "device-busy",
        r"(?:Free|Available) memory on (?:device|node) (?:\S+ )?"
        r"\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\).*?"
        r"less than (?:the |desired |requested )",
        "only {free} of {total} GiB are free on the device when the engine starts",
        _card_busy,
        hopeless=False,
    ),
    _row(
        # the first form up to vLLM 0.10
        "kv-cache-too-small",
        r"max seq len \((?P<len>\d+)\) is larger than the maximum number of tokens that can be "
        r"stored in KV cache \((?P<fits>\d+)\)",
        "a sequence of {len} tokens does not fit the KV cache, {fits} tokens do",
        "lower serving.max_model_len to {fits} or less, raise gpu_memory_utilization, or use more "
        "devices",
    ),
    _row(
        "kv-cache-too-small",
        r"max seq len \((?P<len>\d+)\), \((?P<need>[\d.]+) GiB KV cache is needed, which is larger "
        r"than the available KV cache memory \((?P<have>[\d.]+) GiB\)",
        "a sequence of {len} tokens needs {need} GiB of KV cache, {have} GiB are left",
        "lower serving.max_model_len, raise gpu_memory_utilization, or use more devices",
    ),
    _row(
        "no-kv-cache-memory",
        r"No available memory for the cache blocks",
        "the weights leave no memory for the KV cache",
        "raise serving.gpu_memory_utilization, or use more devices",
    ),
    _row(
        "model-len",
        r"max_model_len \((?P<len>\d+)\) is greater than the derived max_model_len",
        "serving.max_model_len {len} is above what the model was made for",
        "lower serving.max_model_len to the model's own length",
    ),
    _row(
        "remote-code",
        # not the bare flag: vLLM prints its whole configuration when it starts
        r"requires you to execute the configuration file|contains custom code which must be "
        r"executed|(?:consider setting|pass the (?:argument|option))\s+`trust_remote_code=True`",
        "the model brings its own Python code, which may not run",
        "read that code, then set model.trust_remote_code: true, or choose another model",
    ),
    _row(
        "architecture",
        r"Model architectures? \[?(?P<arch>[^\]\n]*?)\]? (?:are|is|was) "
        r"(?:not supported|supported in vLLM until)|does not recognize this architecture",
        "this vLLM does not know the model's architecture {arch}",
        "use an image with a vLLM that supports it",
    ),
    _row(
        "arguments",
        r"unrecognized arguments: (?P<args>.+)|error: argument (?P<args2>.+)",
        "vLLM does not take the argument {args}",
        "correct serving.extra_args for the vLLM in this image",
    ),
    _row(
        "device-memory",
        r"(?:CUDA|HIP|NPU) out of memory|torch\.(?:cuda\.)?OutOfMemoryError|hipErrorOutOfMemory|"
        r"CUDA error: out of memory|HIP error: out of memory",
        "the accelerator ran out of memory",
        "lower serving.gpu_memory_utilization, max_num_seqs or max_model_len, or use more devices",
    ),
    _row(
        "weights-broken",
        r"safetensors_rust\.SafetensorError|Error while deserializing header|"
        r"InvalidHeaderDeserialization|HeaderTooLarge|MetadataIncompleteBuffer|"
        r"incomplete metadata, file not fully covered",
        "a weight file is damaged or cut off",
        "let the fetch verify the store again, and look at the node's disk",
    ),
    _row(
        "weights-missing",
        r"Cannot find any model weights with|does not appear to have a file named|"
        r"Invalid repository ID or local directory|is not a local folder and is not a valid model|"
        r"Repo id must be in the form",
        "the model's files are not where the engine looks for them",
        "check the store's mount and that the fetch ran on this node",
    ),
    _row(
        # a container has 64 MiB of /dev/shm unless a volume gives more
        "shared-memory",
        r"Insufficient space in (?P<place>\S*shm\S*) for .*?: (?P<need>\d+) MiB required, "
        r"(?P<free>\d+) MiB free",
        "the engine needs {need} MiB of shared memory ({place}), {free} MiB are free",
        lambda g: (
            f"set serving.resources.shm_gib to {max(1, math.ceil(int(g['need']) / 512))} or more"
        ),
    ),
    _row(
        "shared-memory",
        r"No space left on device.*(?:/dev/shm|shm)|/dev/shm.*No space left|\bBus error\b|"
        r"insufficient shared memory|unable to (?:mmap|write to file </torch_)",
        "the workers' shared memory is too small",
        "raise serving.resources.shm_gib",
    ),
    _row(
        "permission",
        r"(?:PermissionError|Permission denied)[^\n]{0,40}?'?(?P<file>/[^\s':]+)|"
        r"(?P<file2>/[^\s':]+): Permission denied",
        "the engine may not read {file}",
        "check owner and mode of the store, and the pod's runAsUser and fsGroup",
    ),
    _row(
        "address-in-use",
        r"(?:Address already in use|errno 98\b).*",
        "the port is taken",
        "with host_network another process or pod on the node holds it: wait for it to stop, or "
        "set serving.port",
        hopeless=False,
    ),
    _row(
        "engine-start-timeout",
        r"Timed out waiting for engine core processes to start",
        "vLLM gave up on its own engine processes before they had loaded the model",
        "raise VLLM_ENGINE_READY_TIMEOUT_S in serving.env for a large model on a slow disk, or "
        "find why loading hangs",
        hopeless=False,
    ),
    _row(
        # vllm-ascend#1440: what the host's driver brings, no image can
        "driver-library",
        r"(?P<file>lib(?:cuda|nvidia-\w+|ascend_hal|amdhip64|hsa-runtime64|galaxyhip|mccl|mcruntime)"
        r"\.so\S*): cannot open shared object file",
        "the accelerator's library {file} is not in the container",
        "check that the pod asks for the device plugin's resource, and that the node's container "
        "runtime (its runtime class) mounts the host's driver",
    ),
    _row(
        "python-import",
        r"^(?P<what>(?:ModuleNotFoundError|ImportError): .*)",
        "the image lacks something it needs: {what}",
        "use an image in which vLLM starts",
    ),
    # last: these only tell that a child ended, where nothing tells why
    _row(
        "engine-killed",
        r"Failed core proc\(s\): \{[^}]*: -(?P<signal>\d+)|"
        r"died unexpectedly \(exit code: -(?P<signal2>\d+)",
        lambda g: f"a process of the engine was ended by {signal_name(int(g['signal']))}",
        _killed,
        hopeless=False,
    ),
    _row(
        # a child that was killed with SIGKILL leaves no other word (tried with 0.32)
        "engine-killed",
        r"Engine core initialization failed|EngineCore died|Got fatal signal from worker processes",
        "a process of the engine ended without a word, as it does when the kernel kills it for "
        "memory",
        "raise serving.resources.memory; the node's kernel log tells whether it was that "
        "(dmesg: oom-kill)",
        hopeless=False,
    ),
)
