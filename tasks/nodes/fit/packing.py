"""Bits that quantized weights really take, and what their groups and blocks must divide.

Source: the formats' own layouts; vllm/model_executor/layers/quantization (vLLM 0.32).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.nodes.fit.fields import first, number, quantization, section, whole

# What --quantization makes of 16-bit weights while loading: bits of a linear layer's weight.
ONLINE = {
    **{"fp8": 8.0, "fp8_per_tensor": 8.0, "fp8_per_block": 8.002, "ptpc_fp8": 8.0},
    **{"experts_int8": 8.0, "int8_per_channel_weight_only": 8.0, "deepspeedfp": 8.0},
    **{"bitsandbytes": 4.5, "mxfp4": 4.25, "mxfp8": 8.25, "nvfp4": 4.5, "torchao": 8.0},
}
# Fields that list modules which stay as they were.
_SKIPPED = (
    *("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "exclude"),
    "llm_int8_skip_modules",
)
# Formats whose groups a row-parallel layer must hold whole in every release; elsewhere it is open.
CHECKED = (
    *("gptq", "awq", "auto-round", "intel/auto-round", "gptq_marlin", "awq_marlin", "auto_gptq"),
    *("auto_awq", "fp8", "compressed-tensors", "modelopt", "quark"),
)
# Names of attention and of its projections in the models that are quantized.
_ATTENTION = ("self_attn", "self_attention", "attention", "attn")
INPUTS = (
    *("q_proj", "k_proj", "v_proj", "qkv_proj", "q_b_proj", "kv_b_proj", "query_key_value"),
    *("c_attn", "wqkv", "Wqkv", "W_pack"),
)
OUTPUTS = ("o_proj", "out_proj", "dense", "c_proj", "wo")
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)(?:\.|\*|$)(.*)")
_OTHER_PARTS = ("vis", "audio", "mtp")
MARLIN_HIDDEN, MARLIN_WIDTH = 256, 128  # MXFP4 experts are padded to whole tiles


@dataclass(frozen=True)
class Packing:
    """How a checkpoint's linear layers are stored.

    method: as quant_method says, '' for none. bits: of a weight with its scales. group: weights of
    one input row that share a scale, 0 none. block: (outputs, inputs) of one scale, or None.
    experts_too: whether a cut through a group of the experts is refused as well. skipped: names of
    what stays as it was, or is stored in another way; only: of all that is not, () everything.
    """

    method: str = ""
    bits: float = 16.0
    group: int = 0
    block: tuple[int, int] | None = None
    experts_too: bool = False
    skipped: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Packing:
        """Read a config's quantization; of a format that is not known only the name."""
        quant = quantization(config)
        if not quant:
            return cls()
        algorithm = str(first(quant, "quant_algo", "moe_quant_algo") or "")
        method = str(first(quant, "quant_method", "format") or algorithm or "unknown").lower()
        group = number(quant, "group_size")
        skipped = (*_strings(quant, *_SKIPPED), *_apart(quant, group))
        bits = number(quant, "bits", "w_bit", "weight_bits")
        if block := _block(quant.get("weight_block_size")):
            return cls(method, 8.002, 0, block, True, skipped)
        if method == "mxfp4":
            return cls(method, 4.25, skipped=skipped)
        if method in ("gptq", "awq", "auto-round", "gptq_marlin", "awq_marlin", "intel/auto-round"):
            bits = bits or 4
            group = max(0, group)
            extra = (16 + bits) / group if group else 0.0
            only = _strings(quant, "modules_in_block_to_quantize")
            return cls(method, bits + extra, group, skipped=skipped, only=only)
        if algorithm == "FP8_PB_WO":
            return cls(method, 8.002, 0, (128, 128), True, skipped)
        if "MXFP8" in algorithm or method == "mxfp8":
            return cls(method, 8.25, 32, skipped=skipped)
        if "NVFP4" in algorithm or method == "nvfp4":
            return cls(method, 4.5, 16, skipped=skipped)
        if method == "bitsandbytes":
            return cls(method, 8.0 if quant.get("load_in_8bit") else 4.5, skipped=skipped)
        if method == "compressed-tensors":
            return _compressed(quant, method, skipped)
        return cls(method, float(bits or 8), max(0, group), skipped=skipped)

    def skips(self, name: str) -> bool:
        """Whether modules of this name are left as they were."""
        return any(name in item for item in self.skipped)

    def holds(self, names: tuple[str, ...], layers: Iterable[int]) -> bool:
        """Whether projections of attention (INPUTS, OUTPUTS) of one of these layers are packed."""
        return any(
            (not self.only or _named(self.only, names, at)) and not _named(self.skipped, names, at)
            for at in layers
        )


def _named(items: Iterable[str], names: tuple[str, ...], layer: int) -> bool:
    """Whether a list of modules has one of these projections of a layer."""
    return any(_names(item, names, layer) for item in items)


def _names(item: str, names: tuple[str, ...], layer: int) -> bool:
    if item.startswith("re:"):
        try:
            search = re.compile(item[3:]).search
        except re.error:
            return True  # not ours to judge
        full = f"model.layers.{layer}.self_attn."
        return any(search(f"{before}{full}{name}") for name in names for before in ("", "x."))
    if any(part in item for part in _OTHER_PARTS):
        return False
    if match := _LAYER.search(item):
        if int(match[1]) != layer:
            return False
        item = match[2].lstrip(".")
        if not item.strip("*"):
            return True
    last = item.rstrip("*.").rpartition(".")[2]
    return last in names or last in _ATTENTION


def _strings(quant: Mapping[str, Any], *fields: str) -> tuple[str, ...]:
    """The names in these lists, and in lists in them."""
    out: list[str] = []
    for name in fields:
        found = quant.get(name)
        for item in found if isinstance(found, list) else ():
            out += map(str, item) if isinstance(item, list) else [str(item)]
    return tuple(out)


def _apart(quant: Mapping[str, Any], group: int) -> list[str]:
    """Modules that GPTQ's `dynamic` and AutoRound's `extra_config` store in another way."""
    out = []
    for name, how in section(quant, "dynamic").items():
        if name.startswith("-:") or (isinstance(how, Mapping) and "group_size" in how):
            out.append("re:" + name.removeprefix("-:").removeprefix("+:"))
    for name, how in section(quant, "extra_config").items():
        own = how if isinstance(how, Mapping) else {}
        if number(own, "bits") >= 16 or own.get("group_size", group) != group:
            out.append(f"re:{name}" if any(sign in name for sign in "*|(\\") else name)
    return out


def _block(told: Any) -> tuple[int, int] | None:
    """The two sides of a block; None for anything else."""
    if not isinstance(told, list) or len(told) != 2:
        return None
    outputs, inputs = (whole(side) for side in told)
    return (outputs, inputs) if outputs and inputs else None


def _compressed(quant: Mapping[str, Any], method: str, skipped: tuple[str, ...]) -> Packing:
    told = section(quant, "config_groups").values()
    groups = [item for item in told if isinstance(item, Mapping) and section(item, "weights")]
    targets = [_strings(item, "targets") for item in groups]
    found = section(groups[0], "weights") if groups else {}
    only = targets[0] if targets and "Linear" not in targets[0] else ()
    skipped = (*skipped, *(name for others in targets[1:] for name in others))
    bits, group = number(found, "num_bits") or 16, number(found, "group_size")
    if found.get("strategy") == "block" and (block := _block(found.get("block_structure"))):
        return Packing(method, bits + 0.002, 0, block, True, skipped, only)
    if group <= 0:
        return Packing(method, float(bits), skipped=skipped, only=only)
    scale = 8.0 if found.get("type") == "float" else 16.0
    return Packing(method, bits + scale / group, group, skipped=skipped, only=only)


def kv_bits(config: Mapping[str, Any]) -> int | None:
    """Bits of a cache element that the checkpoint itself asks for; None where it does not."""
    quant = quantization(config)
    scheme = quant.get("kv_cache_scheme")
    if isinstance(scheme, Mapping):
        return number(scheme, "num_bits") or None
    named = str(first(quant, "kv_cache_quant_algo", "kv_cache_scheme") or "")
    return 8 if named.upper().startswith("FP8") else None


def padded(size: float, tile: int) -> int:
    """A size rounded up to whole tiles."""
    return int(-(-size // tile) * tile)
