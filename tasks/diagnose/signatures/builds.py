"""Ends where something is compiled at the start: a compiler, its headers, a graph."""

from __future__ import annotations

from tasks.diagnose.signatures.table import row

ROWS = (
    row(
        # a build folder of another release or path
        "compiler",
        r"ninja: error: '(?P<file>[^'\n]{1,200})', needed by [^\n]{1,200}missing and no known rule",
        "a kernel that was to be compiled again lacks its source {file}: the cache is of another "
        "image",
        "empty FlashInfer's cache (~/.cache/flashinfer, FLASHINFER_WORKSPACE_BASE), or let each "
        "image have its own",
        "ninja-build/ninja src/graph.cc",
        decides=True,
    ),
    row(
        "compiler",
        r"Could not find nvcc|No such file or directory: '?(?P<file>\S*nvcc)'?|"
        r"(?P<file2>\S*nvcc): (?:command )?not found|CUDA_HOME environment variable is not set|"
        r"Failed to find (?:a )?nvcc",
        "FlashInfer compiles a kernel when it starts, and the image has no CUDA compiler",
        "use an image with the CUDA toolkit or with compiled FlashInfer kernels, or set "
        "VLLM_USE_FLASHINFER_SAMPLER=0 in serving.env",
        "flashinfer-ai/flashinfer#1919, flashinfer-ai/flashinfer#1781, vllm-project/vllm#21960",
        decides=True,
    ),
    row(
        "compiler",
        r"nvcc fatal\s*: (?!Unsupported gpu)(?P<what>[^\n]{1,120})|"
        r"(?P<what3>ninja: build stopped[^\n]{0,60})|"
        r"(?P<what5>Command '\['[^'\n]{0,80}(?:clang|gcc|g\+\+|hipcc|nvcc)[^\n]{0,300}?"
        r"non-zero exit "
        r"status \d+)|"
        r"No such file or directory: '(?P<what4>ninja)'",
        "a kernel that is compiled at the start cannot be: {what}",
        "use an image whose CUDA toolkit goes with its FlashInfer, or set "
        "VLLM_USE_FLASHINFER_SAMPLER=0 in serving.env",
        "flashinfer-ai/flashinfer#1532",
        decides=True,
    ),
    row(
        # DeepGEMM compiles at the start; what loads afterwards has nothing to load
        "compiler",
        r"Assertion error \(\S+:\d+\): (?P<what>exit_code == 0|"
        r"[^\n]{0,40}compilation failed[^\n]{0,20})|"
        r"\.cuh?\(\d+\): error: (?P<what2>[^\n]{1,100})|"
        r"(?P<what3>\d+ errors? detected in the compilation of)",
        "a kernel (DeepGEMM) that is compiled at the start cannot be: {what}",
        "set VLLM_USE_DEEP_GEMM=0 and VLLM_MOE_USE_DEEP_GEMM=0 in serving.env, or use an image "
        "whose CUDA toolkit goes with its DeepGEMM",
        "llm-d/llm-d#1269, deepseek-ai/DeepGEMM#359, vllm-project/vllm#24547",
        decides=True,
        demotes="card-unsupported",
    ),
    row(
        "compiler",
        r"fatal error: (?P<file>\S+\.h(?:pp)?): No such file or directory|"
        r"fatal error: '(?P<file2>\S+\.h(?:pp)?)' file not found",
        "Triton compiles a helper when it starts, and the image has no header {file}",
        "use an image with gcc and the headers (python3-dev, libc6-dev)",
        "gpustack/gpustack#1242",
        decides=True,
    ),
    row(
        "compiler",
        r"Failed to find C compiler|No such file or directory: '(?:gcc|cc|g\+\+|clang)'|"
        r"(?:gcc|g\+\+|cc): (?:command )?not found|C\+\+ compiler not found|InvalidCxxCompiler|"
        r"No working C\+\+ compiler found",
        "a part is compiled when the engine starts, and the image has no C compiler",
        "use an image with gcc (vLLM's own, or the vendor's), or name it by CC in serving.env",
        "vllm-project/vllm#15329, vllm-project/vllm#2997",
    ),
    row(
        "compiler",
        r"CalledProcessError: Command '\['\S*(?:gcc|cc|g\+\+|clang)'",
        "a part is compiled when the engine starts, and the image's C compiler fails",
        "use an image with a whole compiler and its headers, or add --enforce-eager to "
        "serving.extra_args where Triton is not needed",
        "vllm-project/vllm#19656",
    ),
)
LAST = (
    row(
        # points at the compiler's own words; here where they are lost
        "compiler",
        r"(?P<what>Command '\['ninja'[^\n]{0,300}?non-zero exit status \d+)|"
        r"(?P<what2>Ninja build failed)|^(?P<what3>FAILED: \S+\.o)\b",
        "a kernel that is compiled at the start cannot be: {what}",
        "read the compiler's words in the whole log (exit status 127: no ninja or nvcc); use an "
        "image with compiled kernels, or set VLLM_USE_FLASHINFER_SAMPLER=0 in serving.env",
        "vllm-project/vllm#36077, flashinfer-ai/flashinfer#4410",
        vague=True,
        decides=True,
    ),
    row(
        "compiler",
        r"(?P<what>PTXAS error: [^\n]{1,100}|Internal Triton PTX codegen error)",
        "a Triton kernel cannot be assembled for this card: {what}",
        "use an image with a newer Triton, or set TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas in "
        "serving.env",
        "vllm-project/vllm#27542, triton-lang/triton#9181",
        vague=True,
    ),
    row(
        "graph-compile",
        r"InductorError: (?P<what>[^\n]{1,160})|(?P<what2>BackendCompilerFailed: [^\n]{1,100})|"
        r"(?:_dynamo\.exc\.(?:UserError|Unsupported|InternalTorchDynamoError|"
        r"FailOnRecompileLimitHit)|"
        r"ConstraintViolationError): (?P<what3>[^\n]{1,120})",
        "torch.compile fails for this model in this image: {what}",
        "add --enforce-eager to serving.extra_args (it serves slower), or use another image; a "
        "compile cache of another release (VLLM_CACHE_ROOT) must not be mounted",
        "vllm-project/vllm#28982, vllm-project/vllm#32033, vllm-project/vllm#23970, "
        "vllm-project/vllm-ascend#1368, pytorch/pytorch#141251",
        vague=True,
    ),
)
