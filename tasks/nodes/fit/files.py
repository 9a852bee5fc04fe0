"""Which files of a repository are the weights that vLLM loads, and how many bytes they are.

Source: vllm/model_executor/model_loader/default_loader.py and weight_utils.py (vLLM 0.32): files
of the root folder alone; `consolidated*.safetensors` or else `*.safetensors`, or else `*.bin` or
`*.pt`; of safetensors those that the index names. Two copies of the same weights count once, and an
index of .bin files says nothing where there are safetensors.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

# In this order; the indices that are worth reading.
INDICES = (
    *("model.safetensors.index.json", "consolidated.safetensors.index.json"),
    *("pytorch_model.bin.index.json", "diffusion_pytorch_model.safetensors.index.json"),
)
SUFFIXES = (".safetensors", ".bin", ".pt")
# Files of these suffixes that hold no weights of the model itself.
OTHER = (
    *("training_args.bin", "optimizer.*", "scheduler.*", "scaler.*", "rng_state*", "*.index.*"),
    *("adapter_model.*", "adapter_*.safetensors", "*lora*.safetensors", "tokenizer*.bin"),
    *("random_states*", "*openvino*", "trainer_state*", "*vae.safetensors"),
)
VARIANTS = re.compile(r"[._-](fp16|bf16|fp32|non_ema)(?=$|-of-)")
_COUNT = re.compile(r"-of-\d+$")
SHARD = re.compile(r"^(.*?)[-_.]?(\d{2,6})-of-(\d{2,6})$")
# What a repository without such files has instead, by suffix.
FOREIGN = (
    ".gguf",
    ".ggml",
    ".pth",
    ".onnx",
    ".npz",
    ".ckpt",
    ".h5",
    ".msgpack",
    ".mlmodel",
    ".pte",
)
SAME = 0.03  # two series whose sizes are this close are copies, where one is known for it


@dataclass(frozen=True)
class Weights:
    """bytes: of what is loaded, None where no file is known to be. said: which files, or what was
    found instead. missing: files that the index names and the listing lacks."""

    bytes: int | None
    said: str
    missing: tuple[str, ...] = ()


def weigh(files: Mapping[str, int], indices: Mapping[str, Any] | None = None) -> Weights:
    """The weights of a listing. files: size by path. indices: the root's index files, parsed."""
    root = {path: size for path, size in files.items() if "/" not in path}
    newest = next((suffix for suffix in SUFFIXES if _series(root, suffix)), "")
    for name in INDICES:
        table = (indices or {}).get(name)
        named = table.get("weight_map") if isinstance(table, Mapping) else None
        if not isinstance(named, Mapping) or not named:
            continue
        wanted = {str(path) for path in named.values()}
        here = {path for path in wanted & root.keys() if path.endswith(newest)}
        if not here:
            continue
        return Weights(
            sum(root[path] for path in here),
            f"{len(here)} file(s) that {name} names",
            tuple(sorted(wanted - here)),
        )
    for suffix in SUFFIXES:
        if found := _series(root, suffix):
            size, count = sum(map(sum, found.values())), sum(map(len, found.values()))
            return Weights(size, f"{count} {suffix} file(s) of the root folder")
    return Weights(None, _instead(files))


def _series(root: Mapping[str, int], suffix: str) -> dict[str, list[int]]:
    """Sizes of the root's files by series: the shards of one checkpoint are one. Copies are out."""
    out: dict[str, list[int]] = defaultdict(list)
    sharded = set()
    for path, size in sorted(root.items()):
        if not path.endswith(suffix) or any(fnmatchcase(path, other) for other in OTHER):
            continue
        stem = path.removesuffix(suffix)
        if match := SHARD.match(stem):
            stem = f"{match[1]}-of-{match[3]}"
            sharded.add(stem)
        out[stem].append(size)
    for stem in [name for name in out if VARIANTS.search(name)]:
        plain = _COUNT.sub("", VARIANTS.sub("", stem))
        if any(_COUNT.sub("", name) == plain for name in out):
            del out[stem]
    consolidated = [name for name in out if name.startswith("consolidated")]
    if len(consolidated) < len(out):
        for stem in consolidated:
            del out[stem]
    for stem in sorted(sharded & out.keys(), key=lambda name: -sum(out[name])):
        whole = sum(out.get(stem, ()))
        for other in [name for name in out if name != stem and stem in out]:
            if abs(sum(out[other]) - whole) <= SAME * whole:
                del out[other]
    return dict(out)


def _instead(files: Mapping[str, int]) -> str:
    """What there is where vLLM finds no weights."""
    for suffix in FOREIGN:
        found = [size for path, size in files.items() if path.endswith(suffix)]
        if found:
            return f"{len(found)} {suffix} file(s) of {sum(found):,} bytes in all"
    if any(path.startswith("adapter_") for path in files):
        return "only an adapter"
    below = {path.split("/", 1)[0] for path in files if "/" in path and path.endswith(SUFFIXES)}
    if below:
        return "only in folder(s) " + ", ".join(sorted(below)[:6])
    return "none"
