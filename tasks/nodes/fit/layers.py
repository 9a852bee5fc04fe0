"""What each layer of a model keeps in the cache: which kind of attention it is.

Kinds: full (every token), sliding and chunked (the last tokens), state (a fixed size a sequence),
both (attention and a state side by side), none (an MLP, a skipped layer, one that uses another
layer's cache). Read from what configs say of it, the most explicit first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.nodes.fit.fields import number, section, whole

# What part of a layer type's name tells its kind, in this order.
WORDS = (
    *(("sliding", "sliding"), ("swa", "sliding"), ("local", "sliding"), ("chunk", "chunked")),
    *(("linear", "state"), ("mamba", "state"), ("conv", "state"), ("recurrent", "state")),
    *(("kda", "state"), ("delta", "state"), ("gdn", "state"), ("ssm", "state"), ("rwkv", "state")),
    *(("lightning", "state"), ("hybrid", "both"), ("mlp", "none"), ("moe", "none")),
    *(("no_op", "none"), ("noop", "none"), ("ffn", "none")),
)
LISTS = (
    "layer_types",
    "mixer_types",
    "layers_block_type",
    "block_types",
    "_block_types",
    "block_type",
    "attention_layers",
)
# What names attention to everything; a name with none of these words is not known.
_FULL_WORDS = ("full", "attention", "attn", "global", "sparse", "dense", "decoder", "minicpm4")
_WINDOWS = ("sliding_window", "interleaved_sliding_window", "sliding_window_size")
# One sign a layer, in a text or a list.
SIGNS: tuple[tuple[str, Mapping[Any, str]], ...] = (
    ("hybrid_override_pattern", {"M": "state", "*": "full", "-": "none", "E": "none"}),
    ("hybrid_layer_pattern", {0: "full", 1: "sliding"}),
    ("attn_type_list", {0: "state", 1: "full"}),
)
# Layers (from 0) that attend to everything.
INDICES = (
    *("attn_layer_indices", "full_attn_idxs", "global_attn_idx", "global_attn_layers"),
    *("full_attention_layers", "attn_layers", "attn_layer_idx"),
)
# Layers (from 0) that attend beside their state; all others have a state alone (Zamba 2).
BESIDE = ("hybrid_layer_ids",)
# Fields that only models with states have, as their configs begin them.
_STATE_FIELDS = (
    *("mamba_", "ssm_", "state_size", "time_step_", "linear_num_", "linear_key_", "linear_conv_"),
)
# The last of each so many layers attends to everything, the others keep a state or a window.
EACH = (
    ("full_attention_interval", "state"),
    ("layer_group_size", "state"),
    ("sliding_window_pattern", "sliding"),
    ("_sliding_window_pattern", "sliding"),
)
# Configs that say only by their model type which layers attend to everything.
BY_TYPE = {
    **{"gemma2": 2, "gemma3": 6, "gemma3n": 5, "gemma4": 6, "cohere2": 4, "olmo3": 4, "afmoe": 4},
    **{"gpt_oss": 2, "vaultgemma": 2},
}
BOTH = ("falcon_h1", "hymba")
# No attention at all.
PURE = (
    *("mamba", "mamba2", "falcon_mamba", "rwkv", "rwkv5", "rwkv6", "rwkv7", "xlstm", "retnet"),
    *("gla", "hgrn", "hgrn2", "delta_net", "gated_deltanet"),
)
# The window of these is not used unless the config says so.
WINDOW_ON_REQUEST = ("qwen",)
ENCODERS = (
    *("bert", "roberta", "xlm-roberta", "modernbert", "nomic_bert", "distilbert", "deberta-v2"),
    *("electra", "mpnet", "camembert", "jina_bert_v2"),
)


def model_type(text: Mapping[str, Any]) -> str:
    """The type without the suffix of the language part."""
    return str(text.get("model_type") or "").removesuffix("_text")


def kind_of(name: Any) -> str:
    """The kind that a layer type's name tells; attention where it tells no other."""
    lower = str(name).lower()
    return next((kind for word, kind in WORDS if word in lower), "full")


def strange(text: Mapping[str, Any]) -> str:
    """The first layer type that nobody here knows; '' where all are known."""
    known = (*(word for word, _ in WORDS), *_FULL_WORDS)
    for name in LISTS:
        found = text.get(name)
        for item in found if isinstance(found, list) else ():
            if isinstance(item, str) and not any(word in item.lower() for word in known):
                return item
    return ""


def _blocks(text: Mapping[str, Any], _: int) -> list[str]:
    found = text.get("block_configs")
    if not isinstance(found, list):
        return []
    out = []
    for item in found:
        block: Mapping[str, Any] = item if isinstance(item, Mapping) else {}
        attention = section(block, "attention")
        gone = attention.get("no_op") or attention.get("replace_with_linear")
        told = kind_of(block["block_type"]) if "block_type" in block else "full"
        out.append("none" if gone else told)
    return out


def _listed(text: Mapping[str, Any], _: int) -> list[str]:
    for name in LISTS:
        found = text.get(name)
        if isinstance(found, list) and found and all(isinstance(item, str) for item in found):
            local = "sliding" if number(text, "attention_window_size") > 0 else "full"
            return [local if item == "attention" else kind_of(item) for item in found]
    return []


def _signs(text: Mapping[str, Any], _: int) -> list[str]:
    for name, meaning in SIGNS:
        found = text.get(name)
        if isinstance(found, (str, list)) and found:
            return [
                meaning.get(sign, "none") if isinstance(sign, (str, int)) else "none"
                for sign in found
            ]
    return []


def _numbered(text: Mapping[str, Any], n: int) -> list[str]:
    """Lists of layer numbers; those of linear_attn_config begin at 1."""
    linear = section(text, "linear_attn_config")
    attending, states = linear.get("full_attn_layers"), linear.get("kda_layers")
    if isinstance(attending, list):
        return ["full" if at + 1 in attending else "state" for at in range(n)]
    if isinstance(states, list):
        return ["state" if at + 1 in states else "full" for at in range(n)]
    for name in BESIDE:
        found = text.get(name)
        if isinstance(found, list) and found:
            return ["both" if at in found else "state" for at in range(n)]
    for name in INDICES:
        found = text.get(name)
        if isinstance(found, list) and found:
            rest = "state" if _has_state(text) else "sliding"
            return ["full" if at in found else rest for at in range(n)]
    return []


def _has_state(text: Mapping[str, Any]) -> bool:
    return any(
        name.startswith(("mamba_", "ssm_", "linear_", "state_size", "conv_")) for name in text
    )


def _periods(text: Mapping[str, Any], n: int) -> list[str]:
    if period := number(text, "attn_layer_period"):
        offset = number(text, "attn_layer_offset")
        return ["full" if at % period == offset else "state" for at in range(n)]
    if (step := number(text, "mamba_step")) > 1:  # PLaMo 2
        late = n <= step // 2
        full = [at == n - 1 if late else at % step == step // 2 for at in range(n)]
        return ["full" if item else "state" for item in full]
    for name, rest in EACH:
        told = text.get(name)
        if isinstance(told, str) and told:
            return ["sliding" if sign == "L" else "full" for sign in told]
        if size := whole(told):
            whole_groups = n // size * size if name == "layer_group_size" else n
            return [
                "full" if (at + 1) % size == 0 or at >= whole_groups else rest for at in range(n)
            ]
    if size := number(text, "global_attn_every_n_layers"):
        return ["full" if at % size == 0 else "sliding" for at in range(n)]
    return []


def _chunks(text: Mapping[str, Any], n: int) -> list[str]:
    """Llama 4: layers with rotary positions look at one chunk, each fourth at everything."""
    if not number(text, "attention_chunk_size") or not model_type(text).startswith("llama4"):
        return []
    rotary = text.get("no_rope_layers")
    if isinstance(rotary, list) and rotary:
        return ["chunked" if item else "full" for item in rotary]
    size = number(text, "no_rope_layer_interval") or 4
    return ["full" if (at + 1) % size == 0 else "chunked" for at in range(n)]


def _typed(text: Mapping[str, Any], n: int) -> list[str]:
    kind = model_type(text)
    if kind in BOTH or kind in PURE:
        return ["both" if kind in BOTH else "state"]
    if kind in BY_TYPE:
        return ["full" if (at + 1) % BY_TYPE[kind] == 0 else "sliding" for at in range(n)]
    return []


def _windowed(text: Mapping[str, Any], n: int) -> list[str]:
    """One window for all: `sliding_window` alone."""
    told = text.get("use_sliding_window")
    if told is False or (told is None and model_type(text).startswith(WINDOW_ON_REQUEST)):
        return []
    for name in _WINDOWS:
        windows = text.get(name)
        if isinstance(windows, list) and windows:
            return ["sliding" if whole(item) else "full" for item in windows]
    if not window_of(text) or model_type(text).startswith("llama4"):
        return []
    late = number(text, "max_window_layers") if told else 0
    return ["full" if at < late else "sliding" for at in range(n)]


READERS: tuple[Callable[[Mapping[str, Any], int], list[str]], ...] = (
    *(_blocks, _listed, _signs, _numbered, _periods, _chunks, _typed, _windowed),
)


def unlisted_state(text: Mapping[str, Any], layers: int) -> str:
    """A field of states in a config that does not say, as far as is known here, which layers have
    one; '' where it says so, or has no such field."""
    if any(read(text, layers) for read in READERS if read is not _windowed):
        return ""
    told = (name for name, value in text.items() if value)
    return next((name for name in told if name.startswith(_STATE_FIELDS)), "")


def listed_layers(text: Mapping[str, Any]) -> int:
    """How many layers a list or pattern names, where nothing else counts them; 0 none."""
    for read in (_blocks, _listed, _signs):
        if told := read(text, 0):
            return len(told)
    return 0


def window_of(text: Mapping[str, Any], kind: str = "sliding") -> int:
    """Tokens that a sliding or chunked layer looks back; 0 unknown or none."""
    if kind == "chunked":
        return number(text, "attention_chunk_size", "chunk_size")
    return number(
        text,
        *("sliding_window", "sliding_window_size", "attention_window_size", "local_attention"),
        *(
            "local_attention_window",
            "attention_window",
            "window_size",
            "interleaved_sliding_window",
        ),
    )


def kinds(text: Mapping[str, Any], layers: int) -> Sequence[str]:
    """The kind of every layer that vLLM builds, first to last."""
    if model_type(text) in ENCODERS:
        return ["none"] * layers
    found = next((told for read in READERS if (told := read(text, layers))), ["full"])
    out = [found[at % len(found)] for at in range(layers)]
    windows = {kind: window_of(text, kind) for kind in ("sliding", "chunked")}
    out = ["full" if windows.get(kind) == 0 else kind for kind in out]
    shared = number(text, "num_kv_shared_layers")
    if shared:
        out[max(0, layers - shared) :] = ["none"] * min(shared, layers)
    groups = number(text, "cla_share_factor") if text.get("use_cla") else 1
    crossing = text.get("cross_attention_layers")
    for at in range(layers):
        if at % max(1, groups) or (isinstance(crossing, list) and at in crossing):
            out[at] = "none"  # another layer's cache, or an image's alone
    # Ouro runs its layers several times, each time with a cache of its own
    out *= max(1, number(text, "total_ut_steps"))
    return out * 2 if "longcat" in model_type(text) else out
