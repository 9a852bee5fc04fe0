"""Which files of a repository are the weights that vLLM loads, and how many bytes they are.

Source: vllm/model_executor/model_loader/default_loader.py and weight_utils.py (vLLM 0.32): files
of the root folder alone; `consolidated*.safetensors` or else `*.safetensors`, or else `*.bin` or
`*.pt`; of safetensors those that the index names. Two copies of the same weights count once, and an
index of .bin files says nothing where there are safetensors. A mirror may hold Git LFS pointers in
their place ("Pointer files must be less than 1024 bytes": git-lfs docs/spec.md), or empty files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
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
POINTER_BYTES = 1024  # what is smaller holds no weights
MOST_SHARDS = 10_000
SAME = 0.03  # two series whose sizes are this close are copies, where one is known for it


@dataclass(frozen=True)
class Weights:
    """bytes: of what is loaded, None where no file is known to be. said: which files, or what was
    found instead. missing: files that the index or the shards' own names count, and that are not
    there or hold nothing; bytes are then the least."""

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
        sizes = {path: root[path] for path in here}
        return _counted(sizes, f"file(s) that {name} names", wanted - here)
    for suffix in SUFFIXES:
        if found := _series(root, suffix):
            sizes = {path: size for series in found.values() for path, size in series.items()}
            return _counted(sizes, f"{suffix} file(s) of the root folder", _gaps(sizes))
    return Weights(None, _instead(files))


def _counted(sizes: Mapping[str, int], said: str, missing: Iterable[str]) -> Weights:
    """The weights in these files, without those that hold none."""
    empty = {path for path, size in sizes.items() if size < POINTER_BYTES}
    if len(empty) == len(sizes):
        most = max(sizes.values())
        return Weights(None, f"{len(sizes)} {said}, of at most {most} bytes: pointers, or empty")
    size, count = sum(sizes[path] for path in sizes if path not in empty), len(sizes) - len(empty)
    return Weights(size, f"{count} {said}", tuple(sorted({*missing, *empty})))


def _gaps(paths: Iterable[str]) -> list[str]:
    """The shards that are not there, of "-of-N" in the names of the others."""
    numbers: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for path in paths:
        stem, dot, suffix = path.rpartition(".")
        if match := SHARD.match(stem):
            number = match.span(2)
            key = (stem[: number[0]], stem[number[1] :], match[3], dot + suffix)
            numbers[key].add(match[2])
    out = []
    for (before, after, count, suffix), have in numbers.items():
        first = 0 if any(int(number) == 0 for number in have) else 1
        if int(count) > MOST_SHARDS:
            continue
        width = len(next(iter(have)))
        every = (f"{at:0{width}d}" for at in range(first, int(count) + first))
        out += [f"{before}{number}{after}{suffix}" for number in every if number not in have]
    return out


def _series(root: Mapping[str, int], suffix: str) -> dict[str, dict[str, int]]:
    """The root's files by series: the shards of one checkpoint are one. Copies are out."""
    out: dict[str, dict[str, int]] = defaultdict(dict)
    sharded = set()
    for path, size in sorted(root.items()):
        if not path.endswith(suffix) or any(fnmatchcase(path, other) for other in OTHER):
            continue
        stem = path.removesuffix(suffix)
        if match := SHARD.match(stem):
            stem = f"{match[1]}-of-{match[3]}"
            sharded.add(stem)
        out[stem][path] = size
    for stem in [name for name in out if VARIANTS.search(name)]:
        plain = _COUNT.sub("", VARIANTS.sub("", stem))
        if any(_COUNT.sub("", name) == plain for name in out):
            del out[stem]
    consolidated = [name for name in out if name.startswith("consolidated")]
    if len(consolidated) < len(out):
        for stem in consolidated:
            del out[stem]
    for stem in sorted(sharded & out.keys(), key=lambda name: -sum(out[name].values())):
        whole = sum(out.get(stem, {}).values())
        for other in [name for name in out if name != stem and stem in out]:
            if abs(sum(out[other].values()) - whole) <= SAME * whole:
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
