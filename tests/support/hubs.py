"""A local hub, a store and a fast-failing client, for the tests of fetching."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from deployments.local.hub import LocalHub, publish
from tasks.outside.modelscope.hub import Hub, Limits
from tasks.weights.manifest import Manifest

MODEL = "demo/tiny"
# few tries, and brief pauses between them; a busy machine is no silent hub
QUICK = Limits(
    connect_s=60,
    idle_s=60,
    call_s=120,
    listing_s=120,
    tries=3,
    backoff_s=0.01,
    backoff_max_s=0.05,
)
# for a hub that is silent on purpose
HASTY = replace(QUICK, idle_s=3)


def files(size: int = 300_000, seed: int = 0) -> dict[str, bytes]:
    """Three files, one in a folder, one empty."""
    rng = random.Random(seed)
    return {
        "config.json": json.dumps({"seed": seed}).encode(),
        "weights/model.safetensors": rng.randbytes(size),
        "empty.txt": b"",
    }


def same(folder: Path, wanted: dict[str, bytes]) -> bool:
    """Whether exactly `wanted` (and our record) lies in `folder`."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".model-rollout.json"
    }
    return found == wanted


def client(hub: LocalHub, limits: Limits = QUICK, token: str | None = None) -> Hub:
    """The real client against the local hub."""
    return Hub(hub.url, token, limits)


def job(hub: LocalHub, store: Path, manifest: Manifest, *more: str) -> list[str]:
    """The command line of the fetch Job."""
    return [
        *(sys.executable, "-m", "flows.cli", "job", "fetch", "--model", manifest.model),
        *("--revision", manifest.revision, "--commit", manifest.commit),
        *("--digest", manifest.digest, "--store", str(store), "--endpoint", hub.url),
        *("--keep-free-gib", "0", "--eviction-percent", "0", *more),
    ]


def start(command: list[str], home: Path, **env: str) -> subprocess.Popen[str]:
    """Start a fetch Job with a HOME of its own."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOME": str(home), **env},
    )


def events(text: str) -> list[dict[str, Any]]:
    """The JSON lines a Job printed."""
    return [json.loads(line) for line in text.splitlines()]


def publish_tiny(root: Path, size: int = 300_000, seed: int = 0) -> dict[str, bytes]:
    """Publish `files` on master; returns them."""
    wanted = files(size, seed)
    publish(root, MODEL, "master", wanted, f"seed {seed}")
    return wanted
