"""Bits that quantized weights really take, and what their groups and blocks must divide.

Source: the formats' own layouts; vllm/model_executor/layers/quantization (vLLM 0.32).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.nodes.fit.fields import first, number, quantization, section, whole

# What --quantization makes of 16-bit weights while loading: bits of a linear layer's weight.
ONLINE = {
    **{"fp8": 8.0, "fp8_per_tensor": 8.0, "fp8_per_block": 8.002, "ptpc_fp8": 8.0},
    **{"experts_int8": 8.0, "int8_per_channel_weight_only": 8.0, "deepspeedfp": 8.0},
    **{"bitsandbytes": 4.5, "mxfp4": 4.25, "mxfp8": 8.25, "nvfp4": 4.5, "torchao": 8.0},
}
MARLIN_HIDDEN, MARLIN_WIDTH = 256, 128  # MXFP4 experts are padded to whole tiles


@dataclass(frozen=True)
class Packing:
    """How a checkpoint's linear layers are stored.

    method: as quant_method says, '' for none. bits: of a weight with its scales. group: weights of
    one input row that share a scale, 0 none. block: (outputs, inputs) of one scale, or None.
    experts_too: whether a cut through a group of the experts is refused as well.
    """

    method: str = ""
    bits: float = 16.0
    group: int = 0
    block: tuple[int, int] | None = None
    experts_too: bool = False
    skipped: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Packing:
        """Read a config's quantization; of a format that is not known only the name."""
        quant = quantization(config)
        if not quant:
            return cls()
        algorithm = str(first(quant, "quant_algo", "moe_quant_algo") or "")
        method = str(first(quant, "quant_method", "format") or algorithm or "unknown").lower()
        ignored = first(quant, "modules_to_not_convert", "ignore", "exclude_modules")
        skipped = tuple(map(str, ignored)) if isinstance(ignored, list) else ()
        group = number(quant, "group_size")
        bits = number(quant, "bits", "w_bit", "weight_bits")
        if block := _block(quant.get("weight_block_size")):
            return cls(method, 8.002, 0, block, True, skipped)
        if method == "mxfp4":
            return cls(method, 4.25, skipped=skipped)
        if method in ("gptq", "awq", "auto-round", "gptq_marlin", "awq_marlin", "intel/auto-round"):
            bits = bits or 4
            group = max(0, group)
            extra = (16 + bits) / group if group else 0.0
            return cls(method, bits + extra, group, skipped=skipped)
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


def _block(told: Any) -> tuple[int, int] | None:
    """The two sides of a block; None for anything else."""
    if not isinstance(told, list) or len(told) != 2:
        return None
    outputs, inputs = (whole(side) for side in told)
    return (outputs, inputs) if outputs and inputs else None


def _compressed(quant: Mapping[str, Any], method: str, skipped: tuple[str, ...]) -> Packing:
    weights = [
        section(group, "weights")
        for group in section(quant, "config_groups").values()
        if isinstance(group, Mapping)
    ]
    found = next((item for item in weights if item), {})
    bits, group = number(found, "num_bits") or 16, number(found, "group_size")
    if found.get("strategy") == "block" and (block := _block(found.get("block_structure"))):
        return Packing(method, bits + 0.002, 0, block, True, skipped)
    if group <= 0:
        return Packing(method, float(bits), skipped=skipped)
    scale = 8.0 if found.get("type") == "float" else 16.0
    return Packing(method, bits + scale / group, group, skipped=skipped)


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
