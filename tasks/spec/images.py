"""What an image's name says: of the engine in it, and of where it lies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# vLLM's own number behind its name ("rocm7.2-vllm0.25.1"), or at the begin of the tag of an image
# that is named after it. NVIDIA's 25.09 and Red Hat's 3.2 are counts of their own, as is LMCache's
# 0.3.15 of an image of the same name (docs.lmcache.ai, installation, 2025-12).
_NAMED = re.compile(r"vllm[_-]?v?0\.(\d{1,2})(?!\d)", re.IGNORECASE)
_BEGUN = re.compile(r"v?0\.(\d{1,2})(?:\.\d+|$|[^\d.])")
_OWN_COUNTS = ("lmcache/",)
DOCKER_HUB = "docker.io"
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")


def vllm_release(image: str) -> tuple[int, int] | None:
    """vLLM's release by an image's name and tag, such as (0, 18); None where they do not tell."""
    head, slash, last = image.partition("@")[0].rpartition("/")
    name, _, tag = last.partition(":")
    found = _NAMED.search(tag)
    own = f"{head}{slash}".endswith(_OWN_COUNTS)
    if not found and "vllm" in name.lower() and not own:
        found = _BEGUN.match(tag)
    return (0, int(found[1])) if found else None


@dataclass(frozen=True)
class Reference:
    """An image's name in its parts. registry: host, with its port where one is named. digest:
    'sha256:<64 hex>', or '' where the name has a tag alone."""

    registry: str
    repository: str
    tag: str
    digest: str


def reference(image: str) -> Reference:
    """An image's name as container runtimes read it: without a registry it is Docker Hub's, without
    a tag it is `latest`. ValueError where it names no repository."""
    named, _, digest = image.partition("@")
    first, slash, rest = named.partition("/")
    hosted = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, rest) if hosted else (DOCKER_HUB, named)
    head, slash, last = path.rpartition("/")
    last, _, tag = last.partition(":")
    repository = f"{head}{slash}{last}"
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    if not last or not _REPOSITORY.fullmatch(repository):
        raise ValueError(f"{image[:80]!r} names no image; write it as registry/name:tag")
    return Reference(registry, repository, tag or "latest", digest)


def by_digest(image: str, digest: str) -> str:
    """The same image, named by its digest as well; the tag stays for people."""
    return f"{image.partition('@')[0]}@{digest}"


def pull_secrets(pod: Mapping[str, Any]) -> tuple[str, ...]:
    """The image pull Secrets that a partial PodSpec names."""
    named = pod.get("imagePullSecrets")
    items = named if isinstance(named, list) else []
    return tuple(str(item["name"]) for item in items if isinstance(item, dict) and "name" in item)
