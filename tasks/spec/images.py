"""What an image's name says of the engine in it."""

from __future__ import annotations

import re

# vLLM's own number behind its name ("rocm7.2-vllm0.25.1"), or at the begin of the tag of an image
# that is named after it. NVIDIA's 25.09 and Red Hat's 3.2 are counts of their own, as is LMCache's
# 0.3.15 of an image of the same name (docs.lmcache.ai, installation, 2025-12).
_NAMED = re.compile(r"vllm[_-]?v?0\.(\d{1,2})(?!\d)", re.IGNORECASE)
_BEGUN = re.compile(r"v?0\.(\d{1,2})(?:\.\d+|$|[^\d.])")
_OWN_COUNTS = ("lmcache/",)


def vllm_release(image: str) -> tuple[int, int] | None:
    """vLLM's release by an image's name and tag, such as (0, 18); None where they do not tell."""
    head, slash, last = image.partition("@")[0].rpartition("/")
    name, _, tag = last.partition(":")
    found = _NAMED.search(tag)
    own = f"{head}{slash}".endswith(_OWN_COUNTS)
    if not found and "vllm" in name.lower() and not own:
        found = _BEGUN.match(tag)
    return (0, int(found[1])) if found else None
