"""Bytes of KV cache that one sequence needs: vLLM's arithmetic of groups and pages.

Source: vllm/v1/core/kv_cache_utils.py and vllm/v1/kv_cache_interface.py (vLLM 0.32, where the
hybrid cache manager is on): layers of one kind share pages of one size, kinds are split into groups
of as many layers as the rarest kind has, and a group that is not full is padded. A sliding layer is
charged its window and the tokens in flight, a state one page whatever the length. Layers of one
kind alone make one group, which is the plain product.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.nodes.fit.attention import Layer

BLOCK = 16
LATENT_BLOCK = 64


@dataclass(frozen=True)
class Cache:
    """How a cache is laid out on one rank.

    tensor: by how many ranks heads are cut. element: bytes of an element; latent_bytes: of a whole
    latent where its format fixes it. block: tokens of a page. in_flight: tokens computed at once.
    windows: whether sliding layers are given less than full ones; latents: whether a latent is
    cached where older releases cached heads. state_blocks: pages a state.
    state_element, state_bytes: bytes of an element of a state's convolution, and of itself (0: as
    the layer says). speculative: tokens guessed. decode: ranks that share a sequence's tokens.
    """

    tensor: int = 1
    element: float = 2
    latent_bytes: int = 0
    block: int = BLOCK
    in_flight: int = 2048
    windows: bool = True
    latents: bool = True
    state_blocks: int = 1
    state_element: int = 2
    state_bytes: int = 0
    speculative: int = 0
    decode: int = 1

    def token_bytes(self, layer: Layer) -> int:
        """Bytes a token of this layer."""
        if layer.heads and not self.latents:
            layer = replace(layer, latent=0)
        return layer.token_bytes(self.tensor, self.element, self.latent_bytes)


@dataclass(frozen=True)
class _Kind:
    """Layers that vLLM takes for the same. token: bytes; window: tokens; state: bytes a page."""

    name: str
    token: int = 0
    window: int = 0
    state: int = 0


def _kinds(layers: Sequence[Layer], cache: Cache) -> Counter[_Kind]:
    out: Counter[_Kind] = Counter()
    for layer in layers:
        name, window = layer.kind, layer.window
        if layer.state is not None:
            size = layer.state.page(
                cache.tensor, cache.state_element, cache.state_bytes, cache.speculative
            )
            out[_Kind("state", state=size)] += 1
            continue
        if name in ("sliding", "chunked") and not cache.windows:
            name, window = "full", 0
        if token := cache.token_bytes(layer):
            out[_Kind(name, token, window)] += 1
    return out


def growth_bytes(layers: Sequence[Layer], cache: Cache) -> int:
    """Bytes that a further token of a long sequence adds on one rank; where every layer has a
    window, those of a token within it."""
    found = _kinds(layers, cache)
    lasting = [kind for kind in found if kind.name == "full"]
    return sum(kind.token * found[kind] for kind in lasting or found)


def sequence_bytes(layers: Sequence[Layer], length: int, cache: Cache) -> int:
    """Bytes that one sequence of `length` tokens needs on one rank."""
    found = _kinds(layers, cache)
    if not found:
        return 0
    names = {(kind.name, kind.window) for kind in found}
    if len(names) == 1 and not any(kind.state for kind in found):
        (kind, *_), token = found, sum(kind.token * count for kind, count in found.items())
        return _blocks(kind, length, cache.block, cache) * cache.block * token
    cache, page = _pages(found, cache)
    rows = []
    for kind, count in found.items():
        block = cache.block
        if kind.token and kind.token * block != page and page % kind.token == 0:
            block = page // kind.token
        rows.append((count, _blocks(kind, length, block, cache)))
    counts = [count for count, _ in rows]
    size = max(counts) if max(counts) < 1.5 * min(counts) else min(counts)
    return size * page * sum(math.ceil(count / size) * blocks for count, blocks in rows)


def _pages(found: Counter[_Kind], cache: Cache) -> tuple[Cache, int]:
    """The cache with its block, and the bytes of a page: a block grows until a state fits in."""
    states = max(kind.state for kind in found)
    full = [kind.token for kind in found if kind.name == "full"]
    token = max(full or [kind.token for kind in found])
    if states and token:
        grain = max(BLOCK, cache.block)
        block = max(cache.block, grain * math.ceil(states / (grain * token)))
        return replace(cache, block=block), block * token
    return cache, max(states, cache.block * max(kind.token for kind in found))


def _blocks(kind: _Kind, length: int, block: int, cache: Cache) -> int:
    if kind.name == "state":
        return cache.state_blocks + cache.speculative
    if kind.name == "cross":
        return math.ceil(kind.window / block)
    if kind.name == "sliding":
        return math.ceil(min(kind.window - 1 + cache.in_flight, length) / block) + 1
    if kind.name == "chunked":
        return math.ceil(min(kind.window + cache.in_flight, length) / block)
    return math.ceil(math.ceil(length / cache.decode) / block)
