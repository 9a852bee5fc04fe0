"""Whether vLLM can divide a model: heads, widths, and the blocks and groups of its quantization.

Source: vllm/distributed/utils.py, vllm/model_executor/layers/linear.py and quantization (fp8,
auto_gptq, auto_awq, compressed_tensors, modelopt) of vLLM 0.32; what is rounded up there (MXFP4,
vocabularies) is never refused.

A group lies along a layer's input: only what is cut by rows (o_proj, down_proj) can go through one.
Where it does, AWQ's plain kernels refuse as its Marlin ones do, and GPTQ's Exllama, in float16,
starts and multiplies with other groups' scales: no fallback answers right. A block has two sides,
so that q, k and v are held against it, too: compressed-tensors refuses parts of blocks, fp8 lets
them pass to its loader, which finds no scales for them. Tiles of kernels (64 x 128) are padded
since 0.24 (vllm#45295); before, another kernel took them, or in bfloat16 none: not judged here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tasks.nodes.fit.attention import Heads
from tasks.nodes.fit.fields import DENSE, text_of, whole
from tasks.nodes.fit.layers import model_type
from tasks.nodes.fit.packing import CHECKED, INPUTS, OUTPUTS, Packing
from tasks.nodes.fit.shape import ModelShape
from tasks.nodes.reasons import Reason, error, warning
from tasks.spec.parallel import Ranks

CODE = "TENSOR_PARALLEL"
MOST_RANKS = 1024  # of one model, that are offered
# Models whose own loader puts the parts of a block together (vllm/.../models/mimo_v2.py).
OWN_LOADER = ("mimo_v2",)
_MLP = ("down_proj", "mlp\\.(")  # in the list of what is not quantized


@dataclass(frozen=True)
class _Fault:
    """found: what does not divide; expected: what would. unsure: some releases allow it."""

    found: str
    expected: str
    unsure: bool = False


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
    if ranks.decode > 1 and _fine(shape, replace(ranks, decode=1)):
        offers.append("leave --decode-context-parallel-size out")
    action = ", or ".join(offers) or "use a smaller --data-parallel-size"
    return [
        (warning if fault.unsure else error)(CODE, fault.found, fault.expected, action)
        for fault in faults
    ]


def _fine(shape: ModelShape, ranks: Ranks) -> bool:
    return not any(not fault.unsure for fault in _faults(shape, ranks))


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
            part = width // tp
            yield from _scales(shape.packing, f"intermediate size {width} / {tp}", part, part)
    yield from _context_faults(shape, ranks)
    yield from _attention_faults(shape, tp)
    yield from _expert_faults(shape, ranks)
    shared = 0 if shape.packing.skips("shared_expert") else shape.shared_width
    if tp > 1 and shared and not shared % tp:
        # releases differ whether these are cut, repeated or left in 16 bits
        part, what = shared // tp, f"width {shared} of shared experts / {tp}"
        for fault in _scales(shape.packing, what, part, part):
            yield replace(fault, unsure=True)


def _context_faults(shape: ModelShape, ranks: Ranks) -> Iterator[_Fault]:
    """Ranks that share a sequence's tokens are those that would hold the same KV heads (vLLM's
    ModelConfig.verify_with_parallel_config and ParallelConfig, 0.32)."""
    tp, shared, heads = ranks.tensor, ranks.decode, shape.kv_heads
    if shared == 1:
        return
    what = f"decode context parallel size {shared}, tensor parallel size {tp}"
    if tp % shared and ranks.prefill == 1:
        yield _Fault(what, "the second divisible by the first")
    elif not shape.latent and tp <= heads:
        yield _Fault(f"{what}, {heads} KV heads", "more ranks than KV heads")
    elif not shape.latent and shared > tp // heads:
        yield _Fault(f"{what}, {heads} KV heads", f"at most {tp // heads} that hold the same head")
    elif not shape.latent and shape.heads // heads % shared:
        each = f"{shape.heads // heads} query heads a KV head"
        yield _Fault(f"{what}, {each}", f"{each} divisible by {shared}")


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
        yield from _scales(shape.packing, what, part, part)
    elif shape.packing.method == "compressed-tensors" and shape.packing.group > 1:
        for fault in _scales(shape.packing, what, part, part):
            yield replace(fault, unsure=True)


def _attention_faults(shape: ModelShape, tp: int) -> Iterator[_Fault]:
    """The projections of attention: the output's is cut along its input, the others along their
    output; keys and values that are fewer than the ranks are repeated."""
    packing = shape.packing
    if tp == 1 or shape.unknown or packing.method == "mxfp4":
        return
    told = set()
    for heads, layers in shape.attending.items():
        if heads.query % tp:
            continue
        faults: list[_Fault] = []
        if packing.holds(OUTPUTS, layers):
            what = f"{heads.query} heads of {heads.value} / {tp} into o_proj"
            faults += _scales(packing, what, inputs=heads.query // tp * heads.value)
        if packing.holds(INPUTS, layers) and not model_type(text_of(shape.config)).startswith(
            OWN_LOADER
        ):
            for what, rows in _columns(heads, tp):
                faults += _scales(packing, what, rows=rows)
        for fault in faults:
            if fault.found not in told:
                told.add(fault.found)
                yield fault


def _columns(heads: Heads, tp: int) -> Iterator[tuple[str, int]]:
    """Each projection out of the hidden state, or of a latent, and its rows on one rank."""
    yield (
        f"{heads.query} heads of {heads.size} / {tp} out of q_proj",
        heads.query // tp * heads.size,
    )
    if heads.spread:
        rows = heads.query // tp * heads.spread
        yield f"{heads.query} heads of {heads.spread} / {tp} out of kv_b_proj", rows
        return
    for name, size in (("k_proj", heads.size), ("v_proj", heads.value)):
        rows = max(1, heads.keys // tp) * size
        yield f"{heads.keys} KV heads of {size} / {tp} out of {name}", rows


def _scales(packing: Packing, what: str, inputs: int = 0, rows: int = 0) -> Iterator[_Fault]:
    """A cut through what shares one scale. inputs, rows: of a rank's part of a weight."""
    fault = None
    if packing.block:
        high, wide = packing.block
        if inputs % wide or rows % high:
            fault = _Fault(
                f"{what} = {inputs or rows}, stored in blocks of {high} x {wide}",
                f"whole blocks of {wide if inputs else high}",
                unsure=not inputs % wide and packing.method == "modelopt",  # it pads outputs
            )
    elif packing.group > 1 and inputs % packing.group:
        fault = _Fault(
            f"{what} = {inputs}, stored in groups of {packing.group}",
            f"whole groups of {packing.group}",
        )
    if fault:
        yield fault if packing.method in CHECKED else replace(fault, unsure=True)
