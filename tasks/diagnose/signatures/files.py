"""Ends at a file or a folder: caches, devices, disks, the hub."""

from __future__ import annotations

from tasks.diagnose.signatures.table import row

ROWS = (
    row(
        # a user without an entry in /etc/passwd has / for a home
        "cache-folder",
        r"(?:PermissionError|Permission denied)[^\n]{0,40}?'?(?P<file>/(?:root/|home/\w+/)?"
        r"(?:\.triton|\.cache|\.local|\.config|\.flashinfer|\.aiter|\.nv|\.vllm|\.cupy|\.ascend|"
        r"\.huggingface|\.modelscope|\.inductor|ascend|kernel_meta|var/cache)[^\s':]*)|"
        r"(?:PermissionError|Permission denied)[^\n]{0,40}?'?(?P<file2>/(?:tmp|var/tmp|root)/"
        r"[^\s':]*|/[^\s':]*(?:torchinductor|triton|/\.cache|kernel_meta|flashinfer|aiter)[^\s':]*)",
        "the engine may not write its cache {file}: its user has no home that can be written",
        "set HOME (or TRITON_CACHE_DIR, XDG_CACHE_HOME, HF_HOME, FLASHINFER_WORKSPACE_BASE, "
        "TORCHINDUCTOR_CACHE_DIR) in serving.env to a folder on a writable volume, and name models "
        "by the store's path",
        "llm-d/llm-d#1430, huggingface/inference-benchmarker#30",
    ),
    row(
        "cache-folder",
        r"Read-only file system(?:: '?(?P<file>[^\s':]+))?",
        "the engine wants to write {file}, which lies on a read-only mount",
        "name models and tokenizers by the store's path, not by a hub's id with its cache; set "
        "HOME, XDG_CACHE_HOME, HF_HOME, FLASHINFER_WORKSPACE_BASE in serving.env to a writable "
        "volume",
        "llm-d-incubation/llm-d-modelservice#243, Center-for-AI-Innovation/LLMFlux#124",
    ),
    row(
        "no-such-user",
        r"getpwuid\(\): uid not found: (?P<uid>\d+)",
        "the pod's user {uid} has no entry in the image's /etc/passwd",
        "set USER (or LOGNAME) and TORCHINDUCTOR_CACHE_DIR in serving.env",
        "HabanaAI/vllm-fork#929",
    ),
    row(
        "disk-full",
        r"\[Errno 28\] No space left on device(?!.*(?:/dev/shm|shm))(?:: '(?P<file>[^']+)')?|"
        r"Disk quota exceeded",
        "the file system {file} is full",
        "free it or enlarge it (the node's disk, an emptyDir's limit, the volume)",
        "modelscope/ms-swift#3551",
    ),
    row(
        "hub-access",
        r"(?:trying to access|Cannot access) (?:a )?gated repo",
        "the engine asks the hub for a model that needs a login",
        "let it read the store: serve the store's path; give HF_TOKEN where the hub is meant",
        "vllm-project/vllm pull 3963",
        decides=True,
    ),
    row(
        "hub-access",
        r"Cannot reach https?://\S+: offline mode is enabled|OfflineModeIsEnabled|"
        r"outgoing traffic has been disabled|Cannot find the requested files in the (?:local|disk) "
        r"cache|LocalEntryNotFoundError",
        "offline mode is on and something (model, tokenizer, a part of it) is named by its hub id",
        "name all of it by paths of the store",
        "vllm-project/vllm#3719",
    ),
    row(
        "hub-access",
        r"(?:Failed to (?:resolve|establish a new connection)|Max retries exceeded|"
        r"couldn.t connect to)[^\n]{0,300}?"
        r"(?P<host>huggingface\.co|hf-mirror\.com|modelscope\.cn)|"
        r"host=\\?'(?P<host2>huggingface\.co|hf-mirror\.com|(?:www\.)?modelscope\.cn)\\?'",
        "the engine asks {host} and has no way there",
        "serve the store's path (a tokenizer named beside it must be a path, too) and set "
        "HF_HUB_OFFLINE=1 in serving.env",
        "h2oai/h2ogpt#1186",
    ),
    row(
        "device-file",
        r"No such device(?: or address)?: '?(?P<file>/dev/\S+?)'?(?:$|\s)|"
        r"(?P<file2>/dev/(?:kfd|mkfd|dri/\S+?|davinci\w*|nvidia\S*?|mxcd|mthreads\S*?|"
        r"cambricon\S*?|hyhal\S*?))'?(?: read-write)?: "
        r"(?:No such file|Permission denied|Operation not permitted)",
        "the device file {file} is missing or closed in the container",
        "check it on the node, the device plugin's health there, and the pod's supplementalGroups: "
        "the numeric groups that own {file} (44 video, render)",
        "gpustack/gpustack#5337, ollama/ollama#6685",
        decides=True,
    ),
    row(
        # not a Python module of the image that may not be read: those are found above by path
        "permission",
        r"(?:PermissionError|Permission denied)[^\n]{0,40}?'?(?P<file>/[^\s':]+)|"
        r"(?P<file2>/[^\s':]+): Permission denied",
        "the engine may not read {file}",
        "check owner and mode of the store, and the pod's runAsUser and fsGroup",
    ),
)
