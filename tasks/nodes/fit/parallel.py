"""Whether vLLM can divide a model: heads, widths, and the blocks and groups of its quantization.

Source: vllm/distributed/utils.py, vllm/model_executor/layers/quantization (fp8, gptq, awq,
compressed_tensors) of vLLM 0.32; what is rounded up there (MXFP4, vocabularies) is never refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tasks.nodes.fit.fields import DENSE, text_of, whole
from tasks.nodes.fit.shape import ModelShape
from tasks.nodes.reasons import Reason, error, warning
from tasks.spec.parallel import Ranks

CODE = "TENSOR_PARALLEL"
MOST_RANKS = 1024  # of one model, that are offered
_MLP = ("down_proj", "mlp\\.(")  # in the list of what is not quantized


@dataclass(frozen=True)
class _Fault:
    """found: what does not divide; expected: what would. only_old: some releases allow it."""

    found: str
    expected: str
    only_old: bool = False


def divides_reasons(shape: ModelShape, ranks: Ranks) -> list[Reason]:
    """Every reason why vLLM cannot divide the model among these ranks."""
    faults = list(_faults(shape, ranks))
    if not faults:
        return []
    good = [
        n
        for n in range(1, min(shape.heads, MOST_RANKS) + 1)
        if _fine(shape, replace(ranks, tensor=n))
    ]
    offers = ["use one of " + ", ".join(map(str, good))] if good else []
    if shape.experts and not ranks.experts and _fine(shape, replace(ranks, experts=True)):
        offers.append("divide the experts whole with --enable-expert-parallel")
    action = ", or ".join(offers) or "use a smaller --data-parallel-size"
    return [
        (warning if fault.only_old else error)(CODE, fault.found, fault.expected, action)
        for fault in faults
    ]


def _fine(shape: ModelShape, ranks: Ranks) -> bool:
    return not any(not fault.only_old for fault in _faults(shape, ranks))


def _faults(shape: ModelShape, ranks: Ranks) -> Iterator[_Fault]:
    tp = ranks.tensor
    if shape.heads % tp:
        yield _Fault(
            f"{shape.heads} attention heads, tensor parallel size {tp}", "heads divisible by it"
        )
    heads = sorted({layer.heads for layer in shape.cached if layer.heads} or {shape.kv_heads})
    for count in heads if not shape.latent else ():
        if count % tp and tp % count:
            yield _Fault(
                f"{count} KV heads, tensor parallel size {tp}",
                "KV heads divisible by it, or it by the KV heads (they are replicated then)",
            )
    for width in _dense_widths(shape):
        if width % tp:
            yield _Fault(f"intermediate size {width}, tensor parallel size {tp}", "divisible by it")
        elif tp > 1 and not any(map(shape.packing.skips, _MLP)):
            yield from _scales(shape, width // tp, f"intermediate size {width} / {tp}")
    yield from _expert_faults(shape, ranks)
    shared = 0 if shape.packing.skips("shared_expert") else shape.shared_width
    if tp > 1 and shared and not shared % tp:
        # releases differ whether these are cut, repeated or left in 16 bits
        for fault in _scales(shape, shared // tp, f"width {shared} of shared experts / {tp}"):
            yield replace(fault, only_old=True)


def _dense_widths(shape: ModelShape) -> list[int]:
    """Widths of the MLPs that are no experts, each once."""
    if not shape.intermediate:
        return []
    told = next(
        (value for name in DENSE if isinstance(value := text_of(shape.config).get(name), list)), []
    )
    widths = {size for item in told if (size := whole(item))}
    return sorted(widths or {shape.intermediate})


def _expert_faults(shape: ModelShape, ranks: Ranks) -> Iterator[_Fault]:
    """Experts are cut through only where they are not divided whole."""
    found = shape.experts
    if found is None or ranks.experts or ranks.cut == 1 or shape.packing.method == "mxfp4":
        return
    what = f"width {found.width} of an expert / {ranks.cut}"
    if found.width % ranks.cut:
        yield _Fault(what, f"divisible by it (tensor x data parallel size {ranks.cut})")
        return
    part = found.width // ranks.cut
    if shape.packing.experts_too:
        yield from _scales(shape, part, what)
    elif shape.packing.method == "compressed-tensors" and shape.packing.group > 1:
        for fault in _scales(shape, part, what):
            yield replace(fault, only_old=True)


def _scales(shape: ModelShape, part: int, what: str) -> Iterator[_Fault]:
    """A cut through what shares one scale."""
    packing = shape.packing
    if packing.block and any(part % size for size in packing.block):
        size = max(packing.block)
        yield _Fault(
            f"{what} = {part}, stored in blocks of {packing.block[0]} x {packing.block[1]}",
            f"whole blocks of {size}",
        )
    elif packing.group > 1 and part % packing.group:
        yield _Fault(
            f"{what} = {part}, stored in groups of {packing.group}",
            f"whole groups of {packing.group}",
        )
