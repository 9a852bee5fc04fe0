"""Ends at a file or a folder: caches, devices, disks, the hub."""

from __future__ import annotations

from tasks.diagnose.signatures.table import row

# A folder below a home: of root, of a user, of one who has none (/ or /nonexistent).
_HOME = (
    r"/(?:(?:[\w.-]+/){0,6}\.\w|nonexistent\b|(?:root/|home/\w+/)?"
    r"(?:ascend|kernel_meta|var/cache))[^\s':\]]*"
)
# A card's device file, of any vendor: not what is no card.
_DEVICE = (
    r"/dev/(?!(?:shm|null|zero|std\w+|fd|pts|tty|mqueue|infiniband|hugepages|vfio|fuse|kmsg|"
    r"urandom|random)\b)[\w./-]*\w"
)
_CLOSED = "No such file|No such device|Permission denied|Operation not permitted"

ROWS = (
    row(
        # a user without an entry in /etc/passwd has / for a home
        "cache-folder",
        # every folder of a home, whatever library it is of
        rf"(?:PermissionError|Permission denied)[^\n]{{0,40}}?(?<![\w./-])(?P<file>{_HOME})|"
        rf"(?<![\w./-])(?P<file3>{_HOME})'?: Permission denied|"
        r"(?:No such file or directory|FileNotFoundError)[^\n]{0,40}?(?<![\w./-])"
        r"(?P<file4>/(?:nonexistent|(?:[\w.-]+/){0,6}\.\w)[^\s':\]\"]*)|"
        # the hub's fast client names no file, Python none of several
        r"I/O error: Permission denied \(os error 13\)|"
        r"No usable temporary directory found|"
        r"Permission denied: '(?P<file5>(?:kernel_meta|fusion_result\.json)[^']*)'|"
        r"(?:PermissionError|Permission denied)[^\n]{0,40}?'?(?P<file2>/(?:tmp|var/tmp|root)/"
        r"[^\s':]*|/[^\s':]*(?:torchinductor|triton|/\.cache|kernel_meta|flashinfer|aiter)[^\s':]*)",
        "the engine may not write its cache {file}: its user has no home that can be written",
        "set HOME (or TRITON_CACHE_DIR, XDG_CACHE_HOME, HF_HOME, FLASHINFER_WORKSPACE_BASE, "
        "TORCHINDUCTOR_CACHE_DIR) in serving.env to a folder on a writable volume, and name models "
        "by the store's path",
        "llm-d/llm-d#1430, huggingface/inference-benchmarker#30",
    ),
    row(
        # MIOpen writes what it compiles and finds into two folders of its own
        "cache-folder",
        r"MIOpen[^\n]{0,12} Error:? [^\n]{0,300}?(?P<what>unable to open database file|"
        r"disk I/O error|Permission denied|Failed to store record)",
        "MIOpen may not write its cache ({what})",
        "set HOME, or MIOPEN_USER_DB_PATH and MIOPEN_CUSTOM_CACHE_DIR, in serving.env to a folder "
        "on a writable volume of the node",
        "ROCm/MIOpen#1427, ROCm/MIOpen#114, pytorch/pytorch pull 126942, cms-sw/cmssw pull 51819",
        decides=True,
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
        r"getpwuid\(\): uid not found: (?P<uid>\d+)|"
        r"(?:Could not|Can't|Cannot) determine home directory|"
        r"No username set in the environment",
        "the pod's user {uid} has no entry in the image's /etc/passwd",
        "set USER (or LOGNAME) and TORCHINDUCTOR_CACHE_DIR in serving.env",
        "HabanaAI/vllm-fork#929, python/cpython Lib/getpass.py",
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
        r"(?:trying to access|Cannot access) (?:a )?gated repo|^\S*GatedRepoError: 401",
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
        "hub-access",
        # Xet, the hub's store of large files; a proxy that wants a name
        r"(?P<host3>Data processing error: CAS service error[^\n]{0,100})|"
        r"(?P<host4>Tunnel connection failed: \d{3}[^\n']{0,40}|407 Proxy Authentication Required)|"
        r"429 (?:Client Error|Too Many Requests)[^\n]{0,80}?(?P<host>huggingface\.co|"
        r"hf-mirror\.com|"
        r"modelscope\.cn)|(?P<host2>openaipublic\.blob\.core\.windows\.net)|"
        r"error downloading or loading vocab file",
        "the engine fetches a file from the network ({host}) and does not get it",
        "serve all of the model from the store and set HF_HUB_OFFLINE=1 in serving.env; "
        "for gpt-oss "
        "put the harmony vocabulary (o200k_base.tiktoken, cl100k_base.tiktoken) there and set "
        "TIKTOKEN_ENCODINGS_BASE to its folder",
        "openai/harmony, vllm-project/vllm#22525, huggingface/huggingface_hub errors.py",
    ),
    row(
        # an object store that the engine streams the model from
        "hub-access",
        r"(?P<what>NoCredentialsError: [^\n]{1,80}|Could not receive runai_response from "
        r"libstreamer due to: [^\n]{1,80})",
        "the engine fetches the model from an object store and does not get it: {what}",
        "serve the store's path, or give the pod the object store's address and credentials in "
        "serving.env",
        "boto/botocore botocore/exceptions.py, run-ai/runai-model-streamer",
    ),
    row(
        "device-file",
        rf"(?:{_CLOSED})(?: or (?:address|directory))?: '?(?P<file>{_DEVICE})|"
        rf"(?P<file2>{_DEVICE})'?[^\n/]{{0,40}}?(?:{_CLOSED})|"
        r"Unable to open (?P<file3>/dev/kfd) read-write: [^\n]{1,40}|"
        # oneCCL reads the folder /dev/dri/by-path, which --device does not map
        r"ze_fd_manager\.cpp:\d+ init_device_fds: (?P<file4>[^\n]{1,80})",
        "the device file {file} is missing or closed in the container",
        "check it on the node, the device plugin's health there, and the pod's supplementalGroups: "
        "the numeric groups that own {file} (44 video, render)",
        "gpustack/gpustack#5337, ollama/ollama#6685, uxlfoundation/oneCCL#121",
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
