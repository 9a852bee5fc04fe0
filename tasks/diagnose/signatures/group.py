"""Ends between processes: collectives, ports, Ray, children that die or do not answer."""

from __future__ import annotations

from tasks.diagnose.signatures.table import Groups, row, signal_name


def _killed(g: Groups) -> str:
    return {
        "9": "raise serving.resources.memory: the kernel kills what goes beyond it",
        "7": "raise serving.resources.shm_gib: a worker ran out of shared memory",
        "4": "use a node whose CPU has the instruction sets the image was built for",
    }.get(g["signal"], "read its whole log: a library of the engine crashed")


ROWS = (
    row(
        # memory of expandable segments has no handle that another process may open
        "collective-peer",
        r"custom_all_reduce\.\w+:\d+ '(?P<what>(?!out of memory|an illegal|unspecified|"
        r"uncorrectable|misaligned)[^'\n]{1,80})'",
        "vLLM's own all-reduce cannot share memory between the cards: {what}",
        "take expandable_segments out of PYTORCH_CUDA_ALLOC_CONF in serving.env, or add "
        "--disable-custom-all-reduce to serving.extra_args",
        "vllm-project/vllm#42609, vllm-project/vllm#56180, vllm-project/vllm#5613, "
        "vllm-project/vllm#9046",
        decides=True,
    ),
    row(
        # the driver's own calls: torch makes them for symmetric memory
        "collective-peer",
        r"CUDA driver error: (?P<what>invalid argument|invalid device ordinal|operation not "
        r"supported)",
        "the driver refuses memory that is shared between the cards (symmetric memory): {what}",
        "set VLLM_ALLREDUCE_USE_SYMM_MEM=0 in serving.env; then --disable-custom-all-reduce",
        "vllm-project/vllm#25937, pytorch/pytorch#174030",
        vague=True,
        decides=True,
    ),
    row(
        "collective-peer",
        r"(?:hip|cuda)IpcGetMemHandle failed|cudaIpcOpenMemHandle failed|"
        r"peer access is not supported between these two devices",
        "two cards cannot share memory with one another (virtual machine, IOMMU, ACS)",
        "set NCCL_P2P_DISABLE=1 in serving.env and add --disable-custom-all-reduce, or switch off "
        "IOMMU translation and ACS on the node",
        "ROCm/vllm#390",
        decides=True,
    ),
    row(
        # multicast of NVLink's switch: cards on PCIe have none
        "collective-peer",
        r"Device does not support multicasting|(?P<what>cuMulticast\w+)[^\n]{0,60}(?:not supported|"
        r"fail)",
        "the cards do not share memory by multicast, which a fused all-reduce wants {what}",
        "set VLLM_ALLREDUCE_USE_SYMM_MEM=0 in serving.env, and switch the fusion off: "
        "--compilation-config with pass_config fuse_allreduce_rms false; with NVLink see "
        "that the node's fabric manager runs",
        "vllm-project/vllm#34891, vllm-project/vllm pull 33274",
        decides=True,
    ),
    row(
        # the very first one: the cards do not reach each other at all
        "collective-timeout",
        r"Watchdog caught collective operation timeout: WorkNCCL\(SeqNum=1,",
        "the first exchange between the cards never ended: they cannot reach each other",
        "set NCCL_P2P_DISABLE=1 in serving.env, switch ACS and IOMMU off on the node, or name the "
        "right NCCL_SOCKET_IFNAME",
        "vllm-project/vllm#8978",
        vague=True,
        decides=True,
    ),
    row(
        "worker-died",
        r"Worker \S+ pid \d+ died, exit code: -(?P<signal>\d+)|"
        r"Worker proc \S+ died unexpectedly \(exit code: -(?P<signal2>\d+)",
        lambda g: f"a worker was ended by {signal_name(int(g['signal']))}",
        _killed,
        "vllm-project/vllm#6042",
        hopeless=False,
        other=True,
        decides=True,
        vague=True,
    ),
    row(
        # not how: whatever that worker said goes before it
        "worker-died",
        r"Worker proc \S+ died unexpectedly",
        "a worker died",
        "read that worker's own lines above",
        "vllm-project/vllm-ascend#3367",
        hopeless=False,
        other=True,
        vague=True,
    ),
    row(
        "collective-timeout",
        r"Watchdog caught collective operation timeout|"
        r"Timed out after \d+ ?(?:ms|seconds|minutes).{0,40}(?:rendezvous|store|barrier|clients)",
        "one rank waited for another that did not come",
        "read the first rank that failed: this one only waited",
        "vllm-project/vllm#6042",
        hopeless=False,
        vague=True,
    ),
    row(
        "collective",
        # NCCL's sisters write as it does: RCCL, MCCL, CNCL, ECCL, ixCCL, BKCL
        r"\w{0,6}(?:CCL|CNCL) error(?: \d+)?: (?!\{)(?P<what>[^\n(]{1,60})|"
        r"\w{0,6}(?:CCL|CNCL) error in: \S+, (?P<what2>[^\n(]{1,60})|"
        r"(?P<what3>ncclUnhandledCudaError|"
        r"ncclInternalError|ncclInvalidUsage|BKCL_\w*ERROR\w*)",
        "the collective library could not join the cards: {what}",
        "NCCL_DEBUG=INFO in serving.env (or its vendor's like) tells which part: "
        "shm_gib, NCCL_SOCKET_IFNAME, or peer "
        "access (NCCL_P2P_DISABLE=1, --disable-custom-all-reduce)",
        "vllm-project/vllm#7801, vllm-project/vllm#6732",
        hopeless=False,
        vague=True,
        decides=True,
    ),
    row(
        # DeepEP's transport between the cards
        "collective",
        r"(?P<what>nvshmem initialization failed|init failed for transport: \w+|"
        r"non-zero status: \d+ \w[^\n]{0,60}failed|aborting due to error in nvshmem\w+)",
        "NVSHMEM could not join the cards: {what}",
        "see that the pod holds the node's RDMA devices (its device plugin's resource) and that "
        "driver and NIC allow GPUDirect (IBGDA); on one node choose another "
        "--all2all-backend than deepep",
        "sgl-project/sglang#6017, deepseek-ai/DeepEP#150, deepseek-ai/DeepEP#321",
        vague=True,
        decides=True,
    ),
    row(
        # a vendor's sister of NCCL by its own mark
        "collective",
        r"(?P<what>\[\w{0,4}CCL\]\[\S+:\d+\] [^\n]{0,80}fail[^\n]{0,40})|"
        r"(?P<what2>\[[A-Z ]{3,30}\]: error code= ?\d+\(at \S*CCLUtils\.hpp)",
        "the collective library could not join the cards: {what}",
        "name the pod's interface in the library's variable (XCCL_, BKCL_SOCKET_IFNAME), and see "
        "that VLLM_HOST_IP is this pod's",
        "baidu/vLLM-Kunlun#382",
        vague=True,
        decides=True,
    ),
    row(
        "collective",
        r"(?P<what>oneCCL: [^\n]{1,120})",
        "oneCCL could not join the cards: {what}",
        "check that the pod holds the device files of every card (/dev/dri); then "
        "CCL_ZE_IPC_EXCHANGE in serving.env",
        "vllm-project/vllm#14747",
        vague=True,
    ),
    row(
        # CANN names the operator that was under way when an error was reported, above as a rule
        "collective",
        r"current working operator name is (?P<what>Hccl\w+)",
        "a collective of HCCL ended in an error on a card: {what}",
        "read the lines above it and the rank that tells another error; then hccn_tool (link, TLS)",
        "Ascend/pytorch torch_npu/csrc/core/npu/NPUException.h",
        hopeless=False,
        vague=True,
        decides=True,
    ),
    row(
        "collective",
        r"hcclCommInitRootInfoConfig\(|HcclCommInitRootInfo",
        "HCCL does not make this group of cards",
        "use a tensor parallel size of 2, 4 or 8; see that each process has a card of its own",
        "vllm-project/vllm-ascend#2712",
        vague=True,
        decides=True,
    ),
    row(
        "collective",
        r"EI00(?!02|06|15)\d\d|Transport init error|Create Dest error",
        "HCCL cannot make the link between two cards",
        "see which card each process takes, and look at the rank that tells no error",
        "vllm-project/vllm-ascend#3162",
        decides=True,
        vague=True,
    ),
    row(
        "collective-timeout",
        r"EI0006|EI0002|EI0015|Getting socket times out|"
        r"client socket has timed out after \w+ while trying to connect|connectFullMesh failed",
        "a rank waited for another's connection: that one failed, or the cards' own network does "
        "not carry",
        "read the rank with another error first; then hccn_tool (link, TLS), HCCL_CONNECT_TIMEOUT",
        "vllm-project/vllm-ascend#5461, vllm-project/vllm-ascend#486",
        hopeless=False,
        decides=True,
        vague=True,
    ),
    row(
        # HCCL's own listening ports
        "address-in-use",
        r"EJ0003: .*|The IP address and port have been bound already",
        "a port of HCCL is taken by another process of the node",
        "set HCCL_IF_BASE_PORT (and HCCL_HOST_SOCKET_PORT_RANGE, HCCL_NPU_SOCKET_PORT_RANGE) in "
        "serving.env to ports of this pod's own, or wait for the process that holds them",
        "Ascend/pytorch#66",
        hopeless=False,
        decides=True,
    ),
    row(
        "address-in-use",
        r"(?:Address already in use|errno 98\b|EADDRINUSE).*",
        "the port is taken",
        "with host_network another process or pod on the node holds it: wait for it to stop, or "
        "set serving.port (VLLM_PORT for the ports between the engine's processes)",
        "vllm-project/vllm#7514, vllm-project/vllm#11617",
        hopeless=False,
    ),
    row(
        "kv-connector",
        r"(?P<what>\bNIXL_ERR_\w+|NIXL is not available)|nixlBackendError|"
        r"(?:KeyError: |Worker failed with error '+)'?"
        r"(?P<what2>UCX|LIBFABRIC|GDS|GDS_MT|MOONCAKE)'",
        "the transport of the KV connector (NIXL) does not start: {what}",
        "use an image whose NIXL has that backend (UCX with CUDA or ROCm); UCX_LOG_LEVEL=info in "
        "serving.env tells why; without prefill apart leave out --kv-transfer-config",
        "vllm-project/vllm#18322, ai-dynamo/dynamo#5012, vllm-project/vllm#29530",
        decides=True,
    ),
    row(
        "ray-placement",
        r"Ray does not allocate any GPUs on the driver node|Current node has no GPU available|"
        r"No available node types can fulfill resource request|"
        r"Cannot provide a placement group (?:of placement_group_specs|requiring)|"
        r"number of required (?:GPUs|NPUs|devices) exceeds the total number of available",
        "Ray's placement group holds no card of the node the server runs on",
        "set VLLM_HOST_IP to the address Ray knows the node by; on one node add "
        "--distributed-executor-backend mp",
        "vllm-project/vllm#7815, vllm-project/vllm#29265, vllm-project/vllm#4655",
        decides=True,
        warned=True,
    ),
    row(
        "process-start",
        r"Cannot re-initialize CUDA in forked subprocess|Cannot re-initialize (?:NPU|MUSA|XPU)",
        "something used the card before vLLM made its processes by fork",
        "set VLLM_WORKER_MULTIPROC_METHOD=spawn in serving.env",
        "vllm-project/vllm#12754",
    ),
    row(
        "process-start",
        r"attempt has been made to start a new process before the|"
        r"current process has finished its bootstrapping phase",
        "the start script has no main guard, and workers are spawned",
        "use vLLM's own entry point in serving.command, or guard the script by "
        "if __name__ == '__main__'",
        "SystemPanic/vllm-windows#6",
        decides=True,
    ),
    row(
        "event-loop",
        r"this event loop is already running",
        "the container runtime or the host's kernel does not go with uvloop",
        "use another container runtime or kernel on the node",
        "noonghunna/club-3090 docs/CONTAINER_RUNTIMES.md",
    ),
    row(
        "engine-start-timeout",
        r"Timed out waiting for engine core processes to start|"
        r"Timed out waiting for engines to send initial message",
        "vLLM gave up on its own engine processes before they had loaded the model",
        "raise VLLM_ENGINE_READY_TIMEOUT_S in serving.env for a large model on a slow disk, or "
        "find why loading hangs",
        "vllm-project/vllm pull 35616, vllm-project/vllm#32116",
        hopeless=False,
    ),
    row(
        "engine-start-timeout",
        r"DP Coordinator process failed to report ZMQ addresses",
        "the process that joins data parallel ranks (DP Coordinator) did not come up in time",
        "read its own lines above; where it tells of too many open files raise the node's limit "
        "(LimitNOFILE of the container runtime), else give it more CPU at the start",
        "vllm-project/vllm v1/engine/coordinator.py",
        hopeless=False,
        vague=True,
    ),
    row(
        "worker-silent",
        r"^TimeoutError(?:: RPC call to \w+ timed out\.?)?$|"
        r"RPC call to (?P<call>\w+) timed out|No available shared memory broadcast block found in "
        r"\d+ second",
        "a worker did not answer the engine in time: it hangs or is gone",
        "read the workers' own lines and the node's kernel log; "
        "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS helps only where a first step is slow",
        "vllm-project/vllm#23582",
        hopeless=False,
        vague=True,
    ),
    row(
        "numa",
        r"numa_migrate_pages failed|Not enough allowed NUMA nodes to bind threads of "
        r"(?P<ranks>\d+) CPUWorkers\. Allowed NUMA nodes are (?P<nodes>\[[\d, ]*\])",
        "the engine's workers cannot be bound to the CPU's NUMA nodes {nodes}",
        "set VLLM_CPU_OMP_THREADS_BIND in serving.env (nobind, or cores by hand), or give the "
        "container the capability SYS_NICE",
        "vllm-project/vllm#10556, vllm-project/vllm pull 35815",
    ),
    row(
        "cpu-unsupported",
        r"Illegal instruction|died with <Signals\.SIGILL",
        "the image uses instructions this CPU does not have (AVX2, AVX-512)",
        "use a node that has them, or an image built without",
        "intel/ipex-llm#12922, vllm-project/vllm#32554",
        aborts=True,
    ),
    row(
        "terminated",
        r"^KeyboardInterrupt: terminated$",
        "the engine was told to end (SIGTERM) while it loaded: by the kubelet, for a probe or an "
        "eviction",
        "see the pod's events for who ended it; a startup probe must have more patience: "
        "serving.startup_timeout_s",
        "vllm-project/vllm#15997",
        hopeless=False,
        decides=True,
        first=True,
    ),
    row(
        "command",
        r"sh: (?:line )?\d+: (?:exec: )?(?P<what>\S*(?:vllm|python[\d.]*)): "
        r"(?P<why>Permission denied|(?:command )?not found)",
        "the container cannot start {what}: {why}",
        "correct serving.command for this image; where the image has it, its user may not read it: "
        "runAsUser",
        "vllm-project/vllm#15461",
        aborts=True,
    ),
    row(
        "command",
        r"exec: \\?\"(?P<what>[^\"\\]+)\\?\": (?P<why>executable file not found in \$PATH|"
        r"permission denied|no such file or directory)",
        "the container cannot start {what}: {why}",
        "correct serving.command for this image; where the image has it, its user may not read it: "
        "runAsUser",
        "vllm-project/vllm#16402",
        decides=True,
    ),
)
LAST = (
    row(
        "python-import",
        r"^(?P<what>(?:ModuleNotFoundError|ImportError): .*)",
        "the image lacks something it needs: {what}",
        "use an image in which vLLM starts",
    ),
    # last: these only tell that a child ended, where nothing tells why
    row(
        "engine-killed",
        r"Failed core proc\(s\): \{[^}]*: -(?P<signal>\d+)|"
        r"died unexpectedly \(exit code: -(?P<signal2>\d+)",
        lambda g: f"a process of the engine was ended by {signal_name(int(g['signal']))}",
        _killed,
        hopeless=False,
        other=True,
    ),
    row(
        # a child that was killed with SIGKILL leaves no other word (tried with 0.32)
        "engine-killed",
        # an exit with 0 or 1 is none of the kernel's
        r"Engine core initialization failed(?!.*core proc\(s\): \{[^}]*: ?\d)|"
        r"EngineCore died|Engine core proc \S+ died unexpectedly|Engine process \(pid \d+\) died|"
        r"\.sh: line \d+: +\d+ Killed\b|^Killed$|Got fatal signal from worker processes|"
        r"ChildProcessError: worker died|ActorDiedError: The actor died unexpectedly|"
        r"The actor (?:is dead|died) (?:unexpectedly )?because its worker process has died|"
        r"A worker died or was killed while executing|Worker exit type: SYSTEM_ERROR",
        "a process of the engine ended without a word, as it does when the kernel kills it for "
        "memory",
        "raise serving.resources.memory; the node's kernel log tells whether it was that "
        "(dmesg: oom-kill)",
        "vllm-project/vllm#586, vllm-project/vllm#15800, zai-org/GLM-V#208, "
        "vllm-project/vllm#27549, vllm-project/vllm-ascend#5699, vllm-project/vllm#23517, "
        "vectorch-ai/ScaleLLM#38",
        hopeless=False,
        silent=True,
    ),
)
