"""Ends in a kernel: none for the card or the model, a fault in it."""

from __future__ import annotations

from tasks.diagnose.signatures.table import row

_BUILT = (
    "use an image built for the card (its CUDA capability or gfx number); the vendor's own image "
    "for Hygon's and Ascend's"
)

ROWS = (
    row(
        "card-unsupported",
        r"no kernel image is available for execution|Illegal seek for GPU arch|"
        r"HIP error: invalid device function|"
        r"CUDA error: invalid device function|hipErrorNoBinaryForGpu|"
        r"Unable to find code object for all current devices|hipErrorInvalidDeviceFunction|"
        r"no binary for GPU|No compatible code objects found for: \w+|"
        r"device kernel image is invalid|CUDA error[^\n]{0,120}named symbol not found",
        "the image holds no code for this card",
        f"{_BUILT}; HSA_OVERRIDE_GFX_VERSION only where a close sibling's code is there",
        "vllm-project/vllm#14452, ROCm/legacy-rocm-build#4386, easydiffusion/easydiffusion#1477",
        decides=True,
    ),
    row(
        "card-unsupported",
        r"init (?:runtime )?platform info failed, SocVersion ?= ?(?P<card>\w+)|"
        r"(?:unsupported|invalid) (?:soc|SocVersion)\W+(?P<card2>Ascend\w+)",
        "the image's CANN has no kernels for this chip {card}",
        "use an image (with the kernel package of CANN) for the chip",
        "vllm-project/vllm-ascend#692",
        decides=True,
    ),
    row(
        "card-unsupported",
        r"ptxas fatal\s*: Value '(?P<card>sm_\w+)' is not defined",
        "Triton's own assembler does not know the card ({card})",
        "set TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas in serving.env, in an image whose CUDA is "
        "new enough for the card",
        "gpustack/gpustack#4372",
        decides=True,
    ),
    row(
        "card-unsupported",
        r"Unsupported gpu architecture '(?P<card>\w+)'",
        "the image's CUDA compiler is too old for the card ({card}), for which it makes a kernel",
        "use an image whose CUDA toolkit is new enough for the card, or with compiled FlashInfer "
        "kernels",
        "flashinfer-ai/flashinfer#1657, flashinfer-ai/flashinfer#1658",
        decides=True,
        demotes="compiler",
    ),
    row(
        # FlashInfer, before it compiles anything
        "card-unsupported",
        r"(?P<what>SM ?[\d.x]+ requires CUDA >= ?[\d.]+|"
        r"No supported CUDA architectures found for major versions \[[\d, ]*\]|"
        r"FlashInfer requires GPUs with sm\d+ or higher)",
        "the image's CUDA and the card do not go together: {what}",
        "use an image whose CUDA toolkit is new enough for the card, or another attention backend "
        "and VLLM_USE_FLASHINFER_SAMPLER=0 in serving.env",
        "vllm-project/vllm#50705, flashinfer-ai/flashinfer flashinfer/compilation_context.py",
    ),
    row(
        "card-unsupported",
        r"error: unsupported target: '(?P<card>\w+)'",
        "the image's Triton makes no code for this card ({card})",
        "use an image built for the card; where there is none, other cards",
        "Said-Akbar/triton-gcn5#4",
        decides=True,
    ),
    row(
        "card-unsupported",
        r"error\s*: Feature '(?P<what>[^'\n]{1,120})' not supported on \.target '?(?P<card>sm_\w+)",
        "a Triton kernel of the image uses what the card ({card}) does not have: {what}",
        f"{_BUILT}, or choose another attention or MoE backend",
        "sgl-project/sglang#8879",
        decides=True,
    ),
    row(
        "attention-backend",
        r"Selected backend (?:\w+\.)?(?P<name>\w+) is not valid for this configuration\.? ?"
        r"(?:Reason: (?P<why>[^\n]{0,200}))?",
        "the attention backend {name} cannot serve this model on this card {why}",
        "leave out VLLM_ATTENTION_BACKEND and --attention-backend, or choose one that fits",
        "gpustack/gpustack docs/performance-lab/deepseek-v3.2/h200.md",
    ),
    row(
        "attention-backend",
        r"Buffer overflow when allocating memory for (?P<what>\w+)|"
        r"Out of workspace memory in AlignedAll\w+",
        "FlashInfer's workspace is too small for so many sequences {what}",
        "raise VLLM_FLASHINFER_WORKSPACE_BUFFER_SIZE (bytes) in serving.env, lower "
        "serving.max_num_seqs, or choose another attention backend",
        "vllm-project/vllm#40023, vllm-project/vllm#6166",
    ),
    row(
        "attention-backend",
        r"(?P<why>FlashInfer backend currently does not support attention sinks|"
        r"Sinks are only supported in FlashAttention \d|"
        r"FlashAttention (?:\w+ )?only supports head dimensions? (?:at most|up to) \d+"
        r"[^\n]{0,40}|"
        r"No valid attention backend found[^\n]{0,160}|"
        r"FlashAttention only supports Ampere GPUs or newer|"
        r"<class '\S+AttentionBackend'> is not yet supported|"
        r"Flash\w+ (?:Dense |Sparse )?is (?:not supported on this device|only supported on)"
        r"[^\n]{1,90}|"
        r"[\w ]{1,30}backend (?:currently )?does not support [^\n']{1,80})",
        "no attention backend of this engine serves this model on this card: {why}",
        "leave out VLLM_ATTENTION_BACKEND and --attention-backend, or choose one that fits the "
        "card",
        "gpustack/gpustack docs/performance-lab/gpt-oss-120b/a100.md, vllm-project/vllm#22290, "
        "Dao-AILab/flash-attention csrc/flash_attn/flash_api.cpp",
        decides=True,
    ),
    row(
        "kernel-unsupported",
        r"AssertionError: (?P<why>Sinks must be of type \w+)",
        "a kernel does not take this model: {why}",
        "set what the model's recipe names for this card in serving.env",
        "vllm-project/recipes OpenAI/GPT-OSS.md",
    ),
    row(
        "kernel-unsupported",
        r"Check failed: (?P<why>[^\n]{0,160}routing_logits[^\n]{0,100})",
        "FlashInfer's FP8 kernel for experts does not take this model: {why}",
        "set VLLM_USE_FLASHINFER_MOE_FP8=0 in serving.env",
        "vllm-project/recipes StepFun/Step-3.5-Flash.md",
    ),
    row(
        "kernel-unsupported",
        r"RuntimeError: (?P<why>invalid argument for fmha\w*)|"
        r"No module named '(?P<why2>aiter\.jit\.\w+)'",
        "AITER has no such kernel for this card: {why}",
        "set VLLM_ROCM_USE_AITER=0 in serving.env (or choose another attention backend), or clear "
        "AITER's cache folder and make it writable",
        "lumi-ai-factory/laifs-container-recipes#8, kyuz0/amd-r9700-vllm-toolboxes#15",
    ),
    row(
        "kernel-unsupported",
        r"DeepGEMM backend is not available(?P<why> or outdated)?",
        "the image's DeepGEMM is missing{why}, and vLLM wants it on this card",
        "set VLLM_USE_DEEP_GEMM=0 and VLLM_MOE_USE_DEEP_GEMM=0 in serving.env, or use an image "
        "that brings DeepGEMM (models with sparse attention need it)",
        "vllm-project/vllm#41849, vllm-project/vllm#29943",
        decides=True,
    ),
    row(
        "kernel-unsupported",
        r"Assertion error \(\S*(?:deep_?gemm|jit_kernels|csrc/apis)\S*:\d+\): "
        r"(?P<why>[^\n]{1,120})",
        "DeepGEMM has no kernel for this model on this card: {why}",
        "set VLLM_USE_DEEP_GEMM=0 and VLLM_MOE_USE_DEEP_GEMM=0 in serving.env, or use a newer "
        "image",
        "deepseek-ai/DeepGEMM#324, vllm-project/vllm#46726, deepseek-ai/DeepGEMM#140",
    ),
    row(
        "kernel-unsupported",
        r"(?P<why>No \w+ (?:MoE |linear )?backend supports the (?:deployment )?configuration|"
        r"\w+ (?:MoE |linear )?backend '\w+' does not support the (?:deployment )?configuration"
        r"[^\n]{0,120}|"
        r"No compiled \w+ for CUDA device capability: \d+|kernel does not support current device|"
        r"[\w ]{3,60} (?:is|are) not implemented for (?:Blackwell|Hopper|Ada|Ampere|SM ?\d+)|"
        r"[\w -]{3,60} has no \w+ kernel for [^\n]{1,100}|"
        r"[\w ]{3,60} kernels? (?:is|are) only supported (?:for|on|with) [^\n]{1,60}|"
        r"Error in function '\w+' at [^\n]{1,200}: Unsupported \w+)",
        "this vLLM has no kernel for the model's quantization on this card: {why}",
        "use a newer image, leave the backend to vLLM (VLLM_*_MOE*, --moe-backend), or choose "
        "another quantization of the model",
        "vllm-project/vllm#45661, vllm-project/vllm#33416, vllm-project/vllm#32109, "
        "vllm-project/vllm#16515, vllm-project/vllm#56837, vllm-project/vllm#24109, "
        "flashinfer-ai/flashinfer#3263, flashinfer-ai/flashinfer#5445",
    ),
    row(
        "kernel-unsupported",
        r"GPU archs? of \[(?P<why>[^\]\n]{1,60})\] (?:is|are) (?:invalid|not supported)",
        "AITER does not know this card: {why}",
        "set VLLM_ROCM_USE_AITER=0 in serving.env",
        "kyuz0/amd-strix-halo-vllm-toolboxes#73",
    ),
    row(
        # the operators that exchange tokens between experts
        "collective",
        r"HCCL_BUFFSIZE\w* is too SMALL[^\n]{0,900}?NEEDED_HCCL_BUFFSIZE[^\n]{0,300}?= ?"
        r"(?P<need>\d+) ?MB(?:, HCCL_BUFFSIZE ?= ?(?P<has>\d+))?",
        "HCCL's buffer is too small to exchange so many tokens between experts: {need} MB are "
        "needed, it has {has}",
        "set HCCL_BUFFSIZE={need} or more in serving.env, or lower --max-num-batched-tokens",
        "vllm-project/vllm-ascend#16835, vllm-project/vllm-ascend pull 6130",
        decides=True,
    ),
    row(
        # CANN's operators; a code of its own (memory, a fault) goes before
        "kernel-unsupported",
        r"call (?P<why>aclnn\w+) failed|current working operator name is (?P<why2>aclnn\w+)|"
        r"error code is (?P<why3>561\d{3})|"
        r"E[A-Z\d]\d{4}: [^\n]{0,80}op\[(?P<why4>\w+)\], [^\n]{0,60}(?:only|not) support",
        "the image's CANN cannot run the operator {why} for this model on this chip",
        "use an image made for the chip, with CANN's kernel package for it; else --enforce-eager "
        "or another quantization of the model",
        "vllm-project/vllm-ascend#1736, vllm-project/vllm-ascend#6082, "
        "vllm-project/vllm-ascend#4859",
        vague=True,
        decides=True,
    ),
    row(
        "kernel-unsupported",
        r"out of resource: (?P<why>shared memory, Required: \d+, Hardware limit: \d+)",
        "a Triton kernel of this model needs more than the card has: {why}",
        "choose another attention backend or a smaller block size, or another card",
        "triton-lang/triton python/triton/runtime/errors.py",
    ),
    row(
        "quantization-unsupported",
        r"(?P<what>type fp8e4nv not supported in this architecture|"
        r"does not support \w+ quantization(?: yet)?|no available \w+ quantizer|"
        r"(?:FP8|NVFP4|MXFP4|fp8)[\w ]{0,40} (?:requires|is only supported on) [^\n]{1,80}"
        r"(?:capability|GPUs?)[^\n]{0,30})",
        "card or engine cannot compute in the model's quantization: {what}",
        "choose another quantization of the model, a newer image, or newer cards",
        "triton-lang/triton python/triton/language/semantic.py, vllm-project/vllm#25653, "
        "vllm-project/vllm-ascend#633",
    ),
    row(
        # the process aborts; other ranks may write on
        "kernel-fault",
        r"Memory access fault by GPU (?P<node>\S+)[^\n]*?(?:Reason: (?P<why>[^\n]{1,60}))?$",
        "a kernel of the image touched memory that is not mapped on GPU {node}: not built for this "
        "card or this model",
        "set VLLM_ROCM_USE_AITER=0 in serving.env, or use another image",
        "vllm-project/vllm#28460, vllm-project/vllm#43605",
        aborts=True,
    ),
    row(
        "kernel-fault",
        r"an illegal memory access was encountered|cudaErrorIllegalAddress|"
        r"device-side assert triggered|misaligned address|CUDA error: an illegal instruction|"
        r"unspecified launch failure|hipErrorLaunchFailure|HSA_STATUS_ERROR_(?!OUT_OF_RES)\w+|"
        r"HSAIL operation resulted in a hardware exception|"
        r"(?:error code is |error code: ?|runtime result = )5070(?:11|15|18|35)\b|"
        r"cuapi_xpu_\w+\(\) failed[^\n]{0,60}status= ?700\b|"
        r"Failed to initialize the TMA descriptor|^RuntimeError: Error Internal$",
        "a kernel of the engine fails for this model or this card",
        "add --enforce-eager to serving.extra_args or use another engine release; Xid lines in the "
        "node's kernel log tell a faulty card",
        "opendatalab/MinerU#3677, SystemPanic/vllm-windows#72, vllm-project/vllm#50347, "
        "vllm-project/vllm#20007, baidu/vLLM-Kunlun#475, vllm-project/vllm#13961, "
        "flashinfer-ai/flashinfer#2232, vllm-project/vllm#14601, vllm-project/vllm#11763",
        hopeless=False,
        decides=True,
    ),
    row(
        # CANN names the operator that was under way; aclnn's are above
        "kernel-fault",
        r"current working operator name is (?P<what>(?!Hccl|aclnn)\w+)",
        "an operator of the engine ended in an error on the card: {what}",
        "read the lines above it; add --enforce-eager to serving.extra_args or use another engine "
        "release",
        "Ascend/pytorch torch_npu/csrc/core/npu/NPUException.h",
        hopeless=False,
        vague=True,
        decides=True,
    ),
    row(
        "runtime-mismatch",
        r"HIP error: invalid argument",
        "the image's runtime and the card's driver or firmware do not agree",
        "use an image for this driver, or renew the node's driver",
        "vllm-project/vllm#10855",
    ),
    row(
        "graph-streams",
        r"error code is 207008|Stream resources are insufficient|Insufficient_Stream_Resources|"
        r"EL0009",
        "the capture of graphs uses up the card's streams",
        "capture fewer sizes (--compilation-config cudagraph_capture_sizes), FULL_DECODE_ONLY, or "
        "add --enforce-eager",
        "vllm-project/vllm-ascend docs/source/faqs.md",
        decides=True,
    ),
    row(
        # CANN's compiler of operators is in Python, and quotes what failed there
        "python-import",
        r"E4\d{4}: [^\n]{0,900}?(?P<what>(?:ModuleNotFoundError|ImportError): "
        r"[^\n\]\\]{1,120})",
        "CANN's compiler of operators lacks a Python package: {what}",
        "install it in the image (CANN's requirements: attrs, decorator, sympy, cloudpickle, "
        "scipy, psutil, protobuf, absl-py), for the Python that starts the engine",
        "Ascend/pytorch TORCH_NPU_COMPACT_ERROR_OUTPUT.md",
        decides=True,
    ),
    row(
        "graph-compile",
        r"(?P<what>Failed to compile graph with compiler[^\n\[]{0,60}|"
        r"\[SubGraphOpt\]\[Compile\][^\n]{0,120}|"
        r"(?:op|operator|AI ?CPU kernel) compile failed|E40021: [^\n]{0,100}|EZ3002: [^\n]{0,100})",
        "the image's CANN cannot compile an operator of this model for this chip: {what}",
        "add --enforce-eager to serving.extra_args, make the folder kernel_meta writable, or use "
        "an image made for the chip",
        "Ascend/pytorch#61",
    ),
    row(
        "kernel-timeout",
        r"reason=\[?(?P<what>(?:aicore|vector core|fftsplus|aicpu)[\w ]* timeout)|"
        r"(?:runtime result = |error code is )(?P<what2>5070(?:14|34|48|46))|"
        r"(?P<what3>the launch timed out and was terminated)",
        "a kernel or a transfer on the card did not end: {what}",
        "read the first rank that failed; one process a card; see the image's release notes for "
        "the model, then HCCL_EXEC_TIMEOUT",
        "vllm-project/vllm-ascend#5509, vllm-project/vllm-ascend#10299, "
        "vllm-project/vllm-ascend#2800",
        hopeless=False,
        decides=True,
        warned=True,
    ),
    row(
        "device-held",
        r"init soc version failed, ret ?= ?(?P<code>507008)|dcmi mod\w+ initialized? failed.{0,60}"
        r"ret is (?P<code2>-80\d\d)",
        "another container already holds the card (error {code})",
        "give a card to one container, or share it by the vendor's own means; wait for a pod that "
        "is still stopping",
        "vllm-project/vllm-ascend#2542, vllm-project/vllm-ascend#2698",
        hopeless=False,
        decides=True,
    ),
    row(
        "device-held",
        r"Maybe the last training process is running|EJ0001",
        "the process that held the card before has not ended yet",
        "wait: a restart right after the old pod comes too early",
        "hiyouga/LlamaFactory#3839",
        hopeless=False,
        decides=True,
    ),
    row(
        "device-start",
        r"error code is (?P<code>507033)|tsd (?:client )?open failed|TsdOpen failed",
        "the card's own service does not start the process (error 507033)",
        "look with npu-smi on the node: driver and the image's CANN must go together; restart the "
        "card",
        "vllm-project/vllm-ascend#4284",
        hopeless=False,
    ),
)
LAST = (
    row(
        "device-error",
        r"(?P<what>Abort was called at \d+ line in file)",
        "Intel's compute runtime gave up: {what}",
        "check the card's driver and firmware on the node, and that the pod holds its device files",
        "intel/llm-scaler#65",
        hopeless=False,
        aborts=True,
    ),
    row(
        # CANN's codes E[EILJZH]nnnn and torch_npu's calls: a kind, until a row above names it
        "device-error",
        r"(?P<what>[A-Z]{3,6} function error: [^\n]{1,100}, error code is \d+|"
        r"NPU error, error code is \d+|(?:CUDA|HIP|MUSA)(?: driver)? error: [^\n]{1,100}|"
        r"rt\w+ execut\w+ failed, reason=[^\[\n]{1,60}|runtime result = \d{6}|"
        r"level_zero backend failed with error[^\n]{0,60}|UR error|"
        r"(?:CUBLAS|CUDNN|HIPBLAS|ROCBLAS|MIOPEN)_STATUS_\w+|"
        r"(?:rocblaslt|hipblaslt) error: [^\n]{1,120}|"
        r"\b(?:E[A-Z]\d{4}|E\d{5}): (?!Inner Error)[^\n]{1,120})",
        "the card's runtime refused: {what}",
        "read the lines around it; look at the card with the vendor's tool on its node, and that "
        "image and driver go together",
        "vllm-project/vllm-ascend#2712",
        hopeless=False,
        vague=True,
        decides=True,
    ),
)
