"""What a serving container's log says about why it could not start. PURE.

Wordings are vLLM 0.32's own (config/model.py, v1/core/kv_cache_utils.py, v1/worker/utils.py,
model_executor/models/registry.py, transformers_utils/config.py) and older forms seen in public
reports, named beside their row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TAIL_LINES = 20
# A crash is told at the end of a log; what lies further back is start-up chatter.
_READ_CHARS = 400_000
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Signature:
    """A text in a log, the cause it stands for, and what to do.

    cause and action may name the pattern's groups, as {heads}. hopeless: the same container would
    fail the same way again, so one crash is enough to give up.
    """

    code: str
    pattern: re.Pattern[str]
    cause: str
    action: str
    hopeless: bool = True


@dataclass(frozen=True)
class Finding:
    """A signature found in a log: its code, cause, action, and the line that matched."""

    code: str
    cause: str
    action: str
    line: str
    hopeless: bool


def _row(code: str, pattern: str, cause: str, action: str, hopeless: bool = True) -> Signature:
    return Signature(
        code, re.compile(pattern, re.IGNORECASE | re.MULTILINE), cause, action, hopeless
    )


# From the most specific to the most general: the first row found anywhere in the log wins.
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
        "device-busy",
        # on the CPU backend 'Available memory on node 0'
        r"(?:Free|Available) memory on (?:device|node) (?:\S+ )?"
        r"\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\).*?"
        r"less than (?:the |desired |requested )",
        "only {free} of {total} GiB are free on the device when the engine starts",
        "find what else holds the card (a pod still stopping, a process outside Kubernetes), or "
        "lower serving.gpu_memory_utilization",
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
        "python-import",
        # at the start of a line: one that was caught and logged stands behind a prefix
        r"^(?P<what>(?:ModuleNotFoundError|ImportError): .*)",
        "the image lacks something it needs: {what}",
        "use an image in which vLLM starts",
    ),
)


def tail(logs: str, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """The last lines of a log that say something, without terminal colours."""
    full = [line.rstrip() for line in _ANSI.sub("", logs[-_READ_CHARS:]).splitlines()]
    return tuple(line for line in full if line)[-lines:]


def find(logs: str) -> Finding | None:
    """The first known signature in a log, None where there is none."""
    text = _ANSI.sub("", logs[-_READ_CHARS:])
    for row in SIGNATURES:
        match = row.pattern.search(text)
        if match is None:
            continue
        # A row with alternatives names its second form's group <name>2.
        groups: dict[str, str] = {}
        for name, value in match.groupdict().items():
            groups.setdefault(name.rstrip("2"), "")
            if value:
                groups[name.rstrip("2")] = value.strip()
        start = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.end())
        line = text[start : end if end >= 0 else len(text)].strip()
        cause = " ".join(row.cause.format_map(groups).split())
        return Finding(row.code, cause, row.action.format_map(groups), line[:500], row.hopeless)
    return None
