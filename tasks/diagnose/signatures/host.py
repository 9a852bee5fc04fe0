"""Ends at a limit of the container or the host, or in an image whose parts do not go together.

Wordings are those of the kernel's errno, of torch, glibc, gloo and NCCL, and of the reports named.
"""

from __future__ import annotations

import re

from tasks.diagnose.signatures.table import row

ROWS = (
    row(
        "image-parts",
        r"(?P<what>\S+\.so\S*: undefined symbol: \S+|operator torchvision::nms does not exist|"
        r"'_OpNamespace' '\w+' object has no attribute '\w+'|"
        r"\w+::\w+\(\) expected at most \d+ argument\(s\) but received \d+|"
        r"version `GLIBC(?:XX)?_[\d.]+' not found|Torch not compiled with \w+ enabled)",
        "the image's binary parts were not built for each other or for this platform: {what}",
        "use an image in which vLLM and torch are of one build; add no packages that replace torch",
        "vllm-project/vllm#23925, vllm-project/vllm#7940, vllm-project/vllm-metal#102",
    ),
    row(
        # an operator that the image's vLLM was built without
        "image-parts",
        r"Could not run '(?P<what>_\w*C\w*::\w+)' with arguments from the '(?P<card>\w+)' backend",
        "the image's vLLM was built without its operator {what} for this platform ({card})",
        "use an image built for the card; one built for another platform or without kernels "
        "(an editable install, an empty target) does not serve",
        "vllm-project/vllm#11436",
        decides=True,
    ),
    row(
        "image-parts",
        r"(?P<file>\S+\.so\S*): cannot allocate memory in static TLS block",
        "the image loads {file} too late for its place in memory",
        "set LD_PRELOAD to that file in serving.env, or use another image",
        "gpustack/gpustack#2208",
    ),
    row(
        # transformers 5 beside a vLLM made for 4, kernels beside an older transformers
        "image-parts",
        r"AttributeError: (?P<what>'?\w*Tokenizer\w*'? (?:object )?has no attribute '?\w+)|"
        r"(?P<what2>Either a revision or a version must be specified)",
        "the image's vLLM and transformers are not of releases that go together: {what}",
        "use an image in which vLLM starts; add no packages that replace those it brings "
        "(transformers, kernels)",
        "QwenLM/Qwen3-VL#2058, runpod-workers/worker-vllm#260, odysseus-dev/odysseus#191",
    ),
    row(
        # torch loads its backends' packages itself; what failed within goes before it
        "image-parts",
        r"Failed to load the backend extension: (?P<what>\w+)|"
        r"AttributeError: module '(?P<what2>torch_\w+|vllm_\w+)' has no attribute '\w+'",
        "the image's torch or vLLM and its backend {what} are not of releases that go together",
        "use an image in which vLLM starts; add no packages that replace torch, vLLM or {what}",
        "flashserve/flash-linear-attention-npu#2",
        vague=True,
    ),
    row(
        # what a platform's plugin asks of a class of vLLM's own, or the other way
        "image-parts",
        r"AttributeError: (?P<what>'\w+Builder' object has no attribute '\w*graph\w*')",
        "the image's vLLM and its platform's plugin are not of releases that go together: {what}",
        "use an image whose vLLM and plugin are of one release; else --enforce-eager",
        "vllm-project/vllm-ascend#5005",
    ),
    row(
        "image-parts",
        r"TypeError: (?P<what>(?!\w*(?:EngineArgs|Config)\.)[\w.]+\(\) got an unexpected keyword "
        r"argument '\w+')",
        "two parts of the image are of different releases: {what}",
        "use an image in which vLLM starts; add no packages that replace those it brings",
        "vllm-project/vllm#20559",
        vague=True,
    ),
    row(
        "image-platform",
        r"exec format error",
        "the image's programs are not built for this node's processor",
        "use an image for the node's platform",
        "Linux errno ENOEXEC",
        decides=True,
    ),
    row(
        "host-memory",
        r"\[Errno 12\] Cannot allocate memory|std::bad_alloc|"
        r"DefaultCPUAllocator: (?:can't allocate|not enough) memory|"
        r"mmap failed: Cannot allocate memory|cudaHostAlloc.{0,60}out of memory|"
        r"unable to mmap \d+ bytes[^\n]{0,320}: Cannot allocate memory|"
        r"(?:Task|worker\(s\)) (?:was|were) killed due to the node running low on memory|"
        r"Workers \(tasks / actors\) killed due to memory pressure \(OOM\)",
        "the host's memory for this container is used up",
        "raise serving.resources.memory, or lower swap space and CPU offload in serving.extra_args",
        "torch c10/core/impl/alloc_cpu.cpp, vllm-project/vllm#759, vllm-project/vllm#9753, "
        "vllm-project/vllm#1765, vllm-project/vllm#1160",
        hopeless=False,
    ),
    row(
        "process-limit",
        r"pthread_create failed|can't start new thread|"
        r"\[Errno 11\] Resource temporarily unavailable|fork: (?:retry: )?Resource temporarily",
        "the container may make no more threads",
        "raise the node's limit of processes a pod (the kubelet's podPidsLimit), or set "
        "OMP_NUM_THREADS in serving.env",
        "OpenBLAS blas_server.c",
        hopeless=False,
    ),
    row(
        "file-limit",
        r"\[Errno 24\] Too many open files|Too many open files",
        "the container may open no more files",
        "raise the limit of open files of the node's container runtime (LimitNOFILE)",
        "Linux errno EMFILE",
    ),
    row(
        "storage",
        r"\[Errno (?:5|116|107)\] (?P<what>Input/output error|Stale file handle|"
        r"Transport endpoint is not connected)(?:: '(?P<file>[^']+)')?|"
        r"unable to mmap \d+ bytes from file <(?P<file2>[^>\n]{1,300})>: "
        r"(?P<what2>Input/output error|No such device|Stale file handle|"
        r"Transport endpoint is not connected)",
        lambda g: f"the storage {g['file'] or 'of the container'} fails: {g['what']}",
        "look at the node's disk or mount, and at its kernel log; a mount whose files cannot be "
        "mapped (No such device) needs --safetensors-load-strategy eager",
        "Linux errno EIO, ENODEV (mmap), ESTALE, ENOTCONN; "
        "pytorch/pytorch aten/src/ATen/MapAllocator.cpp",
        hopeless=False,
    ),
    row(
        "socket-path",
        r"ipc path .{1,200}is longer than \d+ characters",
        "the path of the engine's socket is longer than the kernel takes",
        "set VLLM_RPC_BASE_PATH (or TMPDIR) in serving.env to a short folder",
        "zeromq/pyzmq",
    ),
    row(
        "network-interface",
        r"Unable to find (?:address|interface) for:? ?\[?(?P<name>[\w.:-]+)|"
        r"(?P<name2>no socket interface found)",
        "the network interface {name} that is named for the processes' traffic is not in the pod",
        "take GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME and HCCL_SOCKET_IFNAME out of serving.env, or "
        "name one the pod has (eth0; the node's with host_network)",
        "pytorch/gloo gloo/transport/tcp/device.cc",
        decides=True,
    ),
    row(
        # IPv6 without its brackets, an address of another machine, a family the pod lacks
        "network-interface",
        r"Invalid argument \(addr='tcp://(?P<name>[0-9a-f]*:[0-9a-f:]+:\d+)'\)|"
        r"bind on address \('(?P<name2>[^'\n]{1,60})', \d+\): cannot assign requested address|"
        r"\[Errno 99\] cannot assign requested address",
        "an address {name} that a part of the engine binds is none of this pod, or an IPv6 address "
        "that it does not write as one",
        "take --host and VLLM_HOST_IP out of serving, or name an address of the pod; in a cluster "
        "of IPv6 alone use a newer image",
        "gpustack/gpustack#3658, vllm-project/vllm pull 1288, vllm-project/vllm#18986",
        vague=True,
    ),
    row(
        "name-resolution",
        r"socket\.gaierror: (?P<what>[^\n]{1,80})|(?P<what2>gai error: -\d[^\n]{1,60})",
        "a name is not found in the pod's network: {what}",
        "see which name the lines around it tell (a hub: serve the store's path and set "
        "HF_HUB_OFFLINE=1; the pod's own: set VLLM_HOST_IP), and the cluster's DNS",
        "vllm-project/vllm#3656, vllm-project/vllm#557",
        hopeless=False,
        vague=True,
    ),
    row(
        "hub-access",
        r"(?P<what>5\d\d Server Error[^\n]{0,60}) for url: \S*?(?P<host>huggingface\.co|"
        r"modelscope\.cn|hf-mirror\.com)",
        "the hub {host} does not answer the engine: {what}",
        "serve the store's path and set HF_HUB_OFFLINE=1 in serving.env",
        "vllm-project/vllm-omni#1063",
        hopeless=False,
    ),
    row(
        "hub-access",
        r"(?P<what>40[134] Client Error[^\n]{0,40})(?:for url: )?\S*?(?P<host>huggingface\.co|"
        r"modelscope\.cn|hf-mirror\.com)|(?P<what2>RepositoryNotFoundError|"
        r"CERTIFICATE_VERIFY_FAILED)",
        "the engine asks a hub {host} and is refused: {what}",
        "serve the store's path (a tokenizer named beside it must be a path, too) and set "
        "HF_HUB_OFFLINE=1 in serving.env",
        "huggingface/huggingface_hub errors.py",
    ),
    row(
        "native-crash",
        r"\[HAMI-core ERROR [^\]\n]{1,150}\]: Illegal device id: (?P<id>-?\d+)",
        "HAMi's library in the container looks for a card {id}, which nobody has, and crashes",
        "update HAMi (HAMi-core pull 172 of 2026-04: its hook of cuMemCreate read a number that "
        "was never set), or ask for whole cards; NCCL gets there with several devices",
        "Project-HAMi/HAMi-core#169, Project-HAMi/HAMi#1853",
        hopeless=False,
        decides=True,
    ),
    row(
        # below the words of which function: what names a thing goes before it
        "native-crash",
        r"!{5,} Segfault encountered !{5,}(?: in (?P<what>[^\n]{1,120}))?",
        lambda g: "a library of the engine crashed" + (f" in {g['what']}" if g["what"] else ""),
        lambda g: (
            "update HAMi where it shares the cards (its hook crashes there with several devices), "
            "or ask for whole cards; else try another image or driver"
            if re.search(r"cuMem|libvgpu|device_memory", g["what"])
            else "see what stands before and below it in the whole log; try --enforce-eager, "
            "another image, or the node's kernel log"
        ),
        "vllm-project/vllm#27868, vllm-project/vllm pull 38529, apache/tvm-ffi backtrace.cc",
        hopeless=False,
        vague=True,
        decides=True,
    ),
    row(
        # no word of which library; what names a thing goes before it
        "native-crash",
        r"Fatal Python error: (?P<what>Segmentation fault|Aborted)|(?P<what2>Segmentation fault)\b|"
        r"Caught signal 11 \((?P<what3>Segmentation fault)|"
        r"(?P<what4>double free or corruption|corrupted (?:double-linked list|size vs)|"
        r"(?:free|malloc|munmap_chunk)\(\): [^\n]{1,60})",
        "a library of the engine crashed ({what})",
        "see what stands before it in the whole log; try --enforce-eager, another image, or the "
        "node's kernel log",
        "CPython faulthandler, kserve/kserve#5056, vllm-project/vllm#16412",
        hopeless=False,
        vague=True,
        decides=True,
    ),
)
