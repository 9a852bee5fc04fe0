"""Ends for a command line or an environment that vLLM does not take."""

from __future__ import annotations

from tasks.diagnose.signatures.table import row

ROWS = (
    row(
        "arguments",
        r"unrecognized arguments: (?P<args>.+)|error: argument (?P<args2>.+)|"
        r"error: (?P<args3>(?:the following arguments are required|ambiguous option|"
        r"expected one argument).+)",
        "vLLM does not take the argument {args}",
        "correct serving.extra_args for the vLLM in this image; each word is an item of its own",
        "unslothai/unsloth pull 2811, vllm-project/vllm#27389, vllm-project/vllm#8273",
    ),
    row(
        "arguments",
        r"supplied chat template(?: string)? \((?P<file>[^)\n]{1,200})\)\s+(?:appears path-like|"
        r"looks like a file path)",
        "the chat template {file} is not in the container",
        "name a file of the model's folder or of a mount in --chat-template: images do not bring "
        "the examples of vLLM's repository",
        "vllm-project/vllm#47600",
    ),
    row(
        # a Service named vllm in the pod's namespace
        "arguments",
        r"VLLM_PORT '(?P<value>tcp://[^'\n]{1,80})' appears to be a URI|"
        r"invalid literal for int\(\) with base 10: 'tcp://",
        "a Service's address stands in an environment variable that vLLM reads as a number "
        "(VLLM_PORT) {value}",
        "give the Service another name than vllm, or set enableServiceLinks: false in the pod",
        "vllm-project/vllm envs.py, vllm-project/vllm#14887",
    ),
    row(
        "pp-unsupported",
        r"Pipeline parallelism is not supported for this model",
        "this vLLM cannot cut the model into stages (pipeline parallel)",
        "use tensor or expert parallel instead of --pipeline-parallel-size, or a newer image",
        "vllm-project/vllm#52761, vllm-project/vllm#45455",
    ),
    row(
        "engine-version",
        r"VLLM_USE_V1=(?P<value>[01]) is not supported with (?P<what>[^\n]{1,80})",
        "VLLM_USE_V1={value} is set, and vLLM cannot with {what}",
        "take VLLM_USE_V1 out of serving.env, or use an image whose vLLM can",
        "vllm-project/vllm#19461, vllm-project/vllm-ascend#2169",
    ),
    row(
        "engine-version",
        r"(?P<what>\w+) (?:backend|platform) only supports V(?P<only>[01])\b",
        "vLLM on {what} has the engine V{only} alone, and an argument or variable asks for another",
        "take VLLM_USE_V1 out of serving.env and what needs another engine out of "
        "serving.extra_args",
        "vllm-project/vllm#24297",
    ),
    row(
        "arguments",
        r"EngineArgs\.__init__\(\) got an unexpected keyword argument (?P<args>'[\w-]+')",
        "vLLM does not take the argument {args}",
        "correct serving.extra_args for the vLLM in this image",
        "vllm-project/vllm#9398, vllm-project/vllm#23283",
    ),
    row(
        "arguments",
        r"(?P<args>invalid (?:tool call|reasoning) parser:? \S+)|"
        r"(?P<args2>[\w-]+ [Tt]ool parser could not locate [^\n]{1,80})|"
        r"(?P<args3>[\w-]+ reasoning parser could not locate [^\n]{1,80})|"
        r"(?P<args4>(?:Reasoning|Tool|Tool[ -]call)[ _]parser:? '[^'\n]{1,60}' not found)",
        "the parser that is asked for is not for this model: {args}",
        "correct --tool-call-parser and --reasoning-parser in serving.extra_args",
        "vllm-project/vllm#19729, vllm-project/vllm reasoning/abs_reasoning_parsers.py",
    ),
    row(
        "arguments",
        r"(?P<args>Unknown [\w /-]{1,40}: '?[\w.-]{1,60}'?\. (?:Valid|Must be|Available|Supported)"
        r"[^\n]{1,160})",
        "vLLM does not know a value that is asked for: {args}",
        "correct it in serving.extra_args or serving.env",
        "vllm-project/vllm model_executor/layers/mamba/ops/ssu_dispatch.py",
    ),
    row(
        # attention both ways over an item: it may not be cut
        "arguments",
        r"Chunked MM input disabled but max_tokens_per_mm_item \((?P<item>\d+)\) is larger than "
        r"max_num_batched_tokens \((?P<has>\d+)\)",
        "one image of the model takes {item} tokens at once, the engine's batch has {has}",
        "add --max-num-batched-tokens {item} or more to serving.extra_args",
        "vllm-project/vllm v1/core/encoder_cache_manager.py",
    ),
    row(
        "arguments",
        r"(?P<what>LoRA rank \d+ is greater than max_lora_rank \d+)|"
        r"(?P<what2>max_num_batched_tokens \(\d+\) is smaller than max_(?:model_len|num_seqs) "
        r"\(\d+\))",
        "two settings do not go together: {what}",
        "raise the smaller one in serving.extra_args",
        "vllm-project/vllm config/scheduler.py, vllm-project/vllm config/lora.py",
    ),
    row(
        "arguments",
        r"(?P<what>\w+) does not support LoRA\b",
        "this vLLM's class {what} takes no LoRA adapter",
        "leave --enable-lora out of serving.extra_args, merge the adapter into the weights, or use "
        "a newer image",
        "vllm-project/vllm#3044, vllm-project/vllm#18384",
    ),
    row(
        "arguments",
        r"(?P<what>num_speculative_tokens\D{0,3}\d+ must be divisible by n_predict=\d+|"
        r"Unsupported data type of kv cache: \w+)",
        "vLLM does not take a setting for this model: {what}",
        "correct --speculative-config and --kv-cache-dtype in serving.extra_args",
        "vllm-project/vllm config/speculative.py",
    ),
    row(
        # whatever reads JSON: a file of the model's, or a value of the command line
        "model-config",
        r"(?P<what>(?:Expecting (?:value|property name|',' delimiter|':' delimiter)|Extra data|"
        r"Unterminated string|Invalid control character)[^\n]{0,60}: line \d+ column \d+)",
        "a file of the model's, or an argument, is no JSON: {what}",
        "look at the model's .json files in the store (empty, cut off, a Git LFS pointer), and at "
        "JSON in serving.extra_args",
        "vllm-project/vllm#26161",
        vague=True,
    ),
    row(
        "model-config",
        r"'(?P<what>\w+Config)' object has no attribute '(?P<name>\w+)'",
        "the model's configuration ({what}) has no {name}, which this vLLM wants",
        "use an image whose vLLM and transformers are of the model's time",
        "transformers configuration_utils.py",
        vague=True,
    ),
    row(
        "model-config",
        r"(?P<what>`?rope_(?:scaling|parameters)`? (?:should have|must (?:be|have))[^\n\[{]{1,90}|"
        r"assert \"factor\" in rope_scaling|Unknown RoPE scaling type \w+|"
        r"Missing required keys in `rope_\w+`[^\n]{1,60})",
        "the configuration's rope scaling is not in the form this image reads: {what}",
        "use an image with a newer transformers, or correct --hf-overrides in serving.extra_args",
        "runpod-workers/worker-vllm#88, runpod-workers/worker-vllm#257",
    ),
)
LAST = (
    row(
        "model-config",
        r"(?P<what>No model architectures are specified|Unrecognized model in \S+ Should have a "
        r"`model_type` key)",
        "the folder's config.json is of no model that this engine knows: {what}",
        "serve the folder with the whole model's config.json (not an adapter's, not a part's), or "
        "use an image made for that model",
        "vllm-project/vllm-omni#2170, gpustack/gpustack#1804",
        decides=True,
    ),
    row(
        # a check of vLLM's own that has no row above
        "configuration",
        r"^\s*Value error, (?P<what>[^\n\[]{1,240})",
        "vLLM refuses its configuration: {what}",
        "correct what it names in serving (extra_args, env, tensor_parallel_size, max_model_len), "
        "or choose a model this vLLM serves",
        "vllm-project/vllm pull 20375",
        vague=True,
    ),
)
