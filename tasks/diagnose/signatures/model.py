"""Ends for what the model is and how it is cut: shape, types, code, tokenizer, weights.

Wordings are vLLM 0.32's (config/model.py, model_executor/models/registry.py) and those of the
reports named.
"""

from __future__ import annotations

from tasks.diagnose.signatures.table import row

# The last part of a parameter's name: by it a KeyError tells a tensor from a module of the engine
# ("model.layers.0.self_attn.attn" is a layer that nobody registered, no tensor).
_TENSOR = (
    r"(?:\w*(?:weight|bias|scales?|scale_inv|zeros?|zero_point|blocks|packed|weight_shape|g_idx|"
    r"absmax|quant_map)(?:_\d)?|sinks|A_log|A|D|dt_bias|perm|"
    r"(?<=experts\.)(?:gate_up|gate|up|down)_proj)"
)

ROWS = (
    row(
        "tp-heads",
        r"Total number of attention heads \((?P<heads>\d+)\)\s*must be divisible by "
        r"tensor parallel size \((?P<tp>\d+)\)",
        "the model's {heads} attention heads cannot be split over {tp} devices",
        "set serving.tensor_parallel_size to a divisor of {heads}",
    ),
    row(
        "tp-heads",
        r"numHeads / numKvHeads = (?P<left>\d+), MLA only support \{(?P<takes>[\d, ]+)\}",
        "the tensor parallel cut leaves {left} heads on a device, the kernel takes {takes}",
        "set serving.tensor_parallel_size so that {takes} heads are left on each device",
        "vllm-project/vllm-ascend docs/source/faqs.md",
        decides=True,
    ),
    row(
        "tp-experts",
        r"n_physical_experts=(?P<experts>\d+) must be divisible by ep_size=(?P<ranks>\d+)|"
        r"even distribution of experts across ranks\. Got (?P<experts2>\d+) experts and "
        r"(?P<ranks2>\d+) EP ranks",
        "the model's {experts} experts cannot be split over {ranks} ranks",
        "use an expert parallel size that divides {experts}, or --num-redundant-experts",
        "vllm-project/vllm#52435",
    ),
    row(
        "tp-split",
        r"AssertionError: (?P<part>\d+) is not divisible by (?P<ranks>\d+)|"
        r"AssertionError: assert self\.(?:total_)?num_(?:kv_)?heads % (?:self\.)?tp_size == 0|"
        r"(?:intermediate|hidden|vocab)_size (?P<part2>\d+) (?:is not|must be) divisible by "
        r"\D{0,40}(?P<ranks2>\d+)",
        "a part of the model ({part}) cannot be split evenly over the devices {ranks}",
        "set serving.tensor_parallel_size to a divisor of the model's heads and widths",
        "vllm-project/vllm distributed/utils.py",
    ),
    row(
        "tp-split",
        r"tensor parallel size (?P<tp>\d+) must be greater than total num kv heads (?P<heads>\d+) "
        r"when enable decode context parallel|Decode context parallelism for GQA/MQA requires "
        r"`--tensor-parallel-size` \((?P<tp2>\d+)\) [^\n]{0,80}KV heads \((?P<heads2>\d+)\)",
        "decode context parallel shares the {heads} KV heads among more than {heads} devices, "
        "there are {tp}",
        "leave --decode-context-parallel-size (-dcp) out of serving.extra_args, or set "
        "serving.tensor_parallel_size to a multiple of {heads} above it",
        "vllm-project/vllm pull 55030, vllm-project/vllm config/model.py",
    ),
    row(
        "tp-split",
        r"`--decode-context-parallel-size` \((?P<dcp>\d+)\) exceeds the maximum supported value "
        r"\((?P<most>\d+)\)|query heads per KV head \((?P<most2>\d+)\) must be divisible by "
        r"`--decode-context-parallel-size` \((?P<dcp2>\d+)\)",
        "decode context parallel by {dcp} does not go with the model's KV heads ({most})",
        "set --decode-context-parallel-size in serving.extra_args to a divisor of {most}, or leave "
        "it out",
        "vllm-project/vllm config/model.py",
    ),
    row(
        # block FP8: a cut inside a block of the scales
        "quantization-blocks",
        r"(?:output_size|input_size) of \S+(?: and \S+)? weight = (?P<size>\d+) is not "
        r"divisible by weight quantization block_[nk] = (?P<block>\d+)|"
        r"(?:out|in)put_\w*size\w* ?=? ?(?P<size2>\d+) is not divisible by "
        r"(?:weight quantization )?block_[nk] ?= ?(?P<block2>\d+)",
        "the tensor parallel cut leaves {size} rows of a weight, no multiple of its quantization "
        "block of {block}",
        "add --enable-expert-parallel to serving.extra_args (for experts), or lower "
        "serving.tensor_parallel_size",
        "vllm-project/vllm#25292, vllm-project/vllm#17569, "
        "vllm-project/recipes Qwen/Qwen3-Coder-480B-A35B.md, "
        "vllm-project/vllm model_executor/layers/quantization/utils/fp8_utils.py",
    ),
    row(
        "quantization-blocks",
        r"(?P<what>(?:The )?(?:input|output) size .{0,80}(?:not (?:divisible by|aligned with) the "
        r"quantized weight shape)|"
        r"(?:in|out)put_\w*size\w* ?= ?\d+ is not divisible by [a-z_ ]+= ?\d+|"
        r"(?:size|prob)_[mnk] = \d+ is not divisible by \w+ = \d+|"
        r"Unsupported model when in features size is not multiple of \d+|"
        r"\w+_size_per_partition \d+ is not divisible by group_size \d+)",
        "the tensor parallel cut does not go with the groups of the quantized weights: {what}",
        "lower serving.tensor_parallel_size",
        "vllm-project/vllm model_executor/layers/quantization",
    ),
    row(
        "dtype-unsupported",
        r"Bfloat16 is only supported on GPUs with compute capability of at least [\d.]+\.? "
        r"Your (?P<card>.{1,80}?) (?:GPU )?has compute capability (?P<has>[\d.]+\d)",
        "the card {card} (compute capability {has}) cannot compute in bfloat16",
        "add --dtype half to serving.extra_args, or use a newer card",
        "transformerlab/transformerlab-app#370",
    ),
    row(
        "dtype-unsupported",
        r"torch\.(?P<dtype>\w+) is not supported for quantization method (?P<method>[\w-]+)\.? "
        r"Supported dtypes: \[(?P<takes>[^\]]*)\]",
        "the data type {dtype} does not go with the quantization {method}, which takes {takes}",
        "set --dtype in serving.extra_args to one of {takes}, or leave it out (auto)",
        "vllm-project/vllm#13150",
    ),
    row(
        "quantization-unsupported",
        r"Quantization scheme is not supported for\W+the current GPU\.\W+Min capability: "
        r"(?P<wants>\d+)\.\W+Current capability: (?P<has>\d+)|"
        r"quantization method \S+ is not supported for the current GPU\. Minimum capability: "
        r"(?P<wants2>\d+)\. Current capability: (?P<has2>\d+)",
        "the card is too old for the model's quantization: it has compute capability {has}, "
        "{wants} is needed",
        "choose another quantization of the model, or newer cards",
        "vllm-project/vllm#14040, vllm-project/vllm#4202",
    ),
    row(
        "quantization-unsupported",
        r"(?P<what>(?P<method>[\w-]+) quantization is (?:currently )?not supported "
        r"(?:in|on|for) [\w ./-]+|"
        r"Unknown quantization method: .{1,60}|Quantization method specified in the model config "
        r"\(\S+\) does not match the quantization method specified in the `?quantization`? "
        r"argument|only supports (?:the )?following quant types[^\n]{0,80})",
        "this engine does not serve the model's quantization: {what}",
        "choose another quantization of the model, or an image that serves it; leave "
        "--quantization out of serving.extra_args",
        "vllm-project/vllm config/model.py",
    ),
    row(
        "model-len",
        r"max_model_len \((?P<len>\d+)\) is greater than the derived max_model_len",
        "serving.max_model_len {len} is above what the model was made for",
        "lower serving.max_model_len to the model's own length",
    ),
    row(
        "remote-code",
        # not the bare flag: vLLM prints its whole configuration when it starts
        r"requires you to execute the configuration file|contains custom code which must be "
        r"executed|(?:consider setting|pass the (?:argument|option))\s+"
        r"[`'’]?trust_remote_code=True|"
        r"requires (?:you to )?(?:set|pass) .{0,20}trust_remote_code",
        "the model brings its own Python code, which may not run",
        "read that code, then set model.trust_remote_code: true, or choose another model",
        "runpod-workers/worker-vllm#43, vllm-project/vllm#9531",
        decides=True,
    ),
    row(
        "inspect-failed",
        r"Error in inspecting model architecture|"
        r"'-m', 'vllm\.model_executor\.models\.registry'\]' (?:returned|died)|"
        r"failed to be inspected",
        "the process that inspects the model's class died: the architecture is not what is wrong",
        "read what that process printed; most often the install is broken or no device is seen",
        "vllm-project/vllm#9712",
        vague=True,
        demotes="architecture",
    ),
    row(
        "architecture",
        r"Model architectures? \[?(?P<arch>[^\]\n]*?)\]? (?:are|is|was) "
        r"(?:not supported|supported in vLLM until)|"
        r"has model type `?(?P<arch2>\w+)`? but Transformers does not recognize|"
        r"does not recognize this architecture|"
        r"GGUF model with architecture (?P<arch3>\w+) is not supported|"
        r"has no vLLM implementation and the Transformers implementation is not compatible|"
        r"Cannot find model module\. '(?P<arch4>\w+)' is not a registered model|"
        r"KeyError: '(?P<arch5>[\w-]+)' in configuration_auto\.py",
        "this vLLM does not know the model's architecture {arch}",
        "use an image with a vLLM that supports it",
        "MiniMax-AI/MiniMax-M1#21, MetaX-MACA/vLLM-metax#335",
    ),
    row(
        "tokenizer",
        r"Found 0 files matching the pattern: [^\n]{1,200}Make sure that a Mistral tokenizer "
        r"is present",
        "--tokenizer-mode mistral asks for Mistral's own tokenizer, which the model's folder does "
        "not have",
        "leave --tokenizer-mode, --config-format and --load-format mistral out of "
        "serving.extra_args, or take a revision of the model that holds tekken.json or "
        "tokenizer.model.v*",
        "vllm-project/vllm#15345, vllm-project/vllm#17210",
    ),
    row(
        "tokenizer",
        r"Tokenizer class (?P<name>\S+) does not exist or is not currently imported",
        "the image's transformers does not know the model's tokenizer class {name}",
        "use an image with a newer transformers, or the model's older tokenizer_config.json",
        "gpustack/gpustack#5096",
    ),
    row(
        "tokenizer",
        r"(?P<what>data did not match any variant of untagged enum \w+|"
        r"Couldn't instantiate the backend tokenizer|Can't load tokenizer for \S+|"
        r"Failed to load the tokenizer|Invalid type of HuggingFace proce\w+|"
        r"Received a \w*Tokenizer\w* for argument tokenizer)",
        "the model's tokenizer or processor cannot be read by this image: {what}",
        "check that the store holds the tokenizer's and processor's files, and use an image whose "
        "transformers is of the model's time",
        "transformers tokenization_utils_base.py, vllm-project/vllm#25073, vllm-project/vllm#31080",
    ),
    row(
        "weights-unknown",
        rf"KeyError: '(?P<name>[\w.]+\.{_TENSOR})'|"
        r"There is no module or parameter named '(?P<name2>[^']+)'|"
        r"Following weights were not initialized from checkpoint: (?P<name3>.{1,80})|"
        r"(?P<name4>\S+) is unsupported LoRA weight",
        "the checkpoint's tensor {name} has no place in this vLLM's class of the model",
        "use an image whose vLLM serves this checkpoint (and its quantization), or the checkpoint "
        "made for this one",
        "vllm-project/vllm#23025, vllm-project/vllm#9280",
    ),
    row(
        "weights-unknown",
        r"size mismatch for (?P<name>\S+?):|"
        r"AssertionError: assert (?P<name2>param_data)\.shape == |"
        r"Attempted to load weight \((?P<name3>torch\.Size\(\[[\d, ]*\]\))\) into parameter|"
        r"must match[^\n]{1,80} in (?P<name4>loaded_weight)$",
        "the checkpoint's tensor {name} has another shape than the configuration says",
        "fetch configuration and weights of one revision; where they are, use a newer image",
        "vllm-project/vllm model_executor/model_loader/weight_utils.py",
    ),
    row(
        "weights-size",
        r"Consistency check failed: file should be of size (?P<right>\d+) but has size (?P<has>\d+)"
        r"(?: \((?P<file>[^)]+)\))?",
        "a downloaded file {file} has {has} bytes, {right} are right",
        "fetch the model once beforehand and serve the store's path; delete the broken file",
        "huggingface/huggingface_hub#2779",
        decides=True,
    ),
    row(
        "weights-missing",
        r"No such file or directory: [\"'](?P<file>\S+\.(?:safetensors|bin|gguf|pt))[\"']",
        "the weight file {file} is not there",
        "let the fetch verify the store again: the index names a file that it lacks",
        "hiyouga/LlamaFactory#3340",
    ),
    row(
        "weights-broken",
        r"safetensors_rust\.SafetensorError|Error while deserializing header|"
        r"InvalidHeaderDeserialization|HeaderTooLarge|MetadataIncompleteBuffer|"
        r"incomplete metadata, file not fully covered",
        "a weight file is damaged or cut off",
        "let the fetch verify the store again, and look at the node's disk",
    ),
    row(
        # torch's own mapping of a file that is no shared memory
        "weights-missing",
        r"unable to (?:mmap \d+ bytes from|open) file <(?P<file>(?!/torch_)[^>\n]{1,300})>"
        r"[^\n]{0,40}: No such file or directory",
        "the weight file {file} is not there",
        "let the fetch verify the store again: the index names a file that it lacks",
        "pytorch/pytorch aten/src/ATen/MapAllocator.cpp",
    ),
    row(
        "weights-missing",
        r"Cannot find any model weights with|does not appear to have a file named|"
        r"Invalid repository ID or local directory|is not a local folder and is not a valid model|"
        r"Repo id must (?:be in the form|use alphanumeric)|"
        r"Can't load config for '[^'\n]{1,300}'|CacheNotFound: Cache directory not found|"
        r"Can't load the configuration of '[^'\n]{1,300}'|"
        r"No such file or directory: '?\S*/config\.json",
        "the model's files are not where the engine looks for them",
        "check the store's mount and that the fetch ran on this node",
    ),
)
